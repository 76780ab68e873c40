from __future__ import annotations

import json
import threading
import time
from typing import NoReturn

import numpy as np
import pytest
from helpers.waiting import wait_until, waits_for

from streamdepth.core.errors import (
    ConfigError,
    InferenceError,
    SinkOpenError,
    SinkWriteError,
    SourceLostError,
    SourceOpenError,
)
from streamdepth.core.states import StreamState
from streamdepth.core.threads import ThreadGroup
from streamdepth.core.types import DepthKind
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.pipeline.sink_worker import SinkWorker
from streamdepth.stabilizers import FlowPropagator, StabilizerChain, make_stabilizer
from streamdepth.testing import (
    ConstantEstimator,
    FailingEstimator,
    FailingSink,
    FailingSource,
    RecordingSink,
    SyntheticSource,
)


def _stream(source=None, *sinks) -> Stream:
    return Stream(source or SyntheticSource(), make_stabilizer(), sinks)


def _balanced(report) -> bool:
    return report.read == report.written + sum(report.dropped.values())


def test_every_frame_of_a_file_arrives_in_order() -> None:
    sink = RecordingSink()
    report = Pipeline([_stream(SyntheticSource(count=50), sink)], ConstantEstimator(), batch=4).run()
    assert [item.frame.index for item in sink.items] == list(range(50))
    assert sink.closed
    assert not sink.discarded
    assert (report.read, report.written, report.dropped) == (50, 50, {})
    assert all(item.range is not None and item.kind is DepthKind.RELATIVE for item in sink.items)
    assert set(report.latency_ms) == {"decode", "wait", "infer", "smooth", "sink", "total"}
    assert set(report.latency_ms["total"]) == {"p50", "p95", "p99"}


def test_files_fill_batches() -> None:
    estimator = ConstantEstimator()
    Pipeline([_stream(SyntheticSource(count=10), RecordingSink())], estimator, batch=4).run()
    assert [len(b) for b in estimator.batches] == [4, 4, 2]


def slow_estimator(*sources: SyntheticSource) -> ConstantEstimator:
    """A model that has finished a frame once five more of its stream have been read, or all."""
    by_name = {source.name: source for source in sources}

    def wait(frames) -> None:
        source, index = by_name[frames[0].stream], frames[0].index
        wait_until(lambda: source.index >= min(index + 6, source.count))

    return ConstantEstimator(before_estimate=wait)


def stop_once(has_come: threading.Event, pipeline: Pipeline) -> threading.Thread:
    """A thread that does it."""
    stopper = threading.Thread(target=lambda: has_come.wait(30) and pipeline.stop())
    stopper.start()
    return stopper


def test_a_live_stream_drops_counts_and_never_waits() -> None:
    sink, source = RecordingSink(), SyntheticSource(count=60, is_live=True)
    report = Pipeline([_stream(source, sink)], slow_estimator(source)).run()
    assert report.dropped["waiting_for_model"] > 10
    assert _balanced(report)
    assert report.written == len(sink.items)
    assert sink.items[-1].frame.index == 59


def test_after_a_stalled_sink_the_next_frame_is_fresh() -> None:
    """The sink stalls until the model has frame 59; what it gets next is that one, or the model's one before."""
    seen, resumed = threading.Event(), threading.Event()
    estimated: list[int] = []

    def note_estimate(frames) -> None:
        estimated.append(frames[-1].index)
        if estimated[-1] == 59:
            seen.set()

    def stall(_) -> None:
        if len(sink.items) == 3:
            assert seen.wait(30)
            resumed.set()

    sink = RecordingSink(can_drop_frames=True, after_write=stall)
    source = SyntheticSource(80, is_live=True, delay_seconds=0.002, before_read=waits_for(resumed, at=60))
    report = Pipeline([_stream(source, sink)], ConstantEstimator(before_estimate=note_estimate)).run()
    assert sink.items[3].frame.index >= estimated[estimated.index(59) - 1]
    assert _balanced(report)


def test_streams_share_one_model_and_none_starves() -> None:
    sinks = [RecordingSink() for _ in range(4)]
    streams = [_stream(SyntheticSource(count=25, name=f"s{i}"), s) for i, s in enumerate(sinks)]
    estimator = ConstantEstimator(delay_seconds=0.002)
    report = Pipeline(streams, estimator, batch=4).run()
    assert report.written == 100
    for i, sink in enumerate(sinks):
        assert [item.frame.index for item in sink.items] == list(range(25))
        assert {item.frame.stream for item in sink.items} == {f"s{i}"}
    mixed = [batch for batch in estimator.batches if len(set(batch)) > 1]
    assert len(mixed) >= len(estimator.batches) // 2


