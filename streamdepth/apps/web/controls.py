"""Controls of running streams: immutable values that are replaced as a whole and read before each frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar


@dataclass(frozen=True, slots=True)
class StreamControls:
    """The settings of one stream that may be changed. Names and values are those of `config.Settings`."""

    style: str = "overlay"
    colormap: str = "inferno"
    alpha: float = 0.6
    smooth: str = "default"
    range: str = "auto"
    paused: bool = False
    """True drops the frames of the source; the last picture stays."""


@dataclass(frozen=True, slots=True)
class ModelControls:
    """The settings of the model that may be changed; all streams share it."""

    size: int | None = None
    """px of the short side of the network's input; None is the model's own size."""


T = TypeVar("T", bound=StreamControls | ModelControls)


class SharedControls(Generic[T]):
    """A thread-safe holder of controls: any thread changes them, stages read them before each frame.

    Args:
        initial: the controls at the start.
        check: raises ConfigError for controls that are not allowed; then nothing changes.
    """

    def __init__(self, initial: T, check: Callable[[T], None] = lambda _: None) -> None:
        check(initial)
        self._check = check
        self._value: T = initial
        self._lock = threading.Lock()

    @property
    def value(self) -> T:
        """The current controls."""
        return self._value

    def update(self, **changes: Any) -> T:
        """Replaces the named fields and returns the new controls. Raises ConfigError."""
        with self._lock:
            value = replace(self._value, **changes)
            self._check(value)
            self._value = value
            return value

    def compare_and_set(self, expected: T, new: T) -> bool:
        """Replaces `expected` by `new`; returns False, and changes nothing, if the controls are not `expected`."""
        with self._lock:
            is_expected = self._value == expected
            if is_expected:
                self._value = new
            return is_expected
