"""Keyframe inference: when the model runs, how depth is warped between keyframes, and that no stream starves."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from helpers.waiting import wait_until

from streamdepth.core.errors import InferenceError
from streamdepth.core.types import Frame
from streamdepth.pipeline.keyframes import KeyframeSchedule
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.stabilizers import FlowPropagator, make_stabilizer
from streamdepth.testing import ConstantEstimator, FailingEstimator, RecordingSink, SyntheticSource

LIMIT_SECONDS = 30


def _stream(source: SyntheticSource, *sinks: RecordingSink) -> Stream:
    return Stream(source, make_stabilizer("off"), sinks, FlowPropagator())


def _texture(shift: int) -> Frame:
    """A picture that moves to the right by `shift` px."""
    noise = np.random.default_rng(0).normal(size=(120, 480, 3))
    for _ in range(4):
        noise = sum(np.roll(noise, (dy, dx), (0, 1)) for dy in (-2, 0, 2) for dx in (-2, 0, 2)) / 9
    wide = np.clip(128 + 400 * noise, 0, 255).astype(np.uint8)
    image = np.ascontiguousarray(np.roll(wide, shift, 1)[:, 160:320])
    return Frame(image, shift, shift, Fraction(1, 30), 0.0)


def _step(shift: int) -> np.ndarray:
    """Near on the left of an edge that moves with the picture."""
    return np.where(np.arange(160)[None] < 60 + shift, 2.0, 1.0).astype(np.float32).repeat(120, 0)


def test_the_first_frame_of_each_slot_is_a_keyframe() -> None:
    schedule = KeyframeSchedule(5)
    assert [i for i in range(30) if schedule.is_due(i / 30)] == [0, 6, 12, 18, 24]
    assert all(KeyframeSchedule(None).is_due(t) for t in (0.0, 0.0, 0.1))
    uneven = KeyframeSchedule(2)
    assert [uneven.is_due(t) for t in (0.1, 0.2, 0.9, 0.95, 1.0, 3.0)] == [True, False, True, False, True, True]


def test_a_rate_that_is_changed_on_another_thread_while_it_is_asked_for() -> None:
    class Changing(KeyframeSchedule):
        rates = iter([5.0, None])
        fps = property(lambda self: next(self.rates), lambda self, _: None)  # type: ignore[assignment]

    assert Changing(5).is_due(0.0)


def test_late_depth_is_warped_to_where_the_picture_has_moved() -> None:
    propagator = FlowPropagator()
    assert not propagator.track(_texture(0))
    propagator.begin_keyframe()
    for shift in range(2, 13, 2):
        assert not propagator.track(_texture(shift))
        assert propagator.propagated_depth() is None
    propagator.complete_keyframe(_step(0))
    propagated = propagator.propagated_depth()
    assert propagated is not None
    depth, age = propagated
    assert age == pytest.approx(12 / 30)
    moved = np.abs(depth - _step(12))[10:-10, 20:-20].mean()
    left = np.abs(_step(0) - _step(12))[10:-10, 20:-20].mean()
    assert moved < 0.25 * left


def _marked_twice() -> FlowPropagator:
    """Settled at frame 0, and marked again at frame 2."""
    propagator = FlowPropagator()
    propagator.track(_texture(0))
    propagator.begin_keyframe()
    propagator.complete_keyframe(_step(0))
    assert propagator.track(_texture(2))
    propagator.begin_keyframe()
    return propagator


def test_newer_depth_replaces_older_and_a_gap_forgets() -> None:
    propagator = _marked_twice()
    assert propagator.track(_texture(4))
    propagator.complete_keyframe(_step(2))
    propagated = propagator.propagated_depth()
    assert propagated is not None
    assert propagated[1] == pytest.approx(2 / 30)
    late = _texture(4)
    assert not propagator.track(Frame(late.image, 99, 99, late.time_base, 0.0))
    propagator.complete_keyframe(_step(4))
    assert propagator.propagated_depth() is None


def test_another_size_forgets() -> None:
    propagator = _marked_twice()
    large = Frame(np.ascontiguousarray(_texture(4).image.repeat(2, 0)), 4, 4, Fraction(1, 30), 0.0)
    assert not propagator.track(large)
    propagator.complete_keyframe(_step(2))
    assert propagator.propagated_depth() is None


@pytest.mark.parametrize("broken", ["track", "begin_keyframe", "complete_keyframe", "propagated_depth"])
def test_a_propagator_that_fails_ends_its_stream_alone(broken: str) -> None:
    class Broken(FlowPropagator):
        def track(self, frame: Frame) -> bool:
            can_propagate = super().track(frame)
            if frame.index == 5:
                setattr(self, broken, self._fail)
            return can_propagate if broken != "track" or frame.index < 6 else self._fail()

        def _fail(self, *_) -> bool:
            raise ValueError("broken on purpose")

    bad, good = RecordingSink(), RecordingSink()
    streams = [
        Stream(SyntheticSource(name="bad"), make_stabilizer("off"), [bad], Broken()),
        _stream(SyntheticSource(name="good"), good),
    ]
    pipeline = Pipeline(streams, ConstantEstimator())
    with pytest.raises(ValueError, match="broken on purpose"):
        pipeline.run()
    assert bad.discarded
    assert [item.frame.index for item in good.items] == list(range(30))
    assert good.closed
    assert [stream.state for stream in pipeline.report().streams] == ["failed", "ended"]
    assert sum(str(error) == "broken on purpose" for error in pipeline.report().notices) <= 1


def test_a_file_has_keyframes_by_its_timestamps_and_warped_depth_between() -> None:
    sink, estimator = RecordingSink(), ConstantEstimator(from_brightness=True)
    report = Pipeline([_stream(SyntheticSource(count=31), sink)], estimator, inference_fps=5).run()
    assert [item.frame.index for item in sink.items] == list(range(31))
    assert [item.frame.index for item in sink.items if item.depth_age_seconds == 0] == [0, 6, 12, 18, 24, 30]
    assert max(item.depth_age_seconds for item in sink.items) == pytest.approx(5 / 30)
    assert (report.inferred, report.propagated, report.written) == (6, 25, 31)


def test_a_cut_is_inferred_at_once() -> None:
    sink, estimator = RecordingSink(), ConstantEstimator()
    source = SyntheticSource(count=40, shot_frames=20)
    Pipeline([_stream(source, sink)], estimator, inference_fps=1).run()
    assert [item.frame.index for item in sink.items if item.depth_age_seconds == 0] == [0, 20, 30]
    assert [item.frame.index for item in sink.items if item.cut] == [20]


@pytest.mark.slow
def test_a_live_stream_goes_on_while_the_model_computes() -> None:
    """The model's second result is not there before eight more frames have been written."""
    enough = threading.Event()

    def hang(_: Sequence[Frame]) -> None:
        assert len(estimator.batches) != 1 or enough.wait(LIMIT_SECONDS)

    def wait_for_previous(index: int) -> None:
        """Holds a frame back until the one before was written: a gap would wait for the model."""
        wait_until(lambda: len(sink.items) == index or enough.is_set())

    sink = RecordingSink(after_write=lambda _: enough.set() if len(sink.items) == 9 else None)
    estimator = ConstantEstimator(before_estimate=hang)
    report = Pipeline([_stream(SyntheticSource(is_live=True, before_read=wait_for_previous), sink)], estimator).run()
    assert [round(item.depth_age_seconds * 30) for item in sink.items[:9]] == list(range(9))
    assert report.inferred >= 2
    assert report.propagated >= 8
    assert report.read == report.written + sum(report.dropped.values())


