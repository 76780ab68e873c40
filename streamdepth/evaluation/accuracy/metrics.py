"""Accuracy metrics of one depth map against the ground truth.

torchmetrics has neither masks, deltas nor SILog, so these one-line formulas are written here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.geometry.affine import fit_least_squares
from streamdepth.geometry.inverse_depth import clipped_meters


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics of one picture, or their means over many; d is the prediction, d* the ground truth, both in meters.

    Definitions: Eigen et al., NeurIPS 2014, section 4.2; silog: the KITTI depth benchmark (Uhrig et al., 3DV 2017).
    """

    abs_rel: float
    """Mean of |d - d*| / d*."""
    sq_rel: float
    """Mean of (d - d*)^2 / d*, meters."""
    rmse_m: float
    """Root of the mean of (d - d*)^2, meters."""
    rmse_log: float
    """Root of the mean of (ln d - ln d*)^2."""
    log10: float
    """Mean of |log10 d - log10 d*|."""
    silog: float
    """100 times the standard deviation of ln d - ln d*: the scale of d does not count."""
    delta1: float
    """Share of pixels with max(d / d*, d* / d) < 1.25."""
    delta2: float
    """The same below 1.25^2."""
    delta3: float
    """The same below 1.25^3."""
    boundary_f1: float = float("nan")
    """0 to 1, see `accuracy.boundary`; NaN where truth is sparse."""
    ordinal: float = float("nan")
    """Share of pairs of pixels in the right order, see `accuracy.ordinal`."""


def score(depth_m: DepthMap, truth_m: DepthMap) -> Scores:
    """Returns the metrics of two (H, W) maps of meters above 0; boundary_f1 and ordinal are NaN.

    Pixels that are not finite in both maps do not count; at least one must be.
    """
    known = np.isfinite(truth_m) & np.isfinite(depth_m)
    d, t = depth_m[known].astype(np.float64), truth_m[known].astype(np.float64)
    error, log_error = d - t, np.log(d) - np.log(t)
    ratio = np.abs(log_error)
    return Scores(
        abs_rel=float((np.abs(error) / t).mean()),
        sq_rel=float((error**2 / t).mean()),
        rmse_m=float(np.sqrt((error**2).mean())),
        rmse_log=float(np.sqrt((log_error**2).mean())),
        log10=float(ratio.mean() / np.log(10)),
        silog=float(100 * log_error.std()),
        delta1=float((ratio < np.log(1.25)).mean()),
        delta2=float((ratio < 2 * np.log(1.25)).mean()),
        delta3=float((ratio < 3 * np.log(1.25)).mean()),
    )


def align(prediction: DepthMap, truth_m: DepthMap, nearest_m: float = 1e-3, farthest_m: float = 10.0) -> DepthMap:
    """Converts inverse depth of any scale and shift to meters between `nearest_m` and `farthest_m`.

    Scale and shift are fitted by least squares in inverse depth (Ranftl et al., TPAMI 2020, section 5) where both maps,
    (H, W), are finite; NaN stays NaN.
    """
    true_inverse = np.where(np.isfinite(truth_m), np.reciprocal(truth_m), np.float32(np.nan))
    return clipped_meters(prediction, fit_least_squares(prediction, true_inverse), nearest_m, farthest_m)