def test_a_lost_source_keeps_what_came_before() -> None:
    sink = RecordingSink()
    pipeline = Pipeline([_stream(FailingSource(fail_at=7), sink)], ConstantEstimator(), batch=2)
    with pytest.raises(SourceLostError, match="after 7 of 30"):
        pipeline.run()
    assert len(sink.items) == 7
    assert sink.closed
    assert not sink.discarded
    assert pipeline.report().written == 7


def test_a_lost_source_is_a_notice_when_partial_is_allowed() -> None:
    sink = RecordingSink()
    report = Pipeline([_stream(FailingSource(fail_at=7), sink)], ConstantEstimator(), allow_partial=True).run()
    assert report.written == 7
    assert any("after 7 of 30" in notice for notice in report.notices)


def test_a_lost_source_is_reported_without_its_password() -> None:
    def lose(_: int) -> NoReturn:
        raise SourceLostError("rtsp://user:geheim@camera.local/x went away")

    pipeline = Pipeline([_stream(SyntheticSource(before_read=lose), RecordingSink())], ConstantEstimator())
    with pytest.raises(SourceLostError):
        pipeline.run()
    text = json.dumps(pipeline.report().as_json())
    assert "camera.local/x went away" in text
    assert "geheim" not in text


def test_a_lost_stream_never_touches_another() -> None:
    good, bad = RecordingSink(), RecordingSink()
    streams = [_stream(FailingSource(fail_at=3), bad), _stream(SyntheticSource(count=40, name="good"), good)]
    with pytest.raises(SourceLostError):
        Pipeline(streams, ConstantEstimator()).run()
    assert len(bad.items) == 3
    assert len(good.items) == 40
    assert good.closed


def test_a_failing_model_discards_the_output() -> None:
    sink = RecordingSink()
    with pytest.raises(InferenceError):
        Pipeline([_stream(SyntheticSource(count=50), sink)], FailingEstimator(fail_at=5)).run()
    assert len(sink.items) == 5
    assert sink.discarded
    assert not sink.closed


def test_a_failing_sink_discards_all_outputs_and_ends_at_once() -> None:
    failing, other = FailingSink(fail_at=3), RecordingSink()
    source = SyntheticSource(count=10_000)
    with pytest.raises(SinkWriteError):
        Pipeline([_stream(source, failing, other)], ConstantEstimator()).run()
    assert failing.discarded
    assert other.discarded
    assert source.index < 100


def test_a_failing_recorder_beside_a_preview_ends_the_run() -> None:
    failing, preview = FailingSink(fail_at=3), RecordingSink(can_drop_frames=True)
    source = SyntheticSource(count=10_000)
    with pytest.raises(SinkWriteError):
        Pipeline([_stream(source, failing, preview)], ConstantEstimator()).run()
    assert failing.discarded
    assert source.index < 1000


@pytest.mark.parametrize("is_live", [False, True])
def test_a_stuck_preview_slows_neither_the_recorder_nor_another_preview(is_live: bool) -> None:
    """It is stuck with its first frame until both have the last one."""

    def hang(_) -> None:
        wait_until(lambda: all(sink.items and sink.items[-1].frame.index == 59 for sink in (recorder, other)))

    recorder, other = RecordingSink(), RecordingSink(can_drop_frames=True)
    stuck = RecordingSink(can_drop_frames=True, after_write=hang)
    source = SyntheticSource(count=60, is_live=is_live)
    report = Pipeline([_stream(source, recorder, stuck, other)], ConstantEstimator()).run()
    assert len(recorder.items) == report.written
    assert report.written == 60 or is_live
    assert len(stuck.items) <= 2
    assert recorder.closed


def test_windows_are_called_on_the_callers_thread_and_nothing_else_is() -> None:
    def sink(name: str, **options) -> RecordingSink:
        threads[name] = set()
        return RecordingSink(before_write=lambda _: threads[name].add(threading.current_thread()), **options)

    threads: dict[str, set[threading.Thread]] = {}
    recorder, server = sink("recorder"), sink("server", can_drop_frames=True)
    window = sink("window", can_drop_frames=True, needs_calling_thread=True)
    Pipeline([_stream(SyntheticSource(count=20), window, server, recorder)], ConstantEstimator()).run()
    assert threads["window"] == {threading.current_thread()}
    assert len(set.union(*threads.values())) == 3


