"""Point clouds and meshes made of exact depth."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import exact_scene as scene
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.types import DepthKind
from streamdepth.geometry.shapes import build_mesh, build_point_cloud, depth_for_shapes

CAMERA = scene.CAMERA


def test_a_cloud_has_the_pictures_colors() -> None:
    pose = scene.pose()
    item = scene.frame_of(scene.depth_of(pose), scene.picture_of(pose))
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
    made = build_mesh(scene.frame_of(depth, np.zeros((480, 640, 3), np.uint8)))
    sheet = trimesh.Trimesh(made.vertices, made.faces, process=False)
    assert sheet.euler_number == 1
    assert sheet.is_winding_consistent
    assert (sheet.face_normals[:, 2] < 0).all()
    assert len(trimesh.grouping.group_rows(sheet.edges_sorted, require_count=1)) == 2 * (39 + 59)


def test_no_triangle_crosses_a_jump() -> None:
    pose = scene.pose()
    made = build_mesh(scene.frame_of(scene.depth_of(pose), scene.picture_of(pose)))
    z = made.vertices[made.faces][..., 2]
    assert (z.max(axis=1) / z.min(axis=1)).max() < 1.15
    cut = build_mesh(
        scene.frame_of(
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
    one = depth_for_shapes(scene.frame_of(ramp, image, DepthKind.RELATIVE))
    other = depth_for_shapes(scene.frame_of((ramp * scale + shift).astype(np.float32), image, DepthKind.RELATIVE))
    assert other == pytest.approx(one, rel=0.02, nan_ok=True)
    assert np.nanmin(one[85:]) < 1.2 < 3 < np.nanmin(one[:3])
