"""Fits scale and shift of inverse depth to known distances in meters; called by `stabilizers.metric`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.ranges import robust_range
from streamdepth.core.types import DepthKind
from streamdepth.geometry.arrays import Floats

FARTHEST_M = 200.0
"""Whatever a fit puts farther away than this is infinitely far: there, inverse depth is all noise."""
TYPICAL_RATIO = 2.5
"""Typical ratio of a picture's farthest distance (2nd percentile of inverse depth) to its nearest (98th). Chosen on 133
training pictures of NYU Depth v2, whose median is 2.6."""
_PRIOR_WEIGHT = 0.4
"""Weight of TYPICAL_RATIO in a fit, as a share of one measured point. It keeps three points from bending the rest of
the picture away, and many outvote it."""
_MIN_ROBUST_POINTS = 8
"""With fewer points than these, outliers cannot be told."""


UNKNOWN_SIGMA = 0.2
"""One standard deviation of the common scale of a fit that does not say its covariance, as a share."""


class ScaleShiftFit(NamedTuple):
    """1 / meters = scale * x + shift, where x is relative depth, or 1 / depth of a metric model."""

    scale: float
    shift: float
    residual: float
    """Median error at the known points, as a share of their distance."""
    points: int
    """Number of known points."""
    covariance: Floats | None = None
    """(2, 2) covariance of scale and shift as this frame alone tells them; None: `UNKNOWN_SIGMA` of both together."""
    noise_share: float = 0.03
    """Share of the covariance that is new in each frame. The rest stays from frame to frame, as the errors of a network
    or of a measured height do, so that many frames tell no more than one."""


def inverse_depth_range(inverse: DepthMap) -> tuple[float, float] | None:
    """Returns (far, near), the 2nd and 98th percentile of inverse depth; None for a map that is flat or unknown."""
    limits = robust_range(inverse, max_pixels=None)
    return limits if limits and limits[1] > limits[0] else None


def typical_shift(limits: tuple[float, float]) -> float:
    """Returns shift / scale of a picture whose farthest is TYPICAL_RATIO times as far away as its nearest.

    Args:
        limits: (far, near) of the whole picture, from `inverse_depth_range`.
    """
    far, near = limits
    return (near - TYPICAL_RATIO * far) / (TYPICAL_RATIO - 1)


def fit_points(x: Floats, meters: Floats, limits: tuple[float, float], kind: DepthKind) -> ScaleShiftFit | None:
    """Fits scale and shift to known points, robustly where there are many; returns None where nothing fits.

    Errors count as shares of the distance. A metric model's depth gets a scale only.

    Args:
        x: (N,) inverse depth at the points.
        meters: (N,) their distances along z.
        limits: (far, near) of the whole picture, from `inverse_depth_range`.
        kind: the kind of the model's depth.
    """
    known = np.isfinite(x) & np.isfinite(meters) & (meters > 0)
    x, y = x[known], 1 / meters[known]
    if not x.size:
        return None
    if kind is DepthKind.METRIC:
        return _checked(float(np.median(y / x)), 0.0, x, y)
    is_robust = x.size >= _MIN_ROBUST_POINTS
    weights = np.ones_like(y)
    scale, shift = _least_median_line(x, y) if is_robust else _least_squares(x, y, weights / y, limits)
    for _ in range(5 if is_robust else 0):
        error = np.abs(np.log(np.maximum(scale * x + shift, 1e-9) / y))
        weights = np.maximum(0, 1 - (error / (6 * np.median(error) + 1e-3)) ** 2)  # the root of Tukey's biweight
        scale, shift = _least_squares(x, y, weights / y, limits)
    if scale <= 0:
        ratio = typical_shift(limits)
        scale = float(np.median(y / (x + ratio))) if (x + ratio > 0).all() else 0.0
        shift = scale * ratio
    return _checked(scale, shift, x, y)


def _least_squares(x: Floats, y: Floats, weights: Floats, limits: tuple[float, float]) -> tuple[float, float]:
    """Returns the weighted least-squares scale and shift, with one more row for TYPICAL_RATIO."""
    far, near = limits
    prior = np.array([TYPICAL_RATIO * far - near, TYPICAL_RATIO - 1]) / TYPICAL_RATIO
    rows = np.vstack([np.stack([x * weights, weights], axis=1), _PRIOR_WEIGHT * weights.mean() * prior])
    mean = float(x.mean())  # the two columns are nearly the same where shift is large
    rows[:, 0] -= mean * rows[:, 1]
    square = rows.T @ rows
    if np.linalg.det(square) <= 1e-12 * square[0, 0] * square[1, 1]:
        return 0.0, 0.0
    scale, shift = np.linalg.solve(square, rows[:-1].T @ (y * weights))
    return float(scale), float(shift - mean * scale)


def _least_median_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Returns the line through two of the points with the least median error (Rousseeuw, JASA 1984)."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(x))[:500]
    x, y = x[chosen], y[chosen]
    a, b = rng.integers(0, len(x), (2, 200))
    rises = (x[b] - x[a]) * (y[b] - y[a]) > 0
    if not rises.any():
        return 0.0, 0.0
    a, b = a[rises], b[rises]
    scale = (y[b] - y[a]) / (x[b] - x[a])
    shift = y[a] - scale * x[a]
    error = np.median(np.abs(np.outer(scale, x) + shift[:, None] - y) / y, axis=1)
    return float(scale[error.argmin()]), float(shift[error.argmin()])


def _checked(scale: float, shift: float, x: Floats, y: Floats) -> ScaleShiftFit | None:
    """Returns the fit with its residual; None where it puts nothing before the camera."""
    inverse = scale * x + shift
    if not (scale > 0 and (inverse > 0).any()):
        return None
    return ScaleShiftFit(scale, shift, float(np.median(np.abs(y / np.maximum(inverse, 1e-9) - 1))), len(x))


def to_meters(inverse: DepthMap, fit: ScaleShiftFit) -> DepthMap:
    """Returns meters along z; inf beyond FARTHEST_M, NaN stays NaN."""
    inverse_m = inverse * np.float32(fit.scale) + np.float32(fit.shift)
    is_far = inverse_m < 1 / FARTHEST_M
    return np.where(is_far, np.float32(np.inf), 1 / np.where(is_far, np.float32(1), inverse_m)).astype(np.float32)
