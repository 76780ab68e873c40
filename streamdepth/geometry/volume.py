"""The volume of what stands on a plane, and its height map seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats, Mask, Points
from streamdepth.geometry.planes import Plane
from streamdepth.geometry.projection import back_project, rays
from streamdepth.geometry.surfaces import is_grazing, tangent_planes

_MAX_CELLS = 10_000_000
_STRAIGHT_DOWN_COSINE = 0.99


@dataclass(frozen=True, slots=True)
class Volume:
    """A measured volume with its standard error."""

    volume_m3: float
    error_m3: float
    """One standard deviation, from the ground's unevenness and from an outline that may lie anywhere within its pixels.
    The depth's own bias is not in it."""
    area_m2: float
    """Area seen from above."""
    max_height_m: float


def measure_volume(depth_m: DepthMap, camera: Intrinsics, region: Mask, plane: Plane) -> Volume:
    """Returns the volume of what stands on `plane` inside `region`.

    Each pixel adds its height times the ground that it covers seen from above, so that steep faces add nothing, and
    surfaces seen from below are subtracted, so that noise cancels out. Space hidden from the camera counts as empty.

    Args:
        depth_m: (h, w) meters along z.
        camera: the camera of the whole picture.
        region: (h, w), True inside.
        plane: the ground, for example from `ground.find_floor`.
    """
    depth_m = np.where(_spans_depth_jump(depth_m, camera), np.float32(np.nan), depth_m)
    points, tangents = back_project(depth_m, camera), tangent_planes(depth_m, camera)
    ray = rays(camera, depth_m.shape[1], depth_m.shape[0])
    pixel = np.gradient(ray[..., 0], axis=1) * np.gradient(ray[..., 1], axis=0)
    ground_m2 = -(tangents @ plane.normal) * points[..., 2].astype(np.float64) ** 3 * pixel
    heights = plane.heights(points).astype(np.float64)
    is_above = region & np.isfinite(heights) & np.isfinite(ground_m2) & (heights > max(3 * plane.rms_m, 1e-4))
    parts = np.where(is_above, ground_m2 * np.nan_to_num(heights), 0)
    area = float(np.where(is_above, ground_m2, 0).sum())
    inner = cv2.erode(is_above.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    outline = float(np.abs(parts[is_above & ~inner]).sum() / np.sqrt(12))  # of a pixel's width, all on the same side
    error = float(np.hypot(area * plane.rms_m, outline))
    return Volume(float(parts.sum()), error, area, float(heights[is_above].max(initial=0.0)))


def height_map(
    depth_m: DepthMap, camera: Intrinsics, plane: Plane, cell_m: float, region: Mask | None = None
) -> Points:
    """Returns (rows, columns) meters above `plane`, seen from above: the highest point of each cell, NaN where unseen.

    Columns run to the camera's right and rows away from it; for a camera that looks straight down, rows run to the top
    of the picture.

    Args:
        depth_m: (h, w) meters along z.
        camera: the camera of the whole picture.
        plane: the ground.
        cell_m: side of a cell.
        region: (h, w), True inside; None: the whole picture.

    Raises:
        ConfigError: nothing is known in the region (code "no-depth"), or more than ten million cells are needed
            ("too-large").
    """
    points = back_project(depth_m, camera).astype(np.float64)
    known = np.isfinite(points).all(axis=-1)
    points = points[known if region is None else known & region]
    if not len(points):
        raise ConfigError("no depth is known in the region; choose another", code="no-depth")
    forwards, right = _ground_axes(plane)
    places = np.stack([points @ forwards, points @ right], axis=1)
    depth, width = np.ptp(places, axis=0)
    if depth * width > _MAX_CELLS * cell_m**2:
        raise ConfigError(
            f"a height map of {width:.4g} x {depth:.4g} m has too many cells of {cell_m:g} m, {_MAX_CELLS:,} at most; "
            "choose larger ones (--cell), or a region without what is far away",
            code="too-large",
        )
    cells = np.floor((places - places.min(axis=0)) / cell_m).astype(np.int64)
    heights = np.full(tuple(cells.max(axis=0) + 1), -np.inf, np.float32)
    np.maximum.at(heights, tuple(cells.T), plane.heights(points.astype(np.float32)))
    return np.where(np.isfinite(heights), heights, np.float32(np.nan))


def _ground_axes(plane: Plane) -> tuple[Floats, Floats]:
    """Returns the directions along the plane that lead away from the camera and to its right, (3,) each."""
    looks_down = abs(plane.normal[2]) > _STRAIGHT_DOWN_COSINE
    forwards = np.array([0.0, -1.0, 0.0] if looks_down else [0.0, 0.0, 1.0])
    forwards -= (forwards @ plane.normal) * plane.normal
    forwards /= np.linalg.norm(forwards)
    return forwards, np.cross(-plane.normal, forwards)


def _spans_depth_jump(depth_m: DepthMap, camera: Intrinsics) -> Mask:
    """Returns (h, w), True where at least 2x2 px are seen at grazing angles, as across a depth jump; noise is not."""
    grazing = is_grazing(depth_m, camera).astype(np.uint8)
    square = np.ones((2, 2), np.uint8)
    return np.asarray(cv2.dilate(cv2.erode(grazing, square), square, anchor=(0, 0)) > 0, np.bool_)
