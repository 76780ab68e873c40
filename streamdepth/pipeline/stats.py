"""Counters of frames and latency histograms of the stages, in constant memory."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections import Counter
from itertools import accumulate

_BINS_PER_DECADE = 100
_MIN_SECONDS = 1e-6
_DECADES = 10

STAGES = ("decode", "wait", "infer", "smooth", "sink", "total")
"""The stages that are timed.

decode: reading one frame; wait: from the decoder to the model; infer: the model, per batch; smooth: the stabilizer;
sink: writing or showing; total: from the decoder until the sinks have it.
"""


class Histogram:
    """Durations in bins that grow by 2.3 % each, from a microsecond to hours; percentiles are off by half a bin.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * (_BINS_PER_DECADE * _DECADES)
        self._total_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Counts one duration; durations beyond either end count in the outermost bins."""
        index = int(math.log10(max(seconds, _MIN_SECONDS) / _MIN_SECONDS) * _BINS_PER_DECADE)
        with self._lock:
            self._counts[min(index, len(self._counts) - 1)] += 1
            self._total_seconds += seconds

    @property
    def total_seconds(self) -> float:
        """The sum of all durations."""
        with self._lock:
            return self._total_seconds

    def percentile(self, percent: float) -> float | None:
        """Returns the seconds below which `percent` of the durations lie; None without durations."""
        with self._lock:
            cumulated = list(accumulate(self._counts))
        if not cumulated[-1]:
            return None
        index = bisect_left(cumulated, max(1.0, percent / 100 * cumulated[-1]))
        return float(_MIN_SECONDS * 10 ** ((index + 0.5) / _BINS_PER_DECADE))


class Stats:
    """The counters and histograms of one run, shared by its threads; all times are of the monotonic clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.durations = {stage: Histogram() for stage in STAGES}
        """The durations of each stage."""
        self._counts: Counter[tuple[str, int | None]] = Counter()
        self.started_at: float | None = None
        """`time.monotonic()` of `start`."""
        self._stopped_at: float | None = None

    def start(self) -> None:
        """Starts the clock of `seconds`."""
        self.started_at = time.monotonic()

    def stop(self) -> None:
        """Stops the clock of `seconds`."""
        self._stopped_at = time.monotonic()

    def count(self, event: str, number: int = 1, *, stream_index: int | None = None) -> None:
        """Adds to the counter of an event, which may have any name, for one stream or for none."""
        with self._lock:
            self._counts[event, stream_index] += number

    def __getitem__(self, event: str) -> int:
        """The counter of an event, over all streams."""
        with self._lock:
            return sum(number for (name, _), number in self._counts.items() if name == event)

    def stream_count(self, stream_index: int, event: str) -> int:
        """Returns the counter of an event for one stream."""
        with self._lock:
            return self._counts[event, stream_index]

    @property
    def seconds(self) -> float:
        """The time from `start` to `stop`, or until now; 0 before `start`."""
        return 0.0 if self.started_at is None else (self._stopped_at or time.monotonic()) - self.started_at

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """Returns p50, p95 and p99 of each stage that was timed, in milliseconds."""
        result = {}
        for stage, histogram in self.durations.items():
            values = {f"p{p}": histogram.percentile(p) for p in (50, 95, 99)}
            timed = {name: round(seconds * 1e3, 3) for name, seconds in values.items() if seconds is not None}
            if timed:
                result[stage] = timed
        return result
