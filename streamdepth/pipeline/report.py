"""What a run did, put together from its streams and counters; the words of it are in `stats`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from streamdepth.core.types import ModelInfo
from streamdepth.pipeline.stats import Report, Stats, StreamReport
from streamdepth.pipeline.stream import Stream
from streamdepth.utils.redact import redact_text


def report_of(
    streams: Sequence[Stream],
    stats: Stats,
    waiting: Mapping[str, Sequence[int]],
    model: ModelInfo,
    lost: Sequence[BaseException],
) -> Report:
    """What happened so far.

    waiting: cause -> of each stream, the frames dropped because they waited too long. lost: what ended streams early.
    """
    each = [
        _of_stream(stream, lane, stats, {cause: counts[lane] for cause, counts in waiting.items() if counts})
        for lane, stream in enumerate(streams)
    ]
    dropped = sum((Counter(s.dropped) for s in each), Counter[str]())
    seconds, written = stats.seconds, stats["written"]
    return Report(
        read=sum(s.read for s in each),
        written=written,
        inferred=stats["inferred"],
        carried=stats["carried"],
        dropped=dict(dropped),
        reconnects=sum(s.reconnects for s in each),
        latency_ms=stats.latency_ms(),
        fps=round(written / seconds, 2) if seconds else 0.0,
        seconds=round(seconds, 3),
        model=model.name,
        engine=model.engine,
        device=model.device,
        precision=model.precision,
        notices=(*_notices(streams), *(redact_text(str(error)) for error in lost)),
        streams=tuple(each),
    )


def _of_stream(stream: Stream, lane: int, stats: Stats, waiting: Mapping[str, int]) -> StreamReport:
    states, lost = stream.source.states, stream.source.undelivered
    now = states.current
    dropped = Counter(lost) + Counter(waiting) + Counter(stopped=stats.of(lane, "stopped"))
    return StreamReport(
        name=stream.title,
        state=now.state,
        reason=now.reason,
        read=stats.of(lane, "read") + lost.total(),
        written=stats.of(lane, "written"),
        dropped=dict(dropped),
        reconnects=states.reconnects,
        abandoned_readers=states.abandoned_readers,
        changes=tuple(
            {"seconds": round(c.at - (stats.began or time.monotonic()), 3), "state": c.state.value, "reason": c.reason}
            for c in states.changes
        ),
    )


def _notices(streams: Sequence[Stream]) -> Iterator[str]:
    for stream in streams:
        yield from stream.source.notices
        yield from stream.stabilizer.notices
        for sink in stream.sinks:
            yield from sink.notices
