"""Smoothing over time along the motion: from frame to frame, and for files in both directions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.device_map import StoredMap, for_depth_field
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.ranges import all_finite, finite_range, robust_range
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers.disk_queue import DiskQueue
from streamdepth.stabilizers.optical_flow import FlowPair, FrameMotion, MotionTracker, SamplingGrid, sampling_grid, warp

if TYPE_CHECKING:
    from streamdepth.stabilizers.device_filter import DeviceFilter

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
class _FilterState:
    """The smoothed depth of each pixel and the evidence behind it."""

    depth: DepthMap
    evidence_seconds: DepthMap
    """Seconds of agreeing frames behind the depth: the weight of the past."""


class _Past(NamedTuple):
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


class _RecursiveFilter:
    """A running mean per pixel in one direction of time, weighted as a Kalman filter weights it.

    The past is warped along the motion and limited to a third of the tolerance around the new depth, which bounds the
    lag. Its weight falls with the confidence of the motion, and is 0 beyond the tolerance. The tolerance is in
    multiples of the network's noise, which is measured.
    """

    def __init__(self, memory_seconds: float, tolerance: float) -> None:
        self.memory_seconds, self.tolerance = memory_seconds, tolerance
        self.state: _FilterState | None = None
        self._noise = MAX_NOISE
        self._buffers = _Buffers.allocate((0, 0))
        self._spare_evidence: DepthMap | None = None

    def push(self, item: DepthFrame, flows: FlowPair | None, seconds: float) -> DepthMap:
        """Returns the smoothed depth of the next frame. `flows` are those to the frame before; None starts anew."""
        return self.update(item.depth, self.predict(item, flows, seconds) if flows else None, seconds).depth

    @np.errstate(invalid="ignore")  # far away minus far away is unknown, as it should be
    def predict(self, item: DepthFrame, flows: FlowPair, seconds: float) -> _Past | None:
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
        return _Past(change, evidence)

    def update(self, new: DepthMap, past: _Past | None, seconds: float) -> _FilterState:
        """Returns the weighted mean of the past and the new depth; pixels unknown in the past take the new depth.

        The evidence of the result is valid until the next `predict`, which reuses its memory.
        """
        if past is None:
            self.state, self._spare_evidence = _FilterState(new, np.full_like(new, INITIAL_SECONDS)), np.empty_like(new)
        else:
            assert self.state is not None
            self._spare_evidence = self.state.evidence_seconds
            self.state = _weighted_mean(new, past, seconds)
        return self.state

    def _measure_noise(self, residual: DepthMap, seconds: float) -> None:
        sample = residual[::8, ::8]
        sample = sample[np.isfinite(sample)]
        if sample.size:
            sample.partition(sample.size // 2)
            noise = min(max(1.48 * float(sample[sample.size // 2]), MIN_NOISE), MAX_NOISE)
            self._noise += (noise - self._noise) * (1 - math.exp(-seconds / NOISE_SECONDS))


class TemporalFilter(Stabilizer):
    """A running mean along the motion, which trusts the past where flow and depth agree and the present elsewhere.

    The result stays within the range of the inputs; unknown pixels take the new value. Starts anew at cuts, gaps and
    changes of size. State: two maps of the depth's size. Depth that lies on a GPU is smoothed there and stays there.

    Args:
        memory_seconds: the longest memory, that of static parts. Frames further apart have more weight, so that the
            result does not depend on the frame rate.
        tolerance: how far the past may be from the new depth before it is forgotten, in multiples of the network's
            noise, which is measured. Except for the network's lone outliers, the result stays within a third of it.
    """

    def __init__(
        self,
        memory_seconds: float = 1.5,
        tolerance: float = 9.0,
        *,
        tracker: MotionTracker | None = None,
    ) -> None:
        self.memory_seconds, self.tolerance = memory_seconds, tolerance
        self._tracker = tracker or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._array_filter: _RecursiveFilter | None = None
        self._device_filter: DeviceFilter | None = None

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        motion = self._tracker.track(item.frame)
        if item.cut or motion.to_previous is None:
            self._array_filter = self._device_filter = None
        smoothed = self._smooth(item, motion)
        return [replace(item, depth=for_depth_field(smoothed))]

    def _smooth(self, item: DepthFrame, motion: FrameMotion) -> StoredMap:
        """Smooths the depth on its own device; starts anew if the model moves to another one."""
        if item.device_depth is None:
            self._device_filter = None
            self._array_filter = self._array_filter or _RecursiveFilter(self.memory_seconds, self.tolerance)
            return self._array_filter.push(item, motion.to_previous, motion.seconds)
        from streamdepth.stabilizers.device_filter import DeviceFilter

        self._array_filter = None
        self._device_filter = self._device_filter or DeviceFilter(self.memory_seconds, self.tolerance)
        return self._device_filter.push(item, motion.to_previous, motion.seconds)


@dataclass(frozen=True, slots=True)
class _PendingFrame:
    """A frame that waits for what comes after it."""

    item: DepthFrame
    motion: FrameMotion
    state: _FilterState
    """The forward filter's state after this frame."""


