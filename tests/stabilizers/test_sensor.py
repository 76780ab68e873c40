"""SensorFilter: less noise and fewer holes where nothing moves, and the sensor's own depth where something does."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.stabilizers import SensorFilter, make_stabilizer

RNG = np.random.default_rng(1)
TEXTURE = cv2.resize(RNG.integers(0, 255, (30, 40, 3), np.uint8), (160, 120), interpolation=cv2.INTER_LINEAR)


def item(index: int, depth: np.ndarray, *, shift: int = 0) -> DepthFrame:
    frame = Frame(np.roll(TEXTURE, shift, axis=1), index, index, Fraction(1, 30), 0.0, "sensor")
    return DepthFrame(frame, depth.astype(np.float32), DepthKind.METRIC)


def noisy(meters: float) -> np.ndarray:
    return meters * (1 + 0.005 * RNG.standard_normal((60, 80)))


def last(items: list[DepthFrame]) -> np.ndarray:
    stage = SensorFilter()
    for entry in items:
        (found,) = stage.push(entry)
    return found.depth


def test_noise_falls_where_nothing_moves() -> None:
    found = last([item(i, noisy(2.0)) for i in range(30)])
    assert abs(np.median(found) - 2.0) < 0.002
    assert np.std(found / 2.0) < 0.005 / 2.5


def test_a_moving_camera_keeps_what_was_measured() -> None:
    """It comes nearer by 1 % in each frame; smoothing along the motion would lag behind."""
    maps = [np.full((60, 80), 2.0 * 0.99**i) for i in range(20)]
    found = last([item(i, depth, shift=3 * i) for i, depth in enumerate(maps)])
    np.testing.assert_allclose(found, maps[-1], rtol=1e-3)


def test_an_object_that_comes_into_view_is_there_at_once() -> None:
    maps = [np.full((60, 80), 3.0) for _ in range(20)]
    maps[-1][20:40, 30:50] = 1.0
    found = last([item(i, depth) for i, depth in enumerate(maps)])
    np.testing.assert_allclose(found, maps[-1], rtol=1e-6)


def test_flickering_holes_are_bridged_for_the_time_of_the_memory() -> None:
    maps = [np.full((60, 80), 3.0) for _ in range(40)]
    for index in range(20, 40):
        maps[index][10, 10] = np.nan
    stage, known = SensorFilter(0.5), []
    for index, depth in enumerate(maps):
        (found,) = stage.push(item(index, depth))
        known.append(np.isfinite(found.depth[10, 10]))
    assert all(known[:33])
    assert not any(known[37:])


def test_a_cut_starts_anew() -> None:
    stage = SensorFilter()
    stage.push(item(0, np.full((60, 80), 3.0)))
    (found,) = stage.push(
        DepthFrame(item(1, noisy(3.0)).frame, np.full((60, 80), 3.01, np.float32), DepthKind.METRIC, cut=True)
    )
    assert (found.depth == np.float32(3.01)).all()


def test_it_is_what_smooths_a_sensor() -> None:
    stages = [type(stage).__name__ for stage in make_stabilizer("default", is_sensor=True).stages]
    assert stages[1] == "SensorFilter"
    assert "TemporalFilter" not in stages
    assert len(make_stabilizer("off", is_sensor=True).stages) == 2
