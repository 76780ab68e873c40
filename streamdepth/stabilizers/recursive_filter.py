"""The recursive filter of smoothing: a running mean per pixel along the motion, in one direction of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.ranges import all_finite, finite_range, robust_range
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers.optical_flow import FlowPair, SamplingGrid, sampling_grid, warp

MIN_NOISE, MAX_NOISE = 0.004, 0.03
"""Bounds of a network's noise from frame to frame, as a share of the frame's range (metric: of the depth)."""
NOISE_SECONDS = 0.5
"""Time constant of the estimate of the noise."""
INITIAL_SECONDS = 1 / 30
"""The evidence of a frame without a past."""
MAX_DEVIATION = 1 / 3
"""Largest difference of a result from the new depth, as a share of the tolerance."""
EPSILON = 1e-9
_CURVATURES = np.array([[0.5, -1, 0.5]], np.float32), np.array([[0.5], [-1], [0.5]], np.float32)
"""Kernels for half the second derivative along x and along y; `cv2.Sobel` takes three times as long along y."""
UNIT_PIXELS = 1500
"""Approximate number of pixels from which the unit of changes, a frame's range, is measured."""
_NEIGHBORS = np.array([[0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0.5]], np.float32)


@dataclass(frozen=True, slots=True)
class FilterState:
    """The smoothed depth of each pixel and the evidence behind it."""

    depth: DepthMap
    evidence_seconds: DepthMap
    """Seconds of agreeing frames behind the depth: the weight of the past."""


class Past(NamedTuple):
    """The past, warped to a new frame; valid until the next frame."""

    change: DepthMap
    """The new depth less the past's, limited to the most that a result may differ from the new depth."""
    evidence_seconds: DepthMap


class _Buffers(NamedTuple):
    """Maps that are reused for every frame, because allocating them takes longer than the arithmetic."""

    warped: DepthMap
    residual: DepthMap
    scratch: DepthMap
    grid: SamplingGrid

    @classmethod
    def allocate(cls, shape: tuple[int, ...]) -> _Buffers:
        warped, residual, scratch, x, y = (np.empty(shape, np.float32) for _ in range(5))
        return cls(warped, residual, scratch, SamplingGrid(x, y))


