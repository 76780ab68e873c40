"""The data of one frame for robots, independent of the transport: timestamp, frame id, depth, points, scan, obstacles.

By REP 103 the optical frame has x to the right, y down and z ahead; by REP 105 its name ends with _optical_frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo
from streamdepth.core.zones import Zone
from streamdepth.geometry.arrays import Floats, Points
from streamdepth.geometry.flying_pixels import without_flying_pixels
from streamdepth.geometry.mounts import Mount
from streamdepth.geometry.obstacles import LaserScan, Obstacle, ObstacleZone, obstacle_ranges
from streamdepth.geometry.planes import Plane
from streamdepth.geometry.projection import back_project
from streamdepth.geometry.transforms import quaternion_from_rotation
from streamdepth.geometry.zone_monitor import HOLD_SECONDS, MARGIN, ZoneState

JPEG_QUALITY = 92
NANOSECONDS = 10**9
POINT_BYTES = 16
"""Bytes of a packed point: three floats and four bytes of color."""


@dataclass(frozen=True, slots=True)
class RobotOptions:
    """Options for robots: extra messages besides picture, depth and cameras, and their names."""

    namespace: str = "/camera"
    """The beginning of every topic."""
    frame_id: str | None = None
    """The name of the optical frame; None: the source's own name, or NAMESPACE_optical_frame."""
    encoding: Literal["32FC1", "16UC1"] = "32FC1"
    """Encoding of the depth (REP 118): 32FC1 is meters, NaN unknown, +Inf too far; 16UC1 is millimeters, 0 unknown."""
    points: bool = False
    """Adds a colored point cloud."""
    scan: bool = True
    """Adds a laser scan and the nearest obstacle of each sector."""
    zone: ObstacleZone = ObstacleZone()
    """Heights and distances in which depth is an obstacle."""
    floor: bool = False
    """Finds the floor in every frame; the zone's heights are measured from it, and there is no scan without it."""
    sectors: int = 5
    """Number of sectors of equal angle, each with its nearest obstacle."""
    mount: Mount | None = None
    """The camera's place on the robot, which is sent as a transform; None sends none."""
    drop_flying: bool = False
    """Makes depth on jumps between near and far unknown."""
    depth_zones: tuple[Zone, ...] = ()
    """Parts of the picture whose depth is watched, each with topics of its own."""
    zone_hold_seconds: float = HOLD_SECONDS
    """As for ZoneMonitor."""
    zone_margin: float = MARGIN
    """As for ZoneMonitor."""


class ScaleState(NamedTuple):
    """The state of the metric scale of one frame."""

    is_withheld: bool
    message: str
    """A sentence for people."""
    values: dict[str, str]
    """Figures by name, as text."""


