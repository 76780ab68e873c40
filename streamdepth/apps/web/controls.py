"""What may be changed while streams run: one immutable value, replaced as a whole, asked for before each frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar


@dataclass(frozen=True, slots=True)
class StreamControls:
    """What may be changed of one stream. Names and words are those of `config.Settings`."""

    style: str = "overlay"
    colormap: str = "inferno"
    smooth: str = "default"
    range: str = "auto"
    paused: bool = False
    """Frames go by unseen; the last picture stands still."""


@dataclass(frozen=True, slots=True)
class ModelControls:
    """What may be changed of the model, which all streams share."""

    size: int | None = None
    """px of the short side of the network's input; None is the model's own."""


T = TypeVar("T", bound=StreamControls | ModelControls)


class Control(Generic[T]):
    """Holds the value that is wanted now. Thread-safe: any thread changes it, stages look at it at a frame's boundary.

    check: raises ConfigError for a value that cannot be done; then nothing changes.
    """

    def __init__(self, first: T, check: Callable[[T], None] = lambda _: None) -> None:
        check(first)
        self._check = check
        self._value: T = first
        self._lock = threading.Lock()

    @property
    def value(self) -> T:
        """What is wanted now."""
        return self._value

    def change(self, **changes: Any) -> T:
        """Replaces the named fields and returns the new value. Raises ConfigError."""
        with self._lock:
            wanted = replace(self._value, **changes)
            self._check(wanted)
            self._value = wanted
            return wanted

    def take_back(self, wanted: T, instead: T) -> bool:
        """Replaces `wanted`, which cannot be had. False when something else is wanted by now: that stays."""
        with self._lock:
            is_wanted = self._value == wanted
            if is_wanted:
                self._value = instead
            return is_wanted
