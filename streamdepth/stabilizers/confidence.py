"""The confidence of each pixel of metric depth."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.metric_fit import FARTHEST_M
from streamdepth.stabilizers.optical_flow import FlowPair, sampling_grid, warp

TOLERANCE = 0.1
"""Confidence is the probability that a distance is off by less than this share."""
_BASE, _PER_CHANGE, _PER_EDGE, _PER_DISTANCE, _PER_BORDER = 0.073, 0.22, 0.39, 0.02, 0.056
"""Expected error as a share: everywhere, for each unit of the change over time, of the depth's own contrast within 7x7
px (both natural logarithms), of the distance over the median, and at the picture's border. Found by non-negative least
squares on kitchen, TartanAir, desk, KITTI, Replica and NYU; each left out in turn changes little."""
_BORDER_WIDTH = 0.05
"""Share of the picture's side within which the border counts."""
_WINDOW = np.ones((7, 7), np.uint8)
_MEMORY = 0.8
"""Share of the change over time that is kept from frame to frame."""
_FIRST_CHANGE, _UNSURE_CHANGE = 0.05, 0.1
"""Change over time that is taken for frames without any before, and where the optical flow is not sure."""
_MIN_FLOW_CONFIDENCE = 0.3
_EVIDENCE_ERROR, _EVIDENCE_PX = 0.02, 3.0
"""Error of a measured distance, as a share, and the standard deviation of the distance in px up to which it counts."""


class ConfidenceEstimator:
    """Estimates the confidence of each pixel from what can be seen without the truth.

    The expected error of a pixel grows with its disagreement with the depth before, warped along the optical flow; with
    the depth's contrast around it; with its distance; and towards the border. Beside a measured point it is how far the
    depth is from that point. From the expected error and the scale's own error follows the probability of an error
    below TOLERANCE, for errors with a Laplace distribution. State: two maps of one frame.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as if new."""
        self._log_depth: DepthMap | None = None
        self._change: DepthMap | None = None

    def estimate(self, item: DepthFrame, flow: FlowPair | None, points: Floats | None) -> DepthMap:
        """Returns the (h, w) confidence of a frame, 0 where its depth is unknown.

        Args:
            item: the frame with metric depth.
            flow: from the frame to the one before; None where it is not known.
            points: (N, 3) x, y in px of the picture and meters of what was measured in this frame; None for nothing.
        """
        known = ~np.isnan(item.depth)
        if not known.any():
            self.reset()
            return np.zeros_like(item.depth)
        log_depth = np.log(np.clip(item.depth, 1e-3, FARTHEST_M))
        middle = float(np.median(log_depth[known]))
        log_depth = np.where(known, log_depth, np.float32(middle))
        self._change = self._updated_change(log_depth, flow)
        self._log_depth = log_depth
        contrast = cv2.dilate(log_depth, _WINDOW) - cv2.erode(log_depth, _WINDOW)
        error = _BASE + _PER_CHANGE * self._change + _PER_EDGE * contrast + _PER_BORDER * _border(log_depth.shape)
        error += _PER_DISTANCE * np.maximum(np.exp(log_depth - np.float32(middle)) - 1, 0)
        if points is not None and len(points):
            error = _with_evidence(error, log_depth, points, item.frame.size)
        error = np.hypot(error, item.scale_sigma or 0.0)
        return np.where(known, 1 - np.exp(-TOLERANCE / error), 0).astype(np.float32)

    def _updated_change(self, log_depth: DepthMap, flow: FlowPair | None) -> DepthMap:
        before, change = self._log_depth, self._change
        if flow is None or before is None or change is None or before.shape != log_depth.shape:
            return np.full_like(log_depth, _FIRST_CHANGE)
        grid = sampling_grid(flow.flow, log_depth.shape)
        moved = log_depth - warp(before, grid)
        newest = np.abs(moved - np.median(moved))
        height, width = log_depth.shape
        is_sure = cv2.resize(flow.confidence, (width, height)) > _MIN_FLOW_CONFIDENCE
        newest = np.where(is_sure, newest, np.float32(_UNSURE_CHANGE))
        return cast(DepthMap, (_MEMORY * warp(change, grid) + (1 - _MEMORY) * newest).astype(np.float32))


@lru_cache(maxsize=4)
def _border(shape: tuple[int, int]) -> DepthMap:
    """Returns 1 at the border of a map, falling towards the middle."""
    across, down = ((np.arange(n, dtype=np.float32) + 0.5) / n for n in shape[::-1])
    nearest = np.minimum(np.minimum(across, 1 - across)[None], np.minimum(down, 1 - down)[:, None])
    return cast(DepthMap, np.exp(-nearest / np.float32(_BORDER_WIDTH)))


def _with_evidence(error: DepthMap, log_depth: DepthMap, points: Floats, size: tuple[int, int]) -> DepthMap:
    """Returns the expected error, near measured points the difference from them."""
    height, width = log_depth.shape
    scale = np.array([width, height]) / np.array(size)
    column, row = np.rint((points[:, :2] + 0.5) * scale - 0.5).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (points[:, 2] > 0)
    column, row, meters = column[inside], row[inside], points[inside, 2]
    total, count = np.zeros_like(log_depth), np.zeros_like(log_depth)
    np.add.at(total, (row, column), np.abs(log_depth[row, column] - np.log(meters)).astype(np.float32))
    np.add.at(count, (row, column), np.float32(1))
    total, count = (cast(DepthMap, cv2.GaussianBlur(m, (0, 0), _EVIDENCE_PX)) for m in (total, count))
    nearness = 1 - np.exp(-count * np.float32(4 * np.pi * _EVIDENCE_PX**2))
    measured = _EVIDENCE_ERROR + total / np.maximum(count, np.float32(1e-9))
    return cast(DepthMap, (error + nearness * (measured - error)).astype(np.float32))
