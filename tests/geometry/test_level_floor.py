"""Tests of the floor in relative depth, and of what is none."""

from __future__ import annotations

import numpy as np
import pytest

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.gravity import up_vector
from streamdepth.geometry.level_floor import MIN_PROBABILITY, find_level_floor
from streamdepth.geometry.metric_fit import inverse_depth_range
from streamdepth.geometry.projection import rays

CAMERA = Intrinsics.from_fov(60, 160, 120)
HEIGHT_M, PITCH = 1.4, 15.0
SCALE, SHIFT = 2.5, -0.4


def relative_room(noise: float = 0.0) -> DepthMap:
    """Returns relative depth of a floor and a wall 4 m ahead."""
    ray = np.concatenate([rays(CAMERA, 160, 120), np.ones((120, 160, 1))], axis=-1)
    inverse = np.maximum(-(ray @ up_vector(PITCH)) / HEIGHT_M, 1 / 4)
    return (SCALE * inverse + SHIFT + np.random.default_rng(0).normal(0, noise, inverse.shape)).astype(np.float32)


@pytest.mark.parametrize(("noise", "tolerance"), [(0.0, 0.001), (0.01, 0.15)])
def test_scale_and_shift_follow_from_the_floor(noise: float, tolerance: float) -> None:
    inverse = relative_room(noise)
    limits = inverse_depth_range(inverse)
    assert limits is not None
    floor = find_level_floor(inverse, CAMERA, up_vector(PITCH), limits)
    assert floor is not None
    assert floor.probability > MIN_PROBABILITY
    assert floor.slope * HEIGHT_M == pytest.approx(SCALE, rel=tolerance)
    assert (floor.x - SHIFT) / SCALE == pytest.approx(floor.cosine / HEIGHT_M, rel=0.03)


def test_a_wall_is_no_floor() -> None:
    wall = np.random.default_rng(0).normal(0.5, 0.05, (120, 160)).astype(np.float32)
    floor = find_level_floor(wall, CAMERA, up_vector(PITCH), (0.4, 0.6))
    assert floor is None or floor.probability < MIN_PROBABILITY


def test_there_is_no_floor_above_the_horizon() -> None:
    assert find_level_floor(relative_room(), CAMERA, up_vector(-60.0), (0.0, 1.0)) is None
