"""Tests of the true floor, which evaluations of metric depth measure heights from."""

from __future__ import annotations

import numpy as np
import pytest

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.evaluation.metric.true_floor import find_true_floor
from streamdepth.geometry.gravity import up_vector
from streamdepth.geometry.projection import rays

CAMERA = Intrinsics.from_fov(60, 160, 120)


def test_the_lowest_level_plane_is_the_floor() -> None:
    ray = np.concatenate([rays(CAMERA, 160, 120), np.ones((120, 160, 1))], axis=-1)
    drop = -(ray @ up_vector(20.0, 3.0))
    truth = 1 / np.maximum(drop / 1.4, 1 / 4)
    truth[:, :60] = np.minimum(truth, 1 / np.maximum(drop / 0.7, 1e-6))[:, :60]  # a table
    floor = find_true_floor(truth.astype(np.float32), CAMERA)
    assert floor is not None
    assert floor.height_m == pytest.approx(1.4, rel=0.01)
    assert floor.pitch_degrees == pytest.approx(20, abs=0.3)
    assert 0.1 < floor.share < 0.6


def test_a_wall_has_no_floor() -> None:
    assert find_true_floor(np.full((120, 160), 2, np.float32), CAMERA) is None
    assert find_true_floor(np.full((120, 160), np.nan, np.float32), CAMERA) is None
