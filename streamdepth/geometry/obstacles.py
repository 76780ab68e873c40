"""Obstacles ahead of a robot, from metric depth: the nearest one of each sector, and a flat laser scan.

Bearings are seen from above as REP 103 has it: radians, 0 straight ahead, positive to the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.planes import Plane
from streamdepth.geometry.projection import camera_or_default, rays

_MIN_PIXELS = 5
"""Smaller numbers of nearest pixels are taken for errors."""
_OBSTACLE_SIDE_M = 0.1
"""Side of the smallest obstacle that gets full confidence."""
_OBSTACLE_DEPTH = 0.1
"""Pixels up to this share farther than an obstacle's nearest part belong to it."""


@dataclass(frozen=True, slots=True)
class ObstacleZone:
    """The space in which a surface is an obstacle: between two heights, and up to a range.

    Heights count from the camera, or from the floor where one is given. Keep the floor itself outside.

    >>> sd.ObstacleZone(min_height_m=0.1, max_height_m=1.8, max_range_m=5.0).max_range_m
    5.0
    """

    min_height_m: float = -0.1
    """Meters above the camera (below it negative), or above the floor."""
    max_height_m: float = 0.1
    pitch_degrees: float = 0.0
    """Angle by which the camera looks down; not used where the floor is given."""
    max_range_m: float = 10.0

    def __post_init__(self) -> None:
        has_size = self.min_height_m < self.max_height_m and self.max_range_m > 0
        if not (has_size and -90 < self.pitch_degrees < 90):
            raise ValueError(f"a zone has min < max height, a range above 0 and a pitch within 90 degrees: {self}")

    def axes(self, floor: Plane | None = None) -> Floats:
        """Returns (3, 3): its columns are forwards, left and up in the camera's axes (x right, y down, z forward)."""
        pitch = math.radians(self.pitch_degrees)
        up = np.array([0.0, -math.cos(pitch), -math.sin(pitch)]) if floor is None else floor.normal
        forwards = np.array([0.0, 0.0, 1.0]) - up[2] * up
        forwards = forwards / np.linalg.norm(forwards)
        return np.stack([forwards, np.cross(up, forwards), up], axis=1)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The nearest obstacle of one sector of the field of view."""

    sector_start: float
    """Bearing of the sector's right border, radians."""
    sector_end: float
    """Bearing of the sector's left border, radians."""
    distance_m: float
    """Meters along the ground; inf: nothing within the range, NaN: the sector is unknown."""
    bearing: float
    """Radians; the middle of the sector where there is no obstacle."""
    confidence: float
    """0 to 1. For an obstacle it is the mean confidence of its pixels (`DepthFrame.confidence`), the probability that
    the distance is right to 10 %. Where that is not known, it is the share of the sector's pixels that have a depth,
    times the obstacle's number of pixels over that of an object of 10 cm at that distance, at most 1. Without an
    obstacle it is the share of the sector's pixels that have a depth."""


