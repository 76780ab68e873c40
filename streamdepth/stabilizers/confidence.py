"""The confidence of each pixel of metric depth."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, cast

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.metric_fit import FARTHEST_M
from streamdepth.stabilizers.optical_flow import FlowPair, SamplingGrid, sampling_grid, warp

TOLERANCE = 0.1
"""Confidence is the probability that a distance is off by less than this share."""
_BASE, _PER_CHANGE, _PER_EDGE, _PER_DISTANCE, _PER_BORDER = 0.081, 0.246, 0.435, 0.022, 0.063
"""Expected error as a share: everywhere, for each unit of the change over time, of the depth's own contrast within 7x7
px (both natural logarithms), of the distance over the median, and at the picture's border."""
_EVIDENCE_ERROR, _PER_RESIDUAL = 0.006, 1.16
"""The same for a pixel whose distance was measured: everywhere, and for each unit of the depth's log difference."""
_PER_SIGMA = 0.68
"""The same for the scale's one-sigma error."""
_SHAPE = 1.7
"""Shape of the Weibull distribution of errors around their expected size.

All are found by maximum likelihood of being right or wrong on kitchen, TartanAir, desk, KITTI, Replica and NYU, with
each reference; the README of this folder says how good they are at places that they were not made from."""
_BORDER_WIDTH = 0.05
"""Share of the picture's side within which the border counts."""
_WINDOW = np.ones((7, 7), np.uint8)
_MEMORY = 0.8
"""Share of the change over time that is kept from frame to frame."""
_FIRST_CHANGE, _UNSURE_CHANGE = 0.05, 0.1
"""Change over time that is assumed for the first frame, and where the optical flow is unsure."""
_MIN_FLOW_CONFIDENCE = 0.3
_EVIDENCE_PX = 3.0
"""Standard deviation, in px, of the Gaussian weight by which a measured point counts for pixels around it."""
_FADING = 0.25
"""Power of the optical flow's confidence by which the weight of earlier measurements falls in each frame."""


class _Evidence(NamedTuple):
    """The depth of each pixel compared with distances measured now or before; both maps are (h, w)."""

    residual: DepthMap
    """Natural logarithm of the depth over the distance measured there."""
    support: DepthMap
    """Weight of that measurement for this pixel, 0 to 1."""


