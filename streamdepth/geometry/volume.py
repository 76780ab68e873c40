"""What stands on a plane: its volume, and its height seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthMap, Intrinsics
from streamdepth.geometry.points import Mask, Plane, Points, back_project, is_grazing, rays, surface

_MOST_CELLS = 10_000_000
_STRAIGHT_DOWN = 0.99


@dataclass(frozen=True, slots=True)
class Volume:
    volume_m3: float
    error_m3: float
    """One standard deviation: of the ground's unevenness, and of an outline that lies anywhere within its pixels; not
    of the depth's own bias."""
    area_m2: float
    """Seen from above."""
    highest_m: float


def volume(depth_m: DepthMap, camera: Intrinsics, region: Mask, plane: Plane) -> Volume:
    """What stands on `plane` inside `region`, an (h, w) mask of the depth map.

    Each pixel holds its height times the ground it covers seen from above, so that steep faces add nothing, and what is
    seen from below is taken away: noise cancels out. What is hidden from the camera is taken as empty.
    """
    depth_m = np.where(_is_drawn_over_a_jump(depth_m, camera), np.float32(np.nan), depth_m)
    points, at = back_project(depth_m, camera), surface(depth_m, camera)
    ray = rays(camera, depth_m.shape[1], depth_m.shape[0])
    pixel = np.gradient(ray[..., 0], axis=1) * np.gradient(ray[..., 1], axis=0)
    ground = -(at @ plane.normal) * points[..., 2].astype(np.float64) ** 3 * pixel
    heights = plane.heights(points).astype(np.float64)
    stands = region & np.isfinite(heights) & np.isfinite(ground) & (heights > max(3 * plane.rms_m, 1e-4))
    parts = np.where(stands, ground * np.nan_to_num(heights), 0)
    area = float(np.where(stands, ground, 0).sum())
    inner = cv2.erode(stands.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    outline = float(np.abs(parts[stands & ~inner]).sum() / np.sqrt(12))  # of a pixel's width, all on the same side
    error = float(np.hypot(area * plane.rms_m, outline))
    return Volume(float(parts.sum()), error, area, float(heights[stands].max(initial=0.0)))


def height_map(
    depth_m: DepthMap, camera: Intrinsics, plane: Plane, cell_m: float, region: Mask | None = None
) -> Points:
    """(rows, columns) metres over `plane`, seen from above, highest point of each cell; NaN where nothing was seen.

    Columns run to the camera's right, rows away from it; where it looks straight down, to the picture's top. region: an
    (h, w) mask of the depth map; None: all of it.
    Raises ConfigError where nothing is known inside, and for more than ten million cells.
    """
    points = back_project(depth_m, camera).astype(np.float64)
    known = np.isfinite(points).all(axis=-1)
    points = points[known if region is None else known & region]
    if not len(points):
        raise ConfigError("no depth is known in the region; choose another")
    looks_down = abs(plane.normal[2]) > _STRAIGHT_DOWN
    forward = np.array([0.0, -1.0, 0.0] if looks_down else [0.0, 0.0, 1.0])
    forward -= (forward @ plane.normal) * plane.normal
    forward /= np.linalg.norm(forward)
    right = np.cross(-plane.normal, forward)
    place = np.stack([points @ forward, points @ right], axis=1)
    away, across = np.ptp(place, axis=0)
    if away * across > _MOST_CELLS * cell_m**2:
        raise ConfigError(
            f"a height map of {across:.4g} x {away:.4g} m has too many cells of {cell_m:g} m, {_MOST_CELLS:,} at most; "
            "choose larger ones (--cell), or a region without what is far away"
        )
    cells = np.floor((place - place.min(axis=0)) / cell_m).astype(np.int64)
    heights = np.full(tuple(cells.max(axis=0) + 1), -np.inf, np.float32)
    np.maximum.at(heights, tuple(cells.T), plane.heights(points.astype(np.float32)))
    return np.where(np.isfinite(heights), heights, np.float32(np.nan))


def _is_drawn_over_a_jump(depth_m: DepthMap, camera: Intrinsics) -> Mask:
    """Grazing over two pixels and more, each way: what noise does not do."""
    grazing = is_grazing(depth_m, camera).astype(np.uint8)
    square = np.ones((2, 2), np.uint8)
    return np.asarray(cv2.dilate(cv2.erode(grazing, square), square, anchor=(0, 0)) > 0, np.bool_)
