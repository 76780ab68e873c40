"""Metric references that know the distance of points: anchors, a sensor's sparse depth, a board."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, Frame
from streamdepth.geometry.affine import Affine
from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.boards import Board, depth_of_corners
from streamdepth.geometry.egomotion import CameraMotion
from streamdepth.geometry.metric_fit import ScaleShiftFit, fit_points, inverse_depth_range
from streamdepth.geometry.projection import camera_or_default
from streamdepth.stabilizers.metric import MetricReference
from streamdepth.stabilizers.optical_flow import FlowPair, FrameMotion, Gray, MotionTracker
from streamdepth.stabilizers.scale_drift import ScaleDrift

Anchors = npt.NDArray[np.float64]
"""Points of known distance, (N, 3): x and y in px of the picture, and meters along z."""
_CELLS = 8, 6
"""Parts of the picture, across and down, within which a network's errors are alike."""
_MAX_VIEW_CHANGE, _MAX_LOCAL_CHANGE = 0.03, 0.12
"""Changes of brightness (0 to 1): above the first, in the median, the picture shows another view; above the second,
beside an anchor, something else stands in front of it."""
_SPREAD = 0.2
"""Standard deviation that brightness is scaled to before it is compared."""
_MAX_VIEW_SHIFT = 0.004
"""Median motion since the first picture, as a share of its width, up to which the view is the same."""
_MIN_CONFIDENCE = 0.3
"""Confidence of the optical flow below which a point's place follows from the camera's motion."""
_DRIFT_ERROR, _MAX_CHANGE = 0.1, 0.3
"""Error of the drift that one point shows, and the greatest change from the expected drift that is believed; shares."""
_MIN_TRACKED = 3
"""Number of tracked points below which they tell nothing of the drift, since one of them may lie on an edge or move."""
_LOST_ERROR = 0.03
"""Error of the distance, as a share, that is added by each frame in which the optical flow of a point is not sure."""
_MAX_SIGMA = 0.4
"""Error of the distance from which a point is dropped, as a share."""
_WAY_ERROR = 0.25
"""Error of a tracked distance, as a share of the distance that the camera moved. On the kitchen clip, whose poses
are known, it is 0.2 of the motion along z."""