def test_a_sink_that_fails_to_open_leaves_nothing_open() -> None:
    first, sink = SyntheticSource(name="first"), RecordingSink()
    with pytest.raises(SinkOpenError):
        Pipeline([_stream(first, sink), _stream(SyntheticSource(), FailingSink("open"))], ConstantEstimator()).run()
    assert not first.is_open
    assert sink.discarded


def test_a_source_that_cannot_be_opened_never_touches_another() -> None:
    good, bad = RecordingSink(), RecordingSink()
    streams = [
        Stream(FailingSource("open"), make_stabilizer(), [bad], name="the yard"),
        _stream(SyntheticSource(name="good"), good),
    ]
    pipeline = Pipeline(streams, ConstantEstimator())
    with pytest.raises(SourceOpenError):
        pipeline.run()
    assert len(good.items) == 30
    assert good.closed
    assert bad.info is None
    first, second = pipeline.report().streams
    assert (first.name, first.state, first.read) == ("the yard", "failed", 0)
    assert "is not there" in first.reason
    assert (second.state, second.written) == ("ended", 30)


def test_when_no_source_can_be_opened_the_first_error_is_raised_and_no_model_loaded() -> None:
    streams = [_stream(FailingSource("open", name="a")), _stream(FailingSource("open", name="b"))]
    with pytest.raises(SourceOpenError, match="a is not there"):
        Pipeline(streams, unloadable()).run()


def unloadable() -> LazyEstimator:
    """A model that must not be loaded."""

    def load() -> NoReturn:
        raise AssertionError("loaded")

    return LazyEstimator(load)


@pytest.mark.parametrize("has_propagator", [False, True])
def test_a_source_that_comes_later_is_waited_for_while_others_go_on(has_propagator: bool) -> None:
    is_complete = threading.Event()
    first = RecordingSink(after_close=is_complete.set)
    second, preview = RecordingSink(), RecordingSink(can_drop_frames=True)
    propagators = [FlowPropagator() if has_propagator else None for _ in range(2)]
    streams = [
        Stream(SyntheticSource(count=5, is_live=True, name="here"), make_stabilizer(), [first], propagators[0]),
        Stream(
            SyntheticSource(5, is_live=True, name="late", before_open=waits_for(is_complete)),
            make_stabilizer(),
            [second, preview],
            propagators[1],
        ),
    ]
    report = Pipeline(streams, ConstantEstimator(), wait_for_sources=True).run()
    for sink, name in ((first, "here"), (second, "late"), (preview, "late")):
        assert sink.info is not None
        assert sink.info.name == name
        assert sink.model is not None
        assert sink.closed
        assert sink.items
    assert [stream.state for stream in report.streams] == ["ended", "ended"]
    assert all(_balanced(stream) for stream in report.streams)


def test_a_source_that_never_comes_ends_with_the_others_when_stopped() -> None:
    good, never, source = RecordingSink(), RecordingSink(), SyntheticSource()
    source.before_open = waits_for(source.interrupted)
    streams = [Stream(source, make_stabilizer(), [never]), _stream(SyntheticSource(count=5, is_live=True), good)]
    pipeline = Pipeline(streams, ConstantEstimator(), wait_for_sources=True)
    streams[1].source.states.add_listener(lambda change: pipeline.stop() if change.state == "ended" else None)
    report = pipeline.run()
    assert report.read > 0
    assert never.info is None
    assert report.streams[0].state == "ended"


def test_waiting_for_sources_of_which_none_comes_raises_why() -> None:
    with pytest.raises(SourceOpenError, match="is not there"):
        Pipeline([_stream(FailingSource("open"), RecordingSink())], ConstantEstimator(), wait_for_sources=True).run()


