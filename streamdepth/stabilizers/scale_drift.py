"""The drift of a network's scale from frame to frame, as a rigid scene shows it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.egomotion import CameraMotion, camera_motion
from streamdepth.geometry.projection import camera_or_default, rays
from streamdepth.stabilizers.optical_flow import FlowPair, FrameMotion, Gray, MotionTracker, sampling_grid, warp

_VARIANCE_PER_WIDTH, _VARIANCE_PER_UNCERTAIN_FLOW, _VARIANCE_PER_SPREAD = 0.06, 0.012, 2.0
"""Variance of the logarithm of the scale that stays unknown: for each width by which the picture moves on, for each
square of the flow's mean lack of confidence, and for each square of the drift's own spread over the picture.

Measured from frames whose scale was exact, over the 30 frames after them, the log error is 0.04 on kitchen, 0.10 on
desk, 0.06 on KITTI, 0.14 on Replica and 0.46 on TartanAir, where a blank wall fills the picture. Without the correction
by the rigid scene it is 0.07, 0.29, 0.11, 0.23 and 0.43. The variance is larger than the first of these, since errors
keep their direction for longer than that."""
_VARIANCE_PER_UNCORRECTED_WIDTH = 0.1
"""The same for each width where the rigid scene cannot be used."""
_VARIANCE_PER_SECOND = 2e-4
"""The same for each second in which nothing moves."""
_GAP_VARIANCE = 0.1
"""The same where the motion cannot be measured at all, such as over a gap to another view."""
_MIN_GAP_CONFIDENCE = 0.5
"""Smallest mean confidence of the optical flow at which a motion over a gap is used."""
_MIN_CONFIDENCE, _MIN_PIXELS = 0.3, 200
"""Smallest confidence of the flow at a pixel that counts, and number of such pixels that a correction needs."""
_MAX_CORRECTION = 0.3
"""Largest change of the logarithm of the scale from frame to frame that is accepted."""


class ScaleDrift(NamedTuple):
    """The change of scale since the frame before."""

    log_change: float = 0.0
    """Natural logarithm of the factor that 1 / meters = scale * x + shift has to be multiplied by."""
    variance: float = _GAP_VARIANCE
    """Variance of that logarithm."""
    flow: FlowPair | None = None
    """The flow from the frame to the one before, where it is known."""
    camera: CameraMotion | None = None
    """The camera's motion from the frame to the one before, where it is known."""


class ScaleDriftEstimator:
    """Estimates how far the scale of a stream's depth drifts from frame to frame.

    A static point at z meters is at z' after the camera's motion, which is estimated from optical flow and the depth
    before; the median ratio of z' to the new depth is the drift. Networks and stabilizers tend to keep depth constant
    while a camera moves forward or back; this correction removes most of that error. State: the inverse depth of one
    frame at the flow's size.
    """

    def __init__(self, tracker: MotionTracker) -> None:
        self._tracker = tracker
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as if new."""
        self._inverse_m: DepthMap | None = None
        self._gray: Gray | None = None
        self._time = 0.0

    def measure(self, item: DepthFrame, motion: FrameMotion, expected: DepthMap | None) -> ScaleDrift:
        """Returns the drift from the frame that `remember` got last to this one.

        `expected` is (h, w) inverse depth of this frame in 1/m by the scale and shift before; None if unknown.
        """
        pair = motion.to_previous or self._flow_over_gap(motion.gray)
        previous, seconds = self._inverse_m, abs(item.frame.time - self._time)
        if pair is None or self._gray is None:
            return ScaleDrift()
        widths = pair.median_length / pair.gray.shape[1]
        slow = _VARIANCE_PER_SECOND * seconds
        uncorrected = ScaleDrift(0.0, _VARIANCE_PER_UNCORRECTED_WIDTH * widths + slow, pair)
        if previous is None or expected is None or previous.shape != pair.gray.shape or widths == 0:
            return uncorrected
        height, width = pair.gray.shape
        camera = camera_or_default(item).resized(width, height)
        ray, flow = rays(camera, width, height), pair.flow / np.array([camera.fx, camera.fy])
        before = warp(previous, sampling_grid(pair.flow, previous.shape))
        moved = camera_motion(flow, ray, before, pair.confidence)
        if moved is None:
            return uncorrected
        with np.errstate(divide="ignore", invalid="ignore"):
            points = np.dstack([ray + flow, np.ones(previous.shape)]) / before[..., None]
            change = -np.log(moved.undo(points)[..., 2] * resize_depth(expected, width, height))
        counted = change[np.isfinite(change) & (pair.confidence > _MIN_CONFIDENCE)]
        if counted.size < _MIN_PIXELS:
            return uncorrected
        log_change = float(np.median(counted))
        spread = 1.4826 * float(np.median(np.abs(counted - log_change)))
        if abs(log_change) > _MAX_CORRECTION:
            return uncorrected
        variance = _VARIANCE_PER_WIDTH * widths + _VARIANCE_PER_SPREAD * spread**2 + slow
        variance += _VARIANCE_PER_UNCERTAIN_FLOW * (1 - float(pair.confidence.mean())) ** 2
        return ScaleDrift(log_change, variance, pair, moved)

    def remember(self, item: DepthFrame, motion: FrameMotion, inverse_m: DepthMap | None) -> None:
        """Stores a frame with its inverse depth in 1/m, (h, w), or None if that is unknown."""
        height, width = motion.gray.shape
        self._inverse_m = None if inverse_m is None else resize_depth(inverse_m, width, height)
        self._gray, self._time = motion.gray, item.frame.time

    def _flow_over_gap(self, gray: Gray) -> FlowPair | None:
        """Returns the flow to the frame before, after a gap; None where it shows another view."""
        if self._gray is None or self._gray.shape != gray.shape:
            return None
        pair = self._tracker.flow_between(gray, self._gray)
        return pair if pair.confidence.mean() > _MIN_GAP_CONFIDENCE else None
