"""Live streams keep a target: less is done at once when it is missed, more after a calm time, and it settles."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.errors import raises_code

from streamdepth import config, factory
from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.factory.load_control import LoadController, QualityLevel, make_load_controller, make_quality_levels
from streamdepth.testing import ConstantEstimator

RESIZING = make_quality_levels(None, propagates=False)
"""Only the size of the model's input changes."""


class Machine:
    """A live stream of 30 frames a second on a model that takes `cost` seconds at its usual size."""

    def __init__(self, controller: LoadController, cost: float, camera_fps: float = 30.0) -> None:
        self.controller, self.cost, self.camera_fps = controller, cost, camera_fps
        self.now = self.busy = 0.0
        self.said: list[str] = []
        self.levels: list[QualityLevel] = [controller.level]

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            each = self.cost * self.controller.level.input_scale**2
            self.busy += each
            self.now += max(each, 1 / self.camera_fps)
            message = self.controller.add_frame(self.now, each + 0.005, int(self.now * self.camera_fps), self.busy)
            if message:
                self.said.append(message)
                self.levels.append(self.controller.level)


def test_what_is_fast_enough_stays_as_it_is() -> None:
    machine = Machine(LoadController(RESIZING, target_fps=30, max_latency_seconds=0.1), cost=0.02)
    machine.run(60)
    assert machine.said == []


def test_a_slow_model_gets_a_smaller_input_until_the_target_is_met_and_says_so() -> None:
    machine = Machine(LoadController(RESIZING, target_fps=25), cost=0.06)
    machine.run(20)
    assert machine.cost * machine.controller.level.input_scale**2 <= 1 / 25
    assert machine.said[0] == "16.7 of 25.0 frames a second: the model gets an input of 85% of its size"


def test_the_age_of_frames_counts_too() -> None:
    machine = Machine(LoadController(RESIZING, max_latency_seconds=0.02), cost=0.03)
    machine.run(20)
    assert machine.cost * machine.controller.level.input_scale**2 + 0.005 <= 0.02
    assert "frames are 35 ms old" in machine.said[0]


def test_it_does_not_oscillate() -> None:
    """At 70 % all is easy, at 85 % it is too slow: more is tried ever more seldom."""
    machine = Machine(LoadController(RESIZING, max_latency_seconds=0.025), cost=0.029)
    machine.run(600)
    late = len(machine.said)
    machine.run(600)
    assert len(machine.said) - late <= 2 * 600 / 96 + 2
    assert late < 30


def test_it_does_more_again_when_the_machine_is_free() -> None:
    machine = Machine(LoadController(RESIZING, target_fps=25), cost=0.1)
    machine.run(30)
    assert machine.controller.level.input_scale < 1
    machine.cost = 0.005
    machine.run(300)
    assert machine.controller.level.input_scale == 1


def test_a_slow_camera_is_not_taken_for_a_slow_model() -> None:
    machine = Machine(LoadController(RESIZING, target_fps=30), cost=0.02, camera_fps=10)
    machine.run(30)
    assert machine.said == []


def test_where_depth_is_carried_the_model_runs_less_often_at_last() -> None:
    assert [level.inference_fps for level in make_quality_levels(8, propagates=True)][-3:] == [8, 4, 2]
    assert [level.inference_fps for level in make_quality_levels(None, propagates=True)][-3:] == [None, 10, 5]
    assert all(level.inference_fps is None for level in make_quality_levels(None, propagates=False))
    machine = Machine(LoadController(make_quality_levels(8, propagates=True), target_fps=30), cost=10.0)
    machine.run(200)
    assert machine.controller.level == QualityLevel(0.5, 2)
    assert machine.said[-1].endswith("an input of 50% of its size, 2 times a second")


def run_too_old(folder: Path, monkeypatch: pytest.MonkeyPatch, is_enough: Callable[[], bool]) -> None:
    """A live stream that no model is fast enough for, judged ten times a second."""
    monkeypatch.setattr("streamdepth.factory.load_control.WINDOW_SECONDS", 0.1)
    settings = config.make(
        source="lavfi:testsrc2=size=64x48:rate=30",
        output=folder / "out.mp4",
        realtime=True,
        size=100,
        max_latency_ms=0.001,
        max_seconds=120,
    )
    with factory.open_pipeline(settings, lambda _: pipeline.stop() if is_enough() else None) as pipeline:
        pipeline.run()


@pytest.mark.slow
def test_a_live_stream_switches_its_model(tmp_path, monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
    """Too old for any model: all sizes are tried, and each is loaded beside the one at work."""
    sizes = []

    def make(settings: config.Settings) -> ConstantEstimator:
        sizes.append(settings.model.size)
        return ConstantEstimator()

    monkeypatch.setattr(factory, "make_estimator", make)
    with caplog.at_level(logging.WARNING):
        run_too_old(tmp_path, monkeypatch, lambda: sizes[-1] == 50)
    assert sizes == [100, 85, 70, 60, 50]
    assert "the model gets an input of 50% of its size" in caplog.text


def test_a_size_that_cannot_be_had_is_not_asked_for_again() -> None:
    controller = LoadController(make_quality_levels(None, propagates=True), target_fps=30)
    machine = Machine(controller, cost=10.0)
    machine.run(40)
    assert controller.level.input_scale < 1
    for share in (0.5, 0.85, 1.0):
        controller.exclude_scale(share)
        controller.exclude_scale(share)
    machine.run(200)
    assert controller.level == QualityLevel(0.6, 5)
    machine.cost = 0.001
    machine.run(2000)
    assert controller.level == QualityLevel(0.7)
    controller.exclude_scale(0.6)
    controller.exclude_scale(0.7)
    assert controller.level == QualityLevel(0.7)


def test_each_size_that_fails_is_loaded_once_and_said_once(
    tmp_path, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = []

    def make(settings: config.Settings) -> ConstantEstimator:
        sizes.append(settings.model.size)
        if settings.model.size != 100:
            raise ModelLoadError("one size on purpose")
        return ConstantEstimator()

    monkeypatch.setattr(factory, "make_estimator", make)
    since = itertools.count()
    with caplog.at_level(logging.WARNING):
        run_too_old(tmp_path, monkeypatch, lambda: caplog.text.count("on purpose") == 4 and next(since) == 15)
    assert sizes == [100, 85, 70, 60, 50]
    assert caplog.text.count("one size on purpose") == 4


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"model": "some/model.onnx"}, "was made for one size"), ({"cluster": "auto"}, "on a cluster its input keeps")],
)
def test_a_target_for_a_model_of_one_size_needs_depth_that_is_carried(settings: dict[str, str], why: str) -> None:
    wanted = {"source": "0", "target_fps": 20, **settings}
    with raises_code(ConfigError, "fixed-size", naming=why):
        make_load_controller(config.make(**wanted), 1)
    controller = make_load_controller(config.make(**wanted, inference_fps="auto"), 1)
    machine = Machine(controller, cost=10.0)
    machine.run(200)
    assert machine.controller.level == QualityLevel(1.0, 5)
    assert machine.said[0].endswith("the model gets an input of 100% of its size, 10 times a second")
