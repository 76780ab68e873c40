"""Depth from a map of points that is known but for a shift along the optical axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Mask
from streamdepth.estimators.engines import FloatArray

_Numbers = npt.NDArray[np.float64]

_SAMPLES = 64
"""The map is looked at on a grid of this many rows and columns."""
_STEPS = 20
_MIN_DEPTH_SHARE = 0.01
"""The nearest point's depth after the shift is at least this share of the points' spread in depth."""


def depth_of_points(points: FloatArray, valid: Mask, frame_size: tuple[int, int]) -> tuple[DepthMap, float | None]:
    """Returns z of a map of points after the shift by which a pinhole camera sees them where they are.

    Wang et al., "MoGe" (CVPR 2025), section 3.1: with f and the shift t that minimize the distances of
    f * (x, y) / (z + t) from the pixels, the points are those of a camera of focal length f. f follows from t in closed
    form; t is found by Gauss-Newton steps.

    Args:
        points: (h, w, 3) x to the right, y down and z ahead, in one unknown unit.
        valid: (h, w), False where there is no point.
        frame_size: (width, height) of the picture in px.

    Returns:
        (h, w) float32 in the points' unit, and the focal length in px of the picture; None where too few points are
        valid, and z is as it was.
    """
    rows, columns = (np.unique(np.linspace(0, n - 1, _SAMPLES).round().astype(int)) for n in points.shape[:2])
    grid = np.ix_(rows, columns)
    chosen = valid[grid] & np.isfinite(points[grid]).all(-1)
    sampled = points[grid][chosen].astype(np.float64)
    if len(sampled) < 3:
        return points[..., 2].copy(), None
    pixels = _pixels(rows, columns, points.shape[:2], frame_size)[chosen]
    shift, focal_px = _fit(sampled, pixels)
    return (points[..., 2] + np.float32(shift)).astype(np.float32), focal_px if focal_px > 0 else None


def _pixels(
    rows: npt.NDArray[np.int_], columns: npt.NDArray[np.int_], map_size: tuple[int, ...], frame_size: tuple[int, int]
) -> _Numbers:
    """Returns (rows, columns, 2) px of the picture from its center."""
    x = ((columns + 0.5) / map_size[1] - 0.5) * frame_size[0]
    y = ((rows + 0.5) / map_size[0] - 0.5) * frame_size[1]
    return np.stack(np.meshgrid(x, y), -1)


def _fit(points: _Numbers, pixels: _Numbers) -> tuple[float, float]:
    """Returns the shift and the focal length in px of points (N, 3) that are seen at pixels (N, 2)."""
    nearest, farthest = float(points[:, 2].min()), float(points[:, 2].max())
    spread = farthest - nearest
    least = max(_MIN_DEPTH_SHARE * spread, 1e-6) - nearest
    shift = max(0.0, least)
    step = 1e-4 * max(spread, 1e-3)
    for _ in range(_STEPS):
        residual, _ = _residual(points, pixels, shift)
        slope = (_residual(points, pixels, shift + step)[0] - residual) / step
        change = float((slope * residual).sum() / max((slope * slope).sum(), 1e-30))
        shift = max(least, shift - change)
        if abs(change) < 1e-7 * max(1.0, abs(shift)):
            break
    return shift, _residual(points, pixels, shift)[1]


def _residual(points: _Numbers, pixels: _Numbers, shift: float) -> tuple[_Numbers, float]:
    """Returns (N, 2) px between where the points are seen and where they should be, and the best focal length in px."""
    seen = points[:, :2] / (points[:, 2:] + shift)
    focal_px = float((seen * pixels).sum() / max((seen * seen).sum(), 1e-30))
    return focal_px * seen - pixels, focal_px
