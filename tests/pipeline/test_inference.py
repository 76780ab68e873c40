"""Inference in batches: models that work on several batches at once, and streams that change their size."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from helpers.waiting import wait_until, waits_for

from streamdepth.core.futures import Future
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, Estimate, Frame, StreamInfo
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator, RecordingSink, SyntheticSource


class Deferred:
    def __init__(self, estimator: Asynchronous, frames: Sequence[Frame]) -> None:
        self.estimator, self.frames = estimator, frames

    def result(self) -> list[Estimate]:
        self.estimator.events.append(("done", self.frames[0].index))
        return self.estimator.estimate(self.frames)


class Asynchronous(ConstantEstimator):
    """A model that records when batches are submitted and asked for, by the first frame's index."""

    def __init__(self, max_in_flight: int = 2) -> None:
        super().__init__()
        self.events: list[tuple[str, int]] = []
        self._max_in_flight = max_in_flight

    @property
    def max_in_flight(self) -> int:
        return self._max_in_flight

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        self.events.append(("submitted", frames[0].index))
        return Deferred(self, frames)

    @property
    def most_in_flight(self) -> int:
        most = in_flight = 0
        for what, _ in self.events:
            in_flight += 1 if what == "submitted" else -1
            most = max(most, in_flight)
        return most


def _run(source: SyntheticSource, estimator: ConstantEstimator, batch: int = 1) -> list[int]:
    sink = RecordingSink()
    Pipeline([Stream(source, make_stabilizer("off"), [sink])], estimator, batch=batch).run()
    return [item.frame.index for item in sink.items]


@pytest.mark.parametrize(("batch", "max_in_flight"), [(1, 2), (4, 2), (1, 3)])
def test_a_file_has_the_next_batches_submitted_before_the_last_is_asked_for(batch: int, max_in_flight: int) -> None:
    estimator = Asynchronous(max_in_flight)
    assert _run(SyntheticSource(count=22), estimator, batch) == list(range(22))
    assert [index for what, index in estimator.events if what == "done"] == list(range(0, 22, batch))
    assert estimator.most_in_flight == max_in_flight
    assert [len(b) for b in estimator.batches] == [batch] * (22 // batch) + [22 % batch] * bool(22 % batch)


def test_a_live_frame_is_taken_when_the_model_is_free_and_not_before() -> None:
    estimator = Asynchronous()
    indices = _run(SyntheticSource(count=40, is_live=True, delay_seconds=0.001), estimator)
    assert indices == sorted(set(indices))
    assert indices[-1] == 39
    assert estimator.most_in_flight == 1


def test_a_model_that_remembers_sees_a_frame_after_the_one_before_was_handed_on() -> None:
    estimator = Asynchronous(max_in_flight=1)
    assert _run(SyntheticSource(count=9), estimator) == list(range(9))
    assert estimator.events == [(what, i) for i in range(9) for what in ("submitted", "done")]


@pytest.mark.parametrize(("smooth", "shown"), [("offline", "auto"), ("off", "per-shot"), ("offline", "per-shot")])
def test_late_results_come_out_before_frames_of_another_size(smooth: str, shown: str) -> None:
    source, sink = SyntheticSource(sizes={15: (96, 64)}), RecordingSink()
    report = Pipeline([Stream(source, make_stabilizer(smooth, shown), [sink])], ConstantEstimator()).run()
    assert (report.read, report.written, report.dropped) == (30, 30, {})
    widths = [(item.frame.index, item.frame.size[0]) for item in sink.items]
    assert widths == [(i, 64 if i < 15 else 96) for i in range(30)]


@pytest.mark.parametrize("focal_px", [math.nan, math.inf, 0.0, -1.0])
def test_a_focal_length_that_is_none_is_left_out(focal_px: float) -> None:
    sink, estimator = RecordingSink(), ConstantEstimator(focal_px=focal_px)
    Pipeline([Stream(SyntheticSource(count=3), make_stabilizer("off"), [sink])], estimator).run()
    assert [item.intrinsics for item in sink.items] == [None] * 3


def test_frames_on_their_way_while_the_size_changes_keep_the_camera_of_their_own() -> None:
    """The model has frame 9 until the source has said that frame 10 is larger."""

    class Calibrated(SyntheticSource):
        @property
        def info(self) -> StreamInfo:
            return replace(super().info, intrinsics=Intrinsics.from_focal(self.width, self.width, self.height))

    def wait_for_change(frames: Sequence[Frame]) -> None:
        if frames[0].index == 9:
            has_begun.set()
            wait_until(lambda: stream.info is not None and stream.info.width == 96)

    has_begun, sink = threading.Event(), RecordingSink()
    source = Calibrated(20, is_live=True, sizes={10: (96, 64)}, before_read=waits_for(has_begun, at=10))
    stream = Stream(source, make_stabilizer("off"), [sink])
    Pipeline([stream], ConstantEstimator(before_estimate=wait_for_change)).run()
    seen = {(item.frame.size[0], item.intrinsics and item.intrinsics.width) for item in sink.items}
    assert seen == {(64, 64), (96, 96)}


def test_a_sink_is_told_of_every_size_though_it_has_changed_again_by_then() -> None:
    """The second frame, of another size than those around it, is at the model until the third has been read."""
    sizes, begun = [(64, 48), (96, 64), (64, 48)], list[int]()

    def wait_for_third(frames: Sequence[Frame]) -> None:
        begun.append(frames[0].index)
        if begun[-1] == 1:
            wait_until(lambda: source.index == 3 and stream.info is not None and stream.info.width == 64)

    def check_size(item: DepthFrame) -> None:
        info = sink.changes[-1][1] if sink.changes else sink.info
        assert info is not None
        assert (info.width, info.height) == item.frame.size

    source = SyntheticSource(
        3,
        is_live=True,
        sizes=dict(enumerate(sizes)),
        before_read=lambda index: wait_until(lambda: len(begun) == index),
    )
    sink = RecordingSink(before_write=check_size)
    stream = Stream(source, make_stabilizer("off"), [sink])
    Pipeline([stream], ConstantEstimator(before_estimate=wait_for_third)).run()
    assert [item.frame.size for item in sink.items] == sizes
