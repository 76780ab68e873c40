"""What is changed while a stream runs takes effect at a frame's boundary, and nothing is lost by it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from helpers.waiting import wait_until

from streamdepth import config, factory
from streamdepth.apps.web.controls import ModelControls, SharedControls, StreamControls
from streamdepth.apps.web.session_factory import open_session
from streamdepth.core.errors import ConfigError, ModelLoadError, StreamDepthError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.estimators.hot_swap import HotSwapEstimator
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.sources.looped import LoopedSource
from streamdepth.sources.pausable import PausableSource
from streamdepth.stabilizers import MotionTracker, check_live_settings, make_hot_swap_stabilizer
from streamdepth.testing import ConstantEstimator, RecordingSink, SyntheticSource


class TestControl:
    def test_a_change_replaces_what_it_names(self) -> None:
        control = SharedControls(StreamControls())
        assert control.update(smooth="light").smooth == "light"
        assert control.value == StreamControls(smooth="light")

    def test_what_cannot_be_done_changes_nothing(self) -> None:
        control = SharedControls(StreamControls(), lambda wanted: check_live_settings(wanted.smooth, wanted.range))
        for wrong in ({"smooth": "offline"}, {"range": "per-shot"}, {"smooth": "much"}, {"range": "lock:2,1"}):
            with pytest.raises(ConfigError):
                control.update(**wrong)
        assert control.value == StreamControls()

    def test_changes_of_many_threads_are_all_kept(self) -> None:
        control = SharedControls(StreamControls())
        changes = [{"smooth": "light"}, {"range": "lock:0,1"}, {"colormap": "turbo"}, {"paused": True}]
        threads = [threading.Thread(target=lambda change=change: control.update(**change)) for change in changes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert control.value == StreamControls(smooth="light", range="lock:0,1", colormap="turbo", paused=True)

    def test_what_cannot_be_had_is_taken_back_unless_something_else_is_wanted_by_now(self) -> None:
        control = SharedControls(ModelControls(48))
        assert control.compare_and_set(ModelControls(48), ModelControls(24))
        assert not control.compare_and_set(ModelControls(48), ModelControls(32))
        assert control.value.size == 24


class TestHotSwapStabilizer:
    def test_smoothing_and_range_change_between_two_frames(self) -> None:
        control = SharedControls(StreamControls(smooth="off"))
        stabilizer = make_hot_swap_stabilizer(
            lambda: control.value.smooth, lambda: control.value.range, None, MotionTracker()
        )
        source = SyntheticSource(count=40)
        source.open()
        rng = np.random.default_rng(0)
        spread, ranges = [], []
        for frame in iter(source.read, None):
            if frame.index == 10:
                control.update(smooth="strong", range="lock:1,2")
            depth = (source.depth_at(frame.index) + rng.normal(0, 0.02, (48, 64))).astype(np.float32)
            (out,) = stabilizer.push(DepthFrame(frame, depth, DepthKind.METRIC))
            spread.append(float(np.std(out.depth[:8] - source.depth_at(0)[:8])))
            ranges.append(out.range)
        assert np.mean(spread[30:]) < 0.6 * np.mean(spread[:10])
        assert all(r == (1.0, 2.0) for r in ranges[10:])
        assert (1.0, 2.0) not in ranges[:10]


class Sized(ConstantEstimator):
    """One row per unit of size."""

    def __init__(self, size: int) -> None:
        super().__init__(size=(size, 32))


class TestHotSwapEstimator:
    def test_the_old_model_goes_on_until_the_new_one_is_there(self) -> None:
        control, may_load, made = SharedControls(ModelControls(24)), threading.Event(), list[Sized]()

        def load(size: int | None) -> Estimator:
            if made:
                may_load.wait(30)
            made.append(Sized(size or 0))
            return made[-1]

        estimator = HotSwapEstimator(lambda: control.value.size, load)
        sink = RecordingSink()
        source = SyntheticSource(count=10**6, is_live=True, delay_seconds=0.002)
        pipeline = Pipeline([Stream(source, make_stabilizer_off(), [sink])], estimator)
        worker = threading.Thread(target=pipeline.run)
        worker.start()
        try:
            wait_until(lambda: len(sink.items) > 3)
            control.update(size=48)
            wait_until(lambda: estimator.is_switching)
            seen = len(sink.items)
            wait_until(lambda: len(sink.items) > seen + 5)
            assert {item.depth.shape[0] for item in sink.items} == {24}
            may_load.set()
            wait_until(lambda: sink.items[-1].depth.shape[0] == 48)
        finally:
            may_load.set()
            pipeline.stop()
            worker.join()
        heights = [item.depth.shape[0] for item in sink.items]
        assert heights == sorted(heights)
        report = pipeline.report()
        assert report.read == report.written + sum(report.dropped.values())
        assert made[0].closed
        assert not made[1].closed
        estimator.close()
        assert made[1].closed

    def test_a_model_that_cannot_be_loaded_leaves_the_old_one(self) -> None:
        control, failures = SharedControls(ModelControls(24)), list[tuple[int | None, BaseException]]()

        def load(size: int | None) -> Estimator:
            if size == 48:
                raise ModelLoadError("too large on purpose")
            return Sized(size or 0)

        def failed(size: int | None, error: BaseException) -> None:
            failures.append((size, error))
            control.update(size=24)

        estimator = HotSwapEstimator(lambda: control.value.size, load, failed)
        frame = a_frame()
        estimator.estimate([frame])
        control.update(size=48)
        wait_until(lambda: estimator.estimate([frame]) and failures)
        assert estimator.estimate([frame])[0].depth.shape[0] == 24
        assert len(failures) == 1
        assert failures[0][0] == 48
        assert isinstance(failures[0][1], StreamDepthError)
        control.update(size=32)
        wait_until(lambda: estimator.estimate([frame])[0].depth.shape[0] == 32)
        estimator.close()

    def test_a_failing_callback_leaves_no_model_loading_for_ever(self, caplog: pytest.LogCaptureFixture) -> None:
        wanted = [24]

        def load(size: int) -> Estimator:
            if size == 48:
                raise ModelLoadError("too large on purpose")
            return Sized(size)

        def failed(size: int, error: BaseException) -> None:
            wanted[0] = 24
            raise ValueError("broken on purpose")

        estimator = HotSwapEstimator(lambda: wanted[0], load, failed)
        frame = a_frame()
        estimator.estimate([frame])
        wanted[0] = 48
        estimator.estimate([frame])
        wait_until(lambda: wanted == [24] and not estimator.is_switching)
        wanted[0] = 32
        wait_until(lambda: estimator.estimate([frame])[0].depth.shape[0] == 32)
        estimator.close()
        assert "broken on purpose" in caplog.text

    def test_a_run_that_is_given_up_leaves_no_model_open(self) -> None:
        may_load = threading.Event()
        may_load.set()
        estimator, made = on_its_way_to_another(may_load)
        wait_until(lambda: len(made) == 2 and not estimator._is_loading)
        estimator.submit([a_frame()])
        assert estimator.current == 48
        assert not made[0].closed
        estimator.close()
        assert [model.closed for model in made] == [True, True]

    def test_a_model_that_comes_after_the_end_is_closed(self, monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setattr("streamdepth.estimators.hot_swap.CLOSE_SECONDS", 0.1)
        may_load = threading.Event()
        estimator, made = on_its_way_to_another(may_load)
        estimator.close()
        may_load.set()
        wait_until(lambda: len(made) == 2 and made[1].closed)
        caplog.clear()

    def test_a_size_that_is_chosen_while_another_one_fails_is_loaded(self, monkeypatch) -> None:
        may_fail = threading.Event()

        def make(settings: config.Settings) -> Estimator:
            if settings.model.size == 48:
                assert may_fail.wait(30)
                raise ModelLoadError("too large on purpose")
            return Sized(settings.model.size or 24)

        monkeypatch.setattr(factory, "make_estimator", make)
        frame = a_frame()
        with open_session(config.make(source="lavfi:testsrc2=size=64x48:rate=30")) as session:
            session.estimator.estimate([frame])
            session.model_controls.update(size=48)
            session.estimator.estimate([frame])
            session.model_controls.update(size=32)
            may_fail.set()
            wait_until(lambda: session.estimator.estimate([frame])[0].depth.shape[0] == 32)
            assert session.model_controls.value.size == 32
            assert session.model_failures == []


def on_its_way_to_another(may_load: threading.Event) -> tuple[HotSwapEstimator[int], list[Sized]]:
    """A model of size 24 that is being exchanged for one of size 48, and those that are loaded."""
    wanted, made = [24], list[Sized]()

    def load(size: int) -> Estimator:
        assert size == 24 or may_load.wait(30)
        made.append(Sized(size))
        return made[-1]

    estimator = HotSwapEstimator(lambda: wanted[0], load)
    estimator.estimate([a_frame()])
    wanted[0] = 48
    estimator.estimate([a_frame()])
    return estimator, made


def a_frame() -> Frame:
    source = SyntheticSource()
    source.open()
    frame = source.read()
    assert frame is not None
    return frame


def make_stabilizer_off():
    return make_hot_swap_stabilizer(lambda: "off", lambda: "auto", None, MotionTracker())


class TestPausableSource:
    def test_frames_that_come_while_paused_are_counted(self) -> None:
        paused = False
        source = PausableSource(SyntheticSource(count=10), lambda: paused)
        source.open()
        assert source.read().index == 0
        paused = True
        assert source.read() is None
        assert source.undelivered == {"paused": 9}

    def test_a_paused_endless_stream_can_be_stopped(self) -> None:
        source = PausableSource(SyntheticSource(count=10**9), lambda: True)
        source.open()
        reader = threading.Thread(target=source.read)
        reader.start()
        source.interrupt()
        reader.join(30)
        assert not reader.is_alive()


class TestLoopedSource:
    def test_times_and_indices_go_on(self) -> None:
        source = LoopedSource(SyntheticSource(count=3))
        info = source.open()
        assert info.frame_count is None
        frames = [source.read() for _ in range(10)]
        assert [f.index for f in frames if f] == list(range(10))
        assert [f.pts for f in frames if f] == list(range(10))
        np.testing.assert_array_equal(frames[0].image, frames[9].image)

    def test_an_empty_one_ends(self) -> None:
        source = LoopedSource(SyntheticSource(count=0))
        source.open()
        assert source.read() is None

    def test_a_live_one_is_left_alone(self) -> None:
        source = LoopedSource(SyntheticSource(count=2, is_live=True))
        source.open()
        assert [source.read() is None for _ in range(3)] == [False, False, True]