def test_a_model_that_fails_beside_the_stream_ends_the_run() -> None:
    sink = RecordingSink()
    source = SyntheticSource(count=10_000, is_live=True, delay_seconds=0.001)
    with pytest.raises(InferenceError, match="on purpose"):
        Pipeline([_stream(source, sink)], FailingEstimator(fail_at=2)).run()
    assert sink.discarded


@pytest.mark.slow
@pytest.mark.parametrize("has_keyframes", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
def test_two_live_and_two_file_streams_share_one_model(batch: int, has_keyframes: bool) -> None:
    """Live streams with a frame ready at any time take no more than their share, and get it."""
    count, sinks = 40, [RecordingSink() for _ in range(4)]

    def end_with_files(_: int) -> None:
        if all(len(sink.items) == count for sink in sinks[2:]):
            for source in live:
                source.count = source.index

    live = [
        SyntheticSource(10**9, name=f"live {i}", is_live=True, delay_seconds=0.0005, before_read=end_with_files)
        for i in range(2)
    ]
    files = [SyntheticSource(count, name=f"file {i}") for i in range(2)]
    propagator = FlowPropagator if has_keyframes else lambda: None
    streams = [
        Stream(source, make_stabilizer("off"), [sink], propagator())
        for source, sink in zip([*live, *files], sinks, strict=True)
    ]
    estimator = ConstantEstimator(delay_seconds=0.002)
    report = Pipeline(streams, estimator, batch=batch, inference_fps=None).run()
    seen = Counter(name for names in estimator.batches for name in names)
    assert seen["file 0"] == seen["file 1"] == count
    assert min(seen["live 0"], seen["live 1"]) >= count // 5
    for sink in sinks:
        indices = [item.frame.index for item in sink.items]
        assert indices == sorted(set(indices))
        assert len({item.frame.stream for item in sink.items}) == 1
    assert report.inferred == seen.total()
    assert report.read == report.written + sum(report.dropped.values())


def test_four_streams_get_as_much_of_the_model_as_one() -> None:
    """By calls of the model: a full batch each time, as long as there is anything."""
    one, four = ConstantEstimator(), ConstantEstimator()
    Pipeline([Stream(SyntheticSource(100), make_stabilizer("off"), [RecordingSink()])], one, batch=4).run()
    streams = [Stream(SyntheticSource(25, name=f"s{i}"), make_stabilizer("off"), [RecordingSink()]) for i in range(4)]
    Pipeline(streams, four, batch=4).run()
    assert Counter(n for names in four.batches for n in names) == {f"s{i}": 25 for i in range(4)}
    assert len(one.batches) / len(four.batches) >= 0.95 or len(four.batches) <= 27
