"""Decides when a source is stalled and when to try again; the reconnecting itself is in `live.py`."""

from __future__ import annotations

import math
import time
from collections import Counter
from fractions import Fraction

from streamdepth.core.errors import SourceError
from streamdepth.utils.backoff import Backoff

_STALL_INTERVALS, _STALL_SECONDS = 2, 1.0
_SAME_RATE_SHARE = 0.1
_MEMORY_SECONDS = 30.0
"""Time in which the weight of a long interval falls to 1/e."""


class StallDetector:
    """Computes, from the arrival times of frames, after how long a silence the stream counts as stalled.

    The limit is twice the longest recent interval plus a second: some streams come in bursts, and are not stalled
    between them.
    """

    def __init__(self) -> None:
        self.last_frame_at = 0.0
        """`time.monotonic()` of the latest frame, or of the connection before the first one."""
        self._interval_seconds = 0.0

    def restart(self, fps: Fraction | None) -> None:
        """Starts anew for a new connection, whose frames are expected at `fps` frames per second."""
        self.last_frame_at = time.monotonic()
        self._interval_seconds = float(1 / fps) if fps else 0.0

    def on_frame(self, arrived_at: float) -> None:
        """Records a frame that arrived at `arrived_at` on the clock of `time.monotonic()`."""
        passed = max(0.0, arrived_at - self.last_frame_at)
        self._interval_seconds = max(passed, self._interval_seconds * math.exp(-passed / _MEMORY_SECONDS))
        self.last_frame_at = arrived_at

    @property
    def limit_seconds(self) -> float:
        """Seconds from the latest frame until the stream counts as stalled."""
        return _STALL_INTERVALS * self._interval_seconds + _STALL_SECONDS


class RetrySchedule:
    """The attempts to connect again after one loss: their waits, their number, and their end.

    Args:
        limit_seconds: total time after which no further attempt is made.
        backoff: gives the waits; it outlives this object, so that a connection that fails often waits longer.
    """

    def __init__(self, limit_seconds: float, backoff: Backoff) -> None:
        self._limit_seconds, self._backoff = limit_seconds, backoff
        self._deadline = time.monotonic() + limit_seconds
        self._failures: Counter[type[Exception]] = Counter()

    def next_wait_seconds(self) -> float | None:
        """Returns how long to wait before the next attempt; None when the time is used up."""
        remaining = self._deadline - time.monotonic()
        return min(self._backoff.next_wait_seconds(), remaining) if remaining > 0 else None

    def count_failure(self, error: Exception) -> int:
        """Counts a failed attempt, and returns how many failed with an error of this class."""
        self._failures[type(error)] += 1
        return self._failures[type(error)]

    def __str__(self) -> str:
        return f"in {self._limit_seconds:g} seconds ({self._failures.total()} attempts)"


def root_cause(error: SourceError) -> Exception:
    """Returns the library's error behind `error`, or `error` itself; without a traceback, which would keep frames."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return cause.with_traceback(None)


def is_same_rate(new: Fraction | None, old: Fraction | None) -> bool:
    """True if two frame rates differ by 10 % at most, or one of them is unknown."""
    return not (new and old and abs(new / old - 1) > _SAME_RATE_SHARE)
