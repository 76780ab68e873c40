"""Fits of scale and shift between two sets of values."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]

_ITERATIONS = 5
_MIN_VALUES = 64
_MIN_INLIER_SHARE = 0.3
"""Share of the total weight that must agree with a robust fit."""


class Affine(NamedTuple):
    """The map y = scale * x + shift."""

    scale: float = 1.0
    shift: float = 0.0


class LeastSquaresFit:
    """The scale and shift that bring values to a target by least squares, over any number of maps.

    Only four sums stay in memory.

    >>> fit = LeastSquaresFit()
    >>> fit.add(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 7.0]))
    >>> fit.affine
    Affine(scale=2.0, shift=1.0)
    """

    def __init__(self) -> None:
        self._sums = np.zeros(4)
        self.count = 0
        """Number of pixels that count."""

    def add(self, values: Values, target: Values) -> None:
        """Adds two maps of one shape; only pixels that are finite in both count."""
        known = np.isfinite(values) & np.isfinite(target)
        x, y = values[known].astype(np.float64), target[known].astype(np.float64)
        self.count += x.size
        self._sums += [x.sum(), y.sum(), (x * x).sum(), (x * y).sum()]

    @property
    def affine(self) -> Affine:
        """The fit, target = scale * values + shift. Flat values have scale 0; without values it is the identity."""
        if not self.count:
            return Affine()
        x, y, xx, xy = self._sums / self.count
        variance = xx - x * x
        scale = (xy - x * y) / variance if variance > 1e-12 * xx else 0.0
        return Affine(float(scale), float(y - scale * x))


def fit_least_squares(values: Values, target: Values) -> Affine:
    """Returns the least-squares scale and shift that bring `values` to `target`; see `LeastSquaresFit`."""
    fit = LeastSquaresFit()
    fit.add(values, target)
    return fit.affine


def fit_affine(x: Values, target: Values, weight: Values, *, scale_only: bool = False) -> Affine | None:
    """Fits target = scale * x + shift robustly, reweighted by Tukey's biweight.

    The scale is the ratio of the spreads (reduced major axis): least squares would shrink it by the noise in `x`, a
    little more in every frame of a video. Returns None where no fit can be trusted: too few or flat values, a scale
    outside 0.5 to 2, or few values that agree.
    """
    if x.size < _MIN_VALUES:
        return None
    p, t, w = x.astype(np.float64), target.astype(np.float64), weight.astype(np.float64)
    span, solve = _quantile(t, 0.98) - _quantile(t, 0.02), _fit_ratio if scale_only else _fit_major_axis
    fit = solve(p, t, w)
    for _ in range(_ITERATIONS):
        if fit is None:
            return None
        residual = np.abs(fit.scale * p + fit.shift - t)
        reach = 4 * _quantile(residual, 0.5) + 1e-6 * span + 1e-30
        fit = solve(p, t, w * np.maximum(0, 1 - (residual / reach) ** 2) ** 2)
    if fit is None:
        return None
    inlier_share = float(w[residual < 0.1 * span].sum() / w.sum())
    return fit if 0.5 < fit.scale < 2 and inlier_share > _MIN_INLIER_SHARE else None


def _quantile(values: Floats, share: float) -> float:
    """Returns the value at a share of the sorted values, without interpolation, five times as fast as np.quantile."""
    position = round(share * (values.size - 1))
    return float(np.partition(values, position)[position])


def _fit_major_axis(p: Floats, t: Floats, w: Floats) -> Affine | None:
    total = w.sum()
    if total <= 0:
        return None
    mean_p, mean_t = float(w @ p / total), float(w @ t / total)
    dp, dt = p - mean_p, t - mean_t
    pp, tt, pt = w @ (dp * dp), w @ (dt * dt), w @ (dp * dt)
    if pt <= 0 or min(pp, tt) <= 1e-6 * total * max(mean_p * mean_p, 1e-30):
        return None
    scale = math.sqrt(tt / pp)
    return Affine(scale, mean_t - scale * mean_p)


def _fit_ratio(p: Floats, t: Floats, w: Floats) -> Affine | None:
    pp, tt = w @ (p * p), w @ (t * t)
    return Affine(math.sqrt(tt / pp)) if min(pp, tt) > 0 else None
