"""The report of a run, put together from its streams and counters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from streamdepth.core.states import StreamState
from streamdepth.core.types import ModelInfo
from streamdepth.pipeline.stats import Stats
from streamdepth.pipeline.stream import Stream
from streamdepth.utils.redact import redact_text


@dataclass(frozen=True, slots=True)
class StreamReport:
    """The counters and states of one stream. On every clean end, `read == written + sum(dropped.values())`."""

    name: str
    """The stream's name without credentials."""
    state: StreamState
    reason: str
    """A sentence that says why it is in that state; empty where there is nothing to say."""
    read: int
    """Frames in the source, including those that it could not deliver."""
    written: int
    dropped: dict[str, int]
    """Frames that were not written, by the causes of `Report.dropped`."""
    reconnects: int
    abandoned_readers: int
    """Readers that hung inside a library and were left behind."""
    changes: tuple[dict[str, object], ...] = ()
    """The latest changes of state, oldest first: `seconds` since the run began, `state`, `reason`."""
    depth_facts: Mapping[str, float | int | None] = field(default_factory=dict)
    """Figures on the depth. Where meters come from a reference: `scale_sigma`, `metric_residual` and
    `evidence_age_seconds` of the newest frame (`DepthFrame`), and the numbers `frames_in_meters`, `frames_withheld`."""


@dataclass(frozen=True, slots=True)
class Report:
    """The counters, latencies and notices of a run. On every clean end, `read == written + sum(dropped.values())`.

    >>> report = sd.convert("samples/room.mp4", "out.mp4", max_frames=5)
    >>> report.read, report.written, report.dropped
    (5, 5, {})
    """

    read: int
    """Frames in the sources, including those that they could not deliver."""
    written: int
    inferred: int = 0
    """Frames that the model saw."""
    propagated: int = 0
    """Frames whose depth was warped to them from an earlier keyframe (`inference_fps`)."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Frames that were not written, by cause.

    Not delivered: `undecodable`, `missing` (lost on the way), `paused` (left out while the user had paused the stream)
    and `overtaken` (a newer one came before it was read). Delivered: `waiting_for_model` and `waiting_for_sink` (newer
    ones came meanwhile), and `stopped` (on its way when its stream ended early).
    """
    reconnects: int = 0
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """p50, p95 and p99 in milliseconds, by stage (`streamdepth.pipeline.stats.STAGES`)."""
    fps: float = 0.0
    """Frames written per second of the whole run."""
    seconds: float = 0.0
    """The duration of the run."""
    model: str = ""
    engine: str = ""
    device: str = ""
    precision: str = ""
    notices: tuple[str, ...] = ()
    """Sentences that a user should read about the input or output."""
    streams: tuple[StreamReport, ...] = ()
    """The reports of the single streams, in the order given."""

    def as_json(self) -> dict[str, object]:
        """Returns plain types, ready for `json.dumps`."""
        return asdict(self)


def make_report(
    streams: Sequence[Stream],
    stats: Stats,
    dropped: Mapping[str, Sequence[int]],
    model: ModelInfo,
    errors: Sequence[BaseException],
) -> Report:
    """Builds the report of a run, also while it goes on.

    Args:
        streams: all streams of the run.
        stats: the run's counters.
        dropped: cause -> number of frames of each stream that were dropped because they waited too long.
        model: the model as it ran.
        errors: what ended streams early.
    """
    reports = [
        _make_stream_report(stream, i, stats, {cause: counts[i] for cause, counts in dropped.items() if counts})
        for i, stream in enumerate(streams)
    ]
    seconds, written = stats.seconds, stats["written"]
    return Report(
        read=sum(report.read for report in reports),
        written=written,
        inferred=stats["inferred"],
        propagated=stats["propagated"],
        dropped=dict(sum((Counter(report.dropped) for report in reports), Counter[str]())),
        reconnects=sum(report.reconnects for report in reports),
        latency_ms=stats.latency_ms(),
        fps=round(written / seconds, 2) if seconds else 0.0,
        seconds=round(seconds, 3),
        model=model.name,
        engine=model.engine,
        device=model.device,
        precision=model.precision,
        notices=(*stream_notices(streams), *(redact_text(str(error)) for error in errors)),
        streams=tuple(reports),
    )


def _make_stream_report(stream: Stream, index: int, stats: Stats, dropped: Mapping[str, int]) -> StreamReport:
    states, undelivered = stream.source.states, stream.source.undelivered
    current = states.current
    started_at = stats.started_at or time.monotonic()
    return StreamReport(
        name=stream.title,
        state=current.state,
        reason=current.reason,
        read=stats.stream_count(index, "read") + undelivered.total(),
        written=stats.stream_count(index, "written"),
        dropped=dict(Counter(undelivered) + Counter(dropped) + Counter(stopped=stats.stream_count(index, "stopped"))),
        reconnects=states.reconnects,
        abandoned_readers=states.abandoned_readers,
        changes=tuple(
            {"seconds": round(change.at - started_at, 3), "state": change.state.value, "reason": change.reason}
            for change in states.changes
        ),
        depth_facts=dict(stream.stabilizer.facts),
    )


def stream_notices(streams: Sequence[Stream]) -> Iterator[str]:
    """Yields the notices of the sources, stabilizers and sinks of streams."""
    for stream in streams:
        yield from stream.source.notices
        yield from stream.stabilizer.notices
        for sink in stream.sinks:
            yield from sink.notices
