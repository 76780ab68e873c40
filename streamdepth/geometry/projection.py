"""Rays, points and pixels of a camera.

Points are in the camera's axes: x to the right, y down, z forward, as in OpenCV and in ROS's optical frames, and in
meters where the depth is metric.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.arrays import Floats, Points

ASSUMED_FOV = 60.0
"""Horizontal field of view, in degrees, of a camera that is not known: about that of phones and webcams."""


def camera_or_default(item: DepthFrame) -> Intrinsics:
    """Returns the frame's camera; where it is not known, a pinhole with a field of view of ASSUMED_FOV."""
    width, height = item.frame.size
    return item.intrinsics or Intrinsics.from_fov(ASSUMED_FOV, width, height)


@lru_cache(maxsize=4)
def rays(camera: Intrinsics, width: int, height: int) -> Floats:
    """Returns (height, width, 2) float64, read-only: x / z and y / z of what each pixel sees.

    Args:
        camera: the camera of the picture at any size.
        width: size of the depth map or picture that the rays are for, px.
        height: the same.
    """
    directions = _rays(camera.resized(width, height), width, height)
    directions.setflags(write=False)
    return directions


def _rays(camera: Intrinsics, width: int, height: int) -> Floats:
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    if not camera.distortion:
        return np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy], axis=-1)
    undistort = cv2.fisheye.undistortPoints if camera.is_fisheye else cv2.undistortPoints
    pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
    return cast(Floats, undistort(pixels, camera.matrix, np.array(camera.distortion)).reshape(height, width, 2))


def back_project(depth_m: DepthMap, camera: Intrinsics) -> Points:
    """Returns the (h, w, 3) points of a depth map, NaN where depth is not finite or not above 0.

    Args:
        depth_m: (h, w) meters along z of the whole picture, at any size.
        camera: the camera of that picture.
    """
    height, width = depth_m.shape
    z = np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(np.nan)).astype(np.float64)
    xy = rays(camera, width, height) * z[..., None]
    return np.concatenate([xy, z[..., None]], axis=-1).astype(np.float32)


def project(points: Points, camera: Intrinsics) -> Floats:
    """Returns the (..., 2) px at which (..., 3) points are seen: the inverse of `back_project`."""
    flat, zero = np.asarray(points, np.float64).reshape(-1, 1, 3), np.zeros(3)
    project_points = cv2.fisheye.projectPoints if camera.is_fisheye and camera.distortion else cv2.projectPoints
    pixels = project_points(flat, zero, zero, camera.matrix, np.array(camera.distortion or (0.0,) * 4))[0]
    return cast(Floats, pixels.reshape(*points.shape[:-1], 2))