class ConfidenceEstimator:
    """Estimates the confidence of each pixel from what can be seen without the truth.

    The expected error of a pixel grows with its disagreement with the depth before, warped along the optical flow; with
    the depth's contrast around it; with its distance; and towards the border. Where a distance was measured, the
    expected error is the depth's difference from it: a network's error stays with the object, so that this difference
    is carried along the flow. From the expected error and the scale's own error follows the probability of an error
    below TOLERANCE, for errors with a Weibull distribution. State: four maps of one frame.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as if new."""
        self._log_depth: DepthMap | None = None
        self._change: DepthMap | None = None
        self._evidence: _Evidence | None = None

    def estimate(self, item: DepthFrame, flow: FlowPair | None, points: Floats | None) -> DepthMap:
        """Returns the (h, w) confidence of a frame, 0 where its depth is unknown.

        Args:
            item: the frame with metric depth.
            flow: from the frame to the one before; None where it is not known.
            points: (N, 3) x, y in px of the picture and meters of the points measured in this frame; None if there are
                none.
        """
        known = ~np.isnan(item.depth)
        if not known.any():
            self.reset()
            return np.zeros_like(item.depth)
        log_depth = np.log(np.clip(item.depth, 1e-3, FARTHEST_M))
        middle = float(np.median(log_depth[known]))
        log_depth = np.where(known, log_depth, np.float32(middle))
        before, self._log_depth = self._log_depth, log_depth
        grid = None
        if flow is not None and before is not None and before.shape == log_depth.shape:
            grid = sampling_grid(flow.flow, log_depth.shape)
        if flow is None or before is None or grid is None:
            self._change, self._evidence = np.full_like(log_depth, _FIRST_CHANGE), None
        else:
            self._follow(log_depth, before, flow, grid)
        if points is not None and len(points):
            self._evidence = _joined(self._evidence, _measured(log_depth, points, item.frame.size))
        error = np.hypot(self._expected_error(log_depth, middle), np.float32(_PER_SIGMA * (item.scale_sigma or 0.0)))
        return np.where(known, _probability(error), 0).astype(np.float32)

    def _follow(self, log_depth: DepthMap, before: DepthMap, flow: FlowPair, grid: SamplingGrid) -> None:
        """Carries change and evidence along the flow to this frame."""
        height, width = log_depth.shape
        moved = log_depth - warp(before, grid)
        certainty = cv2.resize(flow.confidence, (width, height))
        newest = np.abs(moved - np.median(moved[::4, ::4]))
        newest = np.where(certainty > _MIN_FLOW_CONFIDENCE, newest, np.float32(_UNSURE_CHANGE))
        assert self._change is not None
        self._change = cast(DepthMap, (_MEMORY * warp(self._change, grid) + (1 - _MEMORY) * newest).astype(np.float32))
        if self._evidence is not None:
            residual, support = (warp(part, grid) for part in self._evidence)
            self._evidence = _Evidence(residual, support * np.clip(certainty, 0, 1) ** np.float32(_FADING))

    def _expected_error(self, log_depth: DepthMap, middle: float) -> DepthMap:
        contrast = cv2.dilate(log_depth, _WINDOW) - cv2.erode(log_depth, _WINDOW)
        assert self._change is not None
        error = (
            np.float32(_BASE)
            + _PER_CHANGE * self._change
            + _PER_EDGE * contrast
            + _PER_BORDER * _border(log_depth.shape)
        )
        error += _PER_DISTANCE * np.maximum(np.exp(log_depth - np.float32(middle)) - 1, 0)
        if self._evidence is not None:
            measured = _EVIDENCE_ERROR + _PER_RESIDUAL * np.abs(self._evidence.residual)
            error += self._evidence.support * (measured - error)
        return cast(DepthMap, error)


def _probability(error: DepthMap) -> DepthMap:
    """Returns the probability that pixels of these expected errors are off by less than TOLERANCE."""
    return cast(DepthMap, -np.expm1(-((np.float32(math.log1p(TOLERANCE)) / error) ** np.float32(_SHAPE))))


@lru_cache(maxsize=4)
def _border(shape: tuple[int, int]) -> DepthMap:
    """Returns 1 at the border of a map, falling towards the middle."""
    across, down = ((np.arange(n, dtype=np.float32) + 0.5) / n for n in shape[::-1])
    nearest = np.minimum(np.minimum(across, 1 - across)[None], np.minimum(down, 1 - down)[:, None])
    return cast(DepthMap, np.exp(-nearest / np.float32(_BORDER_WIDTH)))


def _measured(log_depth: DepthMap, points: Floats, size: tuple[int, int]) -> _Evidence:
    """Returns the evidence of points measured in this frame, in px of a picture of `size`."""
    height, width = log_depth.shape
    scale = np.array([width, height]) / np.array(size)
    column, row = np.rint((points[:, :2] + 0.5) * scale - 0.5).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (points[:, 2] > 0)
    column, row, meters = column[inside], row[inside], points[inside, 2]
    total, count = np.zeros_like(log_depth), np.zeros_like(log_depth)
    np.add.at(total, (row, column), (log_depth[row, column] - np.log(meters)).astype(np.float32))
    np.add.at(count, (row, column), np.float32(1))
    total, count = (cast(DepthMap, cv2.GaussianBlur(m, (0, 0), _EVIDENCE_PX)) for m in (total, count))
    support = 1 - np.exp(-count * np.float32(4 * np.pi * _EVIDENCE_PX**2))
    return _Evidence(cast(DepthMap, total / np.maximum(count, np.float32(1e-9))), cast(DepthMap, support))


def _joined(before: _Evidence | None, newest: _Evidence) -> _Evidence:
    """Returns for each pixel the evidence with the larger support."""
    if before is None:
        return newest
    is_newer = newest.support >= before.support
    return _Evidence(np.where(is_newer, newest.residual, before.residual), np.maximum(newest.support, before.support))
