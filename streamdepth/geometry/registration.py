"""Registration of a depth sensor's map to the view of another camera."""

from __future__ import annotations

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.projection import back_project, project

_MAX_RESOLUTION = 0.9
"""Resolution of the registered map, as a share of the sensor's: fewer pixels than points leave no holes in surfaces."""


def registered_size(depth_camera: Intrinsics, picture_camera: Intrinsics) -> tuple[int, int]:
    """Returns (width, height) of a registered map: the picture's shape at the sensor's resolution, if less."""
    share = min(1.0, _MAX_RESOLUTION * depth_camera.fx / picture_camera.fx)
    return max(1, round(picture_camera.width * share)), max(1, round(picture_camera.height * share))


def register_depth(
    depth_m: DepthMap, depth_camera: Intrinsics, picture_camera: Intrinsics, picture_from_depth: Floats
) -> DepthMap:
    """Returns a depth map as the picture's camera sees it: (h, w) of `registered_size`, meters along its z.

    Each known pixel becomes a point, moves to the other camera and is projected; the nearest point of a pixel wins.
    Pixels without a point are NaN, for example where the sensor's view is blocked.

    Args:
        depth_m: (h, w) meters along the sensor's z, NaN where unknown, at any size.
        depth_camera: the sensor's camera; lens distortion is undone.
        picture_camera: the picture's camera; its lens distortion is applied.
        picture_from_depth: (4, 4), maps points of the sensor to the picture's camera.
    """
    height, width = depth_m.shape
    sensor = depth_camera.resized(width, height)
    columns, rows = registered_size(sensor, picture_camera)
    seen = back_project(depth_m, sensor)
    points = seen[np.isfinite(seen[..., 2])]
    points = (points @ picture_from_depth[:3, :3].T + picture_from_depth[:3, 3]).astype(np.float32)
    points = points[points[:, 2] > 0]
    registered = np.full((rows, columns), np.nan, np.float32)
    if not len(points):
        return registered
    pixels = project(points, picture_camera.resized(columns, rows))
    with np.errstate(invalid="ignore"):
        column, row = (np.rint(np.nan_to_num(pixels[:, i], nan=-1.0, posinf=-1, neginf=-1)) for i in (0, 1))
    is_inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    z = points[is_inside, 2]
    cell = row[is_inside].astype(np.int64) * columns + column[is_inside].astype(np.int64)
    nearest = np.full(rows * columns, np.inf, np.float32)
    np.minimum.at(nearest, cell, z)
    return np.where(np.isfinite(nearest), nearest, np.float32(np.nan)).reshape(rows, columns)
