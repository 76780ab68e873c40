"""Sharpness of depth: the boundary F1 of Depth Pro.

Bochkovskii et al., "Depth Pro: Sharp Monocular Metric Depth in Less Than a Second", ICLR 2025, section 3.3: between two
neighbors lies an occluding contour if the ratio of their depths is above t. Precision and recall compare the contours
of prediction and ground truth with their directions, and F1 is averaged over t from 1.05 to 1.25, weighted by t. The
counts of all directions are added up, as in the paper's sums, so that a perfect prediction has 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap

THRESHOLDS = np.linspace(1.05, 1.25, 10)
DENSE_SHARE = 0.5
"""Share of known pixels from which on ground truth is dense enough to have contours."""


def boundary_f1(depth_m: DepthMap, truth_m: DepthMap) -> float:
    """Returns the boundary F1 of (H, W) meters above 0, from 0 to 1; NaN where the ground truth has no contour.

    Only neighbors that are known (not NaN) in both maps count, and only thresholds below the largest jump.
    """
    depth, truth = np.log(depth_m), np.log(truth_m)
    jumps = [_jumps(depth, truth, axis) for axis in (0, 1)]
    d, t = (np.concatenate(side) for side in zip(*jumps, strict=True))
    both = np.where(np.sign(d) == np.sign(t), np.minimum(np.abs(d), np.abs(t)), 0)
    found, predicted, true = (_counts(jump) for jump in (both, np.abs(d), np.abs(t)))
    if not true.any():
        return float("nan")
    # 2PR / (P + R) with P = found / predicted and R = found / true
    seen = predicted + true > 0
    f1 = 2 * found[seen] / (predicted + true)[seen]
    return float(np.average(f1, weights=THRESHOLDS[seen]))


def _jumps(depth: DepthMap, truth: DepthMap, axis: int) -> tuple[DepthMap, DepthMap]:
    """Returns (K,) log ratios of neighbors along one axis for each map, where both maps know both neighbors."""
    d, t = np.diff(depth, axis=axis), np.diff(truth, axis=axis)
    known = np.isfinite(d) & np.isfinite(t)
    return d[known], t[known]


def _counts(jumps: DepthMap) -> npt.NDArray[np.int64]:
    """Returns the number of jumps above each threshold."""
    return np.array([np.count_nonzero(jumps > level) for level in np.log(THRESHOLDS)])