@dataclass(frozen=True)
class Observation:
    """One frame for robots. Costly parts are computed once, when they are first used."""

    item: DepthFrame
    stamp_ns: int
    """ROS time: nanoseconds since 1970, or since the beginning of a file without a clock or of simulated time."""
    frame_id: str
    """The name of the optical frame."""
    options: RobotOptions
    floor: Plane | None = None
    """The floor, found in this frame or less than 2 s ago in the same shot."""
    log_ns: int = 0
    """The recorder's time: that of the input recording, else the stamp; it never decreases."""
    zones: tuple[ZoneState, ...] = ()
    """The states of the options' zones at this frame."""

    @cached_property
    def jpeg(self) -> bytes:
        """The picture as JPEG."""
        bgr = cv2.cvtColor(self.item.frame.image, cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()

    @cached_property
    def depth(self) -> DepthMap:
        """(h, w) meters along z; inf is too far, NaN is unknown, and no other value is 0 or below."""
        depth_m = (without_flying_pixels(self.item) if self.options.drop_flying else self.item).depth
        return np.where(depth_m > 0, depth_m, np.float32(np.nan))

    @cached_property
    def encoded_depth(self) -> npt.NDArray[Any]:
        """(h, w) little-endian in `options.encoding`; millimeters that do not fit are unknown, too."""
        if self.options.encoding == "32FC1":
            return np.ascontiguousarray(self.depth, "<f4")
        with np.errstate(invalid="ignore"):
            mm = np.rint(self.depth * 1000)
        return np.where((mm > 0) & (mm < 2**16), mm, 0).astype("<u2")

    @cached_property
    def confidence(self) -> DepthMap | None:
        """(h, w) little-endian confidence of each pixel's depth, 0 to 1, 0 where that is unknown; None without any."""
        known = self.item.confidence
        return None if known is None else np.where(np.isnan(self.depth), 0, known).astype("<f4")

    @property
    def scale_state(self) -> ScaleState:
        """The state of the metric scale, in words and figures; for frames with a `scale_sigma`."""
        item = self.item
        figures = {
            "scale_sigma": item.scale_sigma,
            "metric_residual": item.metric_residual,
            "evidence_age_seconds": item.evidence_age_seconds,
        }
        values = {name: f"{value:.4g}" for name, value in figures.items() if value is not None}
        message = (
            "meters are withheld: their scale is not known well enough" if item.is_withheld else "meters are given"
        )
        return ScaleState(item.is_withheld, message, values)

    @property
    def frame_size(self) -> tuple[int, int]:
        """(width, height) of the picture in px."""
        return self.item.frame.size

    @property
    def depth_size(self) -> tuple[int, int]:
        """(width, height) of the depth map in px."""
        height, width = self.item.depth.shape
        return width, height

    @property
    def camera(self) -> Intrinsics | None:
        """The camera of the picture, None where it is unknown."""
        return self.item.intrinsics

    @cached_property
    def points(self) -> tuple[Points, Image] | None:
        """(h, w, 3) points in the optical frame, NaN unknown, and their colors; None without `points` or a camera."""
        if not self.options.points or self.camera is None:
            return None
        colors = cv2.resize(self.item.frame.image, self.depth_size, interpolation=cv2.INTER_AREA)
        return back_project(self.depth, self.camera), np.asarray(colors, np.uint8)

    @cached_property
    def scan_and_obstacles(self) -> tuple[LaserScan, list[Obstacle]] | None:
        """The scan and the nearest obstacles; None without `scan`, a camera, or the floor that heights count from."""
        if not self.options.scan or self.camera is None or (self.options.floor and self.floor is None):
            return None
        ranges = obstacle_ranges(self.depth, self.camera, self.options.zone, self.floor, self.item.confidence)
        return ranges.laser_scan(), ranges.nearest(self.options.sectors)

    @property
    def laser_scans(self) -> dict[str, LaserScan]:
        """ "scan", and "obstacles" with one beam in the middle of each sector, confidences as intensities.

        Empty where there are none.
        """
        if self.scan_and_obstacles is None:
            return {}
        scan, obstacles = self.scan_and_obstacles
        width = obstacles[0].sector_end - obstacles[0].sector_start
        distances, confidences = (
            np.array([getattr(o, name) for o in obstacles], np.float32) for name in ("distance_m", "confidence")
        )
        start = obstacles[0].sector_start + width / 2
        return {"scan": scan, "obstacles": LaserScan(start, width, distances, scan.max_range_m, confidences)}

    @property
    def scan_frame_id(self) -> str:
        """The name of the level frame (x ahead, y left, z up, origin in the camera), a child of the optical frame."""
        return f"{self.frame_id}_level"

    @property
    def level_axes(self) -> Floats:
        """(3, 3): its columns are the axes of the level frame in the optical frame."""
        return self.options.zone.axes(self.floor)

    @property
    def scan_rotation(self) -> Floats:
        """(4,) quaternion x, y, z, w: the rotation of the level frame in the optical frame."""
        return quaternion_from_rotation(self.level_axes)

    @property
    def transforms(self) -> list[FrameTransform]:
        """The transforms of this frame: the camera on the robot, and the level frame of the scans in the camera's."""
        found = []
        if self.options.mount is not None:
            place = self.options.mount.parent_from_optical
            rotation = quaternion_from_rotation(place[:3, :3])
            found.append(FrameTransform(self.options.mount.parent, self.frame_id, place[:3, 3], rotation))
        if self.laser_scans:
            found.append(FrameTransform(self.frame_id, self.scan_frame_id, np.zeros(3), self.scan_rotation))
        return found


class FrameTransform(NamedTuple):
    """The place of a coordinate frame in its parent."""

    parent: str
    child: str
    translation_m: Floats
    """(3,)."""
    rotation: Floats
    """(4,) quaternion x, y, z, w."""


def pack_points(points: Points, colors: Image, last: int) -> Image:
    """Packs (..., 3) points and colors as bytes: x, y, z as little-endian floats, three colors and `last`."""
    packed = np.empty((*points.shape[:-1], 4), "<f4")
    packed[..., :3] = points
    found = packed.view(np.uint8)
    found[..., 12:15], found[..., 15] = colors, last
    return found.ravel()


def projection_matrix(camera: Intrinsics | None, width: int, height: int) -> tuple[Intrinsics | None, Floats]:
    """Returns the camera at this size and its (3, 4) projection matrix [K | 0], which is all zeros without a camera."""
    rows, lens = np.zeros((3, 4)), camera.resized(width, height) if camera else None
    if lens is not None:
        rows[:, :3] = (lens.fx, 0, lens.cx), (0, lens.fy, lens.cy), (0, 0, 1)
    return lens, rows


def is_distorted(camera: Intrinsics | None) -> bool:
    """True if the pictures have lens distortion."""
    return camera is not None and (any(camera.distortion) or (bool(camera.distortion) and camera.is_fisheye))


def check_metric(output: str, model: ModelInfo) -> None:
    """Raises SinkOpenError ("relative-depth") for relative depth, which robot messages cannot represent."""
    if model.kind is DepthKind.RELATIVE:
        raise SinkOpenError(
            f"{output} takes meters only, and the depth of {model.name} is relative; choose a metric model, or say "
            "what you know of the scene with --anchor, --camera-height, --board or --sparse",
            code="relative-depth",
        )
