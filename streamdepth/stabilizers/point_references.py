"""Metric references that know the distance of points: anchors, a sensor's sparse depth, a board."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, Frame
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.boards import Board, depth_of_corners
from streamdepth.geometry.metric_fit import ScaleShiftFit, fit_points, inverse_depth_range
from streamdepth.stabilizers.metric import MetricReference

Anchors = npt.NDArray[np.float64]
"""Points of known distance, (N, 3): x and y in px of the picture, and meters along z."""
_MAX_VIEW_CHANGE, _MAX_LOCAL_CHANGE = 0.03, 0.12
"""Changes of brightness (0 to 1): above the first, in the median, the picture shows another view; above the second,
beside an anchor, something else stands in front of it."""


class AnchorReference(MetricReference):
    """Distances known at points of the first frame, which hold for all frames that show the same view.

    An anchor that something else has come to stand in front of does not count.

    Args:
        anchors: (N, 3) x, y in px and meters.
        name: a noun phrase for messages.
        size: (width, height) of the picture that the px are of; None: of the frames. Another size is scaled to theirs.
    """

    def __init__(self, anchors: Anchors, name: str = "the anchors", *, size: tuple[int, int] | None = None) -> None:
        self.anchors, self.name, self.size = anchors, name, size
        self.reset()

    def reset(self) -> None:
        self._first_view: npt.NDArray[np.float32] | None = None

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        anchors = self._anchors_in(item)
        view = _gray_thumbnail(item.frame.image)
        if self._first_view is None:
            self._first_view = view
        change = np.abs(view - np.median(view) - (self._first_view - np.median(self._first_view)))
        if np.median(change) > _MAX_VIEW_CHANGE:
            return None
        rows, columns = view.shape
        cell = (anchors[:, :2] / np.array(item.frame.size) * (columns, rows)).astype(int)
        is_visible = change[cell[:, 1], cell[:, 0]] < _MAX_LOCAL_CHANGE
        return fit_anchors(item, inverse, anchors[is_visible])

    def _anchors_in(self, item: DepthFrame) -> Anchors:
        """Returns the anchors in px of the frame. Raises ConfigError for one outside of the picture."""
        size = np.array(self.size or item.frame.size)
        if not ((self.anchors[:, :2] >= 0) & (self.anchors[:, :2] <= size - 1)).all():
            raise ConfigError(
                f"{self.name} lie outside of the picture of {size[0]}x{size[1]} px", code="anchor-outside"
            )
        anchors = self.anchors.copy()
        anchors[:, :2] = (anchors[:, :2] + 0.5) * np.array(item.frame.size) / size - 0.5
        return anchors


class SparseDepthReference(MetricReference):
    """A sensor's sparse depth for each frame.

    `read` returns it by the frame: meters along z, (H, W), NaN where unknown; or None where there is none.
    """

    name = "the sparse depth"

    def __init__(self, read: Callable[[Frame], DepthMap | None]) -> None:
        self.read = read

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        depth = self.read(item.frame)
        return None if depth is None else fit_anchors(item, inverse, anchors_from_depth(depth, item.frame.size[::-1]))


class BoardReference(MetricReference):
    """A calibration board of known size in view of a known camera."""

    name = "the board"

    def __init__(self, board: Board) -> None:
        self.board = board

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        if item.intrinsics is None:
            raise ConfigError(
                "a board tells meters to a known camera only; add --fov or --camera-info", code="camera-unknown"
            )
        corners = self.board.find(item.frame.image)
        depth = None if corners is None else depth_of_corners(corners, item.intrinsics)
        if corners is None or depth is None:
            return None
        return fit_anchors(item, inverse, np.column_stack([corners.image_points_px, depth]))


def fit_anchors(item: DepthFrame, inverse: DepthMap, anchors: Anchors) -> ScaleShiftFit | None:
    """Returns the fit of inverse depth (h, w) through anchors in px of the frame; None where nothing fits."""
    limits = inverse_depth_range(inverse)
    if limits is None or not len(anchors):
        return None
    width, height = item.frame.size
    rows, columns = inverse.shape
    x = (anchors[:, 0] + 0.5) * columns / width - 0.5
    y = (anchors[:, 1] + 0.5) * rows / height - 0.5
    return fit_points(_local_median(inverse, x, y), anchors[:, 2], limits, item.kind)


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
    """Returns the median of 3x3 px around each of N points, which an edge beside the point does not bend."""
    padded = np.pad(values, 1, mode="edge")
    column = np.clip(np.rint(x).astype(int), 0, values.shape[1] - 1)
    row = np.clip(np.rint(y).astype(int), 0, values.shape[0] - 1)
    around = np.stack([padded[row + i, column + j] for i in range(3) for j in range(3)])
    return np.asarray(np.median(around, axis=0), np.float64)


def _gray_thumbnail(image: Image) -> npt.NDArray[np.float32]:
    """Returns brightness from 0 to 1, (24, 32)."""
    small = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
