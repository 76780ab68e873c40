from __future__ import annotations

import pytest

from streamdepth.core.closing import run_all


def test_all_run_and_the_first_failure_is_raised() -> None:
    done: list[str] = []

    def fail(text: str) -> None:
        done.append(text)
        raise ValueError(text)

    with pytest.raises(ValueError, match="first"):
        run_all([lambda: done.append("a"), lambda: fail("first"), lambda: fail("second"), lambda: done.append("b")])
    assert done == ["a", "first", "second", "b"]


def test_an_interrupt_is_not_held_back() -> None:
    done: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all([interrupt, lambda: done.append("later")])
    assert not done
