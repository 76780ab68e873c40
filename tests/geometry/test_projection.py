"""Rays, points and pixels against exact depth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers import exact_scene as scene
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.projection import back_project, project, rays

CAMERA = scene.CAMERA
BARREL = replace(CAMERA, distortion=(-0.25, 0.06, 0.001, -0.001, 0.0))
FISHEYE = replace(CAMERA, distortion=(0.03, -0.01, 0.002, 0.0), distortion_model="equidistant")


@pytest.mark.parametrize("camera", [CAMERA, BARREL, FISHEYE], ids=["pinhole", "barrel", "fisheye"])
def test_points_project_back_to_their_pixels(camera: Intrinsics) -> None:
    depth = scene.depth_of(scene.pose(), CAMERA)
    seen = project(back_project(depth, camera), camera)
    u, v = np.meshgrid(np.arange(640), np.arange(480))
    assert np.abs(seen - np.stack([u, v], axis=-1)).max() < 1e-3  # the points are in 32 bits


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


def test_a_fisheye_of_200_degrees_has_no_points_beyond_its_front() -> None:
    """Each point lies on its pixel's own side and projects back to it; the rest of the picture is unknown."""
    camera = Intrinsics(145, 145, 255.5, 255.5, 512, 512, (0.01, -0.003, 0.001, 0.0), "equidistant")
    points = back_project(np.full((512, 512), 3, np.float32), camera)
    known = np.isfinite(points).all(axis=-1)
    assert (np.isfinite(points).any(axis=-1) == known).all()
    u, v = np.meshgrid(np.arange(512), np.arange(512))
    angle = np.linalg.norm(np.stack([u, v], axis=-1) - 255.5, axis=-1) / 145
    assert known[angle < 1.45].all()
    assert not known[angle > 1.65].any()
    seen = project(points, camera)
    assert np.abs(seen - np.stack([u, v], axis=-1))[known].max() < 1e-3
    assert (points[known][:, 0] * (u - 255.5)[known] > 0).all()


def test_the_lens_of_a_real_wide_camera_is_exact() -> None:
    """A public calibration with k1 = -0.27, where five rounds of a fixed point iteration are 4.6 px off."""
    camera = Intrinsics(
        402.04, 400.77, 312.33, 227.78, 640, 480, (-0.269512, 0.045058, 0.000779, -0.000829, 0.0), "plumb_bob"
    )
    places = np.stack(np.meshgrid(np.arange(640.0), np.arange(480.0)), axis=-1)
    xy = rays(camera, 640, 480)
    zero = np.zeros(3)
    points = np.concatenate([xy, np.ones((480, 640, 1))], axis=-1).reshape(-1, 3)
    seen = cv2.projectPoints(points, zero, zero, camera.matrix, np.array(camera.distortion))[0].reshape(480, 640, 2)
    assert np.abs(seen - places).max() < 1e-9
