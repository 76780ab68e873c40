"""Fits scale and shift of inverse depth to known distances in meters; called by `stabilizers.metric`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.ranges import robust_range
from streamdepth.core.types import DepthKind
from streamdepth.geometry.arrays import Floats

FARTHEST_M = 200.0
"""Larger fitted distances become infinity, because inverse depth is only noise there."""
_NEAR_ZERO = 1 / FARTHEST_M
TYPICAL_RATIO = 2.5
"""Typical ratio of a picture's farthest distance (2nd percentile of inverse depth) to its nearest (98th). Chosen on 133
training pictures of NYU Depth v2, whose median is 2.6."""
_RATIO_SIGMA = 0.45
"""One standard deviation of the logarithm of that ratio. It stabilizes fits to few points, and hardly affects fits to
many."""
_NETWORK_SIGMA, _NETWORK_POINTS = 0.14, 4
"""One standard deviation of a network's error at one point, as a share of the distance; and the number of points whose
found errors have the same weight as it."""
_INDEPENDENT_SHARE = 0.8
"""Share of the cells of a picture whose errors are independent of their neighbors'."""
MIN_ROBUST_POINTS = 8
"""Number of points below which outliers cannot be recognized."""
_CAUCHY = 2.385
"""Errors of this many standard deviations get half the weight; 95 % efficient for normal errors."""
UNKNOWN_SIGMA = 0.2
"""One standard deviation of the common scale of a fit without a covariance, as a share."""


class ScaleShiftFit(NamedTuple):
    """1 / meters = scale * x + shift, where x is relative depth, or 1 / depth of a metric model."""

    scale: float
    shift: float
    residual: float
    """Median error at the known points, as a share of their distance."""
    points: int
    """Number of known points."""
    covariance: Floats | None = None
    """(2, 2) covariance of scale and shift from this frame alone; None: `UNKNOWN_SIGMA` of both together."""
    noise_share: float = 0.03
    """Share of the covariance that is new in each frame. The rest is constant from frame to frame, like the errors of a
    network or of a measured height, so that it does not average out."""
    least_common_sigma: float = 0.0
    """Smallest error common to all fits of this reference, as a share of the distance, estimated from their
    contradictions (`stabilizers.fit_scatter`)."""


def inverse_depth_range(inverse: DepthMap) -> tuple[float, float] | None:
    """Returns (far, near), the 2nd and 98th percentile of inverse depth; None for a map that is flat or unknown."""
    limits = robust_range(inverse, max_pixels=None)
    return limits if limits and limits[1] > limits[0] else None


def typical_shift(limits: tuple[float, float]) -> float:
    """Returns shift / scale of a picture whose farthest distance is TYPICAL_RATIO times its nearest.

    Args:
        limits: (far, near) of the whole picture, from `inverse_depth_range`.
    """
    far, near = limits
    return (near - TYPICAL_RATIO * far) / (TYPICAL_RATIO - 1)


def fit_points(
    x: Floats,
    meters: Floats,
    limits: tuple[float, float],
    kind: DepthKind,
    *,
    sigma: Floats | None = None,
    cells: npt.NDArray[np.intp] | None = None,
) -> ScaleShiftFit | None:
    """Fits scale and shift to known points, robustly if there are many; returns None if nothing fits.

    Errors count as shares of the distance: the variance is that of a constant coefficient of variation, (scale * x +
    shift)^2 (McCullagh and Nelder, 1989, chapter 8), reweighted by Cauchy's function (Holland and Welsch, 1977). The
    usual ratio of far to near is added as one more measurement. For a metric model only the scale is fitted.

    Args:
        x: (N,) inverse depth at the points.
        meters: (N,) their distances along z.
        limits: (far, near) of the whole picture, from `inverse_depth_range`.
        kind: the kind of the model's depth.
        sigma: (N,) one standard deviation of each distance, as a share; None: exact.
        cells: (N,) number of the picture's cell that each point lies in; errors are equal within a cell and correlated
            between neighbors. None: each point has a cell of its own.
    """
    known = np.isfinite(x) & np.isfinite(meters) & (meters > 0)
    x, y = x[known], 1 / meters[known]
    if not x.size:
        return None
    weights = np.ones_like(x) if sigma is None else 1 / (1 + (sigma[known] / _NETWORK_SIGMA) ** 2)
    count = _independent_count(None if cells is None else cells[known], x.size)
    if kind is DepthKind.METRIC:
        return _scale_only(x, y, weights, count)
    if x.size >= MIN_ROBUST_POINTS:
        scale, shift = _least_median_line(x, y)
        scale, shift = (scale, shift) if scale > 0 else _least_squares(x, y, weights, y, limits)
        for _ in range(8):
            error = _log_errors(scale, shift, x, y)
            robust = weights / (1 + (error / (_CAUCHY * (1.4826 * np.median(np.abs(error)) + 1e-3))) ** 2)
            scale, shift = _least_squares(x, y, robust, np.maximum(scale * x + shift, _NEAR_ZERO), limits)
        weights = robust
    else:
        scale, shift = _least_squares(x, y, weights, y, limits)
    if scale <= 0:
        ratio = typical_shift(limits)
        scale = float(np.median(y / (x + ratio))) if (x + ratio > 0).all() else 0.0
        shift = scale * ratio
    return _with_covariance(_checked(scale, shift, x, y), x, y, weights, count, limits)


