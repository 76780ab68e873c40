"""Obstacles and scans of scenes whose geometry is exact."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers.errors import raises_code
from hypothesis import given
from hypothesis import strategies as st

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.geometry.floor import find_floor
from streamdepth.geometry.obstacles import ObstacleZone, nearest_obstacles, obstacle_ranges
from streamdepth.geometry.projection import rays

CAMERA = Intrinsics.from_fov(70, 160, 120)


def frame_of(depth: DepthMap, kind: DepthKind = DepthKind.METRIC) -> DepthFrame:
    """A black frame of CAMERA with this depth."""
    black = np.zeros((120, 160, 3), np.uint8)
    return DepthFrame(Frame(black, 0, 0, Fraction(1, 30), 0.0), depth, kind, intrinsics=CAMERA)


def wall(distance: float) -> DepthMap:
    """A wall across the view."""
    return np.full((120, 160), distance, np.float32)


def floor_below(camera: Intrinsics, height: float, pitch: float) -> DepthMap:
    """The exact depth of a floor under a camera that looks down by `pitch` degrees; inf above the horizon."""
    y = rays(camera, camera.width, camera.height)[..., 1]
    down = math.sin(math.radians(pitch)) + y * math.cos(math.radians(pitch))
    with np.errstate(divide="ignore"):
        return np.where(down > 0, height / down, np.inf).astype(np.float32)


def test_a_wall_is_a_straight_line() -> None:
    found = obstacle_ranges(wall(2), CAMERA, ObstacleZone()).laser_scan()
    x = found.ranges_m * np.cos(found.bearings)
    # A beam is at most half a step from the pixel that it took.
    slack = 2 * np.tan(np.abs(found.bearings) + found.angle_increment) * found.angle_increment
    assert (np.abs(x - 2) <= slack + 1e-6).all()
    assert len(found.ranges_m) > 120
    assert np.isfinite(found.ranges_m).all()


def test_beams_run_from_right_to_left() -> None:
    depth = wall(5)
    depth[:, :40] = 1  # on the picture's left
    found = obstacle_ranges(depth, CAMERA, ObstacleZone()).laser_scan()
    assert found.bearings[0] == pytest.approx(-math.radians(35), abs=0.02)
    assert found.bearings[-1] == pytest.approx(math.radians(35), abs=0.02)
    assert found.ranges_m[-1] < 1.5 < 4 < found.ranges_m[0]


def test_what_is_too_far_is_free_and_what_is_unknown_stays_unknown() -> None:
    depth = wall(30)
    depth[:, 80:] = np.nan
    depth[:, :40] = np.inf
    found = obstacle_ranges(depth, CAMERA, ObstacleZone(max_range_m=10)).laser_scan()
    assert np.isnan(found.ranges_m[found.bearings < -0.02]).all()
    assert np.isposinf(found.ranges_m[found.bearings > 0.02]).all()


def test_only_what_lies_in_the_zone_counts() -> None:
    depth = wall(4)
    ray = rays(CAMERA, 160, 120)[..., 1]
    depth[(2 * ray > 0.5) & (2 * ray < 0.6)] = 2  # a bar from 0.5 to 0.6 m below the camera
    assert obstacle_ranges(depth, CAMERA, ObstacleZone(-0.2, 0.2)).laser_scan().ranges_m.min() >= 4
    assert obstacle_ranges(depth, CAMERA, ObstacleZone(-0.7, 0.2)).laser_scan().ranges_m.min() == pytest.approx(
        2, rel=0.01
    )


@pytest.mark.parametrize("pitch", [0.0, 15.0, 35.0])
def test_a_floor_outside_the_zone_is_no_obstacle(pitch: float) -> None:
    depth = floor_below(CAMERA, 1.0, pitch)
    ranges = obstacle_ranges(depth, CAMERA, ObstacleZone(-0.95, 0.5, pitch_degrees=pitch))
    assert not np.isfinite(ranges.range_m).any()
    on_it = obstacle_ranges(depth, CAMERA, ObstacleZone(-1.05, 0.5, pitch_degrees=pitch))
    assert np.isfinite(on_it.range_m).any()


@pytest.mark.parametrize("pitch", [-20.0, 0.0, 25.0])
def test_ranges_are_along_the_ground(pitch: float) -> None:
    """A vertical wall 3 m ahead, seen by a tilted camera."""
    sin, cos = math.sin(math.radians(pitch)), math.cos(math.radians(pitch))
    depth = (3 / (cos - rays(CAMERA, 160, 120)[..., 1] * sin)).astype(np.float32)
    ranges = obstacle_ranges(depth, CAMERA, ObstacleZone(-2, 2, pitch_degrees=pitch))
    ahead = ranges.range_m * np.cos(ranges.bearing)
    np.testing.assert_allclose(ahead[np.isfinite(ahead)], 3, rtol=1e-5)
    assert np.isfinite(ahead).mean() > 0.5


def test_the_axes_are_a_rotation() -> None:
    axes = ObstacleZone(pitch_degrees=20).axes()
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)


def box_ahead(distance: float, columns: slice) -> DepthMap:
    depth = wall(6)
    depth[50:70, columns] = distance
    return depth


def test_the_nearest_of_each_sector() -> None:
    found = obstacle_ranges(box_ahead(1.5, slice(70, 90)), CAMERA, ObstacleZone()).nearest(sectors=5)
    distances = [f.distance_m for f in found]
    assert distances[2] == pytest.approx(1.5, rel=0.02)
    assert all(d >= 6 for d in distances[:2] + distances[3:])
    assert abs(found[2].bearing) < 0.03
    assert [f.confidence for f in found] == [1.0] * 5
    assert [f.sector_end for f in found[:-1]] == [f.sector_start for f in found[1:]]


def test_a_lone_pixel_is_an_error() -> None:
    depth = wall(6)
    depth[60, 80] = 0.3
    assert min(f.distance_m for f in obstacle_ranges(depth, CAMERA, ObstacleZone()).nearest()) >= 6


def test_few_pixels_are_trusted_little() -> None:
    thin, whole = (
        obstacle_ranges(box_ahead(1.0, columns), CAMERA, ObstacleZone()).nearest(sectors=1)[0]
        for columns in (slice(80, 81), slice(70, 90))
    )
    assert thin.distance_m == pytest.approx(1, rel=0.02)
    assert thin.confidence < 0.3
    assert whole.confidence == 1


def test_unknown_depth_lowers_confidence_and_leaves_no_distance_where_there_is_nothing_else() -> None:
    depth = wall(2)
    depth[:, :60] = np.nan
    right, left = obstacle_ranges(depth, CAMERA, ObstacleZone()).nearest(sectors=2)
    assert right.confidence == 1
    assert 0.2 < left.confidence < 0.3
    depth[:] = np.nan
    (blind,) = obstacle_ranges(depth, CAMERA, ObstacleZone()).nearest(sectors=1)
    assert math.isnan(blind.distance_m)
    assert blind.confidence == 0


def test_a_free_sector_is_free() -> None:
    (free,) = obstacle_ranges(wall(50), CAMERA, ObstacleZone(max_range_m=10)).nearest(sectors=1)
    assert (free.distance_m, free.confidence) == (math.inf, 1.0)


@given(distance=st.floats(0.3, 9.0), scale=st.sampled_from([0.25, 0.5, 1.0]), sectors=st.integers(1, 9))
def test_the_size_of_the_depth_map_does_not_matter(distance: float, scale: float, sectors: int) -> None:
    depth = np.full((int(120 * scale), int(160 * scale)), distance, np.float32)
    found = obstacle_ranges(depth, CAMERA, ObstacleZone()).nearest(sectors)
    assert all(distance <= f.distance_m * (1 + 1e-5) for f in found)
    middle = found[sectors // 2]
    assert middle.distance_m == pytest.approx(distance, rel=0.1)


def test_a_fisheye_lens_sees_the_same_wall() -> None:
    camera = Intrinsics(80, 80, 79.5, 59.5, 160, 120, (0.05, 0.01, 0.0, 0.0), "equidistant")
    ranges = obstacle_ranges(wall(2), camera, ObstacleZone())
    assert (ranges.range_m * np.cos(ranges.bearing))[60, 80] == pytest.approx(2, rel=1e-4)


@pytest.mark.parametrize("wrong", [{"min_height_m": 1.0}, {"max_range_m": 0.0}, {"pitch_degrees": 90.0}])
def test_a_zone_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="zone"):
        ObstacleZone(**wrong)


def tilted_room(pitch: float, roll: float) -> DepthMap:
    """A floor 1.2 m below the camera, a wall 4 m ahead, and a box of 0.4 m on the floor, 2 m ahead; exact."""
    down = np.array(
        [
            math.sin(math.radians(roll)) * math.cos(math.radians(pitch)),
            math.cos(math.radians(roll)) * math.cos(math.radians(pitch)),
            math.sin(math.radians(pitch)),
        ]
    )
    ahead = np.array([0, 0, 1]) - down[2] * down
    ahead /= np.linalg.norm(ahead)
    left = np.cross(-down, ahead)
    ray = np.concatenate([rays(CAMERA, 160, 120), np.ones((120, 160, 1))], axis=-1)
    with np.errstate(divide="ignore"):
        floor = np.where(ray @ down > 0, 1.2 / (ray @ down), np.inf)
        depth = np.minimum(floor, 4 / (ray @ ahead))
        box = 2 / (ray @ ahead)
    is_box = (np.abs(box * (ray @ left)) < 0.3) & (box * (ray @ down) > 0.8) & (box * (ray @ down) < 1.2)
    return np.where(is_box, box, depth).astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (25, 0), (20, 8), (35, -10)])
def test_the_floor_is_found_and_what_stands_on_it(pitch: float, roll: float, noise: float) -> None:
    depth = tilted_room(pitch, roll)
    depth = (depth * np.random.default_rng(0).normal(1, noise, depth.shape)).astype(np.float32)
    floor = find_floor(frame_of(depth))
    assert floor is not None
    assert floor.offset == pytest.approx(1.2, abs=0.001 if not noise else 0.03)
    assert math.degrees(math.asin(-floor.normal[2])) == pytest.approx(pitch, abs=0.1 if not noise else 1)
    found = obstacle_ranges(depth, CAMERA, ObstacleZone(0.12, 1.0), floor).nearest(sectors=5)
    assert found[2].distance_m == pytest.approx(2, abs=0.01 if not noise else 0.1)
    assert all(f.distance_m > 3 for f in (found[0], found[4]))


def test_a_wall_alone_is_no_floor() -> None:
    assert find_floor(frame_of(wall(2))) is None
    noise = np.random.default_rng(0).normal(1, 0.02, (120, 160))
    assert find_floor(frame_of((wall(2) * noise).astype(np.float32))) is None
    assert find_floor(frame_of(np.full((120, 160), np.nan, np.float32))) is None


def test_a_level_floor_and_the_pitch_say_the_same() -> None:
    depth = tilted_room(20, 0)
    floor = find_floor(frame_of(depth))
    by_floor = obstacle_ranges(depth, CAMERA, ObstacleZone(0.3, 1.1), floor)
    by_pitch = obstacle_ranges(depth, CAMERA, ObstacleZone(-0.9, -0.1, pitch_degrees=20))
    np.testing.assert_allclose(by_floor.range_m, by_pitch.range_m, rtol=1e-3)


def test_the_public_functions_take_a_frame_with_its_depth() -> None:
    frame = frame_of(tilted_room(20, 0))
    floor = find_floor(frame)
    zone = ObstacleZone(0.12, 1.0)
    assert nearest_obstacles(frame, zone, floor=floor) == obstacle_ranges(frame.depth, CAMERA, zone, floor).nearest()


def test_relative_depth_has_neither_floor_nor_obstacles_in_meters() -> None:
    frame = frame_of(wall(2), DepthKind.RELATIVE)
    for function in (find_floor, nearest_obstacles):
        with raises_code(ConfigError, "not-metric"):
            function(frame)


def test_a_fisheye_of_200_degrees_has_a_scan_to_its_front() -> None:
    """A wall across the view is where it is, no beam looks behind, and what has no ray counts for no sector."""
    camera = Intrinsics(45, 45, 79.5, 59.5, 160, 120, (0.0, 0.0, 0.0, 0.0), "equidistant")
    found = obstacle_ranges(wall(2), camera, ObstacleZone(max_range_m=5))
    scan = found.laser_scan()
    assert -math.pi / 2 < scan.angle_min < scan.angle_max < math.pi / 2
    hits = np.isfinite(scan.ranges_m)
    assert hits.any()
    assert np.abs(scan.ranges_m * np.cos(scan.bearings) - 2)[hits].max() < 0.15
    assert [obstacle.confidence for obstacle in found.nearest(5)][1:4] == pytest.approx([1, 1, 1])


def test_confidence_of_an_obstacle_is_that_of_its_pixels() -> None:
    depth_m = np.full((120, 160), 6, np.float32)
    depth_m[50:70, 70:90] = 1.5
    trust = np.where(depth_m == 1.5, np.float32(0.5), np.float32(0.1))
    item = DepthFrame(
        Frame(np.zeros((120, 160, 3), np.uint8), 0, 0, Fraction(1), 0.0), depth_m, DepthKind.METRIC, confidence=trust
    )
    found = nearest_obstacles(item, sectors=3)
    assert [obstacle.confidence for obstacle in found] == pytest.approx([0.1, 0.5, 0.1])