@dataclass(frozen=True, slots=True, eq=False)
class LaserScan:
    """A laser scan in ROS's terms: beam i looks to angle_min + i * angle_increment."""

    angle_min: float
    """Radians, the rightmost beam."""
    angle_increment: float
    """Radians between two beams."""
    ranges_m: npt.NDArray[np.float32]
    """(N,) along the ground; inf: nothing within the range, NaN: unknown (REP 117)."""
    max_range_m: float
    intensities: npt.NDArray[np.float32] | None = None
    """(N,) one for each beam, or None."""

    @property
    def angle_max(self) -> float:
        """Bearing of the last beam, radians."""
        return self.angle_min + self.angle_increment * (len(self.ranges_m) - 1)

    @property
    def bearings(self) -> Floats:
        """(N,) bearings of all beams, radians."""
        return np.asarray(self.angle_min + self.angle_increment * np.arange(len(self.ranges_m)), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class ObstacleRanges:
    """The bearing and range of each pixel within an obstacle zone; all maps are (h, w)."""

    bearing: Floats
    """Radians; NaN where the lens sees nothing."""
    range_m: Floats
    """Meters along the ground; inf: free up to the zone's range, NaN: unknown, or the surface is outside the zone."""
    is_known: Mask
    """True where the pixel has a depth at all."""
    focal_px: tuple[float, float]
    """fx and fy at this size."""
    zone: ObstacleZone
    confidence: DepthMap | None = None
    """Confidence of each pixel's depth, 0 to 1; None where it is not known."""

    def laser_scan(self, beams: int | None = None) -> LaserScan:
        """Returns the nearest range of each of `beams` equal steps of the field of view; None: one per column."""
        low, high = float(np.nanmin(self.bearing)), float(np.nanmax(self.bearing))
        count = beams or max(1, math.floor((high - low) * self.focal_px[0]))
        step = max((high - low) / count, 1e-6)
        known = ~np.isnan(self.range_m)
        beam = np.clip(((self.bearing[known] - low) / step).astype(np.int64), 0, count - 1)
        nearest = np.full(count, np.nan)
        np.fmin.at(nearest, beam, self.range_m[known])
        return LaserScan(low + step / 2, step, nearest.astype(np.float32), self.zone.max_range_m)

    def nearest(self, sectors: int = 5) -> list[Obstacle]:
        """Returns the nearest obstacle of each of `sectors` equal parts of the field of view, from right to left."""
        low, high = float(np.nanmin(self.bearing)), float(np.nanmax(self.bearing))
        edges = np.linspace(low, high, sectors + 1)
        sector = np.clip(np.searchsorted(edges, self.bearing, side="right") - 1, 0, sectors - 1)
        sector[np.isnan(self.bearing)] = -1
        return [self._nearest_of(sector == i, float(edges[i]), float(edges[i + 1])) for i in range(sectors)]

    def _nearest_of(self, sector: Mask, start: float, end: float) -> Obstacle:
        middle, known = (start + end) / 2, float(self.is_known[sector].mean()) if sector.any() else 0.0
        hits = sector & np.isfinite(self.range_m)
        if not hits.any():
            is_free = bool(np.isinf(self.range_m[sector]).any())
            return Obstacle(start, end, math.inf if is_free else math.nan, middle, known if is_free else 0.0)
        ranges, bearings = self.range_m[hits], self.bearing[hits]
        distance = float(np.sort(ranges)[min(_MIN_PIXELS, len(ranges)) - 1])
        is_obstacle = ranges <= distance * (1 + _OBSTACLE_DEPTH)
        height_m = min(_OBSTACLE_SIDE_M, self.zone.max_height_m - self.zone.min_height_m)
        expected_pixels = _OBSTACLE_SIDE_M * self.focal_px[0] * height_m * self.focal_px[1] / distance**2
        support = min(1.0, float(is_obstacle.sum()) / max(expected_pixels, _MIN_PIXELS))
        confidence = known * support
        if self.confidence is not None:
            confidence = float(self.confidence[hits][is_obstacle].mean())
        return Obstacle(start, end, distance, float(np.median(bearings[is_obstacle])), confidence)


def nearest_obstacles(
    item: DepthFrame, zone: ObstacleZone | None = None, *, floor: Plane | None = None, sectors: int = 5
) -> list[Obstacle]:
    """Returns the nearest obstacle of each sector of the field of view, from right to left.

    Args:
        item: a frame with metric depth. A camera that is not known is taken to have a field of view of 60 degrees.
        zone: heights and range in which a surface is an obstacle; None: 10 cm above and below the camera, up to 10 m.
        floor: the floor that heights count from, as `find_floor` returns it; None: they count from the camera.
        sectors: number of equal parts of the field of view.

    Raises:
        ConfigError: the depth is relative; code "not-metric".

    A box 1.5 m ahead, before a wall at 6 m:

    >>> from fractions import Fraction
    >>> from streamdepth.core.types import Frame
    >>> depth_m = np.full((120, 160), 6, np.float32)
    >>> depth_m[50:70, 70:90] = 1.5
    >>> frame = Frame(np.zeros((120, 160, 3), np.uint8), 0, 0, Fraction(1, 30), 0.0)
    >>> found = nearest_obstacles(DepthFrame(frame, depth_m, DepthKind.METRIC), sectors=3)
    >>> [round(obstacle.distance_m, 1) for obstacle in found]
    [6.1, 1.5, 6.1]
    """
    if item.kind is not DepthKind.METRIC:
        raise ConfigError("obstacles need meters, and this depth is relative; use a metric model", code="not-metric")
    ranges = obstacle_ranges(item.depth, camera_or_default(item), zone or ObstacleZone(), floor, item.confidence)
    return ranges.nearest(sectors)


def obstacle_ranges(
    depth_m: DepthMap,
    camera: Intrinsics,
    zone: ObstacleZone,
    floor: Plane | None = None,
    confidence: DepthMap | None = None,
) -> ObstacleRanges:
    """Returns the bearing and range of each pixel within the zone.

    A ray that stays in the zone for its whole range without hitting a surface is free. A pixel with a level ray counts
    as in the zone at any distance, although at a large distance it covers more than the zone's heights.

    Args:
        depth_m: (h, w) meters along z, inf where too far, NaN where unknown.
        camera: the camera of the whole picture.
        zone: heights and range in which a surface is an obstacle.
        floor: the zone's heights count from it; None: from the camera.
        confidence: (h, w) confidence of each pixel's depth, 0 to 1; None where it is not known.
    """
    height, width = depth_m.shape
    resized = camera.resized(width, height)
    ray = rays(resized, width, height)
    axes, camera_height_m = zone.axes(floor), 0.0 if floor is None else floor.offset
    forwards, left, up = (ray[..., 0] * x + ray[..., 1] * y + z for x, y, z in axes.T)
    along_ground = np.hypot(forwards, left)
    is_level = np.abs(up) * resized.fy <= 0.5
    is_level &= zone.min_height_m <= camera_height_m <= zone.max_height_m
    with np.errstate(invalid="ignore", divide="ignore"):
        is_known = (depth_m > 0) & np.isfinite(ray[..., 0])
        end_m = zone.max_range_m / along_ground
        z_m = np.where(is_known, np.minimum(depth_m, end_m), np.nan)
        height_m = z_m * up + camera_height_m
        is_inside = ((height_m >= zone.min_height_m) & (height_m <= zone.max_height_m)) | is_level
        range_m = np.where(is_inside & is_known, np.where(depth_m < end_m, z_m * along_ground, np.inf), np.nan)
    return ObstacleRanges(np.arctan2(left, forwards), range_m, is_known, (resized.fx, resized.fy), zone, confidence)
