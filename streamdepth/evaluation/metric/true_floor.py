"""The true floor of a picture, found in its true depth."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.gravity import pitch_of
from streamdepth.geometry.projection import rays

_MAX_PITCH, _MAX_ROLL_SINE = 70.0, 0.45
_TOLERANCE, _TOLERANCE_SHARE = 0.02, 0.012
"""Distance from the plane up to which a point lies on the floor: meters, and a share of its depth."""
_MAX_BELOW = 0.006
"""Share of the points that may lie below a floor."""
_EDGE_SHARE = 0.02
"""Width of the picture's edge, where sensors' depth is often made up, as a share of its longer side."""
_SAMPLED_POINTS, _PLANES = 5000, 1500


class TrueFloor(NamedTuple):
    """A plane below which there is nothing."""

    up: Floats
    """(3,) its normal in the camera's axes."""
    height_m: float
    """Height of the camera above it."""
    share: float
    """Share of the picture's known depth that lies on it."""

    @property
    def pitch_degrees(self) -> float:
        """The angle by which the camera looks down on it."""
        return pitch_of(self.up)


def find_true_floor(truth_m: DepthMap, camera: Intrinsics) -> TrueFloor | None:
    """Returns the lowest level plane of a picture by RANSAC; None if points lie below every such plane.

    Args:
        truth_m: (H, W) exact or measured meters along z, NaN where unknown.
        camera: the camera of the picture.
    """
    is_known = np.isfinite(truth_m) & (truth_m > 0)
    edge = round(_EDGE_SHARE * max(truth_m.shape))
    is_known[:edge] = is_known[len(is_known) - edge :] = False
    is_known[:, :edge] = is_known[:, is_known.shape[1] - edge :] = False
    known = np.flatnonzero(is_known)
    if len(known) < 500:
        return None
    rng = np.random.default_rng(0)
    chosen = rng.choice(known, min(len(known), _SAMPLED_POINTS), replace=False)
    z = truth_m.ravel()[chosen].astype(np.float64)
    ray = rays(camera, truth_m.shape[1], truth_m.shape[0]).reshape(-1, 2)[chosen]
    points = np.column_stack([ray * z[:, None], z])
    tolerance = _TOLERANCE + _TOLERANCE_SHARE * z
    best = _lowest_plane(points, tolerance, np.flatnonzero(chosen // truth_m.shape[1] > 0.3 * truth_m.shape[0]), rng)
    if best is None:
        return None
    up, height_m = best
    for _ in range(4):
        inliers = np.abs(points @ up + height_m) < tolerance
        if inliers.sum() < 30:
            return None
        weight = 1 / tolerance[inliers, None]
        center = np.average(points[inliers], axis=0, weights=weight[:, 0] ** 2)
        up = np.linalg.svd((points[inliers] - center) * weight, full_matrices=False)[2][2]
        up = -up if up[1] > 0 else up
        height_m = -float(up @ center)
    height = points @ up + height_m
    if height_m <= 0 or (height < -3 * tolerance).mean() > _MAX_BELOW:
        return None
    return TrueFloor(up, height_m, float((np.abs(height) < tolerance).mean()))


def _lowest_plane(
    points: Floats, tolerance: Floats, low: np.typing.NDArray[np.intp], rng: np.random.Generator
) -> tuple[Floats, float] | None:
    """Returns (up, height) of the plane with the most points on it and none below."""
    if len(low) < 100:
        return None
    a, b, c = (points[low[i]] for i in rng.integers(0, len(low), (3, _PLANES)))
    up = np.cross(b - a, c - a)
    length = np.linalg.norm(up, axis=1)
    a, up = a[length > 1e-6], up[length > 1e-6] / length[length > 1e-6, None]
    up[up[:, 1] > 0] *= -1
    height = -(up * a).sum(axis=1)
    is_level = (-up[:, 1] > math.cos(math.radians(_MAX_PITCH))) & (np.abs(up[:, 0]) < _MAX_ROLL_SINE) & (height > 0.05)
    up, height = up[is_level], height[is_level]
    if not len(up):
        return None
    above = points @ up.T + height
    on_floor = (np.abs(above) < tolerance[:, None]).sum(axis=0)
    below = (above < -3 * tolerance[:, None]).sum(axis=0)
    best = int((on_floor - 4 * np.maximum(0, below - 0.004 * len(points))).argmax())
    return up[best], float(height[best])
