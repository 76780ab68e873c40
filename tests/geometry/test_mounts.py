"""Mounts of cameras by REP 103, with right numbers."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.geometry.mounts import Mount
from streamdepth.geometry.transforms import quaternion_from_rotation, transform_from_quaternion


@pytest.mark.parametrize(
    ("text", "point", "wanted"),
    [
        ("0.3,0.1,1.1", (0, 0, 2), (2.3, 0.1, 1.1)),  # ahead of a level camera is ahead of the robot
        ("0.3,0.1,1.1", (1, 0, 0), (0.3, -0.9, 1.1)),  # right in the picture is the robot's right
        ("0.3,0.1,1.1", (0, 1, 0), (0.3, 0.1, 0.1)),  # down in the picture is down
        ("0,0,1,0,90,0", (0, 0, 1), (0, 0, 0)),  # looks down: 1 m ahead is the floor
        ("0,0,0,0,0,90", (0, 0, 1), (0, 1, 0)),  # looks left
        ("0,0,0,90,0,0", (0, 1, 0), (0, 1, 0)),  # rolled clockwise: down in the picture is left
        ("0,0,0,0,30,90", (0, 0, 2), (0, np.sqrt(3), -1)),  # looks left and down
    ],
)
def test_points_in_the_picture_lie_where_they_should_on_the_robot(text, point, wanted) -> None:
    found = Mount.parse(text).parent_from_optical @ [*point, 1]
    np.testing.assert_allclose(found[:3], wanted, atol=1e-9)


def test_the_parent_frame_can_be_named() -> None:
    assert Mount.parse("1,2,3").parent == "base_link"
    assert Mount.parse("1,2,3,4,5,6@base_footprint") == Mount(1, 2, 3, 4, 5, 6, "base_footprint")
    for text in ("", "1,2", "1,2,3,4", "a,b,c", "1,2,3@", "1,2,inf"):
        with raises_code(ConfigError, "bad-mount"):
            Mount.parse(text)


def test_quaternions_come_back_from_rotations() -> None:
    quaternion = np.array([0.1, -0.2, 0.3, 0.9])
    quaternion /= np.linalg.norm(quaternion)
    found = quaternion_from_rotation(transform_from_quaternion((0, 0, 0), quaternion)[:3, :3])
    np.testing.assert_allclose(found, quaternion, atol=1e-9)
    np.testing.assert_allclose(quaternion_from_rotation(np.eye(3)), [0, 0, 0, 1])