@pytest.mark.parametrize("has_propagator", [False, True])
@pytest.mark.parametrize("short", [SyntheticSource(count=3, is_live=True), FailingSource(fail_at=3, is_live=True)])
def test_a_stream_that_is_over_is_completed_while_others_go_on(short: SyntheticSource, has_propagator: bool) -> None:
    is_complete = threading.Event()
    first, second = RecordingSink(after_close=is_complete.set), RecordingSink()
    camera = SyntheticSource(20, name="patient", is_live=True, before_read=waits_for(is_complete, at=19))
    propagators = [FlowPropagator() if has_propagator else None for _ in range(2)]
    streams = [
        Stream(short, make_stabilizer(), [first], propagators[0]),
        Stream(camera, make_stabilizer(), [second], propagators[1]),
    ]
    pipeline = Pipeline(streams, ConstantEstimator(), allow_partial=True)
    report = pipeline.run()
    assert is_complete.is_set()
    assert second.items[-1].frame.index == 19
    assert [stream.read for stream in report.streams] == [3, 20]
    assert all(_balanced(stream) for stream in report.streams)


def test_a_recording_that_takes_long_to_complete_keeps_no_other_stream_waiting() -> None:
    other_is_done = threading.Event()

    slow = RecordingSink(before_close=waits_for(other_is_done))
    last = RecordingSink(after_write=lambda item: other_is_done.set() if item.frame.index == 29 else None)
    streams = [_stream(SyntheticSource(count=3, name="a"), slow), _stream(SyntheticSource(name="b"), last)]
    assert Pipeline(streams, ConstantEstimator()).run().written == 33
    assert slow.closed
    assert last.closed


def test_a_sink_that_cannot_be_completed_makes_its_stream_a_failed_one() -> None:
    streams = [
        _stream(SyntheticSource(name="a"), FailingSink("close")),
        _stream(SyntheticSource(name="b"), RecordingSink()),
    ]
    pipeline = Pipeline(streams, ConstantEstimator())
    with pytest.raises(SinkWriteError, match="on purpose"):
        pipeline.run()
    reasons = [(stream.state, stream.reason) for stream in pipeline.report().streams]
    assert reasons == [("failed", "the sink failed on purpose"), ("ended", "")]


@pytest.mark.parametrize("with_preview", [False, True])
def test_a_sink_that_fails_ends_its_stream_alone(with_preview: bool) -> None:
    failing, good, other = FailingSink(fail_at=3), RecordingSink(), RecordingSink()
    preview = [RecordingSink(can_drop_frames=True)] if with_preview else []
    bad_source = SyntheticSource(count=100_000, name="bad")
    streams = [_stream(bad_source, failing, other, *preview), _stream(SyntheticSource(count=200, name="good"), good)]
    pipeline = Pipeline(streams, ConstantEstimator())
    with pytest.raises(SinkWriteError, match="on purpose"):
        pipeline.run()
    assert failing.discarded
    assert other.discarded
    assert bad_source.index < 1000
    assert [item.frame.index for item in good.items] == list(range(200))
    assert good.closed
    assert not good.discarded
    first, second = pipeline.report().streams
    assert (first.state, first.written) == ("failed", 3)
    assert "on purpose" in first.reason
    assert (second.state, second.written) == ("ended", 200)
    assert _balanced(first)


def test_when_a_sink_of_a_live_stream_fails_the_other_completes_what_cannot_be_had_again() -> None:
    failing, other = FailingSink(fail_at=3), RecordingSink()
    source = SyntheticSource(count=100_000, is_live=True, delay_seconds=0.001)
    with pytest.raises(SinkWriteError):
        Pipeline([_stream(source, other, failing)], ConstantEstimator()).run()
    assert failing.discarded
    assert other.closed
    assert not other.discarded
    assert len(other.items) >= 3


def test_a_stabilizer_that_fails_ends_its_stream_alone() -> None:
    class Broken(StabilizerChain):
        def push(self, item):
            raise ValueError("broken")

    bad, good = RecordingSink(), RecordingSink()
    streams = [
        Stream(SyntheticSource(count=50, name="bad"), Broken([]), [bad]),
        _stream(SyntheticSource(count=50, name="good"), good),
    ]
    pipeline = Pipeline(streams, ConstantEstimator())
    with pytest.raises(ValueError, match="broken"):
        pipeline.run()
    assert bad.discarded
    assert len(good.items) == 50
    assert good.closed
    assert [stream.state for stream in pipeline.report().streams] == ["failed", "ended"]


