"""What the worker between inbox and outlets does with models that return before the work is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from helpers.waiting import wait_until

from streamdepth.core.futures import Future
from streamdepth.core.types import DepthFrame, Estimate, Frame, Intrinsics, StreamInfo
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
    """Tells when work was begun and when it was asked for, by the first frame's index."""

    def __init__(self, max_in_flight: int = 2) -> None:
        super().__init__()
        self.events: list[tuple[str, int]] = []
        self._max_in_flight = max_in_flight

    @property
    def max_in_flight(self) -> int:
        return self._max_in_flight

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        self.events.append(("begun", frames[0].index))
        return Deferred(self, frames)

    @property
    def most_under_way(self) -> int:
        most = under_way = 0
        for what, _ in self.events:
            under_way += 1 if what == "begun" else -1
            most = max(most, under_way)
        return most


def _run(source: SyntheticSource, estimator: ConstantEstimator, batch: int = 1) -> list[int]:
    sink = RecordingSink()
    Pipeline([Stream(source, make_stabilizer("off"), [sink])], estimator, batch=batch).run()
    return [item.frame.index for item in sink.items]


@pytest.mark.parametrize(("batch", "max_in_flight"), [(1, 2), (4, 2), (1, 3)])
def test_a_file_has_the_next_batches_begun_before_the_last_is_asked_for(batch: int, max_in_flight: int) -> None:
    estimator = Asynchronous(max_in_flight)
    assert _run(SyntheticSource(count=22), estimator, batch) == list(range(22))
    assert [index for what, index in estimator.events if what == "done"] == list(range(0, 22, batch))
    assert estimator.most_under_way == max_in_flight
    assert [len(b) for b in estimator.batches] == [batch] * (22 // batch) + [22 % batch] * bool(22 % batch)


def test_a_live_frame_is_taken_when_the_model_is_free_and_not_before() -> None:
    estimator = Asynchronous()
    indices = _run(SyntheticSource(count=40, is_live=True, delay_seconds=0.001), estimator)
    assert indices == sorted(set(indices))
    assert indices[-1] == 39
    assert estimator.most_under_way == 1


def test_a_model_that_remembers_sees_a_frame_after_the_one_before_was_handed_on() -> None:
    estimator = Asynchronous(max_in_flight=1)
    assert _run(SyntheticSource(count=9), estimator) == list(range(9))
    assert estimator.events == [(what, i) for i in range(9) for what in ("begun", "done")]


@pytest.mark.parametrize(("smooth", "shown"), [("offline", "auto"), ("off", "per-shot"), ("offline", "per-shot")])
def test_what_is_held_back_comes_out_before_another_size_is_begun(smooth: str, shown: str) -> None:
    class Growing(SyntheticSource):
        def read(self) -> Frame | None:
            if self.index == 15:
                self.width, self.height = 96, 64
            return super().read()

    sink = RecordingSink()
    report = Pipeline([Stream(Growing(), make_stabilizer(smooth, shown), [sink])], ConstantEstimator()).run()
    assert (report.read, report.written, report.dropped) == (30, 30, {})
    widths = [(item.frame.index, item.frame.size[0]) for item in sink.items]
    assert widths == [(i, 64 if i < 15 else 96) for i in range(30)]


@pytest.mark.parametrize("focal_px", [math.nan, math.inf, 0.0, -1.0])
def test_a_focal_length_that_is_none_is_left_out(focal_px: float) -> None:
    class Odd(ConstantEstimator):
        def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
            return [replace(estimate, focal_px=focal_px) for estimate in super().estimate(frames)]

    sink = RecordingSink()
    Pipeline([Stream(SyntheticSource(count=3), make_stabilizer("off"), [sink])], Odd()).run()
    assert [item.intrinsics for item in sink.items] == [None] * 3


def test_frames_on_their_way_while_the_size_changes_keep_the_camera_of_their_own() -> None:
    """The model has frame 9 until the source has said that frame 10 is larger."""

    class Renewed(SyntheticSource):
        def open(self) -> StreamInfo:
            super().open()
            return self._info

        @property
        def _info(self) -> StreamInfo:
            lens = Intrinsics.from_focal(self.width, self.width, self.height)
            return StreamInfo("a", self.width, self.height, is_live=True, time_base=Fraction(1, 30), intrinsics=lens)

        def read(self) -> Frame | None:
            if self.index == 10:
                wait_until(lambda: has_begun)
                self.width, self.height = 96, 64
            return super().read()

        def take_changed_info(self) -> StreamInfo | None:
            return self._info if self.index == 11 else None

    class Waiting(ConstantEstimator):
        def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
            if frames[0].index == 9:
                has_begun.append(True)
                wait_until(lambda: stream.info is not None and stream.info.width == 96)
            return super().estimate(frames)

    has_begun: list[bool] = []
    sink = RecordingSink()
    stream = Stream(Renewed(count=20), make_stabilizer("off"), [sink])
    Pipeline([stream], Waiting()).run()
    seen = {(item.frame.size[0], item.intrinsics and item.intrinsics.width) for item in sink.items}
    assert seen == {(64, 64), (96, 96)}


def test_a_sink_hears_of_every_size_though_it_has_changed_again_by_then() -> None:
    """The second frame, of another size than those around it, is at the model until the third has been read."""
    sizes, infos, begun = [(64, 48), (96, 64), (64, 48)], list[StreamInfo](), list[int]()

    class Turning(SyntheticSource):
        def read(self) -> Frame | None:
            wait_until(lambda: len(begun) == self.index)
            self.width, self.height = sizes[min(self.index, 2)]
            return super().read()

        def take_changed_info(self) -> StreamInfo | None:
            infos.append(StreamInfo(self.name, self.width, self.height, is_live=True, time_base=Fraction(1, 30)))
            return infos[-1]

    class Waiting(ConstantEstimator):
        def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
            begun.append(frames[0].index)
            if begun[-1] == 1:
                wait_until(lambda: len(infos) == 3 and stream.info is infos[-1])
            return super().estimate(frames)

    class Hearing(RecordingSink):
        def on_stream_changed(self, info: StreamInfo) -> None:
            self.info = info

        def write(self, item: DepthFrame) -> None:
            assert self.info is not None
            assert (self.info.width, self.info.height) == item.frame.size
            super().write(item)

    sink = Hearing()
    stream = Stream(Turning(count=3, is_live=True), make_stabilizer("off"), [sink])
    Pipeline([stream], Waiting()).run()
    assert [item.frame.size for item in sink.items] == sizes
