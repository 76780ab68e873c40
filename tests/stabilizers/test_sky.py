"""Sky in metric depth: rendered streets and rooms, and what robots get of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.geometry.obstacles import ObstacleZone, obstacle_ranges
from streamdepth.geometry.projection import back_project
from streamdepth.stabilizers import SkyMarker

WIDTH, HEIGHT, HORIZON = 160, 120, 50
CAMERA = Intrinsics.from_fov(60, WIDTH, HEIGHT)
HOUSE = np.s_[20:70, 100:140]


def street(sky_m: float = 45.0) -> tuple[Image, DepthMap]:
    """A blue sky over a road with stones, and a house of bricks 10 m away; the sky's depth is a network's."""
    rng = np.random.default_rng(1)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    fade = np.linspace(0, 1, HORIZON)[:, None, None]
    image[:HORIZON] = (1 - fade) * (90, 140, 220) + fade * (175, 205, 240)
    image[HORIZON:] = rng.integers(60, 120, (HEIGHT - HORIZON, WIDTH, 1))
    image[HOUSE] = rng.integers(0, 2, (50, 40, 1)) * 30 + np.array((130, 80, 60))
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    depth = np.where(rows > HORIZON, 1.5 * CAMERA.fy / np.maximum(rows - HORIZON, 4), np.float32(sky_m))
    depth = np.broadcast_to(np.minimum(depth, sky_m), (HEIGHT, WIDTH)).astype(np.float32)
    depth[HOUSE] = np.minimum(depth[HOUSE], 10)
    return cv2.GaussianBlur(image, (3, 3), 0.6), depth


def frame(image: Image, depth: DepthMap, index: int = 0, kind: DepthKind = DepthKind.METRIC) -> DepthFrame:
    picture = Frame(image, index, index, Fraction(1, 30), 0.0)
    return DepthFrame(picture, depth, kind, intrinsics=CAMERA, confidence=np.full_like(depth, 0.5))


def marked(item: DepthFrame) -> DepthFrame:
    (result,) = SkyMarker().push(item)
    return result


def test_sky_is_infinitely_far_and_all_else_stays() -> None:
    image, depth = street()
    result = marked(frame(image, depth))
    is_sky = np.isposinf(result.depth)
    assert is_sky[:15].mean() > 0.97
    assert not is_sky[HORIZON + 5 :].any()
    assert is_sky[HOUSE].mean() < 0.05
    np.testing.assert_array_equal(result.depth[~is_sky], depth[~is_sky])
    assert result.confidence is not None
    assert (result.confidence[is_sky] > 0.5).all()
    assert (result.confidence[~is_sky] == 0.5).all()


def test_points_leave_sky_out_and_scans_are_free_there() -> None:
    result = marked(frame(*street()))
    is_sky = np.isposinf(result.depth)
    assert np.isnan(back_project(result.depth, CAMERA)[is_sky]).all()
    ranges = obstacle_ranges(result.depth, CAMERA, ObstacleZone(-1.0, 30.0, max_range_m=20.0)).range_m
    assert np.isposinf(ranges[:15, :90]).all()
    assert ranges[30, 120] == pytest.approx(10, rel=0.1)


def test_a_region_that_depth_puts_near_is_no_sky() -> None:
    image, depth = street(sky_m=6.0)
    np.testing.assert_array_equal(marked(frame(image, depth)).depth, depth)


def test_a_room_with_a_white_ceiling_and_a_bright_window_has_no_sky() -> None:
    image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    image[:30] = 245
    image[40:80, 60:100] = (220, 235, 255)
    image[90:] = np.random.default_rng(0).integers(80, 140, (30, WIDTH, 1))
    rows = np.abs(np.arange(HEIGHT, dtype=np.float32) - 60)[:, None]
    depth = np.broadcast_to(np.minimum(4, 120 / np.maximum(rows, 1)), (HEIGHT, WIDTH)).astype(np.float32)
    np.testing.assert_array_equal(marked(frame(image, depth)).depth, depth)


def test_relative_and_unknown_depth_stay() -> None:
    image, depth = street()
    relative = frame(image, 1 / depth, kind=DepthKind.RELATIVE)
    assert marked(relative) is relative
    unknown = frame(image, np.full_like(depth, np.nan))
    assert marked(unknown) is unknown
    depth[:10, :10] = np.nan
    result = marked(frame(image, depth)).depth
    assert np.isnan(result[:10, :10]).all()
    assert np.isposinf(result[5, 30])


def test_sky_stays_from_frame_to_frame_and_a_cut_ends_it() -> None:
    image, depth = street()
    marker = SkyMarker(detector=lambda image, inverse: next(answers))
    yes, no = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.float32)
    yes[:16] = 0.95
    answers = iter([yes, no * 0 + yes * 0.6, no, no])
    found = [np.isposinf(marker.push(frame(image, depth, i))[0].depth).any() for i in range(3)]
    assert found == [True, True, False]
    marker = SkyMarker(detector=lambda image, inverse: next(answers))
    answers = iter([yes, yes * 0.6])
    marker.push(frame(image, depth))
    assert not np.isposinf(marker.push(replace(frame(image, depth, 1), cut=True))[0].depth).any()