def test_stop_from_another_thread_finishes_cleanly() -> None:
    sink, has_begun = RecordingSink(), threading.Event()
    streams = [_stream(SyntheticSource(count=100_000, delay_seconds=0.001), sink)]
    pipeline = Pipeline(streams, ConstantEstimator(), on_written=lambda _: has_begun.set())
    stopper = stop_once(has_begun, pipeline)
    report = pipeline.run()
    stopper.join()
    assert 0 < report.written < 100_000
    assert sink.closed
    assert not sink.discarded
    assert _balanced(report)


def test_a_sink_can_ask_to_stop() -> None:
    sink = RecordingSink(stop_after=4)
    report = Pipeline([_stream(SyntheticSource(count=100_000), sink)], ConstantEstimator()).run()
    assert 4 <= report.written < 100
    assert _balanced(report)


def test_limits() -> None:
    assert Pipeline([_stream(None, RecordingSink())], ConstantEstimator(), max_frames=5).run().read == 5
    assert Pipeline([_stream(None, RecordingSink())], ConstantEstimator(), max_seconds=0.5).run().read == 15


def test_frames_yields_and_stops_when_closed() -> None:
    source = SyntheticSource(count=1000)
    frames = Pipeline([_stream(source)], ConstantEstimator()).frames()
    assert [next(frames).frame.index for _ in range(5)] == [0, 1, 2, 3, 4]
    frames.close()
    assert not source.is_open
    assert source.index < 50


def test_a_cut_resets_the_model() -> None:
    estimator, sink = ConstantEstimator(), RecordingSink()
    Pipeline([_stream(SyntheticSource(count=40, shot_frames=20), sink)], estimator).run()
    assert [item.frame.index for item in sink.items if item.cut] == [20]
    assert estimator.resets == ["synthetic"] * 2, "there, and at the end"


def test_stop_interrupts_a_source_that_waits() -> None:
    waits = threading.Event()

    def wait(index: int) -> None:
        if index == 3:
            waits.set()
            assert source.interrupted.wait(30)

    source = SyntheticSource(before_read=wait)
    pipeline = Pipeline([_stream(source, RecordingSink())], ConstantEstimator())
    stopper = stop_once(waits, pipeline)
    assert pipeline.run().written == 3
    stopper.join()


def test_a_recorder_that_fails_at_the_very_end_beside_a_preview_is_an_error() -> None:
    failing, preview = FailingSink(fail_at=9, delay_seconds=0.05), RecordingSink(can_drop_frames=True)
    pipeline = Pipeline([_stream(SyntheticSource(count=10), failing, preview)], ConstantEstimator())
    with pytest.raises(SinkWriteError):
        pipeline.run()
    assert failing.discarded


def test_a_sink_that_fails_to_close_leaves_the_others_closed() -> None:
    other = RecordingSink()
    streams = [_stream(SyntheticSource(name="a"), FailingSink("close")), _stream(SyntheticSource(name="b"), other)]
    with pytest.raises(SinkWriteError, match="on purpose"):
        Pipeline(streams, ConstantEstimator()).run()
    assert other.closed
    assert not any(s.source.is_open for s in streams)


def test_an_error_that_comes_as_a_viewer_has_just_waited_in_vain_is_raised() -> None:
    pipeline = Pipeline([_stream()], ConstantEstimator())
    worker = SinkWorker([_stream()], [[RecordingSink(can_drop_frames=True)]], ThreadGroup(), events=pipeline)
    take = worker.buffer.take

    def take_just_before(**options):
        results = take(**options)
        worker.buffer.close(InferenceError("at last"))
        return results

    worker.buffer.take = take_just_before
    with pytest.raises(InferenceError, match="at last"):
        worker.run()


def test_a_failing_preview_leaves_the_recorder() -> None:
    recorder, preview = RecordingSink(), FailingSink(fail_at=2, can_drop_frames=True)
    report = Pipeline([_stream(SyntheticSource(count=60), recorder, preview)], ConstantEstimator()).run()
    assert len(recorder.items) == report.written == 60
    assert recorder.closed
    assert any("on purpose" in notice for notice in report.notices)


def test_after_an_error_nothing_more_is_inferred() -> None:
    estimator = ConstantEstimator(delay_seconds=0.2)
    frames = Pipeline([_stream(SyntheticSource(count=1000))], estimator).frames()
    next(frames)
    frames.close()
    assert len(estimator.batches) < 8


def test_the_report_of_a_run_that_is_over_stays_as_it_is() -> None:
    pipeline = Pipeline([_stream(None, RecordingSink())], ConstantEstimator())
    report = pipeline.run()
    assert pipeline.report() == report


