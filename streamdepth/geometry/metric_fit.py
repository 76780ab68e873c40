"""From relative depth to metres: scale and shift of inverse depth, from distances that the user knows."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthKind, DepthMap

Floats = npt.NDArray[np.float64]
FARTHEST_M = 200.0
"""What a fit puts farther away than this is infinitely far: there, inverse depth is all noise."""
USUAL_RATIO, _USUAL_WEIGHT = 2.5, 0.4
"""How many times as far as its nearest (98th percentile) a picture's farthest (2nd) usually is, and what that counts,
as a share of one measured point. It keeps three points from bending the rest of the picture away; many outvote it.
Chosen on 133 training pictures of NYU Depth v2, whose median is 2.6."""
_FEW = 8
_UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048, "in": 0.0254}


class Fit(NamedTuple):
    """1 / metres = scale * x + shift, where x is relative depth, or 1 / depth of a metric model."""

    scale: float
    shift: float
    residual: float
    """Median error at the known points, as a share of their distance."""
    points: int
    """How many there were."""


def length_m(text: str) -> float:
    """`1.35m`, `135 cm`, `1350mm`, `4ft`, `20in`, or a bare number of metres. Raises ConfigError."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", text)
    metres = float(match[1]) * _UNITS.get(match[2] or "m", 0.0) if match else 0.0
    if not 0 < metres < math.inf:
        raise ConfigError(f"'{text}' is no length; write 1.35m (also cm, mm, km, ft, in), larger than 0")
    return metres


def inverse_of(depth: DepthMap, kind: DepthKind) -> DepthMap:
    """What is linear in 1 / metres: relative depth itself, or 1 / depth; NaN where it tells nothing."""
    if kind is DepthKind.RELATIVE:
        return np.where(np.isfinite(depth), depth, np.float32(np.nan))
    known = np.isfinite(depth) & (depth > 0)
    return np.where(known, 1 / np.where(known, depth, np.float32(1)), np.float32(np.nan))


def ends_of(inverse: DepthMap) -> tuple[float, float] | None:
    """(far, near): the 2nd and 98th percentile; None for a map that is flat or unknown."""
    known = inverse[np.isfinite(inverse)]
    if not known.size:
        return None
    far, near = np.percentile(known, (2, 98))
    return (float(far), float(near)) if near > far else None


def usual_shift(ends: tuple[float, float]) -> float:
    """shift / scale of a picture whose farthest is USUAL_RATIO times as far as its nearest."""
    return (ends[1] - USUAL_RATIO * ends[0]) / (USUAL_RATIO - 1)


def fit_points(x: Floats, metres: Floats, ends: tuple[float, float], kind: DepthKind) -> Fit | None:
    """The fit through known points, robust where there are many; None where nothing fits.

    Errors count as shares of the distance. A metric model's depth gets a factor only.

    Args:
        x: (N,) at the points, as `inverse_of` gives it.
        metres: (N,) along z.
        ends: of the whole picture, from `ends_of`.
    """
    known = np.isfinite(x) & np.isfinite(metres) & (metres > 0)
    x, y = x[known], 1 / metres[known]
    if not x.size:
        return None
    if kind is DepthKind.METRIC:
        return _checked(float(np.median(y / x)), 0.0, x, y)
    weights = np.ones_like(y)
    scale, shift = _start(x, y) if x.size >= _FEW else _solve(x, y, weights / y, ends)
    for _ in range(5 if x.size >= _FEW else 0):
        off = np.abs(np.log(np.maximum(scale * x + shift, 1e-9) / y))
        weights = np.maximum(0, 1 - (off / (6 * np.median(off) + 1e-3)) ** 2)  # the root of Tukey's biweight
        scale, shift = _solve(x, y, weights / y, ends)
    if scale <= 0:
        usual = usual_shift(ends)
        scale = float(np.median(y / (x + usual))) if (x + usual > 0).all() else 0.0
        shift = scale * usual
    return _checked(scale, shift, x, y)


def _solve(x: Floats, y: Floats, weights: Floats, ends: tuple[float, float]) -> tuple[float, float]:
    usual = np.array([USUAL_RATIO * ends[0] - ends[1], USUAL_RATIO - 1]) / USUAL_RATIO
    rows = np.vstack([np.stack([x * weights, weights], axis=1), _USUAL_WEIGHT * weights.mean() * usual])
    middle = float(x.mean())  # the two columns are nearly the same where shift is large
    rows[:, 0] -= middle * rows[:, 1]
    square = rows.T @ rows
    if np.linalg.det(square) <= 1e-12 * square[0, 0] * square[1, 1]:
        return 0.0, 0.0
    scale, shift = np.linalg.solve(square, rows[:-1].T @ (y * weights))
    return float(scale), float(shift - middle * scale)


def _start(x: Floats, y: Floats) -> tuple[float, float]:
    """The line through two of the points with the least median error (Rousseeuw, JASA 1984)."""
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
    off = np.median(np.abs(np.outer(scale, x) + shift[:, None] - y) / y, axis=1)
    return float(scale[off.argmin()]), float(shift[off.argmin()])


def _checked(scale: float, shift: float, x: Floats, y: Floats) -> Fit | None:
    inverse = scale * x + shift
    if not (scale > 0 and (inverse > 0).any()):
        return None
    return Fit(scale, shift, float(np.median(np.abs(y / np.maximum(inverse, 1e-9) - 1))), len(x))


def to_meters(inverse: DepthMap, fit: Fit) -> DepthMap:
    """Metres along z; inf beyond FARTHEST_M, NaN stays NaN."""
    metric_fit = inverse * np.float32(fit.scale) + np.float32(fit.shift)
    far = metric_fit < 1 / FARTHEST_M
    return np.where(far, np.float32(np.inf), 1 / np.where(far, np.float32(1), metric_fit)).astype(np.float32)
