"""Counting frames and timing stages, in constant memory."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

import numpy as np

from streamdepth.core.states import StreamState

_BINS_PER_DECADE = 100
_FIRST_SECONDS = 1e-6
_DECADES = 10

STAGES = ("decode", "wait", "infer", "smooth", "sink", "total")
"""decode: reading one frame; wait: from the decoder to the model; infer: the model, per batch; smooth: the stabilizer;
sink: writing or showing; total: from the decoder until the sinks have it."""


class Histogram:
    """Durations in bins that grow by 2.3 % each, from a microsecond to hours; a percentile is off by half a bin."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS_PER_DECADE * _DECADES, np.int64)

    def add(self, seconds: float) -> None:
        place = np.log10(max(seconds, _FIRST_SECONDS) / _FIRST_SECONDS) * _BINS_PER_DECADE
        self._counts[min(int(place), len(self._counts) - 1)] += 1

    def percentile(self, percent: float) -> float | None:
        """Seconds, None without samples."""
        total = int(self._counts.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), max(1.0, percent / 100 * total)))
        return float(_FIRST_SECONDS * 10 ** ((place + 0.5) / _BINS_PER_DECADE))


class Stats:
    """Shared by the threads of one pipeline; monotonic clock only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms = {stage: Histogram() for stage in STAGES}
        self._totals = dict.fromkeys(STAGES, 0.0)
        self._counts: Counter[tuple[str, int | None]] = Counter()
        self.began: float | None = None
        """`time.monotonic()` at `start`."""
        self._ended: float | None = None

    def start(self) -> None:
        """Starts the clock of `seconds`."""
        self.began = time.monotonic()

    def stop(self) -> None:
        """Stops it."""
        self._ended = time.monotonic()

    def time(self, stage: str, seconds: float) -> None:
        """Adds one duration to a stage of `STAGES`."""
        with self._lock:
            self._histograms[stage].add(seconds)
            self._totals[stage] += seconds

    def total_seconds(self, stage: str) -> float:
        """All durations of a stage together."""
        with self._lock:
            return self._totals[stage]

    def count(self, what: str, by: int = 1, *, lane: int | None = None) -> None:
        """Adds to a counter of any name; `lane`: that of one stream."""
        with self._lock:
            self._counts[what, lane] += by

    def __getitem__(self, what: str) -> int:
        """The counter over all streams."""
        with self._lock:
            return sum(n for (name, _), n in self._counts.items() if name == what)

    def of(self, lane: int, what: str) -> int:
        """The counter of one stream."""
        with self._lock:
            return self._counts[what, lane]

    @property
    def seconds(self) -> float:
        """From `start` to `stop`, or until now; 0 before it."""
        return 0.0 if self.began is None else (self._ended or time.monotonic()) - self.began

    def latency_ms(self) -> dict[str, dict[str, float]]:
        """p50, p95 and p99 of each stage that was timed, in milliseconds."""
        with self._lock:
            result = {}
            for stage, histogram in self._histograms.items():
                values = {f"p{p}": histogram.percentile(p) for p in (50, 95, 99)}
                known = {k: round(v * 1e3, 3) for k, v in values.items() if v is not None}
                if known:
                    result[stage] = known
            return result


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What became of one stream. On every clean end, `read == written + sum(dropped.values())`."""

    name: str
    """Without secrets."""
    state: StreamState
    reason: str
    """Why it is in that state; empty where there is nothing to say."""
    read: int
    written: int
    dropped: dict[str, int]
    reconnects: int
    abandoned_readers: int
    """Readers that hung inside a library and were left behind."""
    changes: tuple[dict[str, object], ...] = ()
    """The latest changes of state, oldest first: `seconds` since the run began, `state`, `reason`."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. On every clean end, `read == written + sum(dropped.values())`."""

    read: int
    """Frames the sources had, those included that they could not deliver."""
    written: int
    inferred: int = 0
    """Frames that the model saw."""
    carried: int = 0
    """Frames whose depth was carried to them from one before (`refresh`)."""
    dropped: dict[str, int] = field(default_factory=dict)
    """By cause. Not delivered: `undecodable`, `missing` (lost on the way), `paused` (left out by the user's wish) and
    `overtaken` (a newer one came before it was read). Delivered: `waiting_for_model` and `waiting_for_sink` (newer ones
    came meanwhile), and `stopped` (on its way when its stream ended early)."""
    reconnects: int = 0
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """Stage -> p50, p95, p99."""
    fps: float = 0.0
    """Frames written per second of the whole run."""
    seconds: float = 0.0
    model: str = ""
    engine: str = ""
    device: str = ""
    precision: str = ""
    notices: tuple[str, ...] = ()
    """What a user should know of the input or output."""
    streams: tuple[StreamReport, ...] = ()
    """Each stream by itself, in the order given."""

    def as_json(self) -> dict[str, object]:
        """Plain types, ready for `json.dumps`."""
        return asdict(self)
