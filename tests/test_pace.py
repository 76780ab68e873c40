"""Live streams keep a target: less is done at once when it is missed, more after a calm time, and it settles."""

from __future__ import annotations

import logging

import pytest

from streamdepth import build, config
from streamdepth.build.pace import Effort, Pace, efforts
from streamdepth.testing import ConstantEstimator


class Machine:
    """A live stream of 30 frames a second on a model that takes `cost` seconds at its usual size."""

    def __init__(self, pace: Pace, cost: float, camera_fps: float = 30.0) -> None:
        self.pace, self.cost, self.camera_fps = pace, cost, camera_fps
        self.now = self.busy = 0.0
        self.said: list[str] = []
        self.efforts: list[Effort] = [pace.effort]

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            each = self.cost * self.pace.effort.share**2
            self.busy += each
            self.now += max(each, 1 / self.camera_fps)
            told = self.pace.written(self.now, each + 0.005, int(self.now * self.camera_fps), self.busy)
            if told:
                self.said.append(told)
                self.efforts.append(self.pace.effort)


def test_what_is_fast_enough_stays_as_it_is() -> None:
    machine = Machine(Pace(efforts(None, carries=False), target_fps=30, max_latency_seconds=0.1), cost=0.02)
    machine.run(60)
    assert machine.said == []


def test_a_slow_model_gets_a_smaller_input_until_the_target_is_met_and_says_so() -> None:
    machine = Machine(Pace(efforts(None, carries=False), target_fps=25), cost=0.06)
    machine.run(20)
    assert machine.cost * machine.pace.effort.share**2 <= 1 / 25
    assert machine.said[0] == "16.7 of 25.0 frames a second: the model gets an input of 85% of its size"


def test_the_age_of_frames_counts_too() -> None:
    machine = Machine(Pace(efforts(None, carries=False), max_latency_seconds=0.02), cost=0.03)
    machine.run(20)
    assert machine.cost * machine.pace.effort.share**2 + 0.005 <= 0.02
    assert "frames are 35 ms old" in machine.said[0]


def test_it_settles_instead_of_swinging() -> None:
    """At 70 % all is easy, at 85 % it is too slow: more is tried ever more seldom."""
    machine = Machine(Pace(efforts(None, carries=False), max_latency_seconds=0.025), cost=0.029)
    machine.run(600)
    late = len(machine.said)
    machine.run(600)
    assert len(machine.said) - late <= 2 * 600 / 96 + 2
    assert late < 30


def test_it_does_more_again_when_the_machine_is_free() -> None:
    machine = Machine(Pace(efforts(None, carries=False), target_fps=25), cost=0.1)
    machine.run(30)
    assert machine.pace.effort.share < 1
    machine.cost = 0.005
    machine.run(300)
    assert machine.pace.effort.share == 1


def test_a_slow_camera_is_not_taken_for_a_slow_model() -> None:
    machine = Machine(Pace(efforts(None, carries=False), target_fps=30), cost=0.02, camera_fps=10)
    machine.run(30)
    assert machine.said == []


def test_where_depth_is_carried_the_model_runs_less_often_at_last() -> None:
    assert [e.hz for e in efforts(8, carries=True)][-3:] == [8, 4, 2]
    assert [e.hz for e in efforts(None, carries=True)][-3:] == [None, 10, 5]
    assert all(e.hz is None for e in efforts(None, carries=False))
    machine = Machine(Pace(efforts(8, carries=True), target_fps=30), cost=10.0)
    machine.run(200)
    assert machine.pace.effort == Effort(0.5, 2)
    assert machine.said[-1].endswith("an input of 50% of its size, 2 times a second")


def test_a_live_stream_switches_its_model(tmp_path, monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
    """Too old for any model: all sizes are tried, and each is loaded beside the one at work."""
    sizes = []

    def make(settings: config.Settings) -> ConstantEstimator:
        sizes.append(settings.size)
        return ConstantEstimator()

    monkeypatch.setattr(build, "make_estimator", make)
    monkeypatch.setattr("streamdepth.build.pace.WINDOW_SECONDS", 0.1)
    settings = config.make(
        {
            "source": "lavfi:testsrc2=size=64x48:rate=30",
            "output": tmp_path / "out.mp4",
            "pace": True,
            "size": 100,
            "max_latency_ms": 0.001,
            "max_frames": 60,
        }
    )
    with caplog.at_level(logging.WARNING), build.pipeline(settings) as pipeline:
        report = pipeline.run()
    assert report.written > 20
    assert sizes == [100, 85, 70, 60, 50]
    assert "the model gets an input of 50% of its size" in caplog.text
