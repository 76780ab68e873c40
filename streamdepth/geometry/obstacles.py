"""What stands in a robot's way, from metric depth: the nearest obstacle of each sector, and a flat laser scan.

Seen from above, as REP 103 has it: bearings in radians, 0 straight ahead, positive to the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdepth.core.types import DepthMap, Intrinsics
from streamdepth.geometry.points import Floats, Plane, rays

_FEW_PIXELS = 5
_THING_M = 0.1
_THICKNESS = 0.1


@dataclass(frozen=True, slots=True)
class Band:
    """The heights in which a robot must not meet anything, and how far it looks."""

    low_m: float = -0.1
    """Metres above the camera, below it negative; or above the floor, where that is known. The floor lies outside."""
    high_m: float = 0.1
    pitch_degrees: float = 0.0
    """By which the camera looks down; a floor that is known tells it better."""
    range_m: float = 10.0

    def __post_init__(self) -> None:
        if not (self.low_m < self.high_m and self.range_m > 0 and -90 < self.pitch_degrees < 90):
            raise ValueError(f"a band has low < high, a range above 0 and a pitch within 90 degrees: {self}")

    def axes(self, floor: Plane | None = None) -> Floats:
        """(3, 3): the columns are forwards, left and up in the camera's axes (x right, y down, z forward)."""
        pitch = math.radians(self.pitch_degrees)
        up = np.array([0.0, -math.cos(pitch), -math.sin(pitch)]) if floor is None else floor.normal
        ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
        ahead = ahead / np.linalg.norm(ahead)
        return np.stack([ahead, np.cross(up, ahead), up], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What each pixel says of the band, (h, w) each."""

    bearing: Floats
    range_m: Floats
    """Along the ground. Inf: free as far as the band's range. NaN: unknown, or the surface lies outside the band."""
    is_known: npt.NDArray[np.bool_]
    """Whether the pixel has a depth at all."""
    focal_px: tuple[float, float]
    """At this size."""
    band: Band


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A laser scan: beam i looks to start + i * step."""

    start: float
    step: float
    ranges_m: npt.NDArray[np.float32]
    """(N,) along the ground; Inf: nothing within the range, NaN: unknown (REP 117)."""
    range_m: float


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The nearest that a sector holds."""

    start: float
    end: float
    """The sector, from right to left."""
    distance_m: float
    """Along the ground; inf: nothing within the range, NaN: the sector is unknown."""
    bearing: float
    """Where it is; the sector's middle where there is nothing."""
    confidence: float
    """0 to 1: the share of the sector's pixels that have a depth, times, for an obstacle, how many pixels back it up,
    compared with those that a thing of 10 cm would cover at that distance, at most 1."""


def look(depth_m: DepthMap, camera: Intrinsics, band: Band, floor: Plane | None = None) -> Sight:
    """(h, w) metres along z, inf where too far, NaN unknown -> what lies in the band.

    A ray that runs in the band for all of the range without meeting anything is free. A pixel that covers the level of
    the camera counts however far it looks, though it may cover more than the band there.

    floor: the band's heights count from it.
    """
    height, width = depth_m.shape
    at_size = camera.resized(width, height)
    ray = rays(at_size, width, height)
    axes, camera_m = band.axes(floor), 0.0 if floor is None else floor.offset
    ahead, left, up = (ray[..., 0] * x + ray[..., 1] * y + z for x, y, z in axes.T)
    across = np.hypot(ahead, left)
    is_level = (np.abs(up) * at_size.fy <= 0.5) & (band.low_m <= camera_m <= band.high_m)
    with np.errstate(invalid="ignore", divide="ignore"):
        is_known = depth_m > 0
        end = band.range_m / across
        z_m = np.where(is_known, np.minimum(depth_m, end), np.nan)
        above_m = z_m * up + camera_m
        is_inside = ((above_m >= band.low_m) & (above_m <= band.high_m)) | is_level
        range_m = np.where(is_inside & is_known, np.where(depth_m < end, z_m * across, np.inf), np.nan)
    return Sight(np.arctan2(left, ahead), range_m, is_known, (at_size.fx, at_size.fy), band)


def scan(sight: Sight, beams: int | None = None) -> Scan:
    """The nearest in each of `beams` equal steps of the field of view; without a number, as fine as the depth map."""
    low, high = float(sight.bearing.min()), float(sight.bearing.max())
    count = beams or max(1, math.floor((high - low) * sight.focal_px[0]))
    step = max((high - low) / count, 1e-6)
    known = ~np.isnan(sight.range_m)
    beam = np.clip(((sight.bearing[known] - low) / step).astype(np.int64), 0, count - 1)
    nearest = np.full(count, np.nan)
    np.fmin.at(nearest, beam, sight.range_m[known])
    return Scan(low + step / 2, step, nearest.astype(np.float32), sight.band.range_m)


def nearest_obstacles(sight: Sight, sectors: int = 5) -> list[Obstacle]:
    """The nearest obstacle of each of `sectors` equal parts of the field of view, from right to left.

    A few pixels alone, nearer than all others, are taken for errors.
    """
    low, high = float(sight.bearing.min()), float(sight.bearing.max())
    edges = np.linspace(low, high, sectors + 1)
    number = np.clip(np.searchsorted(edges, sight.bearing, side="right") - 1, 0, sectors - 1)
    return [_nearest(sight, number == i, float(edges[i]), float(edges[i + 1])) for i in range(sectors)]


def _nearest(sight: Sight, sector: npt.NDArray[np.bool_], start: float, end: float) -> Obstacle:
    middle, known = (start + end) / 2, float(sight.is_known[sector].mean()) if sector.any() else 0.0
    hits = sector & np.isfinite(sight.range_m)
    if not hits.any():
        is_free = bool(np.isinf(sight.range_m[sector]).any())
        return Obstacle(start, end, math.inf if is_free else math.nan, middle, known if is_free else 0.0)
    ranges, bearings = sight.range_m[hits], sight.bearing[hits]
    distance = float(np.sort(ranges)[min(_FEW_PIXELS, len(ranges)) - 1])
    is_it = ranges <= distance * (1 + _THICKNESS)
    size = min(_THING_M, sight.band.high_m - sight.band.low_m)
    expected = _THING_M * sight.focal_px[0] * size * sight.focal_px[1] / distance**2
    support = min(1.0, float(is_it.sum()) / max(expected, _FEW_PIXELS))
    return Obstacle(start, end, distance, float(np.median(bearings[is_it])), known * support)
