"""The examples in the docstrings of the small helpers give what they show."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from streamdepth.utils import aac, numbering, redact


@pytest.mark.parametrize("module", [aac, numbering, redact], ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