def test_a_report_before_the_model_is_loaded_loads_nothing() -> None:
    report = Pipeline([_stream()], unloadable()).report()
    assert (report.model, report.read) == ("", 0)


def test_an_idle_viewer_is_kept_alive_and_may_stop() -> None:
    source = SyntheticSource(count=5, is_live=True)
    source.before_read = waits_for(source.interrupted)
    viewer = RecordingSink(can_drop_frames=True, stop_after_idle=3)
    report = Pipeline([_stream(source, viewer)], ConstantEstimator()).run()
    assert report.written == 0
    assert viewer.idle_count > 2


def test_a_camera_begins_with_what_it_shows_when_the_model_is_ready() -> None:
    written = threading.Event()

    def hold(_: int) -> None:
        """The second frame comes when the first was written."""
        assert pipeline.stats["read"] != 1 or written.wait(30)

    sink = RecordingSink()
    camera = SyntheticSource(
        10_000, is_live=True, drops_unread_frames=True, delay_seconds=0.005, shot_frames=7, before_read=hold
    )
    estimator = ConstantEstimator(before_warm_up=lambda _: wait_until(lambda: camera.index >= 20))
    pipeline = Pipeline([_stream(camera, sink)], estimator, max_seconds=1.0, on_written=lambda _: written.set())
    report = pipeline.run()
    assert estimator.warmed_up == [(64, 48)]
    first = sink.items[0].frame
    assert (first.index, first.pts) == (0, 0)
    assert not np.array_equal(first.image, camera.image_at(0)), "of what the camera shows later"
    assert report.read == 30, "a second from its first frame on"
    assert _balanced(report)


def test_a_live_source_that_drops_nothing_starts_with_its_first_frame() -> None:
    source, seen = SyntheticSource(count=20, is_live=True), list[int]()

    def watch(_) -> None:
        time.sleep(0.1)
        seen.append(source.index)

    report = Pipeline([_stream(source, RecordingSink())], ConstantEstimator(before_warm_up=watch)).run()
    assert seen == [0]
    assert report.read == 20


def test_a_model_that_cannot_be_made_ready_ends_the_run() -> None:
    def fail(_) -> NoReturn:
        raise InferenceError("no memory")

    camera, estimator = SyntheticSource(is_live=True, drops_unread_frames=True), ConstantEstimator(before_warm_up=fail)
    with pytest.raises(InferenceError, match="no memory"):
        Pipeline([_stream(camera, RecordingSink())], estimator).run()


def test_a_live_stream_refuses_offline_smoothing() -> None:
    source = SyntheticSource(is_live=True)
    stream = Stream(source, make_stabilizer("offline"), [RecordingSink()])
    with pytest.raises(ConfigError) as error:
        Pipeline([stream], ConstantEstimator()).run()
    assert error.value.code == "offline-on-live"
    assert not source.is_open


def test_offline_smoothing_writes_all_frames_in_order() -> None:
    sink = RecordingSink()
    stream = Stream(SyntheticSource(count=60, shot_frames=25), make_stabilizer("offline", "per-shot"), [sink])
    report = Pipeline([stream], ConstantEstimator()).run()
    assert [item.frame.index for item in sink.items] == list(range(60))
    assert [item.frame.index for item in sink.items if item.cut] == [25, 50]
    assert len({item.range for item in sink.items[:25]}) == 1
    assert report.written == 60
    np.testing.assert_array_equal(sink.items[40].frame.image, SyntheticSource(shot_frames=25).image_at(40))


@pytest.mark.parametrize("has_propagator", [False, True])
def test_a_camera_that_comes_back_with_another_size_is_taken_in_stride(has_propagator: bool) -> None:
    def reconnect(index: int) -> None:
        if index == 10:
            assert written.wait(30)
            source.states.enter(StreamState.RECONNECTING, "the cable")
            source.states.enter(StreamState.LIVE)

    recorder, preview = RecordingSink(), RecordingSink(can_drop_frames=True)
    estimator, written = ConstantEstimator(), threading.Event()
    propagator = FlowPropagator() if has_propagator else None
    source = SyntheticSource(is_live=True, delay_seconds=0.002, sizes={10: (96, 64)}, before_read=reconnect)
    stream = Stream(source, make_stabilizer(), [recorder, preview], propagator)
    report = Pipeline([stream], estimator, on_written=lambda _: written.set()).run()
    for sink in (recorder, preview):
        assert [info.width for _, info in sink.changes] == [96]
        before = sink.changes[0][0]
        assert {i.frame.image.shape[1] for i in sink.items[:before]} <= {64}
        assert {i.frame.image.shape[1] for i in sink.items[before:]} == {96}
    cuts = sum(item.cut for item in recorder.items)  # where a busy machine has dropped many frames
    assert estimator.resets == ["synthetic"] * (2 + cuts), "there, at the end, and at cuts"
    assert report.reconnects == 1
    assert _balanced(report)


