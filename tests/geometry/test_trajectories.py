"""Trajectories of cameras in the layouts of TUM, KITTI and EuRoC, assigned by number or by time."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import exact_scene as scene
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.geometry.trajectories import Trajectory, read_trajectory
from streamdepth.utils.stamps import stamps_of_names

START_NS = 1_403_636_579_763_555_584


def frame(index: int, stamp_ns: int | None = None) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), index, index, Fraction(1, 10), 0.0, stamp_ns=stamp_ns)


def turned(degrees: float) -> tuple[list[float], np.ndarray]:
    """Returns a quaternion x, y, z, w of a rotation about y, and the pose with a place of its own."""
    half = math.radians(degrees) / 2
    pose = np.eye(4)
    pose[:3, :3] = [
        [math.cos(2 * half), 0, math.sin(2 * half)],
        [0, 1, 0],
        [-math.sin(2 * half), 0, math.cos(2 * half)],
    ]
    pose[:3, 3] = degrees, 2, 3
    return [0, math.sin(half), 0, math.cos(half)], pose


def tum_line(second: str, degrees: float) -> str:
    return " ".join(map(str, [second, degrees, 2, 3, *turned(degrees)[0]]))


def test_poses_of_both_layouts_without_times(tmp_path: Path) -> None:
    pose, path = scene.pose(), tmp_path / "poses.txt"
    path.write_text(" ".join(map(str, pose.ravel())) + "\n\n# a comment\n" + " ".join(map(str, pose[:3].ravel())))
    found = read_trajectory(path)
    assert found.stamps_ns is None
    assert found.begin(StreamInfo("clip", 2, 2)) is None
    for index in (0, 1):
        assert found.pose_of(frame(index)) == pytest.approx(pose)


def test_tum_in_any_order_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "groundtruth.txt"
    path.write_text(f"# timestamp tx ty tz qx qy qz qw\n{tum_line('11.5', 20)}\n{tum_line('10.5', 10)}  # late\n")
    found = read_trajectory(path)
    assert found.stamps_ns == [10_500_000_000, 11_500_000_000]
    assert found.pose_at(10_500_000_000) == pytest.approx(turned(10)[1])
    between = found.pose_at(11_000_000_000)
    assert between == pytest.approx(turned(15)[1])
    assert found.pose_at(10_460_000_000) == pytest.approx(turned(10)[1])
    assert found.pose_at(9_000_000_000) is None


def test_euroc_has_nanoseconds_and_w_first(tmp_path: Path) -> None:
    (x, y, z, w), pose = turned(30)
    line = ",".join(map(str, [START_NS, 30, 2, 3, w, x, y, z, 0.1, 0.2, 0.3, 0, 0, 0, 0, 0, 0]))
    path = tmp_path / "data.csv"
    path.write_text(f"#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w []\n{line}\n")
    found = read_trajectory(path)
    assert found.stamps_ns == [START_NS]
    assert found.poses[0] == pytest.approx(pose)


def test_a_gap_has_no_pose() -> None:
    found = Trajectory([np.eye(4)] * 2, [0, 5 * 10**9])
    assert found.pose_at(10**7) is not None
    assert found.pose_at(10**9) is None


def test_stamps_of_frames_win_over_their_numbers() -> None:
    found = Trajectory([turned(0)[1], turned(10)[1]], [START_NS, START_NS + 10**8])
    found.begin(StreamInfo("bag", 2, 2, frame_count=2, epoch_ns=START_NS))
    assert found.pose_of(frame(0, START_NS + 10**8)) == pytest.approx(turned(10)[1])
    assert found.pose_of(frame(1)) == pytest.approx(turned(10)[1])


def test_frames_without_stamps_go_one_by_one_or_by_the_time_that_passed() -> None:
    poses, stamps = [turned(d)[1] for d in (0, 10, 20)], [START_NS + i * 10**8 for i in range(3)]
    found = Trajectory(poses, stamps)
    assert "one by one" in (found.begin(StreamInfo("clip", 2, 2, frame_count=3)) or "")
    assert [found.pose_of(frame(5 + i)) for i in range(3)] == [pytest.approx(pose) for pose in poses]
    assert "time since" in (found.begin(StreamInfo("clip", 2, 2, frame_count=2)) or "")
    assert [found.pose_of(frame(5 + i)) for i in range(3)] == [pytest.approx(pose) for pose in poses]
    assert found.pose_of(frame(15)) is None


def test_names_of_pictures_may_be_times() -> None:
    assert stamps_of_names([f"cam0/data/{START_NS}.png"]) == [START_NS]
    assert stamps_of_names(["1305031102.175304.png", "photo.png"]) is None
    assert stamps_of_names(["000001.png"]) is None
    assert stamps_of_names([]) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no poses"),
        ("1 2 3", "numbers"),
        ("1 b 3", "line 1"),
        ("1 0 0 0 0 0 0 0", "quaternion"),
        ("2 " * 16, "stretches"),
        ("1 0 0 nan 0 1 0 0 0 0 1 0", "finite"),
        (f"{tum_line('1', 0)}\n1 0 0 0 0 1 0 0 0 0 1 0", "different layouts"),
    ],
)
def test_what_is_no_pose(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(text)
    with raises_code(ConfigError, "bad-poses", naming=words):
        read_trajectory(tmp_path / "p.txt")


def test_a_trajectory_that_is_not_there(tmp_path: Path) -> None:
    with raises_code(ConfigError, "not-found"):
        read_trajectory(tmp_path / "none.txt")