class TwoSidedFilter(Stabilizer):
    """`TemporalFilter` in both directions: each frame is the mean of those before and after it, without lag.

    For files only: items come out `lookahead_frames` or more later, in blocks of as many. At most twice as many wait,
    their pictures on disk; frames further ahead are not used. Nothing is carried across cuts.
    """

    is_offline = True

    def __init__(
        self,
        memory_seconds: float = 0.4,
        tolerance: float = 12.0,
        lookahead_frames: int = 24,
        *,
        tracker: MotionTracker | None = None,
    ) -> None:
        self.memory_seconds, self.tolerance, self.lookahead_frames = memory_seconds, tolerance, lookahead_frames
        self._tracker = tracker or MotionTracker()
        self._queue = DiskQueue()
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._queue.clear()
        self._pending: deque[_PendingFrame] = deque()
        self._forward = self._new_filter()

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        motion = self._tracker.track(item.frame)
        flows = motion.to_previous
        if item.cut or flows is None:
            yield from self.flush()
        past = self._forward.predict(item, flows, motion.seconds) if flows else None
        state = self._forward.update(item.depth, past, motion.seconds)
        kept = replace(state, evidence_seconds=state.evidence_seconds.copy())
        self._pending.append(_PendingFrame(self._queue.put(item), motion, kept))
        if len(self._pending) >= 2 * self.lookahead_frames:
            yield from self._release(self.lookahead_frames)

    def flush(self) -> Iterator[DepthFrame]:
        yield from self._release(len(self._pending))
        self._forward = self._new_filter()

    def _new_filter(self) -> _RecursiveFilter:
        return _RecursiveFilter(self.memory_seconds, self.tolerance)

    def _release(self, count: int) -> Iterator[DepthFrame]:
        for pending, depth in zip(list(self._pending)[:count], self._smooth()[:count], strict=True):
            self._pending.popleft()
            yield replace(self._queue.take(pending.item), depth=depth)

    def _smooth(self) -> list[DepthMap]:
        """Runs backward over all pending frames and returns past, present and future weighted by their evidence."""
        backward, smoothed = self._new_filter(), list[DepthMap]()
        following: FrameMotion | None = None
        for pending in reversed(self._pending):
            item, state = pending.item, pending.state
            flows, seconds = (following.to_previous, following.seconds) if following else (None, 0.0)
            future = backward.predict(item, flows.reversed(), seconds) if flows else None
            smoothed.append(_join(state, item.depth, future) if future else state.depth)
            backward.update(item.depth, future, seconds)
            following = pending.motion
        return smoothed[::-1]


@np.errstate(invalid="ignore")
def _join(state: _FilterState, new: DepthMap, future: _Past) -> DepthMap:
    """Returns the mean of the state after a frame and the future warped to it; `new` is the frame's own depth."""
    change = future.change + (state.depth - new)
    copied = _Past(change, future.evidence_seconds.copy())  # the mean changes it
    return _weighted_mean(state.depth, copied, state.evidence_seconds).depth


@np.errstate(invalid="ignore")
def _weighted_mean(new: DepthMap, past: _Past, seconds: float | DepthMap) -> _FilterState:
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
        return _FilterState(mean, total)
    known = np.isfinite(mean)
    return _FilterState(np.where(known, mean, new), np.where(known, total, np.float32(INITIAL_SECONDS)))


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