def stalling_source(resumed: threading.Event, **options) -> SyntheticSource:
    """A source that stalls at its sixth frame until an event."""

    def stall(index: int) -> None:
        if index == 5 and not resumed.is_set():
            source.states.enter(StreamState.STALLED, "no picture")
            assert resumed.wait(30)

    source = SyntheticSource(count=10, is_live=True, before_read=stall, **options)
    return source


def test_previews_are_told_of_a_stall_and_nobody_gets_a_frame_for_it() -> None:
    def on_stall(last, seconds: float) -> None:
        assert last is preview.items[-1]
        assert seconds > 0
        told.set()

    def fail(_last, _seconds: float) -> NoReturn:
        raise AssertionError("recorders have no part in it")

    told = threading.Event()
    recorder, preview = RecordingSink(on_stall=fail), RecordingSink(can_drop_frames=True, on_stall=on_stall)
    report = Pipeline([_stream(stalling_source(told), recorder, preview)], ConstantEstimator()).run()
    assert told.is_set()
    assert report.read == 10
    assert len(recorder.items) == report.written


def test_states_are_events_and_in_the_report() -> None:
    events: list[tuple[str, str]] = []
    good, bad = _stream(SyntheticSource(name="good", count=5)), _stream(FailingSource(fail_at=3, name="bad"))
    pipeline = Pipeline(
        [good, bad],
        ConstantEstimator(),
        on_state=lambda stream, change: events.append((stream.title, change.state.value)),
    )
    with pytest.raises(SourceLostError):
        pipeline.run()
    assert [state for name, state in events if name in ("good", "")][-2:] == ["live", "ended"]
    assert [state for name, state in events if name == "bad"] == ["live", "failed"]
    first, second = pipeline.report().streams
    assert (first.name, first.state, first.read, first.written) == ("good", "ended", 5, 5)
    assert (second.state, second.written) == ("failed", 3)
    assert "after 3 of 30" in second.reason
    assert [change["state"] for change in second.changes] == ["closed", "connecting", "live", "failed"]
    json.dumps(pipeline.report().as_json())


def test_the_report_of_each_stream_adds_up() -> None:
    sources = [SyntheticSource(count=60, is_live=True, name=n) for n in "ab"]
    report = Pipeline([_stream(source, RecordingSink()) for source in sources], slow_estimator(*sources)).run()
    assert report.dropped["waiting_for_model"] == sum(s.dropped["waiting_for_model"] for s in report.streams)
    assert all(_balanced(stream) for stream in report.streams)
    assert report.read == 120


def make_window(**options) -> RecordingSink:
    return RecordingSink(can_drop_frames=True, needs_calling_thread=True, **options)


def test_a_slow_recorder_beside_a_window_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamdepth.pipeline.pipeline.JOIN_SECONDS", 0.5)
    recorder = RecordingSink(delay_seconds=0.3)
    report = Pipeline([_stream(SyntheticSource(count=8), recorder, make_window())], ConstantEstimator()).run()
    assert len(recorder.items) == report.written == 8
    assert recorder.closed
    assert not recorder.discarded


def test_the_sinks_of_a_thread_that_is_stuck_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamdepth.pipeline.pipeline.JOIN_SECONDS", 1.0)
    freed, ended = threading.Event(), threading.Event()

    def hang(_) -> None:
        assert freed.wait(30)
        ended.set()

    stuck, window = RecordingSink(before_write=hang), make_window()
    source = SyntheticSource(count=10_000, is_live=True, delay_seconds=0.002)
    try:
        with pytest.raises(InferenceError):
            Pipeline([_stream(source, stuck, window)], FailingEstimator(fail_at=10)).run()
        assert (stuck.closed, stuck.discarded) == (False, False)
        assert window.discarded
        assert not source.is_open
        assert "'streamdepth sinks' did not end in time and was left behind" in caplog.text
    finally:
        freed.set()
    assert ended.wait(30)
    caplog.clear()


