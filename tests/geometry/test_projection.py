"""Rays, points and pixels against exact depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import exact_scene as scene
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.projection import back_project, project

CAMERA = scene.CAMERA
BARREL = replace(CAMERA, distortion=(-0.25, 0.06, 0.001, -0.001, 0.0))
FISHEYE = replace(CAMERA, distortion=(0.03, -0.01, 0.002, 0.0), distortion_model="equidistant")


@pytest.mark.parametrize("camera", [CAMERA, BARREL, FISHEYE], ids=["pinhole", "barrel", "fisheye"])
def test_points_project_back_to_their_pixels(camera: Intrinsics) -> None:
    depth = scene.depth_of(scene.pose(), CAMERA)
    seen = project(back_project(depth, camera), camera)
    u, v = np.meshgrid(np.arange(640), np.arange(480))
    assert np.abs(seen - np.stack([u, v], axis=-1)).max() < (1e-3 if camera is CAMERA else 0.05)


def test_back_projection_is_exact_within_floats() -> None:
    """The points lie on the floor and the box in the world, wherever the camera stands."""
    for turn in (0.0, 35.0, 200.0):
        pose = scene.pose(turn=turn)
        depth = scene.depth_of(pose)
        world = back_project(depth, CAMERA).astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        away = np.abs(np.abs(world) * 2 - [scene.BOX_M[0], 0, scene.BOX_M[2]]) / 2
        faces = np.stack([np.abs(world[..., 1]), np.abs(world[..., 1] - scene.BOX_M[1]), away[..., 0], away[..., 2]])
        assert faces.min(axis=0).max() < 1e-6


def test_unknown_infinite_and_impossible_depth_is_no_point() -> None:
    depth = np.array([[1.0, np.nan, np.inf, 0.0, -1.0]], np.float32)
    points = back_project(depth, CAMERA)
    assert np.isfinite(points[0, 0]).all()
    assert np.isnan(points[0, 1:]).all()


@settings(max_examples=25)
@given(st.integers(20, 300), st.integers(20, 200))
def test_points_are_the_same_places_at_every_size_of_the_depth_map(width: int, height: int) -> None:
    """A wall at 2 m: the field of view does not change with the map's size."""
    points = back_project(np.full((height, width), 2, np.float32), CAMERA)
    pixel = 2 * CAMERA.resized(width, height).pinhole.fx ** -1
    left = -2 * (CAMERA.cx + 0.5) / CAMERA.fx
    assert points[0, 0, 0] == pytest.approx(left + pixel / 2, abs=1e-5)
