"""What one frame tells a robot, before any transport: when, in which frame, what is seen, and what is in the way.

REP 103: the optical frame has x to the right, y down, z forward. REP 105: its name ends with _optical_frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.types import DepthFrame, DepthKind, Frame, Intrinsics, ModelInfo, StreamInfo
from streamdepth.geometry.arrays import Floats, Points
from streamdepth.geometry.camera import is_fisheye
from streamdepth.geometry.flying_pixels import without_flying_pixels
from streamdepth.geometry.ground import find_floor
from streamdepth.geometry.obstacles import LaserScan, Obstacle, ObstacleZone, obstacle_ranges
from streamdepth.geometry.planes import Plane
from streamdepth.geometry.projection import back_project

JPEG_QUALITY = 92
NANOSECONDS = 10**9
POINT_BYTES = 16
_SLEW = 100
_STEP_NS = NANOSECONDS
_FLOOR_LASTS_NS = 2 * NANOSECONDS


@dataclass(frozen=True, slots=True)
class RobotOptions:
    """What a robot gets beside the picture, the depth and their cameras, and how it is named."""

    namespace: str = "/camera"
    """Before every topic."""
    frame_id: str | None = None
    """The optical frame; None: the source's own, or NAMESPACE_optical_frame."""
    encoding: Literal["32FC1", "16UC1"] = "32FC1"
    """Of the depth: metres, NaN unknown, +Inf too far; or millimetres, 0 unknown (REP 118)."""
    points: bool = False
    """A coloured point cloud too."""
    scan: bool = True
    """A laser scan and the nearest obstacle of each sector too."""
    zone: ObstacleZone = ObstacleZone()
    floor: bool = False
    """The floor is looked for in every frame, and the zone's heights count from it."""
    sectors: int = 5
    drop_flying: bool = False
    """Depth on jumps between near and far becomes unknown."""


@dataclass(frozen=True)
class Observation:
    """One frame. What costs something is made when it is first asked for, and once."""

    item: DepthFrame
    stamp_ns: int
    """ROS time."""
    frame_id: str
    options: RobotOptions
    floor: Plane | None = None
    """Where it was seen, at most a moment ago."""

    @cached_property
    def jpeg(self) -> bytes:
        """The picture."""
        bgr = cv2.cvtColor(self.item.frame.image, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()

    @cached_property
    def depth(self) -> DepthMap:
        """(h, w) metres along z, inf too far, NaN unknown; nothing else."""
        depth_m = (without_flying_pixels(self.item) if self.options.drop_flying else self.item).depth
        return np.where(depth_m > 0, depth_m, np.float32(np.nan))

    @cached_property
    def encoded_depth(self) -> npt.NDArray[Any]:
        """(h, w) little-endian, as `encoding` says; of millimetres what does not fit is unknown too."""
        if self.options.encoding == "32FC1":
            return np.ascontiguousarray(self.depth, "<f4")
        with np.errstate(invalid="ignore"):
            mm = np.rint(self.depth * 1000)
        return np.where((mm > 0) & (mm < 2**16), mm, 0).astype("<u2")

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) px."""
        return self.item.frame.size

    @property
    def depth_size(self) -> tuple[int, int]:
        """(width, height) px."""
        height, width = self.item.depth.shape
        return width, height

    @property
    def camera(self) -> Intrinsics | None:
        """Of the picture."""
        return self.item.intrinsics

    @cached_property
    def points(self) -> tuple[Points, Image] | None:
        """(h, w, 3) points in the optical frame, NaN unknown, and their colours; None when not wanted or not known."""
        if not self.options.points or self.camera is None:
            return None
        colors = cv2.resize(self.item.frame.image, self.depth_size, interpolation=cv2.INTER_AREA)
        return back_project(self.depth, self.camera), np.asarray(colors, np.uint8)

    @cached_property
    def in_the_way(self) -> tuple[LaserScan, list[Obstacle]] | None:
        """None when not wanted, or when the camera is not known, or the floor that it counts from."""
        if not self.options.scan or self.camera is None or (self.options.floor and self.floor is None):
            return None
        ranges = obstacle_ranges(self.depth, self.camera, self.options.zone, self.floor)
        return ranges.laser_scan(), ranges.nearest(self.options.sectors)

    @property
    def laser_scans(self) -> dict[str, LaserScan]:
        """ "scan", and "obstacles" with one beam in the middle of each sector, confidences as intensities.

        Empty where there are none.
        """
        if self.in_the_way is None:
            return {}
        scan, obstacles = self.in_the_way
        width = obstacles[0].sector_end - obstacles[0].sector_start
        distances, confidences = (
            np.array([getattr(o, name) for o in obstacles], np.float32) for name in ("distance_m", "confidence")
        )
        start = obstacles[0].sector_start + width / 2
        return {"scan": scan, "obstacles": LaserScan(start, width, distances, scan.max_range_m, confidences)}

    @property
    def scan_frame_id(self) -> str:
        """Level, x ahead, y left, z up, with its origin in the camera; a child of the optical frame."""
        return f"{self.frame_id}_level"

    @property
    def axes(self) -> Floats:
        """(3, 3): the columns are the level frame's axes in the optical one."""
        return self.options.zone.axes(self.floor)

    @property
    def scan_rotation(self) -> Floats:
        """(4,) x, y, z, w: the level frame in the optical one."""
        turn = cv2.Rodrigues(self.axes)[0].ravel()
        angle = float(np.linalg.norm(turn))
        return np.append(turn / angle * np.sin(angle / 2), np.cos(angle / 2))


