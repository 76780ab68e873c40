"""Judging errors by their class and code instead of their English sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streamdepth.core.errors import StreamDepthError


@contextmanager
def raises_code(
    kind: type[StreamDepthError], code: str, *, naming: str | None = None
) -> Iterator[pytest.ExceptionInfo[StreamDepthError]]:
    """Expects an error of this class with this `code`; gives it as `pytest.raises` does.

    naming: a regular expression for facts that the message must name, such as a path, a size or a count.
    """
    with pytest.raises(kind, match=naming) as caught:
        yield caught
    assert caught.value.code == code, caught.value
