"""The metric reference of points whose distances are known in the first frame."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.affine import Affine
from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.egomotion import CameraMotion, camera_motion, refine_camera_motion
from streamdepth.geometry.metric_fit import MIN_ROBUST_POINTS, ScaleShiftFit
from streamdepth.geometry.projection import camera_or_default, rays
from streamdepth.stabilizers.metric import MetricReference
from streamdepth.stabilizers.optical_flow import FlowPair, FrameMotion, Gray, MotionTracker
from streamdepth.stabilizers.point_references import Anchors, fit_anchors, max_factor
from streamdepth.stabilizers.scale_drift import ScaleDrift

_MIN_OVERLAP = 0.3
"""Mean confidence of the optical flow to the first view above which a frame counts as showing that view."""
_MIN_CONFIDENCE = 0.3
"""Confidence of the optical flow below which an anchor counts as hidden."""
_MAX_OFF_PX = 2.0
"""Largest distance between an anchor's places by the flow and by the camera's motion, in px of the flow's picture."""
_SAME_VIEW_PX = 0.6
"""Largest median motion, in px of the flow's picture, at which the view counts as unchanged."""
_WAY_ERROR = 0.5
"""Error of an anchor's distance, as a share of the way that the camera moved, which is known only up to scale."""
_MAX_SIGMA = 0.1
"""Relative error of its distance above which an anchor is left out."""
_MIN_SHARE = 0.75
"""Share of the anchors that must be found in a moved view: fewer say little about the rest of the picture, so that the
scale of all of them, carried on by the rigid scene, is more accurate."""
_SEARCH_SECONDS = 0.2
"""Time between two searches for a view that was lost."""
_MAX_FACTOR = 3.0
"""Factor by which a distance may differ from the fit to a few anchors. Networks alone are off by a factor of 2 at one
of three points in a tenth of all pictures; a larger factor means a mistyped distance, a wrong place, or useless
depth."""


class _View(NamedTuple):
    """The first view of the anchors."""

    gray: Gray
    inverse_m: DepthMap | None
    """Inverse depth in 1/m, of the size of `gray`; None before the first fit."""


class AnchorReference(MetricReference):
    """Distances known at points of the first frame.

    Each frame is compared directly with the first one by optical flow, so that errors do not add up from frame to
    frame. If it still shows that view, or shows it again, the anchors are found in it. An anchor is left out if the
    flow is unsure, as for a point that is hidden or outside the picture, or if the flow contradicts the camera's
    motion. That motion, from `geometry.egomotion`, also gives each anchor's current distance, with an error that grows
    with the way that the camera moved. Frames that do not show the first view give no fit. If no scale and shift fits
    all of a few anchors in the first view, one of them is wrong: its error becomes that of the scale, and
    `contradiction` says so.

    Args:
        anchors: (N, 3) x, y in px and meters.
        name: a noun phrase for messages.
        size: (width, height) of the picture that the px are of; None: of the frames. Another size is scaled to theirs.
    """

    own_sigma = 0.0
    """One standard deviation of each distance in the first frame, as a share."""

    def __init__(self, anchors: Anchors, name: str = "the anchors", *, size: tuple[int, int] | None = None) -> None:
        self.anchors, self.name, self.size = anchors, name, size
        self._tracker = MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._view: _View | None = None
        self._seen: Anchors = np.empty((0, 3))
        self._sigma: Floats = np.empty(0)
        self._search_at = -np.inf
        self.contradiction, self._disagreement = "", 0.0

    def track(self, item: DepthFrame, motion: FrameMotion, drift: ScaleDrift, estimate: Affine | None) -> None:
        anchors = self._anchors_in(item)
        if self._view is None:
            self._view = _View(motion.gray, None)
        self._seen, self._sigma = np.empty((0, 3)), np.empty(0)
        if self._view.gray.shape != motion.gray.shape or (item.frame.time < self._search_at and not item.cut):
            return
        pair = self._tracker.flow_between(self._view.gray, _with_exposure_of(self._view.gray, motion.gray))
        if pair.confidence.mean() >= _MIN_OVERLAP:
            self._find(item, anchors, pair, self._view.inverse_m)
        self._search_at = -np.inf if len(self._seen) else item.frame.time + _SEARCH_SECONDS

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        self.points = self._seen
        fit = fit_anchors(item, inverse, self._seen, self._sigma) if len(self._seen) else None
        is_first = self._view is not None and self._view.inverse_m is None
        if fit is not None and self._view is not None and is_first:
            height, width = self._view.gray.shape
            self._view = self._view._replace(
                inverse_m=resize_depth(inverse * np.float32(fit.scale) + np.float32(fit.shift), width, height)
            )
        if fit is None:
            return None
        if is_first and fit.points < MIN_ROBUST_POINTS:
            self._disagreement = self._contradict(max_factor(item, inverse, self._seen, fit))
        return fit._replace(least_common_sigma=self._disagreement)

    def _contradict(self, factor: float) -> float:
        """Returns the error of the scale of a fit that misses an anchor by a factor; 0 for a usual factor."""
        if factor <= _MAX_FACTOR:
            return 0.0
        self.contradiction = (
            f"{self.name} contradict each other or the picture: one is off by a factor of {factor:.2f}; check their "
            "places and distances, or leave one out"
        )
        return math.log(factor)

    def _find(self, item: DepthFrame, anchors: Anchors, pair: FlowPair, inverse_m: DepthMap | None) -> None:
        """Finds the anchors in this frame by the flow from the first view."""
        height, width = pair.gray.shape
        scale = np.array([width, height]) / np.array(item.frame.size)
        before = (anchors[:, :2] + 0.5) * scale - 0.5
        is_seen: Mask = _sample(pair.confidence, before) >= _MIN_CONFIDENCE
        if pair.median_length <= _SAME_VIEW_PX:
            self._seen, self._sigma = anchors[is_seen], np.full(int(is_seen.sum()), self.own_sigma)
            return
        camera = camera_or_default(item).resized(width, height)
        focal, center = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
        moved = None if inverse_m is None else _motion_between(pair, rays(camera, width, height), focal, inverse_m)
        if moved is None:
            return
        z = anchors[:, 2]
        points = moved.apply(np.column_stack([(before - center) / focal, np.ones(len(z))]) * z[:, None])
        after = before + _sample(pair.flow, before)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.linalg.norm(points[:, :2] / points[:, 2:] * focal + center - after, axis=1)
            sigma = _WAY_ERROR * np.linalg.norm(moved.translation) / np.minimum(z, points[:, 2])
        is_seen &= (points[:, 2] > 0) & (off < _MAX_OFF_PX) & (sigma < _MAX_SIGMA)
        if is_seen.mean() < _MIN_SHARE:
            return
        self._seen = np.column_stack([(after + 0.5) / scale - 0.5, points[:, 2]])[is_seen]
        self._sigma = np.hypot(sigma[is_seen], self.own_sigma)

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


