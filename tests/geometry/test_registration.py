"""Registration of depth with right numbers, and the filling of its holes."""

from __future__ import annotations

import numpy as np
import pytest

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.hole_filling import fill_holes
from streamdepth.geometry.registration import register_depth, registered_size
from streamdepth.geometry.transforms import inverse_transform, transform_from_quaternion

DEPTH_CAMERA = Intrinsics(80.0, 80.0, 47.5, 35.5, 96, 72)


def moved(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    return transform_from_quaternion((x, y, z), (0, 0, 0, 1))


def test_a_plane_stays_a_plane_and_moves_by_focal_length_times_baseline_over_depth() -> None:
    depth = np.full((72, 96), 2.0, np.float32)
    depth[20:40, 30:50] = 1.0
    picture = Intrinsics(72.0, 72.0, 47.5, 35.5, 96, 72)
    found = register_depth(depth, DEPTH_CAMERA, picture, moved(x=0.1))
    assert found.shape == (72, 96)
    assert set(np.unique(found[np.isfinite(found)])) == {1.0, 2.0}
    row, columns = 30, np.flatnonzero(found[30] == 1.0)
    # the square's left edge lies at (29.5 - 47.5) / 80 m, 0.1 m further right in the other camera, 1 m away
    left = ((29.5 - 47.5) / 80 + 0.1) * 72 + 47.5
    right = ((49.5 - 47.5) / 80 + 0.1) * 72 + 47.5
    assert columns[0] == pytest.approx(left, abs=1)
    assert columns[-1] == pytest.approx(right, abs=1)
    assert len(columns) == columns[-1] - columns[0] + 1, "a surface in front has no holes"
    assert np.isnan(found[row, columns[0] - 3]), "what only the other camera sees is unknown"


def test_depth_is_along_the_picture_cameras_axis() -> None:
    depth = np.full((72, 96), 2.0, np.float32)
    ahead = register_depth(depth, DEPTH_CAMERA, DEPTH_CAMERA, moved(z=-0.5))
    assert ahead[36, 48] == pytest.approx(1.5)
    angle = np.radians(10)
    turned = transform_from_quaternion((0, 0, 0), (0, np.sin(angle / 2), 0, np.cos(angle / 2)))
    found = register_depth(depth, DEPTH_CAMERA, DEPTH_CAMERA, turned)
    # a pixel's ray, turned back, meets the wall 2 m ahead of the sensor
    rows, columns = found.shape
    camera = DEPTH_CAMERA.resized(columns, rows)
    x, y = columns // 2, rows // 2
    ray = inverse_transform(turned)[:3, :3] @ camera.ray(x, y)
    assert found[y, x] == pytest.approx(2.0 / ray[2], rel=0.01)


def test_distortion_of_both_lenses_is_taken_into_account() -> None:
    lens = Intrinsics(80.0, 80.0, 47.5, 35.5, 96, 72, (-0.2, 0.05, 0.0, 0.0, 0.0))
    depth = np.full((72, 96), 2.0, np.float32)
    depth[:, 80] = 1.0
    found = register_depth(depth, lens, DEPTH_CAMERA, moved())
    rows, columns = found.shape
    seen = DEPTH_CAMERA.resized(columns, rows)
    ray = lens.ray(80, 36)
    assert found[rows // 2, round(ray[0] * seen.fx + seen.cx)] == 1.0


def test_the_registered_map_has_the_pictures_shape_at_the_sensors_resolution() -> None:
    assert registered_size(DEPTH_CAMERA, Intrinsics(720.0, 720.0, 640, 360, 1280, 720)) == (128, 72)
    assert registered_size(DEPTH_CAMERA, Intrinsics(40.0, 40.0, 31, 17, 64, 36)) == (64, 36)


def test_nothing_known_gives_nothing_known() -> None:
    empty = np.full((72, 96), np.nan, np.float32)
    assert np.isnan(register_depth(empty, DEPTH_CAMERA, DEPTH_CAMERA, moved())).all()
    behind = np.full((72, 96), 1.0, np.float32)
    assert np.isnan(register_depth(behind, DEPTH_CAMERA, DEPTH_CAMERA, moved(z=-2))).all()


def test_transforms_are_inverted_and_normalized() -> None:
    transform = transform_from_quaternion((1, 2, 3), (0, 0, 2, 2))
    np.testing.assert_allclose(transform @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    np.testing.assert_allclose(inverse_transform(transform) @ transform, np.eye(4), atol=1e-12)
    with pytest.raises(ValueError, match="zeros"):
        transform_from_quaternion((0, 0, 0), (0, 0, 0, 0))


def test_small_holes_of_a_plane_are_filled_exactly_and_large_ones_stay() -> None:
    x = np.arange(100, dtype=np.float32)
    plane = np.tile(1 / (0.5 + 0.001 * x), (60, 1)).astype(np.float32)
    holes = plane.copy()
    holes[10:13, 20:25] = holes[30, 90:96] = np.nan
    holes[40:59, 50:70] = np.nan
    found = fill_holes(holes, 5)
    np.testing.assert_allclose(found[:40], plane[:40], rtol=1e-6)
    assert np.isnan(found[41:58, 51:69]).all()
    np.testing.assert_array_equal(fill_holes(holes, 0), holes)


def test_a_hole_beside_an_edge_gets_the_background() -> None:
    depth = np.full((20, 40), 3.0, np.float32)
    depth[:, 10:20] = 1.0
    depth[:, 20:24] = np.nan
    depth[:, 37:] = np.nan
    found = fill_holes(depth, 6)
    assert (found[:, 20:24] == 3.0).all()
    assert np.isnan(found[:, 37:]).all(), "the border has no other end"
