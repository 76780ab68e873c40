"""Volumes and height maps against exact depth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers import exact_scene as scene
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.planes import Plane
from streamdepth.geometry.projection import rays
from streamdepth.geometry.volume import height_map, measure_volume

CAMERA = scene.CAMERA


@pytest.mark.parametrize("turn", [0.0, 20.0, 45.0])
@pytest.mark.parametrize("pitch", [40.0, 60.0])
def test_the_volume_of_a_known_box(turn: float, pitch: float) -> None:
    """Within 2 %, from one view and exact depth."""
    away = scene.HEIGHT_M / np.tan(np.radians(pitch))
    pose = scene.pose(pitch, turn=turn, away_m=float(away))
    depth, region = scene.depth_of(pose), np.zeros((480, 640), np.bool_)
    region[20:-20, 20:-20] = True
    plane = scene.ground_of(depth)
    assert plane is not None
    found, truth = measure_volume(depth, CAMERA, region, plane), float(np.prod(scene.BOX_M))
    assert found.volume_m3 == pytest.approx(truth, rel=0.02)
    assert found.max_height_m == pytest.approx(scene.BOX_M[1], abs=1e-3)
    assert found.area_m2 == pytest.approx(scene.BOX_M[0] * scene.BOX_M[2], rel=0.02)
    assert 0 < found.error_m3 < 0.05 * truth


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("noise", "grain_px", "blur_px"), [(0.001, 0, 0), (0.004, 0, 0), (0.004, 8, 0), (0.001, 0, 2)])
def test_the_volume_is_within_its_error_estimate(noise: float, grain_px: float, blur_px: float, seed: int) -> None:
    """Of noisy depth, fine and coarse, and of depth that is blurred at its jumps, as networks' is."""
    depth = scene.depth_of(scene.pose())
    error = np.random.default_rng(seed).normal(0, 1, depth.shape)
    if grain_px:
        error = cv2.GaussianBlur(error, (0, 0), grain_px)
    seen = (depth * (1 + noise * error / error.std())).astype(np.float32)
    if blur_px:
        seen = cv2.GaussianBlur(seen, (0, 0), blur_px)
    plane, region = scene.ground_of(seen), np.zeros(depth.shape, np.bool_)
    region[20:-20, 20:-20] = True
    assert plane is not None
    found, truth = measure_volume(seen, CAMERA, region, plane), np.prod(scene.BOX_M)
    assert abs(found.volume_m3 - truth) < 2 * found.error_m3
    assert 0.005 * truth < found.error_m3 < 0.1 * truth


def test_the_height_map_is_the_box_from_above() -> None:
    depth = scene.depth_of(scene.pose())
    plane = scene.ground_of(depth)
    assert plane is not None
    heights = height_map(depth, CAMERA, plane, 0.01)
    top = np.abs(heights - scene.BOX_M[1]) < 0.003
    assert top.sum() * 0.01**2 == pytest.approx(scene.BOX_M[0] * scene.BOX_M[2], rel=0.1)
    rows, columns = np.nonzero(top)
    assert np.ptp(columns) * 0.01 == pytest.approx(scene.BOX_M[0], abs=0.02)
    assert np.ptp(rows) * 0.01 == pytest.approx(scene.BOX_M[2], abs=0.02)


def test_a_camera_that_looks_straight_down_sees_heights_too() -> None:
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:24, 40:50] = 1.8  # to the upper right
    camera, plane = Intrinsics.from_fov(60, 64, 48), Plane(np.array([0.0, 0.0, -1.0]), 2.0, 0.0, 1.0)
    heights = height_map(depth, camera, plane, 0.05)
    rows, columns = np.nonzero(heights > 0.1)
    assert heights[rows, columns] == pytest.approx(0.2, abs=1e-5)
    assert rows.mean() > heights.shape[0] / 2  # rows run away from the camera, as the picture's up does
    assert columns.mean() > heights.shape[1] / 2


@pytest.mark.parametrize("pitch", [0.0, 37.0])
def test_the_height_map_of_a_camera_on_its_side_is_the_same(pitch: float) -> None:
    camera, down = Intrinsics.from_fov(60, 64, 64), np.radians(pitch)
    normal = np.array([0.0, -np.cos(down), -np.sin(down)])
    x_y = rays(camera, 64, 64)
    depth = 1 / np.clip(-(x_y @ normal[:2] + normal[2]), 0.15, None)
    depth[30:40, 50:60] *= 0.8
    heights = height_map(depth.astype(np.float32), camera, Plane(normal, 1.0, 0.0, 1.0), 0.0567)
    for turns in (1, 2, 3):
        normal = np.array([normal[1], -normal[0], normal[2]])
        turned = np.rot90(depth, turns).astype(np.float32)
        found = height_map(turned, camera, Plane(normal, 1.0, 0.0, 1.0), 0.0567)
        assert found == pytest.approx(heights, abs=1e-3, nan_ok=True)


def test_a_height_map_is_of_its_region_and_not_endless() -> None:
    """One pixel far away would be gigabytes of cells."""
    pose = scene.pose()
    depth, region = scene.depth_of(pose), scene.on_box(pose)
    plane = scene.ground_of(depth)
    assert plane is not None
    heights = height_map(depth, CAMERA, plane, 0.01, region)
    assert (heights.shape[0] * 0.01, heights.shape[1] * 0.01) == pytest.approx(
        (scene.BOX_M[2], scene.BOX_M[0]), abs=0.03
    )
    depth[0, 0], depth[0, -1] = 150, 190
    assert np.array_equal(height_map(depth, CAMERA, plane, 0.01, region), heights, equal_nan=True)
    with raises_code(ConfigError, "too-large"):
        height_map(depth, CAMERA, plane, 0.01)
    with raises_code(ConfigError, "no-depth"):
        height_map(depth, CAMERA, plane, 0.01, np.zeros_like(region))
