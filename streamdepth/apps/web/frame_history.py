"""Frame rate and latency of a stream, second by second, over the last two minutes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HISTORY_SECONDS = 120


@dataclass(frozen=True, slots=True)
class SecondStats:
    """The frames of one second, and the time that each took from the decoder to the page's sink."""

    second: int
    """Whole seconds of `time.monotonic()`."""
    frames: int = 0
    latency_ms: tuple[float, float, float] | None = None
    """50th, 95th and 99th percentile; None without frames."""


class FrameHistory:
    """Statistics of the last HISTORY_SECONDS, from the first frame on. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._completed: deque[SecondStats] = deque(maxlen=HISTORY_SECONDS)
        self._current_second: int | None = None
        self._latencies_ms: list[float] = []
        """Latencies of the frames of the current second."""

    def add_frame(self, latency_seconds: float) -> None:
        """Counts a frame that came out now."""
        with self._lock:
            if self._current_second is None:
                self._current_second = int(self._clock())
            self._complete_seconds()
            self._latencies_ms.append(latency_seconds * 1e3)

    def seconds(self) -> list[SecondStats]:
        """Returns the completed seconds, oldest first, without gaps."""
        with self._lock:
            self._complete_seconds()
            return list(self._completed)

    @property
    def fps(self) -> float:
        """Frames a second, the mean of the last three completed seconds."""
        last = self.seconds()[-3:]
        return sum(second.frames for second in last) / len(last) if last else 0.0

    def _complete_seconds(self) -> None:
        now = int(self._clock())
        if self._current_second is None:
            return
        for second in range(max(self._current_second, now - HISTORY_SECONDS), now):
            latencies_ms = self._latencies_ms if second == self._current_second else []
            self._completed.append(_second_stats(second, latencies_ms))
        if now != self._current_second:
            self._current_second, self._latencies_ms = now, []


def _second_stats(second: int, latencies_ms: list[float]) -> SecondStats:
    if not latencies_ms:
        return SecondStats(second)
    p50, p95, p99 = np.percentile(latencies_ms, (50, 95, 99))
    return SecondStats(second, len(latencies_ms), (float(p50), float(p95), float(p99)))
