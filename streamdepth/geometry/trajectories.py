"""Trajectories of cameras: the pose of each frame, by its number or by its time."""

from __future__ import annotations

import bisect
import csv
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import InvalidOperation
from pathlib import Path

import numpy as np

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, Frame, StreamInfo
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.transforms import interpolate_transform, transform_from_quaternion
from streamdepth.utils.stamps import parse_stamp_ns

Pose = Floats
"""(4, 4) camera-to-world transformation, meters."""
_NANOSECONDS = 10**9
_MAX_GAP_NS = _NANOSECONDS
"""Between poses further apart nothing is interpolated."""
_TOLERANCE_NS = _NANOSECONDS // 20
"""Longest time between a frame outside a trajectory, or in a gap of it, and the next pose, which it then gets."""
_MAX_BYTES = 2**28
_KNOWN = (
    "known are a line for each frame with sixteen numbers (4x4) or twelve (3x4, KITTI), TUM's (seconds, x, y, z and "
    "the quaternion x, y, z, w), and EuRoC's CSV (nanoseconds, x, y, z and the quaternion w, x, y, z)"
)


class Poses(ABC):
    """The camera's poses, asked for frame by frame."""

    def begin(self, info: StreamInfo) -> str | None:
        """Prepares for the frames of a stream; returns a notice on how poses are assigned, or None."""
        return None

    @abstractmethod
    def pose_of(self, frame: Frame) -> Pose | None:
        """Returns the pose of a frame; None where its time lies outside the poses.

        Raises ConfigError ("bad-poses") for a frame without a time for which there is none.
        """

    def locate(self, item: DepthFrame) -> Pose | None:
        """Returns the pose of a frame with its depth, which some poses are estimated from. Raises as `pose_of`."""
        return self.pose_of(item.frame)

    def summary(self) -> str | None:
        """Returns a sentence on how good the poses of all frames so far are; None where that is not known."""
        return None


class Trajectory(Poses):
    """Poses in order, with or without their times.

    Poses with times belong to frames by their stamps, where the frames have stamps: those of bags, and pictures named
    after their time. Of other frames the first belongs to the first pose: as many poses as frames are assigned one by
    one, and others by the time that has passed.
    """

    def __init__(self, poses: Sequence[Pose], stamps_ns: Sequence[int] | None = None) -> None:
        self.poses = list(poses)
        self.stamps_ns: list[int] | None = None
        if stamps_ns is not None:
            order = sorted(range(len(poses)), key=lambda i: stamps_ns[i])
            self.poses, self.stamps_ns = [poses[i] for i in order], [stamps_ns[i] for i in order]
        self._epoch_ns: int | None = None
        self._is_by_number = True
        self._first: Frame | None = None

    def begin(self, info: StreamInfo) -> str | None:
        self._first, self._epoch_ns = None, info.epoch_ns
        self._is_by_number = self.stamps_ns is None or len(self.poses) == info.frame_count
        if self.stamps_ns is None or info.epoch_ns is not None:
            return None
        way = "one by one" if self._is_by_number else "by the time since the first"
        return f"the poses belong to the frames by their stamps, or where frames have none, {way}"

    def pose_of(self, frame: Frame) -> Pose | None:
        self._first = self._first or frame
        if self.stamps_ns is not None:
            passed_ns = round(frame.pts * frame.time_base * _NANOSECONDS)
            if frame.stamp_ns is not None:
                return self.pose_at(frame.stamp_ns)
            if self._epoch_ns is not None:
                return self.pose_at(self._epoch_ns + passed_ns)
            if not self._is_by_number:
                first_ns = round(self._first.pts * self._first.time_base * _NANOSECONDS)
                return self.pose_at(self.stamps_ns[0] + passed_ns - first_ns)
        number = frame.index - (self._first.index if self.stamps_ns is not None else 0)
        if not 0 <= number < len(self.poses):
            raise ConfigError(
                f"there are {len(self.poses)} poses, and none for frame {frame.index}; see --max-frames",
                code="bad-poses",
            )
        return self.poses[number]

    def pose_at(self, stamp_ns: int) -> Pose | None:
        """Returns the pose at a time, between two poses in between; None outside the trajectory and in its gaps."""
        stamps = self.stamps_ns or []
        after = bisect.bisect_left(stamps, stamp_ns)
        if 0 < after < len(stamps) and stamps[after] - stamps[after - 1] <= _MAX_GAP_NS:
            share = (stamp_ns - stamps[after - 1]) / max(1, stamps[after] - stamps[after - 1])
            return interpolate_transform(self.poses[after - 1], self.poses[after], share)
        near = min((i for i in (after - 1, after) if 0 <= i < len(stamps)), key=lambda i: abs(stamps[i] - stamp_ns))
        return self.poses[near] if abs(stamps[near] - stamp_ns) <= _TOLERANCE_NS else None


def read_trajectory(path: Path) -> Trajectory:
    """Reads camera-to-world poses in meters, in any of the layouts of KITTI, TUM and EuRoC, told by their numbers.

    Comments (`#`), empty lines and a heading are left out; poses with times may come in any order. EuRoC's ground truth
    is of the IMU: it is taken as that of the camera.

    Raises ConfigError ("not-found" or "bad-poses").
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"'{path}' is larger than {_MAX_BYTES >> 20} MiB", code="bad-poses")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read the poses '{path}': {error.strerror}", code="not-found") from error
    except ValueError as error:
        raise ConfigError(f"'{path}' holds no poses: it is no text; {_KNOWN}", code="bad-poses") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.split("#")[0].strip()]
    if lines and re.match(r"\s*[a-zA-Z_]", lines[0][1]):
        del lines[0]  # a heading
    poses, stamps = list[Pose](), list[int]()
    for number, line in lines:
        try:
            pose, stamp_ns = _parse_line(line.split("#")[0], is_csv="," in line)
        except (ValueError, InvalidOperation) as error:
            raise ConfigError(f"line {number} of '{path}' is no pose: {error}; {_KNOWN}", code="bad-poses") from error
        poses.append(pose)
        stamps += [] if stamp_ns is None else [stamp_ns]
    if not poses or len(stamps) not in (0, len(poses)):
        raise ConfigError(f"'{path}' holds no poses, or lines of different layouts; {_KNOWN}", code="bad-poses")
    return Trajectory(poses, stamps or None)


def _parse_line(line: str, *, is_csv: bool) -> tuple[Pose, int | None]:
    """Returns a pose and its time in nanoseconds; None for the layouts without times."""
    words = [word.strip() for word in next(csv.reader([line]))] if is_csv else line.split()
    words = words if words[-1] else words[:-1]
    numbers = [float(word) for word in words]
    if not np.isfinite(numbers).all():
        raise ValueError("not all of its numbers are finite")
    if len(numbers) in (12, 16) and not is_csv:
        pose = np.array([*numbers, 0.0, 0.0, 0.0, 1.0][:16]).reshape(4, 4)
        if not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=0.01):
            raise ValueError("its 3x3 part is no rotation, it stretches")
        return pose, None
    if len(numbers) < 8 or (not is_csv and len(numbers) != 8):
        raise ValueError(f"it has {len(numbers)} numbers, not twelve, sixteen or eight")
    translation, rotation = numbers[1:4], numbers[4:8]
    is_euroc = is_csv
    quaternion = [*rotation[1:], rotation[0]] if is_euroc else rotation
    if abs(np.linalg.norm(quaternion) - 1) > 0.01:
        raise ValueError(f"its quaternion {quaternion} has not the length 1")
    return transform_from_quaternion(translation, quaternion), parse_stamp_ns(words[0])
