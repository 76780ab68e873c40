"""Every public name has an example in its docstring, and the examples run."""

from __future__ import annotations

import doctest
import inspect
import sys
import time
from dataclasses import replace
from fractions import Fraction
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import SAMPLES

import streamdepth

ERRORS = [name for name in streamdepth.__all__ if name.endswith("Error")]
ALIASES = ["DepthMap", "Image", "__version__"]
NAMES = [name for name in streamdepth.__all__ if name not in (*ERRORS, *ALIASES)]
METHODS = ["DepthFrame.depth_in"]


@pytest.mark.parametrize("name", [*NAMES, *METHODS])
def test_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").symlink_to(SAMPLES)
    monkeypatch.chdir(tmp_path)
    thing = attrgetter(name)(streamdepth)
    text = inspect.getdoc(thing) or ""
    assert ">>>" in text, f"{name} has no example"
    tools = {"sd": streamdepth, "np": np, "Fraction": Fraction, "Path": Path, "replace": replace, "time": time}
    names = {**vars(sys.modules[thing.__module__]), **tools}
    test = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test)
    assert runner.failures == 0


@pytest.mark.parametrize("name", ERRORS)
def test_error_has_a_code(name: str) -> None:
    assert getattr(streamdepth, name).default_code
