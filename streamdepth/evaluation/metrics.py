"""How near one depth map is to the truth.

torchmetrics has neither masks, deltas nor SILog, and is one more package: these one-line formulas are written here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdepth.types import DepthMap


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one picture, or the mean of many; d is the prediction, d* the truth, both in metres.

    Definitions: Eigen et al., NeurIPS 2014, section 4.2; silog: the KITTI depth benchmark (Uhrig et al., 3DV 2017).
    """

    abs_rel: float
    """Mean of |d - d*| / d*."""
    sq_rel: float
    """Mean of (d - d*)^2 / d*, metres."""
    rmse_m: float
    """Root of the mean of (d - d*)^2, metres."""
    rmse_log: float
    """Root of the mean of (ln d - ln d*)^2."""
    log10: float
    """Mean of |log10 d - log10 d*|."""
    silog: float
    """100 times the standard deviation of ln d - ln d*: blind to the scale of d."""
    delta1: float
    """Share of pixels with max(d / d*, d* / d) < 1.25."""
    delta2: float
    """The same below 1.25^2."""
    delta3: float
    """The same below 1.25^3."""
    boundary_f1: float = float("nan")
    """0 to 1, see `boundary`; NaN where truth is sparse."""
    ordinal: float = float("nan")
    """Share of pairs of pixels in the right order, see `ordinal`."""


def score(depth_m: DepthMap, truth_m: DepthMap) -> Scores:
    """Both (H, W) metres above 0. Pixels that are not finite in either do not count; one at least must be.

    boundary_f1 and ordinal are left at NaN.
    """
    known = np.isfinite(truth_m) & np.isfinite(depth_m)
    d, t = depth_m[known].astype(np.float64), truth_m[known].astype(np.float64)
    error, log_error = d - t, np.log(d) - np.log(t)
    far = np.abs(log_error)
    return Scores(
        abs_rel=float((np.abs(error) / t).mean()),
        sq_rel=float((error**2 / t).mean()),
        rmse_m=float(np.sqrt((error**2).mean())),
        rmse_log=float(np.sqrt((log_error**2).mean())),
        log10=float(far.mean() / np.log(10)),
        silog=float(100 * log_error.std()),
        delta1=float((far < np.log(1.25)).mean()),
        delta2=float((far < 2 * np.log(1.25)).mean()),
        delta3=float((far < 3 * np.log(1.25)).mean()),
    )


def align(prediction: DepthMap, truth_m: DepthMap, nearest_m: float = 1e-3, farthest_m: float = 10.0) -> DepthMap:
    """Inverse depth of any scale and shift -> metres between `nearest_m` and `farthest_m`.

    Scale and shift are fitted by least squares in inverse depth (Ranftl et al., TPAMI 2020, section 5) where both are
    finite. Both (H, W); NaN stays NaN.
    """
    known = np.isfinite(truth_m) & np.isfinite(prediction)
    p, t = prediction[known].astype(np.float64), 1.0 / truth_m[known].astype(np.float64)
    centred = p - p.mean()
    variance = (centred**2).mean()
    scale = (centred * (t - t.mean())).mean() / variance if variance > 0 else 0.0
    inverse = scale * (prediction - p.mean()) + t.mean()
    return np.asarray(1.0 / np.clip(inverse, 1.0 / farthest_m, 1.0 / nearest_m), np.float32)
