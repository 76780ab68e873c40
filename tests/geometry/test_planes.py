"""Planes and normals against exact depth."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import exact_scene as scene
from helpers.paths import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.planes import Plane, refine_plane
from streamdepth.geometry.projection import back_project
from streamdepth.geometry.surfaces import normals
from streamdepth.sinks.depth_video import DepthVideo

CAMERA = scene.CAMERA


def test_normals_of_the_floor_point_up_and_of_the_box_away_from_it() -> None:
    pose = scene.pose()
    world = normals(scene.depth_of(pose), CAMERA) @ pose[:3, :3].T.astype(np.float32)
    steepest = np.abs(world).max(axis=-1)
    assert (steepest > 0.999).mean() > 0.99
    assert (world[~scene.on_box(pose)][:, 1] > 0.99).mean() > 0.98


def test_the_ground_plane_is_the_floor() -> None:
    plane = scene.ground_of(scene.depth_of(scene.pose()))
    assert plane is not None
    assert plane.offset == pytest.approx(scene.HEIGHT_M, abs=1e-3)
    down = np.radians(scene.PITCH)
    assert plane.normal == pytest.approx([0, -np.cos(down), -np.sin(down)], abs=1e-3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_plane_is_refined_among_others_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    flat = rng.uniform(-1, 1, (600, 3))
    flat -= np.outer(flat @ normal + 1.5, normal)
    flat += rng.normal(0, 0.003, flat.shape)
    rough = Plane(normal, 1.51, 0.0, 0.0)
    plane = refine_plane(rough, np.concatenate([flat, rng.uniform(-3, 3, (400, 3))]), tolerance_m=0.02)
    assert abs(abs(plane.normal @ normal) - 1) < 1e-3
    assert plane.offset == pytest.approx(1.5, abs=0.01)


def test_too_few_points_are_no_plane() -> None:
    rough = Plane(np.array([0.0, 0.0, -1.0]), 1.0, 0.0, 0.0)
    assert refine_plane(rough, [[0, 0, 1], [1, 0, 1]]) is rough
    assert scene.ground_of(np.full((9, 9), np.nan, np.float32)) is None


def test_the_wall_of_the_sample_is_flat() -> None:
    """Points of exact depth that went through a depth video: its codes are 0.01 % apart."""
    depth = next(iter(DepthVideo(SAMPLES / "room_truth.mkv")))
    camera = Intrinsics(492.76, 492.76, 319.5, 179.5, 640, 360)
    wall = back_project(depth, camera)[100:135, 290:380]
    facing_camera = normals(depth, camera)[117, 335].astype(np.float64)
    rough = Plane(facing_camera, -float(facing_camera @ wall[17, 45]), 0.0, 0.0)
    plane = refine_plane(rough, wall, tolerance_m=0.005)
    assert plane.share > 0.95
    assert plane.rms_m < 0.001
    facing = normals(depth, camera)[105:130, 295:375].reshape(-1, 3) @ plane.normal
    assert np.median(facing) > 0.99
