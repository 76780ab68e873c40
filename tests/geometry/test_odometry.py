"""Poses estimated from pictures and depth, compared with those that a clip was rendered with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.room import CUT, room_frames, true_pose

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, DepthKind, StreamInfo
from streamdepth.evaluation.trajectory import score_trajectory
from streamdepth.geometry.odometry import Odometry

INFO = StreamInfo("clip", 640, 360)


@pytest.fixture
def odometry() -> Odometry:
    found = Odometry()
    assert "errors add up" in str(found.begin(INFO))
    return found


def renumbered(item: DepthFrame, index: int) -> DepthFrame:
    return replace(item, frame=replace(item.frame, index=index))


def test_the_way_of_the_camera_is_found_to_millimeters(odometry: Odometry) -> None:
    items = list(room_frames(range(0, CUT, 4)))
    poses = [odometry.locate(item) for item in items]
    score = score_trajectory(poses, [true_pose(item.frame.index) for item in items], way_m=0.5)
    assert score.length_m == pytest.approx(0.83, abs=0.05)
    assert score.ate_m < 0.006
    assert score.rpe_m < 0.015
    assert score.rpe_degrees < 0.5
    assert score.scale == pytest.approx(1, abs=0.02)
    assert odometry.lost_frames == []
    assert np.array_equal(odometry.pose_of(items[3].frame), poses[3])


def test_a_cut_loses_the_track_and_the_same_place_is_recognized(odometry: Odometry) -> None:
    items = list(room_frames(range(78, CUT + 6, 2)))
    found = [odometry.locate(item) for item in items]
    assert [pose is not None for pose in found] == [item.frame.index < CUT for item in items]
    assert odometry.lost_frames == [84, 86, 88]
    assert "lost in 3 frames, first in frame 84" in odometry.summary()
    again = odometry.locate(renumbered(items[1], 90))
    assert np.linalg.norm(again[:3, 3] - found[1][:3, 3]) < 0.01


def test_a_blank_wall_has_no_pose(odometry: Odometry) -> None:
    (item,) = room_frames(range(1))
    wall = replace(item.frame, pixels=np.full((360, 640, 3), 128, np.uint8))
    assert odometry.locate(replace(item, frame=wall)) is None
    assert odometry.locate(renumbered(item, 1)) == pytest.approx(np.eye(4))
    assert odometry.locate(replace(item, frame=replace(wall, index=2))) is None
    assert odometry.lost_frames == [2]


def test_nothing_is_found_without_depth_or_camera(odometry: Odometry) -> None:
    (item,) = room_frames(range(1))
    assert odometry.locate(replace(item, depth=np.full_like(item.depth, np.nan))) is None
    with raises_code(ConfigError, "unknown-camera", naming="--fov auto"):
        odometry.locate(renumbered(replace(item, intrinsics=None), 1))


def test_relative_depth_has_no_poses(odometry: Odometry) -> None:
    item = replace(next(iter(room_frames(range(1)))), kind=DepthKind.RELATIVE)
    with raises_code(ConfigError, "relative-depth"):
        odometry.locate(item)