def _independent_count(cells: npt.NDArray[np.intp] | None, count: int) -> float:
    """Returns the effective number of independent points of N points in these cells."""
    if cells is None:
        return float(count)
    occupied = len(np.unique(cells))
    return max(float(min(occupied, 4)), _INDEPENDENT_SHARE * occupied)


def _scale_only(x: Floats, y: Floats, weights: Floats, count: float) -> ScaleShiftFit | None:
    fit = _checked(float(np.median(y / x)), 0.0, x, y)
    if fit is None:
        return None
    variance = _error_variance(_log_errors(fit.scale, 0.0, x, y), count, 1) / (count * float(weights.mean()))
    return fit._replace(covariance=np.array([[variance * fit.scale**2, 0.0], [0.0, 0.0]]))


def _log_errors(scale: float, shift: float, x: Floats, y: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(scale * x + shift, _NEAR_ZERO) / y), np.float64)


def _error_variance(error: Floats, count: float, parameters: int) -> float:
    """Returns the variance of a point's error, from the errors found and the usual error of a network."""
    freedom = max(0.0, count - parameters)
    if error.size >= MIN_ROBUST_POINTS:
        found = float((1.4826 * np.median(np.abs(error))) ** 2)
    else:
        found = float((error**2).sum()) / max(1, error.size - parameters)
    return (_NETWORK_POINTS * _NETWORK_SIGMA**2 + freedom * found) / (_NETWORK_POINTS + freedom)


def _with_covariance(
    fit: ScaleShiftFit | None, x: Floats, y: Floats, weights: Floats, count: float, limits: tuple[float, float]
) -> ScaleShiftFit | None:
    """Returns the fit with its covariance, the inverse of the information of the points and the usual ratio."""
    if fit is None:
        return None
    variance = _error_variance(_log_errors(fit.scale, fit.shift, x, y), count, 2)
    rows = np.stack([x, np.ones_like(x)], axis=1) / np.maximum(fit.scale * x + fit.shift, _NEAR_ZERO)[:, None]
    told = (rows * weights[:, None]).T @ rows * (count / len(x) / variance)
    prior = _ratio_row(limits, max(fit.scale * limits[1] + fit.shift, _NEAR_ZERO))
    return fit._replace(covariance=invert_covariance(told + np.outer(prior, prior) / _RATIO_SIGMA**2))


def invert_covariance(matrix: Floats) -> Floats:
    """Returns the inverse of a (2, 2) covariance of scale and shift, whose rows may differ by orders of magnitude.

    If the shift is known to be 0, as for metric networks, its row is 0 in both matrices.
    """
    diagonal = np.diag(matrix)
    size = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return np.asarray(np.linalg.pinv(matrix / np.outer(size, size)) / np.outer(size, size), np.float64)


def _ratio_row(limits: tuple[float, float], near: float) -> Floats:
    """Returns the (2,) row whose product with (scale, shift) is the relative error of the usual ratio."""
    return np.array([TYPICAL_RATIO * limits[0] - limits[1], TYPICAL_RATIO - 1]) / near


def _least_squares(
    x: Floats, y: Floats, weights: Floats, level: Floats, limits: tuple[float, float]
) -> tuple[float, float]:
    """Returns the scale and shift with the least weighted squares of (scale * x + shift - y) / level.

    The usual ratio counts as one more point.
    """
    root = np.sqrt(weights) / level
    prior = _ratio_row(limits, float(np.percentile(level, 98))) * (_NETWORK_SIGMA / _RATIO_SIGMA)
    rows = np.vstack([np.stack([x * root, root], axis=1), prior])
    mean = float(x.mean())  # the two columns are nearly the same where shift is large
    rows[:, 0] -= mean * rows[:, 1]
    square = rows.T @ rows
    if np.linalg.det(square) <= 1e-12 * square[0, 0] * square[1, 1]:
        return 0.0, 0.0
    scale, shift = np.linalg.solve(square, rows[:-1].T @ (y * root))
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
    """Returns the fit with its residual; None if it gives no point a positive distance."""
    inverse = scale * x + shift
    if not (scale > 0 and (inverse > 0).any()):
        return None
    return ScaleShiftFit(scale, shift, float(np.median(np.abs(y / np.maximum(inverse, 1e-9) - 1))), len(x))


def to_meters(inverse: DepthMap, scale: float, shift: float) -> DepthMap:
    """Returns meters along z, 1 / (scale * inverse + shift); inf beyond FARTHEST_M, NaN stays NaN."""
    inverse_m = inverse * np.float32(scale) + np.float32(shift)
    is_far = inverse_m < 1 / FARTHEST_M
    return np.where(is_far, np.float32(np.inf), 1 / np.where(is_far, np.float32(1), inverse_m)).astype(np.float32)
