"""Geometry against exact depth."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers import exact_scene as scene
from helpers.errors import raises_code
from helpers.paths import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.geometry.ground import find_floor
from streamdepth.geometry.planes import Plane, fit_plane
from streamdepth.geometry.projection import back_project, project, rays
from streamdepth.geometry.shapes import build_mesh, build_point_cloud, depth_for_shapes
from streamdepth.geometry.surfaces import normals
from streamdepth.geometry.volume import height_map, measure_volume
from streamdepth.sinks.depth_video import DepthVideo

CAMERA = scene.CAMERA
BARREL = replace(CAMERA, distortion=(-0.25, 0.06, 0.001, -0.001, 0.0))
FISHEYE = replace(CAMERA, distortion=(0.03, -0.01, 0.002, 0.0), distortion_model="equidistant")


def item_of(depth: DepthMap, image: Image, kind: DepthKind = DepthKind.METRIC) -> DepthFrame:
    return DepthFrame(Frame(image, 0, 0, Fraction(1), time.monotonic()), depth, kind, intrinsics=CAMERA)


def ground_of(depth: DepthMap) -> Plane | None:
    """The ground as the command `volume` finds it."""
    black = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    return find_floor(item_of(depth, black), max_tilt_degrees=75, refine=True)


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


def test_normals_of_the_floor_point_up_and_of_the_box_away_from_it() -> None:
    pose = scene.pose()
    world = normals(scene.depth_of(pose), CAMERA) @ pose[:3, :3].T.astype(np.float32)
    steepest = np.abs(world).max(axis=-1)
    assert (steepest > 0.999).mean() > 0.99
    assert (world[~scene.on_box(pose)][:, 1] > 0.99).mean() > 0.98


def test_the_ground_plane_is_the_floor() -> None:
    plane = ground_of(scene.depth_of(scene.pose()))
    assert plane is not None
    assert plane.offset == pytest.approx(scene.HEIGHT_M, abs=1e-3)
    down = np.radians(scene.PITCH)
    assert plane.normal == pytest.approx([0, -np.cos(down), -np.sin(down)], abs=1e-3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_plane_is_found_among_others_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    flat = rng.uniform(-1, 1, (600, 3))
    flat -= np.outer(flat @ normal + 1.5, normal)
    flat += rng.normal(0, 0.003, flat.shape)
    plane = fit_plane(np.concatenate([flat, rng.uniform(-3, 3, (400, 3))]), tolerance_m=0.02)
    assert plane is not None
    assert abs(abs(plane.normal @ normal) - 1) < 1e-3
    assert plane.offset == pytest.approx(1.5, abs=0.01)


def test_too_few_points_are_no_plane() -> None:
    assert fit_plane([[0, 0, 1], [1, 0, 1]]) is None
    assert ground_of(np.full((9, 9), np.nan, np.float32)) is None


@pytest.mark.parametrize("turn", [0.0, 20.0, 45.0])
@pytest.mark.parametrize("pitch", [40.0, 60.0])
def test_the_volume_of_a_known_box(turn: float, pitch: float) -> None:
    """Within 2 %, from one view and exact depth."""
    away = scene.HEIGHT_M / np.tan(np.radians(pitch))
    pose = scene.pose(pitch, turn=turn, away_m=float(away))
    depth, region = scene.depth_of(pose), np.zeros((480, 640), np.bool_)
    region[20:-20, 20:-20] = True
    plane = ground_of(depth)
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
    plane, region = ground_of(seen), np.zeros(depth.shape, np.bool_)
    region[20:-20, 20:-20] = True
    assert plane is not None
    found, truth = measure_volume(seen, CAMERA, region, plane), np.prod(scene.BOX_M)
    assert abs(found.volume_m3 - truth) < 2 * found.error_m3
    assert 0.005 * truth < found.error_m3 < 0.1 * truth


def test_the_height_map_is_the_box_from_above() -> None:
    depth = scene.depth_of(scene.pose())
    plane = ground_of(depth)
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
    plane = ground_of(depth)
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


def test_a_cloud_has_the_pictures_colours() -> None:
    pose = scene.pose()
    item = item_of(scene.depth_of(pose), scene.picture_of(pose))
    cloud = build_point_cloud(item)
    red = cloud.colors[:, 0] > 150
    assert len(cloud.points) == len(cloud.colors) > 0.97 * 640 * 480
    in_world = cloud.points @ pose[:3, :3].T.astype(np.float32) + pose[:3, 3].astype(np.float32)
    assert np.abs(in_world[red]).max() < 0.26
    assert (np.abs(in_world[~red, 1]) < 1e-3).mean() > 0.999


def test_a_mesh_of_a_smooth_surface_is_one_sheet() -> None:
    """A disc by Euler's formula: no hole, no seam, and the border of the picture its only border."""
    trimesh = pytest.importorskip("trimesh")
    rows, columns = np.mgrid[0:40, 0:60]
    depth = (2 + 0.1 * np.sin(rows / 9) * np.cos(columns / 11)).astype(np.float32)
    made = build_mesh(item_of(depth, np.zeros((480, 640, 3), np.uint8)))
    sheet = trimesh.Trimesh(made.vertices, made.faces, process=False)
    assert sheet.euler_number == 1
    assert sheet.is_winding_consistent
    assert (sheet.face_normals[:, 2] < 0).all()
    assert len(trimesh.grouping.group_rows(sheet.edges_sorted, require_count=1)) == 2 * (39 + 59)


def test_no_triangle_crosses_a_jump() -> None:
    pose = scene.pose()
    made = build_mesh(item_of(scene.depth_of(pose), scene.picture_of(pose)))
    z = made.vertices[made.faces][..., 2]
    assert (z.max(axis=1) / z.min(axis=1)).max() < 1.15
    cut = build_mesh(
        item_of(
            np.where(np.arange(60) < 30, 1, 3).astype(np.float32)[None].repeat(40, 0), np.zeros((9, 9, 3), np.uint8)
        )
    )
    sides = cut.vertices[cut.faces][..., 2]
    assert set(np.unique(sides)) == {1.0, 3.0}
    assert (sides.max(axis=1) == sides.min(axis=1)).all()


@given(st.floats(0.1, 100), st.floats(-5, 5))
@settings(max_examples=30)
def test_the_shape_of_relative_depth_does_not_depend_on_its_scale_and_shift(scale: float, shift: float) -> None:
    ramp = np.linspace(0, 1, 90, dtype=np.float32)[:, None].repeat(20, 1)
    image = np.zeros((90, 20, 3), np.uint8)
    one = depth_for_shapes(item_of(ramp, image, DepthKind.RELATIVE))
    other = depth_for_shapes(item_of((ramp * scale + shift).astype(np.float32), image, DepthKind.RELATIVE))
    assert other == pytest.approx(one, rel=0.02, nan_ok=True)
    assert np.nanmin(one[85:]) < 1.2 < 3 < np.nanmin(one[:3])


def test_the_wall_of_the_sample_is_flat() -> None:
    """Points of exact depth that went through a depth video: its codes are 0.01 % apart."""
    depth = next(iter(DepthVideo(SAMPLES / "room_truth.mkv")))
    camera = Intrinsics(492.76, 492.76, 319.5, 179.5, 640, 360)
    wall = back_project(depth, camera)[100:135, 290:380]
    plane = fit_plane(wall, tolerance_m=0.005)
    assert plane is not None
    assert plane.share > 0.95
    assert plane.rms_m < 0.001
    facing = normals(depth, camera)[105:130, 295:375].reshape(-1, 3) @ plane.normal
    assert np.median(facing) > 0.99
