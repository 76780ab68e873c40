"""The local surface at each pixel of a depth map: tangent planes, normals, and grazing angles."""

from __future__ import annotations

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats, Mask, Points
from streamdepth.geometry.projection import rays

_GRAZING_SINE = 0.087
"""The sine of 5 degrees."""


def tangent_planes(depth_m: DepthMap, camera: Intrinsics) -> Floats:
    """Returns (h, w, 3) float64: at each pixel the vector `a` with a . point = 1 on the local plane; NaN = unknown.

    On a plane 1 / z is linear in the picture, so that its gradient is exact there. Of the two neighbors on each axis
    the one is taken that continues the plane best, which keeps edges sharp.
    """
    height, width = depth_m.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.nan).astype(np.float64)
    ray = rays(camera, width, height)
    across = _one_sided_gradient(inverse) / np.gradient(ray[..., 0], axis=1)
    down = _one_sided_gradient(inverse.T).T / np.gradient(ray[..., 1], axis=0)
    return np.stack([across, down, inverse - across * ray[..., 0] - down * ray[..., 1]], axis=-1)


def _one_sided_gradient(values: Floats) -> Floats:
    """Returns the difference to a neighbor along the last axis, on the side where three values are in a line."""
    padded = np.pad(values, ((0, 0), (2, 2)), constant_values=np.nan)
    before, after = padded[:, 1:-3], padded[:, 3:-1]
    bend_before = np.abs(padded[:, :-4] - 2 * before + values)
    bend_after = np.abs(padded[:, 4:] - 2 * after + values)
    left, right = values - before, after - values
    bend_before, bend_after = (np.nan_to_num(bend, nan=np.inf) for bend in (bend_before, bend_after))
    chosen = np.where(bend_before <= bend_after, left, right)
    return np.where(np.isfinite(chosen), chosen, np.where(np.isfinite(left), left, right))


def normals(depth_m: DepthMap, camera: Intrinsics) -> Points:
    """Returns (h, w, 3) float32 unit vectors that point towards the camera; NaN = unknown."""
    planes = tangent_planes(depth_m, camera)
    return np.asarray(-planes / np.linalg.norm(planes, axis=-1, keepdims=True), np.float32)


def is_grazing(depth_m: DepthMap, camera: Intrinsics) -> Mask:
    """Returns (h, w), True where the surface is seen under less than 5 degrees, as slopes across depth jumps are."""
    height, width = depth_m.shape
    if min(height, width) < 2:
        return np.zeros(depth_m.shape, np.bool_)
    planes, ray = tangent_planes(depth_m, camera), rays(camera, width, height)
    length = np.linalg.norm(planes, axis=-1) * np.sqrt((ray**2).sum(axis=-1) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 / depth_m < _GRAZING_SINE * length, np.bool_)
