"""Metric references that measure the distance of points in each frame: a sensor's sparse depth, a board."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, Frame
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.boards import Board, depth_of_corners
from streamdepth.geometry.metric_fit import FARTHEST_M, ScaleShiftFit, fit_points, inverse_depth_range
from streamdepth.stabilizers.metric import MetricReference

Anchors = npt.NDArray[np.float64]
"""Points of known distance, (N, 3): x and y in px of the picture, and meters along z."""
_CELLS = 8, 6
"""Number of cells of the picture, across and down; a network's errors within one cell are correlated."""


class SparseDepthReference(MetricReference):
    """A sensor's sparse depth for each frame.

    `read` returns the depth for a frame: meters along z, (H, W), NaN where unknown; None if there is none.
    """

    name = "the sparse depth"

    def __init__(self, read: Callable[[Frame], DepthMap | None]) -> None:
        self.read = read

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        depth = self.read(item.frame)
        self.points = None if depth is None else anchors_from_depth(depth, item.frame.size[::-1])
        return None if self.points is None else fit_anchors(item, inverse, self.points)


class BoardReference(MetricReference):
    """A calibration board of known size in view of a known camera."""

    name = "the board"

    def __init__(self, board: Board) -> None:
        self.board = board

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        if item.intrinsics is None:
            raise ConfigError(
                "a board gives meters only if the camera is known; add --fov or --camera-info", code="camera-unknown"
            )
        corners = self.board.find(item.frame.image)
        depth = None if corners is None else depth_of_corners(corners, item.intrinsics)
        if corners is None or depth is None:
            return None
        self.points = np.column_stack([corners.image_points_px, depth])
        return fit_anchors(item, inverse, self.points)


def fit_anchors(
    item: DepthFrame, inverse: DepthMap, anchors: Anchors, sigma: Floats | None = None
) -> ScaleShiftFit | None:
    """Returns the fit of inverse depth (h, w) through anchors in px of the frame; None where nothing fits.

    `sigma` is one standard deviation of each anchor's distance, (N,), as a share; None: exact.
    """
    limits = inverse_depth_range(inverse)
    if limits is None or not len(anchors):
        return None
    width, height = item.frame.size
    across, down = np.clip(anchors[:, 0] / width, 0, 1), np.clip(anchors[:, 1] / height, 0, 1)
    cells = (across * _CELLS[0]).astype(np.intp) + 100 * (down * _CELLS[1]).astype(np.intp)
    return fit_points(_inverse_at(item, inverse, anchors), anchors[:, 2], limits, item.kind, sigma=sigma, cells=cells)


def max_factor(item: DepthFrame, inverse: DepthMap, anchors: Anchors, fit: ScaleShiftFit) -> float:
    """Returns the largest factor, 1 or more, by which a fit misses the distance of an anchor."""
    fitted = np.maximum(fit.scale * _inverse_at(item, inverse, anchors) + fit.shift, 1 / FARTHEST_M) * anchors[:, 2]
    return float(np.exp(np.nanmax(np.abs(np.log(fitted)))))


def _inverse_at(item: DepthFrame, inverse: DepthMap, anchors: Anchors) -> Floats:
    """Returns (N,) inverse depth at anchors in px of the frame."""
    scale = np.array(inverse.shape[::-1]) / np.array(item.frame.size)
    x, y = ((anchors[:, :2] + 0.5) * scale - 0.5).T
    return _local_median(inverse, x, y)


def anchors_from_depth(depth_m: DepthMap, shape: tuple[int, ...], max_count: int = 5000) -> Anchors:
    """Returns at most `max_count` evenly chosen pixels of a depth map as anchors in a picture of `shape`.

    depth_m: meters along z, of any size, NaN or 0 where unknown. shape: begins with the picture's height and width.
    """
    rows, columns = np.nonzero(np.isfinite(depth_m) & (depth_m > 0))
    step = max(1, len(rows) // max_count)
    rows, columns = rows[::step], columns[::step]
    x = (columns + 0.5) * shape[1] / depth_m.shape[1] - 0.5
    y = (rows + 0.5) * shape[0] / depth_m.shape[0] - 0.5
    return np.column_stack([x, y, depth_m[rows, columns]]).astype(np.float64)


def _local_median(values: DepthMap, x: Floats, y: Floats) -> Floats:
    """Returns the median of 3x3 px around each of N points, which is robust to an edge beside the point."""
    padded = np.pad(values, 1, mode="edge")
    column = np.clip(np.rint(x).astype(int), 0, values.shape[1] - 1)
    row = np.clip(np.rint(y).astype(int), 0, values.shape[0] - 1)
    around = np.stack([padded[row + i, column + j] for i in range(3) for j in range(3)])
    return np.asarray(np.median(around, axis=0), np.float64)
