"""Inverse depth, in which errors of networks are uniform, and networks differ by a scale and a shift."""

from __future__ import annotations

from typing import cast

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthKind
from streamdepth.geometry.affine import Affine


def inverse_depth(depth: DepthMap, kind: DepthKind) -> DepthMap:
    """Returns 1 / meters of metric depth: 0 for infinity, NaN for values not above 0; relative depth as it is."""
    if kind is DepthKind.RELATIVE:
        return depth
    return cast(DepthMap, np.reciprocal(np.where(depth > 0, depth, np.float32(np.nan))))


def finite_inverse_depth(depth: DepthMap, kind: DepthKind) -> DepthMap:
    """Returns inverse depth, NaN where depth is infinite or unknown, since fits must leave out infinity."""
    return inverse_depth(np.where(np.isfinite(depth), depth, np.float32(np.nan)), kind)


def clipped_meters(inverse: DepthMap, affine: Affine, nearest_m: float, farthest_m: float) -> DepthMap:
    """Returns 1 / (scale * inverse + shift), clipped to [nearest_m, farthest_m]; NaN stays NaN."""
    scaled = np.float32(affine.scale) * inverse + np.float32(affine.shift)
    return cast(DepthMap, (1 / np.clip(scaled, 1 / farthest_m, 1 / nearest_m)).astype(np.float32))
