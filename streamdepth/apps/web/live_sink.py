"""The newest result of a stream, for whoever looks, and how the stream went in the last minutes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo

HISTORY_SECONDS = 120


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Shot:
    """One result, numbered in the order they came."""

    number: int
    item: DepthFrame


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a stream: the frames that came out, and the time each took from the decoder to here."""

    at: int
    """Whole seconds of `time.monotonic()`."""
    frames: int = 0
    latency_ms: tuple[float, float, float] | None = None
    """50th, 95th and 99th percentile; None when nothing came."""


class History:
    """The last HISTORY_SECONDS, second by second, from the first frame on. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._seconds: deque[Second] = deque(maxlen=HISTORY_SECONDS)
        self._now: int | None = None
        self._latencies: list[float] = []

    def note(self, latency_seconds: float) -> None:
        """One frame came out now."""
        with self._lock:
            if self._now is None:
                self._now = int(self._clock())
            self._catch_up()
            self._latencies.append(latency_seconds * 1e3)

    def seconds(self) -> list[Second]:
        """Those that are over, oldest first, without gaps."""
        with self._lock:
            self._catch_up()
            return list(self._seconds)

    @property
    def fps(self) -> float:
        """Frames a second, over the last three seconds that are over."""
        last = self.seconds()[-3:]
        return sum(second.frames for second in last) / len(last) if last else 0.0

    def _catch_up(self) -> None:
        now = int(self._clock())
        if self._now is None:
            return
        for at in range(max(self._now, now - HISTORY_SECONDS), now):
            self._seconds.append(_second(at, self._latencies if at == self._now else []))
        if now != self._now:
            self._now, self._latencies = now, []


def _second(at: int, latencies: list[float]) -> Second:
    if not latencies:
        return Second(at)
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99))
    return Second(at, len(latencies), (float(p50), float(p95), float(p99)))


class LiveSink(Sink):
    """Keeps the newest result and nothing else; `write` costs the stream next to nothing, whoever watches.

    `listener` is called after each `write`, on its thread, and must be quick.
    """

    can_drop_frames = True

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.info: StreamInfo | None = None
        self.newest: Shot | None = None
        self.listener: Callable[[], None] = lambda: None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        self.info = info

    def on_stream_changed(self, info: StreamInfo) -> None:
        self.info = info

    def write(self, item: DepthFrame) -> None:
        if self.info is None:
            raise SinkWriteError("the page's stream is not open; call open first")
        self.newest = Shot(self.newest.number + 1 if self.newest else 0, item)
        self.history.note(time.monotonic() - item.frame.captured_at)
        self.listener()

    def close(self) -> None:
        self.info = None