class Observer:
    """Makes the observations of one stream, stamped and named."""

    def __init__(self, info: StreamInfo, options: RobotOptions, notice: Callable[[str], None]) -> None:
        self._options, self._clock, self._notice = options, RosClock(info), notice
        self._floor: tuple[int, Plane] | None = None
        usual = f"{options.namespace.strip('/').replace('/', '_')}_optical_frame"
        self._frame_id = options.frame_id or info.frame_id or usual

    def observe(self, item: DepthFrame) -> Observation:
        if item.intrinsics is None and (self._options.points or self._options.scan):
            self._notice(
                f"the camera of {item.frame.stream} is unknown: camera_info is all zeros, and there is no scan and no "
                "point cloud; --fov or --camera-info tells it"
            )
        if is_distorted(item.intrinsics):
            self._notice(
                f"the lens of {item.frame.stream} bends straight lines, and readers of depth often know pinholes only; "
                "--undistort straightens the pictures first"
            )
        seen = Observation(item, self._clock.stamp(item.frame), self._frame_id, self._options)
        return replace(seen, floor=self._floor_below(seen)) if self._options.floor and self._options.scan else seen

    def _floor_below(self, seen: Observation) -> Plane | None:
        """In this frame, or as it was a moment ago in the same shot."""
        if seen.camera is None:
            return None
        if plane := find_floor(replace(seen.item, depth=seen.depth)):
            self._floor = seen.stamp_ns, plane
        elif self._floor and (seen.item.cut or seen.stamp_ns - self._floor[0] > _FLOOR_LASTS_NS):
            self._floor = None
        if self._floor is None:
            self._notice(f"no floor is seen in {seen.item.frame.stream}: there is no scan while that is so")
            return None
        return self._floor[1]


class RosClock:
    """ROS time of frames: the stream's own clock where it is known, of other files their times from 0 on.

    Of a live stream, the wall clock when the frame was captured: spaced as the stream says, its drift followed slowly.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._start_ns = info.epoch_ns
        self._is_live = info.is_live and info.epoch_ns is None

    def stamp(self, frame: Frame) -> int:
        """Nanoseconds, never negative."""
        own_ns = round(Fraction(frame.pts) * frame.time_base * NANOSECONDS)
        if self._is_live:
            captured_ns = time.time_ns() - round((time.monotonic() - frame.captured_at) * NANOSECONDS)
            self._follow(captured_ns - own_ns)
        elif self._start_ns is None:
            self._start_ns = max(0, -own_ns)
        return max(0, (self._start_ns or 0) + own_ns)

    def _follow(self, start_ns: int) -> None:
        if self._start_ns is None or abs(start_ns - self._start_ns) > _STEP_NS:
            self._start_ns = start_ns
        self._start_ns += (start_ns - self._start_ns) // _SLEW


def pack_points(points: Points, colors: Image, last: int) -> Image:
    """(..., 3) points and colours -> uint8 in a row: x, y, z as little-endian floats, three colours and `last`."""
    packed = np.empty((*points.shape[:-1], 4), "<f4")
    packed[..., :3] = points
    found = packed.view(np.uint8)
    found[..., 12:15], found[..., 15] = colors, last
    return found.ravel()


def camera_rows(camera: Intrinsics | None, width: int, height: int) -> tuple[Intrinsics | None, Floats]:
    """The camera at this size, and its (3, 4) projection matrix, zeros for an unknown one; its left part is K."""
    rows, lens = np.zeros((3, 4)), camera.resized(width, height) if camera else None
    if lens is not None:
        rows[:, :3] = (lens.fx, 0, lens.cx), (0, lens.fy, lens.cy), (0, 0, 1)
    return lens, rows


def is_distorted(camera: Intrinsics | None) -> bool:
    """Whether its pictures are as the lens bends them."""
    return camera is not None and (any(camera.distortion) or (bool(camera.distortion) and is_fisheye(camera)))


def check_metric(where: str, model: ModelInfo) -> None:
    """Raises SinkOpenError for relative depth, which has no name among a robot's messages."""
    if model.kind is DepthKind.RELATIVE:
        raise SinkOpenError(
            f"{where} takes metres only, and the depth of {model.name} is relative; choose a metric model, or say "
            "what you know of the scene with --anchor, --camera-height, --board or --sparse"
        )
