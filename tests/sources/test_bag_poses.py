"""Poses of the camera from a bag: /tf, odometry with the extrinsics of the camera, and poses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import bags
from helpers.bags import START_NS, STEP_NS, T
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.factory.poses import make_poses

CAMERA, INFO = "cam_optical_frame", StreamInfo("bag", 2, 2, epoch_ns=START_NS, frame_id="cam_optical_frame")
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Quaternion of an optical frame in a frame with x ahead and z up."""


def transform(x: float, quaternion: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)) -> Any:
    return T["geometry_msgs/msg/Transform"](
        T["geometry_msgs/msg/Vector3"](x, 0.0, 0.0), T["geometry_msgs/msg/Quaternion"](*quaternion)
    )


def tf(index: int, parent: str, child: str, moved: Any) -> Any:
    stamped = T["geometry_msgs/msg/TransformStamped"](bags.header(index, parent), child, moved)
    return T["tf2_msgs/msg/TFMessage"]([stamped])


def pose(x: float) -> Any:
    return T["geometry_msgs/msg/Pose"](
        T["geometry_msgs/msg/Point"](x, 0.0, 0.0), T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    )


def odometry(index: int, x: float, child: str = "base_link") -> Any:
    zero = T["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    covariance = np.zeros(36)
    return T["nav_msgs/msg/Odometry"](
        bags.header(index, "odom"),
        child,
        T["geometry_msgs/msg/PoseWithCovariance"](pose(x), covariance),
        T["geometry_msgs/msg/TwistWithCovariance"](T["geometry_msgs/msg/Twist"](zero, zero), covariance),
    )


def frame(index: int) -> Frame:
    stamp_ns = START_NS + index * STEP_NS
    return Frame(np.zeros((2, 2, 3), np.uint8), index, index, Fraction(1, 30), 0.0, stamp_ns=stamp_ns)


STATIC = [tf(0, "base_link", CAMERA, transform(0.2, OPTICAL))]
MOVING = [tf(i, "odom", "base_link", transform(0.1 * i)) for i in range(4)]


@pytest.mark.parametrize("topic", ["", "#/tf", "#/odom"])
def test_the_camera_moves_with_the_robot(topic: str, tmp_path: Path) -> None:
    """At 0.1 m a frame, with the camera 0.2 m ahead of the base and its z along the base's x."""
    odometries = [odometry(i, 0.1 * i) for i in range(4)]
    bag = bags.write_bag(tmp_path / "bag", {"/tf_static": STATIC, "/tf": MOVING, "/odom": odometries})
    poses = make_poses(f"{bag}{topic}")
    poses.begin(INFO)
    for index in range(4):
        found = poses.pose_of(frame(index))
        assert found is not None
        assert found[:3, 3] == pytest.approx([0.2 + 0.1 * index, 0, 0])
        assert found[:3, 2] == pytest.approx([1, 0, 0])


def test_poses_without_a_frame_of_their_own_are_the_cameras(tmp_path: Path) -> None:
    messages = [T["geometry_msgs/msg/PoseStamped"](bags.header(i, "map"), pose(0.1 * i)) for i in range(3)]
    poses = make_poses(f"{bags.write_bag(tmp_path / 'bag', {'/pose': messages})}#/pose")
    poses.begin(INFO)
    found = poses.pose_of(frame(2))
    assert found is not None
    assert found[0, 3] == pytest.approx(0.2)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    bag = bags.write_bag(tmp_path / "bag", {"/odom": [odometry(0, 1.0)], "/tf": [tf(0, "a", "b", transform(1.0))]})
    for topic, code, words in (
        ("/odom", "no-extrinsics", "base_link"),
        ("/tf", "bad-poses", CAMERA),
        ("/none", "no-topic", "/odom"),
    ):
        with raises_code(ConfigError, code, naming=words):
            make_poses(f"{bag}#{topic}").begin(INFO)