class RecursiveFilter:
    """A running mean per pixel in one direction of time, weighted as a Kalman filter weights it.

    The past is warped along the motion and limited to a third of the tolerance around the new depth, which bounds the
    lag. Its weight falls with the confidence of the motion, and is 0 beyond the tolerance. The tolerance is in
    multiples of the network's noise, which is measured.
    """

    def __init__(self, memory_seconds: float, tolerance: float) -> None:
        self.memory_seconds, self.tolerance = memory_seconds, tolerance
        self.state: FilterState | None = None
        self._noise = MAX_NOISE
        self._buffers = _Buffers.allocate((0, 0))
        self._spare_evidence: DepthMap | None = None

    def push(self, item: DepthFrame, flows: FlowPair | None, seconds: float) -> DepthMap:
        """Returns the smoothed depth of the next frame. `flows` are those to the frame before; None starts anew."""
        return self.update(item.depth, self.predict(item, flows, seconds) if flows else None, seconds).depth

    @np.errstate(invalid="ignore")  # far away minus far away is unknown, as it should be
    def predict(self, item: DepthFrame, flows: FlowPair, seconds: float) -> Past | None:
        """Returns the past warped to this frame, with its evidence; None without a past."""
        past, new = self.state, item.depth
        if past is None or past.depth.shape != new.shape:
            return None
        if self._buffers.residual.shape != new.shape:
            self._buffers = _Buffers.allocate(new.shape)
        _, residual, scratch, grid = self._buffers
        sampling_grid(flows.flow, new.shape, out=grid)
        warped = _warp_sharply(past.depth, flows, self._buffers)
        change = np.subtract(new, warped, out=warped)
        unit = _unit_of_change(item)
        np.divide(np.abs(change, out=residual), unit, out=residual)
        self._measure_noise(residual, seconds)
        _suppress_lone_outliers(residual, scratch)
        limit = self.tolerance * self._noise
        evidence = warp(past.evidence_seconds, grid, cv2.INTER_NEAREST, out=self._spare_evidence)
        cv2.threshold(evidence, self.memory_seconds, 0, cv2.THRESH_TRUNC, dst=evidence)
        evidence *= cv2.resize(flows.confidence, new.shape[::-1], dst=scratch, interpolation=cv2.INTER_LINEAR)
        evidence *= _agreement(residual, limit, scratch)
        residual -= MAX_DEVIATION * limit
        _, excess = cv2.threshold(residual, 0, 0, cv2.THRESH_TOZERO, dst=residual)
        excess *= unit
        change -= np.copysign(excess, change, out=scratch)
        return Past(change, evidence)

    def update(self, new: DepthMap, past: Past | None, seconds: float) -> FilterState:
        """Returns the weighted mean of the past and the new depth; pixels unknown in the past take the new depth.

        The evidence of the result is valid until the next `predict`, which reuses its memory.
        """
        if past is None:
            self.state, self._spare_evidence = FilterState(new, np.full_like(new, INITIAL_SECONDS)), np.empty_like(new)
        else:
            assert self.state is not None
            self._spare_evidence = self.state.evidence_seconds
            self.state = weighted_mean(new, past, seconds)
        return self.state

    def _measure_noise(self, residual: DepthMap, seconds: float) -> None:
        sample = residual[::8, ::8]
        sample = sample[np.isfinite(sample)]
        if sample.size:
            sample.partition(sample.size // 2)
            noise = min(max(1.48 * float(sample[sample.size // 2]), MIN_NOISE), MAX_NOISE)
            self._noise += (noise - self._noise) * (1 - math.exp(-seconds / NOISE_SECONDS))


@np.errstate(invalid="ignore")
def weighted_mean(new: DepthMap, past: Past, seconds: float | DepthMap) -> FilterState:
    """Returns the mean of two depths, weighted by their seconds and never outside the two.

    `seconds` is the evidence of `new`. The past's evidence is overwritten by that of both.
    """
    evidence_of_new = np.asarray(seconds + EPSILON, np.float32)
    total = np.add(past.evidence_seconds, evidence_of_new, out=past.evidence_seconds)
    step = np.divide(evidence_of_new, total)
    step -= 1
    step *= past.change
    mean = np.add(new, step, out=step)
    if all_finite(mean):
        return FilterState(mean, total)
    known = np.isfinite(mean)
    return FilterState(np.where(known, mean, new), np.where(known, total, np.float32(INITIAL_SECONDS)))


def _warp_sharply(depth: DepthMap, flows: FlowPair, buffers: _Buffers) -> DepthMap:
    """Samples `depth` at the grid in `buffers`, within its own range and without the blur of bilinear resampling.

    The blur of bilinear resampling, f (1 - f) / 2 of the second derivative along each axis for a fraction f of a
    pixel, is compensated: nearly as sharp over many frames as bicubic resampling, and no frequency grows, as it would
    there.
    """
    low, high = finite_range(depth)
    warped, residual, scratch, grid = buffers
    warp(depth, grid, out=warped)
    if not flows.flow.any():
        return warped
    for positions, kernel in zip(grid, _CURVATURES, strict=True):
        fraction = np.subtract(positions, np.floor(positions, out=scratch), out=residual)
        fraction -= np.square(fraction, out=scratch)
        curvature = cv2.filter2D(warped, cv2.CV_32F, kernel, dst=scratch, borderType=cv2.BORDER_REPLICATE)
        fraction *= curvature
        warped -= fraction
    return np.clip(warped, np.float32(low), np.float32(high), out=warped)


def _suppress_lone_outliers(residual: DepthMap, scratch: DepthMap) -> None:
    """Limits each residual to half the sum of its eight neighbors': lines keep theirs, lone pixels nearly lose it."""
    around = cv2.filter2D(residual, cv2.CV_32F, _NEIGHBORS, dst=scratch, borderType=cv2.BORDER_REFLECT_101)
    np.fmin(residual, around, out=residual)


def _agreement(residual: DepthMap, limit: float, scratch: DepthMap) -> DepthMap:
    """Returns a weight that falls from 1 to 0 with residual / limit; flat near 0, so that noise costs no evidence."""
    square = cv2.multiply(residual, residual, dst=scratch, scale=1 / limit**2)
    fourth = cv2.multiply(square, square, dst=square, scale=-1.0)
    return cast(DepthMap, cv2.exp(fourth, dst=fourth))


def _unit_of_change(item: DepthFrame) -> DepthMap | np.float32:
    """Returns the unit of changes: the depth itself if it is metric, the frame's range if it is relative."""
    if item.kind is DepthKind.METRIC:
        return cast(DepthMap, np.maximum(np.abs(item.depth), np.float32(1e-3)))
    low, high = robust_range(item.depth, max_pixels=UNIT_PIXELS) or (0.0, 1.0)
    return np.float32(max(high - low, 1e-9))