class AnchorReference(MetricReference):
    """Distances known at points of the first frame.

    They hold in every frame that shows the same view; an anchor that something else has come to stand in front of does
    not count. When the camera moves on, the points are tracked along the optical flow, and their distances follow the
    motion that `geometry.egomotion` finds, with an error that grows with the way. A point that cannot be tracked for
    long, or leaves the picture, is dropped; the first view brings all of them back.

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
        self._first_gray: Gray | None = None
        self._tracked: Anchors = np.empty((0, 3))
        self._sigma: Floats = np.empty(0)
        self._bias: Floats = np.empty(0)
        self._drifted: Affine | None = None

    def track(self, item: DepthFrame, motion: FrameMotion, drift: ScaleDrift, estimate: Affine | None) -> None:
        anchors, view = self._anchors_in(item), _gray_thumbnail(item.frame.image)
        if self._first_view is None or self._first_gray is None:
            self._first_view, self._first_gray = view, motion.gray
        change = np.abs(view - self._first_view)
        self._drifted = None
        if np.median(change) <= _MAX_VIEW_CHANGE and self._is_first_view(motion.gray):
            rows, columns = view.shape
            cell = (anchors[:, :2] / np.array(item.frame.size) * (columns, rows)).astype(int)
            self._tracked = anchors[change[cell[:, 1], cell[:, 0]] < _MAX_LOCAL_CHANGE]
            self._sigma = np.zeros(len(self._tracked))
        elif item.cut or drift.flow is None or drift.camera is None:
            self._keep(np.zeros(len(self._tracked), np.bool_))
        elif len(self._tracked):
            self._follow(item, drift.flow, drift.camera)
            self._drifted = estimate

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        self.points = self._tracked
        if not len(self._tracked):
            return None
        if self._drifted is None:
            fit = fit_anchors(item, inverse, self._tracked)
            self._bias = np.zeros(len(self._tracked)) if fit is None else self._log_ratio(item, inverse, fit)
            return fit
        return self._fit_drift(item, inverse, self._drifted)

    def _fit_drift(self, item: DepthFrame, inverse: DepthMap, expected: Affine) -> ScaleShiftFit | None:
        """Returns by how much the tracked points show that the scale has drifted; drops those that changed by far.

        Each point is off by its own share of the network's error, which goes with it. So the points tell the drift
        alone, and it does not matter how many of them are left.
        """
        change = self._bias - self._log_ratio(item, inverse, expected)
        is_kept = np.abs(change) < _MAX_CHANGE
        self._keep(is_kept)
        change = change[is_kept]
        if change.size < max(_MIN_TRACKED, len(self.anchors) // 2):
            return None
        weight = 1 / (_DRIFT_ERROR**2 + self._sigma**2)
        mean = float(np.average(change, weights=weight))
        found = float(((change - mean) ** 2).sum()) / max(1, change.size - 1)
        variance = (_DRIFT_ERROR**2 + found) / change.size + float(np.average(self._sigma**2, weights=weight))
        drifted = np.array([expected.scale, expected.shift]) * math.exp(mean)
        return ScaleShiftFit(
            float(drifted[0]),
            float(drifted[1]),
            float(np.median(np.abs(change - mean))),
            int(change.size),
            variance * np.outer(drifted, drifted),
            is_relative=True,
        )

    def _log_ratio(self, item: DepthFrame, inverse: DepthMap, fit: Affine | ScaleShiftFit) -> Floats:
        """Returns (N,) the logarithm of the inverse depth of a fit over that of the points."""
        x = _inverse_at(item, inverse, self._tracked)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.log((fit.scale * x + fit.shift) * self._tracked[:, 2]), np.float64)

    def _keep(self, is_kept: Mask) -> None:
        self._tracked, self._sigma, self._bias = self._tracked[is_kept], self._sigma[is_kept], self._bias[is_kept]

    def _is_first_view(self, gray: Gray) -> bool:
        if self._first_gray is None or self._first_gray.shape != gray.shape:
            return False
        pair = MotionTracker().flow_between(gray, self._first_gray)
        return bool(pair.median_length <= _MAX_VIEW_SHIFT * gray.shape[1])

    def _follow(self, item: DepthFrame, pair: FlowPair, moved: CameraMotion) -> None:
        """Moves the anchors on to this frame, along the flow where it is sure, else with the camera."""
        height, width = pair.gray.shape
        camera = camera_or_default(item).resized(width, height)
        focal, center = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
        scale = np.array([width, height]) / np.array(item.frame.size)
        before, z = (self._tracked[:, :2] + 0.5) * scale - 0.5, self._tracked[:, 2]
        points = moved.undo(np.column_stack([(before - center) / focal, np.ones(len(z))]) * z[:, None])
        projected = points[:, :2] / np.maximum(points[:, 2:], 1e-6) * focal + center
        flowed = before + _sample(pair.reverse_flow, before)
        is_sure = _sample(pair.confidence, flowed) > _MIN_CONFIDENCE
        after = np.where(is_sure[:, None], flowed, projected)
        sigma = self._sigma + _WAY_ERROR * np.linalg.norm(moved.translation) / z + np.where(is_sure, 0, _LOST_ERROR)
        is_seen = ((after >= 0) & (after <= [width - 1, height - 1])).all(axis=1) & (points[:, 2] > 0)
        is_seen &= sigma < _MAX_SIGMA
        self._tracked, self._sigma = np.column_stack([(after + 0.5) / scale - 0.5, points[:, 2]]), sigma
        self._keep(is_seen)

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

    sigma: (N,) one standard deviation of each anchor's distance, as a share; None: exact.
    """
    limits = inverse_depth_range(inverse)
    if limits is None or not len(anchors):
        return None
    width, height = item.frame.size
    across, down = np.clip(anchors[:, 0] / width, 0, 1), np.clip(anchors[:, 1] / height, 0, 1)
    cells = (across * _CELLS[0]).astype(np.intp) + 100 * (down * _CELLS[1]).astype(np.intp)
    return fit_points(_inverse_at(item, inverse, anchors), anchors[:, 2], limits, item.kind, sigma=sigma, cells=cells)


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
    """Returns the median of 3x3 px around each of N points, which an edge beside the point does not bend."""
    padded = np.pad(values, 1, mode="edge")
    column = np.clip(np.rint(x).astype(int), 0, values.shape[1] - 1)
    row = np.clip(np.rint(y).astype(int), 0, values.shape[0] - 1)
    around = np.stack([padded[row + i, column + j] for i in range(3) for j in range(3)])
    return np.asarray(np.median(around, axis=0), np.float64)


def _sample(values: npt.NDArray[np.float32], xy: Floats) -> npt.NDArray[np.float32]:
    """Returns the values of a map (h, w) or (h, w, 2) at N points, (N,) or (N, 2), interpolated."""
    grid = np.asarray(xy[None], np.float32)
    return np.asarray(cv2.remap(values, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], np.float32)  # type: ignore[call-overload]  # the stub wants a second map


def _gray_thumbnail(image: Image) -> npt.NDArray[np.float32]:
    """Returns brightness, (24, 32), with the median 0 and a spread that exposure does not change."""
    small = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
    gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
    return np.asarray((gray - np.median(gray)) * (_SPREAD / (gray.std() + 2)), np.float32)