def test_a_preview_that_is_stuck_costs_the_recorder_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streamdepth.pipeline.pipeline.JOIN_SECONDS", 1.0)
    freed = threading.Event()

    recorder, stuck = RecordingSink(), RecordingSink(can_drop_frames=True, before_write=waits_for(freed))
    try:
        report = Pipeline([_stream(None, recorder, stuck, make_window())], ConstantEstimator()).run()
        assert report.written == 30
        assert recorder.closed
        assert (stuck.closed, stuck.discarded) == (False, False)
    finally:
        freed.set()
    caplog.clear()


def test_a_window_that_fails_at_a_stall_ends_its_stream_alone() -> None:
    def fail(_last, _seconds: float) -> NoReturn:
        bad_is_told.set()
        raise SinkWriteError("broken on purpose")

    bad_is_told, good_is_told = threading.Event(), threading.Event()
    bad, good = make_window(on_stall=fail), make_window(on_stall=lambda _last, _seconds: good_is_told.set())
    streams = [
        _stream(stalling_source(bad_is_told, name="bad"), bad),
        _stream(stalling_source(good_is_told, name="good"), good),
    ]
    pipeline = Pipeline(streams, ConstantEstimator())
    with pytest.raises(SinkWriteError, match="broken on purpose"):
        pipeline.run()
    assert bad.discarded
    assert good.items[-1].frame.index == 9
    assert good.closed
    assert [stream.state for stream in pipeline.report().streams] == ["failed", "ended"]


@pytest.mark.parametrize("at", ["live", "ended"])
def test_a_state_callback_that_fails_stops_nothing(at: str) -> None:
    def fail(_stream: Stream, change) -> None:
        if change.state == at:
            raise ValueError("on purpose")

    sink = RecordingSink()
    assert Pipeline([_stream(None, sink)], ConstantEstimator(), on_state=fail).run().written == 30
    assert sink.closed


def test_a_file_that_is_opened_while_others_run_loses_nothing() -> None:
    sink = RecordingSink(delay_seconds=0.002)
    estimator = ConstantEstimator(delay_seconds=0.002)
    report = Pipeline([_stream(SyntheticSource(count=100), sink)], estimator, batch=8, wait_for_sources=True).run()
    assert [item.frame.index for item in sink.items] == list(range(100))
    assert (report.read, report.written, report.dropped) == (100, 100, {})


def test_a_sink_that_cannot_be_discarded_hides_no_error_and_ends_no_other_stream() -> None:
    class Stubborn(FailingSink):
        def on_discard(self) -> None:
            raise RuntimeError("cannot discard")

    good = RecordingSink()
    streams = [_stream(SyntheticSource(name="a"), Stubborn()), _stream(SyntheticSource(name="b"), good)]
    with pytest.raises(SinkWriteError, match="on purpose"):
        Pipeline(streams, ConstantEstimator()).run()
    assert len(good.items) == 30
    assert good.closed


@pytest.mark.parametrize("needs_calling_thread", [False, True])
def test_a_preview_that_cannot_be_completed_is_only_left_out(needs_calling_thread: bool) -> None:
    recorder = RecordingSink()
    preview = FailingSink("close", can_drop_frames=True, needs_calling_thread=needs_calling_thread)
    report = Pipeline([_stream(None, recorder, preview)], ConstantEstimator()).run()
    assert report.written == 30
    assert recorder.closed
    assert report.streams[0].state == "ended"
    assert report.notices == ("the sink failed on purpose",)


def test_a_stream_that_fails_just_as_it_ends_has_failed() -> None:
    class Failures(dict):
        """Another failure comes right after the first look."""

        late = None

        def get(self, stream_index, default=None):
            found = super().get(stream_index, default)
            if self.late is None:
                error = SinkWriteError("at the very end")
                self.late = threading.Thread(target=pipeline.on_stream_failed, args=(stream_index, error))
                self.late.start()
                self.late.join(0.5)
            return found

    pipeline = Pipeline([_stream(None, RecordingSink())], ConstantEstimator())
    pipeline._failed = failures = Failures()
    with pytest.raises(SinkWriteError, match="at the very end"):
        pipeline.run()
    failures.late.join(30)
    assert pipeline.report().streams[0].state == "failed"
