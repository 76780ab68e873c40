"""Ranges of the values of a depth map."""

from __future__ import annotations

import math

import numpy as np

from streamdepth.core.arrays import DepthMap

SAMPLE_PIXELS = 5000
"""Enough pixels for steady percentiles of a depth map, and few enough for every frame of a video."""


def robust_range(
    depth: DepthMap, shares: tuple[float, float] = (0.02, 0.98), *, max_pixels: int | None = SAMPLE_PIXELS
) -> tuple[float, float] | None:
    """Returns the values below which the given shares of the finite pixels lie; None when none is finite.

    Args:
        depth: a depth map, (h, w).
        shares: lower and upper share, 0 to 1.
        max_pixels: approximate number of pixels to sample evenly; None uses all.
    """
    step = max(1, math.isqrt(depth.size // max_pixels)) if max_pixels else 1
    values = depth[::step, ::step]
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = round((values.size - 1) * shares[0]), round((values.size - 1) * shares[1])
    values.partition((low, high))  # a quarter of the time of np.percentile, which interpolates
    return float(values[low]), float(values[high])


def all_finite(values: DepthMap) -> bool:
    """Returns True if no value is NaN or infinite; `values` is not empty."""
    return math.isfinite(values.min()) and math.isfinite(values.max())


def finite_range(depth: DepthMap) -> tuple[float, float]:
    """Returns the smallest and the largest finite value of a map; (inf, -inf) when none is finite."""
    low, high = float(depth.min()), float(depth.max())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    finite = depth[np.isfinite(depth)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.inf, -math.inf)
