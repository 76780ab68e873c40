"""Every wrapper of a sink forwards what happens beside `write`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, live

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.sink import Sink
from streamdepth.core.wrappers import WrappedSink
from streamdepth.sinks.disk_space import DiskSpaceGuard
from streamdepth.sinks.remote import RemoteSink
from streamdepth.sinks.segments import SegmentedSink
from streamdepth.testing import RecordingSink

WRAPPERS: dict[str, Callable[[Sink, Path], Sink]] = {
    "plain": lambda inner, _: WrappedSink(inner),
    "guard": lambda inner, folder: DiskSpaceGuard(inner, folder / "a.mp4", min_free_bytes=0),
    "remote": lambda inner, _: RemoteSink("memory://bucket/a.mp4", lambda _: inner, overwrite=True),
    "segments": lambda inner, folder: SegmentedSink(folder / "a.mp4", lambda _: inner, seconds=60),
    "guarded segments": lambda inner, folder: DiskSpaceGuard(
        SegmentedSink(folder / "a.mp4", lambda _: inner, seconds=60), folder / "a.mp4", min_free_bytes=0
    ),
}


@pytest.fixture(params=WRAPPERS)
def wrap(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Sink], Sink]:
    return lambda inner: WRAPPERS[request.param](inner, tmp_path)


def test_everything_reaches_the_inner_sink(wrap: Callable[[Sink], Sink]) -> None:
    stalls: list[float] = []
    inner = RecordingSink(on_stall=lambda _, seconds: stalls.append(seconds), stop_after=2)
    sink, (info, items) = wrap(inner), live(2)
    sink.open(info, MODEL)
    sink.write(items[0])
    sink.on_stalled(items[0], 1.5)
    sink.on_idle()
    assert (stalls, inner.idle_count, sink.wants_stop) == ([1.5], 1, False)
    sink.write(items[1])
    assert sink.wants_stop
    inner.add_notice("a track is left out")
    assert sink.notices == ["a track is left out"]
    sink.close()
    assert inner.closed
    assert inner.items == items


def test_a_changed_stream_reaches_the_inner_sink(wrap: Callable[[Sink], Sink], request: pytest.FixtureRequest) -> None:
    inner = RecordingSink()
    sink, (info, items) = wrap(inner), live(1)
    sink.open(info, MODEL)
    sink.write(items[0])
    larger = replace(info, width=2 * info.width)
    sink.on_stream_changed(larger)
    is_reopened = "segments" in request.node.name
    assert inner.info == larger if is_reopened else inner.changes == [(1, larger)]
    sink.discard()
    assert inner.discarded


def test_a_failure_discards_the_inner_sink_and_closes_the_wrapper(wrap: Callable[[Sink], Sink]) -> None:
    def fail(_: object) -> None:
        raise SinkWriteError("on purpose")

    inner = RecordingSink(before_write=fail)
    sink, (info, items) = wrap(inner), live(1)
    sink.open(info, MODEL)
    with raises_code(SinkWriteError, "sink-write"):
        sink.write(items[0])
    assert inner.discarded
    assert not sink.is_open
    with raises_code(SinkWriteError, "not-open"):
        sink.write(items[0])
