"""Fuses fits of scale and shift that come from independent references."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.metric_fit import UNKNOWN_SIGMA, ScaleShiftFit, invert_covariance


def fuse_fits(fits: Sequence[ScaleShiftFit]) -> ScaleShiftFit:
    """Returns the fusion of independent fits of one frame.

    It is their mean weighted by the inverse covariances, the maximum likelihood estimate for normal errors. Its
    covariance is the inverse of the sum of the weights, smaller than that of each fit. Its residual is the largest one.

    Args:
        fits: one or more.
    """
    if len(fits) == 1:
        return fits[0]
    weights = [invert_covariance(covariance_of(fit)) for fit in fits]
    covariance = invert_covariance(np.sum(weights, axis=0))
    told = np.sum([weight @ (fit.scale, fit.shift) for weight, fit in zip(weights, fits, strict=True)], axis=0)
    scale, shift = covariance @ told
    return ScaleShiftFit(
        float(scale),
        float(shift),
        max(fit.residual for fit in fits),
        sum(fit.points for fit in fits),
        covariance,
        min(fit.noise_share for fit in fits),
        max(fit.least_common_sigma for fit in fits),
    )


def log_ratio(fit: ScaleShiftFit, other: ScaleShiftFit, x: float) -> tuple[float, float]:
    """Returns the logarithm of the ratio of the distances that two fits give, and its standard deviation.

    Args:
        x: the inverse depth at which they are compared. Where a fit puts it infinitely far, both results are inf.
    """
    row = np.array([x, 1.0])
    values = [one.scale * x + one.shift for one in (fit, other)]
    if min(values) <= 0:
        return math.inf, math.inf
    shares = [math.sqrt(row @ covariance_of(one) @ row) / v for one, v in zip((fit, other), values, strict=True)]
    return math.log(values[1] / values[0]), math.hypot(*shares)


def covariance_of(fit: ScaleShiftFit) -> Floats:
    """Returns the covariance of a fit; a fit without one gets that of the error `UNKNOWN_SIGMA`."""
    state = np.array([fit.scale, fit.shift])
    return UNKNOWN_SIGMA**2 * np.outer(state, state) if fit.covariance is None else fit.covariance