class KnownSizeReference(AnchorReference):
    """Objects of known size in the first frame of a known camera.

    The distance of an object that faces the camera is its size times the focal length, divided by its size in px; it is
    an anchor in the middle of its box.

    Args:
        boxes: (N, 5) x and y of the upper left corner, width and height in px of the first frame, and the length in
            meters of the longer side.
    """

    own_sigma = 0.06
    """A box drawn by hand is off by a few px, and objects face the camera only roughly."""

    def __init__(self, boxes: Floats) -> None:
        self.boxes = boxes
        super().__init__(np.empty((0, 3)), "the objects of known size")

    def track(self, item: DepthFrame, motion: FrameMotion, drift: ScaleDrift, estimate: Affine | None) -> None:
        if item.intrinsics is None:
            raise ConfigError(
                "an object's size gives meters only if the camera is known; add --fov or --camera-info",
                code="camera-unknown",
            )
        camera = item.intrinsics.resized(*item.frame.size)
        corner, (width, height), meters = self.boxes[:, :2], self.boxes[:, 2:4].T, self.boxes[:, 4]
        distance = np.where(height >= width, camera.fy * meters / height, camera.fx * meters / width)
        self.anchors = np.column_stack([corner + (self.boxes[:, 2:4] - 1) / 2, distance])
        super().track(item, motion, drift, estimate)


def _motion_between(pair: FlowPair, ray: Floats, focal: Floats, inverse_m: DepthMap) -> CameraMotion | None:
    """Returns the camera's motion by a flow that may have long vectors; None if too little depth is known."""
    flow = pair.flow / focal
    first = camera_motion(flow, ray, inverse_m, pair.confidence)
    return None if first is None else refine_camera_motion(first, flow, ray, inverse_m, pair.confidence)


def _with_exposure_of(view: Gray, gray: Gray) -> Gray:
    """Returns a picture with its mean brightness and contrast changed to those of a view."""
    if np.array_equal(view, gray):
        return view
    scaled = (gray - gray.mean()) * (view.std() / max(float(gray.std()), 1.0)) + view.mean()
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)


def _sample(values: npt.NDArray[np.float32], xy: Floats) -> npt.NDArray[np.float32]:
    """Returns the values of a map (h, w) or (h, w, 2) at N points, (N,) or (N, 2), interpolated."""
    grid = np.asarray(xy[None], np.float32)
    sampled = cv2.remap(values, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]  # the stub wants a second map
    return cast("npt.NDArray[np.float32]", sampled[0])
