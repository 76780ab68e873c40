"""Rays, points and pixels of a camera.

Points are in the camera's axes: x to the right, y down, z forward, as in OpenCV and in ROS's optical frames, and in
meters where the depth is metric.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.arrays import Floats, Points

ASSUMED_FOV = 60.0
"""Horizontal field of view in degrees that is assumed for unknown cameras: about that of phones and webcams."""


def camera_or_default(item: DepthFrame) -> Intrinsics:
    """Returns the frame's camera; where it is not known, a pinhole with a field of view of ASSUMED_FOV."""
    width, height = item.frame.size
    return item.intrinsics or Intrinsics.from_fov(ASSUMED_FOV, width, height)


def require_pinhole(item: DepthFrame) -> Intrinsics:
    """Returns the frame's camera. Raises ConfigError ("unknown-camera") where it is unknown or distorts."""
    camera = item.intrinsics
    if camera is None or camera.distortion:
        hint = "add --fov auto, --fov or --camera-info" if camera is None else "add --undistort"
        raise ConfigError(
            f"places in space need a camera that is known and does not distort; {hint}", code="unknown-camera"
        )
    return camera


@lru_cache(maxsize=4)
def rays(camera: Intrinsics, width: int, height: int) -> Floats:
    """Returns x / z and y / z of the ray of each pixel, (height, width, 2) float64, read-only.

    They are NaN where the lens sees nothing, and beyond MAX_RAY_DEGREES from its axis.

    Args:
        camera: the camera of the picture at any size.
        width: size of the depth map or picture that the rays are for, px.
        height: the same.
    """
    pixels = np.stack(np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)), axis=-1)
    directions = camera.resized(width, height).rays(pixels)
    directions.setflags(write=False)
    return directions


def back_project(depth_m: DepthMap, camera: Intrinsics) -> Points:
    """Returns the (h, w, 3) points of a depth map, NaN where depth is not finite or not above 0, or has no ray.

    Args:
        depth_m: (h, w) meters along z of the whole picture, at any size.
        camera: the camera of that picture.
    """
    height, width = depth_m.shape
    ray = rays(camera, width, height)
    is_known = np.isfinite(depth_m) & (depth_m > 0) & np.isfinite(ray[..., 0])
    z = np.where(is_known, depth_m, np.float32(np.nan)).astype(np.float64)
    return np.concatenate([ray * z[..., None], z[..., None]], axis=-1).astype(np.float32)


def project(points: Points, camera: Intrinsics) -> Floats:
    """Returns the (..., 2) px at which (..., 3) points are seen, NaN for those that the lens does not see.

    This is the inverse of `back_project`.
    """
    places = camera.lens.project(np.asarray(points, np.float64))
    return np.asarray(places * (camera.fx, camera.fy) + (camera.cx, camera.cy), np.float64)
