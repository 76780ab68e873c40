"""Optical flow between consecutive frames, measured once per frame on a small picture and shared by all stabilizers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.types import Frame

Gray = npt.NDArray[np.uint8]
"""A grayscale picture, (h, w)."""
Flow = npt.NDArray[np.float32]
"""Vectors in px to the right and down, (h, w, 2)."""
MapT = TypeVar("MapT", DepthMap, Gray, Flow)

MAX_GAP_SECONDS = 0.5
"""Earlier frames are forgotten after a longer gap, and when the picture's size changes."""
MAX_SIDE_PX = 160
"""Longer side of the picture on which flow is measured. Finer flow made depth no steadier, and costs more than the
network does."""
_MIN_SIDE_PX = 32
"""Smaller sides are enlarged to this, because OpenCV's flow reads out of bounds on smaller pictures."""
_MIN_SPEED_PX = 0.05
"""Slower motion counts as none, so that static parts are not resampled and blurred."""
_BRIGHTNESS_TOLERANCE = 25.0
"""Change of brightness along the flow (0 to 255) by which confidence falls to 1 / e."""


class SamplingGrid(NamedTuple):
    """A position in px for each pixel of a map, where `warp` samples another one."""

    x: DepthMap
    y: DepthMap


@dataclass(frozen=True, slots=True)
class FlowPair:
    """Dense optical flow in both directions between two small grayscale pictures of one size."""

    gray: Gray
    other: Gray
    flow: Flow
    """Motion in px from each pixel of `gray` to its place in `other`."""
    reverse_flow: Flow
    """Motion in px from each pixel of `other` to its place in `gray`."""
    confidence: DepthMap
    """0 to 1 for each pixel of `gray`: both flows agree there, and so does the brightness at both ends."""
    grid: SamplingGrid
    """The position in `other` of each pixel of `gray`."""

    @classmethod
    def from_flows(cls, gray: Gray, other: Gray, flow: Flow, reverse_flow: Flow) -> FlowPair:
        """Builds a pair and measures the confidence of its flow."""
        grid = sampling_grid(flow, gray.shape)
        return cls(gray, other, flow, reverse_flow, _confidence(gray, other, flow, reverse_flow, grid), grid)

    @property
    def median_length(self) -> float:
        """Median length of the flow's vectors, px."""
        return math.sqrt(float(np.median(_squared_length(self.flow))))

    def reversed(self) -> FlowPair:
        """Returns the pair with both pictures exchanged."""
        return FlowPair.from_flows(self.other, self.gray, self.reverse_flow, self.flow)


@dataclass(frozen=True, slots=True)
class FrameMotion:
    """The small picture of a frame, and its optical flow to the frame before."""

    image: Image
    """(h, w, 3) uint8 RGB; the longer side has at most MAX_SIDE_PX px."""
    gray: Gray
    seconds: float = 0.0
    """Time since the frame before."""
    to_previous: FlowPair | None = None
    """Flow from this frame to the one before; None at the beginning, after a gap, and after a change of size."""


class MotionTracker:
    """Measures the motion from frame to frame of one stream by DIS optical flow (Kroeger et al., ECCV 2016).

    All stabilizers of a stream share one tracker, so that each frame is measured once. Confidence follows the agreement
    of forward and backward flow (Sundaram et al., ECCV 2010) and of the brightness along them. State: one small
    picture.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as if new."""
        self._frame: Frame | None = None
        self._motion: FrameMotion | None = None

    def track(self, frame: Frame) -> FrameMotion:
        """Returns the motion of `frame` since the frame before; frames come in order, the newest perhaps repeatedly."""
        if self._motion is None or frame is not self._frame:
            self._motion = self._measure(frame, self._frame, self._motion)
            self._frame = frame
        return self._motion

    def flow_between(self, gray: Gray, other: Gray) -> FlowPair:
        """Measures the flow between two grayscale pictures of one size."""
        if np.array_equal(gray, other):
            still = np.zeros((*gray.shape, 2), np.float32)
            certain = np.ones(gray.shape, np.float32)
            return FlowPair(gray, other, still, still, certain, sampling_grid(still, gray.shape))
        return FlowPair.from_flows(gray, other, self._flow(gray, other), self._flow(other, gray))

    def _measure(self, frame: Frame, previous: Frame | None, previous_motion: FrameMotion | None) -> FrameMotion:
        image = frame.image_at_size(*flow_size(*frame.size))
        gray = cast(Gray, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        if previous is None or previous_motion is None or previous.size != frame.size:
            return FrameMotion(image, gray)
        seconds = frame.time - previous.time
        if not 0 <= seconds <= MAX_GAP_SECONDS:
            return FrameMotion(image, gray)
        return FrameMotion(image, gray, seconds, self.flow_between(gray, previous_motion.gray))

    def _flow(self, start: Gray, end: Gray) -> Flow:
        flow = cast(Flow, self._dis.calc(start, end, None))  # type: ignore[call-overload]  # the stub wants an array to fill
        moves = _squared_length(flow) >= _MIN_SPEED_PX**2
        return cast(Flow, cv2.copyTo(flow, moves.astype(np.uint8)))


def flow_size(width: int, height: int) -> tuple[int, int]:
    """Returns (width, height) of the small picture on which the flow of a frame of this size is measured."""
    share = min(1.0, MAX_SIDE_PX / max(width, height))
    return max(_MIN_SIDE_PX, round(width * share)), max(_MIN_SIDE_PX, round(height * share))


def sampling_grid(flow: Flow, shape: tuple[int, ...], out: SamplingGrid | None = None) -> SamplingGrid:
    """Returns for each pixel of a map of `shape` the position in px that `flow` points to.

    The flow may have any size; it is resized to the map's. `out` is filled where it is given.
    """
    height, width = shape
    right, down = flow[..., 0] * np.float32(width / flow.shape[1]), flow[..., 1] * np.float32(height / flow.shape[0])
    x, y = (
        cast(DepthMap, cv2.resize(plane, (width, height), dst=buffer, interpolation=cv2.INTER_LINEAR))
        for plane, buffer in zip((right, down), out or (None, None), strict=True)
    )
    x += np.arange(width, dtype=np.float32)
    y += np.arange(height, dtype=np.float32)[:, None]
    return SamplingGrid(x, y)


def warp(values: MapT, grid: SamplingGrid, interpolation: int = cv2.INTER_LINEAR, out: MapT | None = None) -> MapT:
    """Samples `values` (h, w) at `grid`; `out` is filled where it is given.

    Border pixels are replicated; samples next to unknown values are unknown.
    """
    return cast(MapT, cv2.remap(values, *grid, interpolation, dst=out, borderMode=cv2.BORDER_REPLICATE))


def shrink_map(values: DepthMap, size: tuple[int, int]) -> DepthMap:
    """Resizes `values` to (width, height) `size`, each pixel a mean of many; quick for sizes that do not divide."""
    fourfold = cv2.resize(values, (4 * size[0], 4 * size[1]), interpolation=cv2.INTER_LINEAR)
    return cast(DepthMap, cv2.resize(fourfold, size, interpolation=cv2.INTER_AREA))


def _confidence(gray: Gray, other: Gray, flow: Flow, reverse_flow: Flow, grid: SamplingGrid) -> DepthMap:
    # OpenCV samples two maps in less time than one with two channels.
    x, y = (flow[..., axis] + warp(np.ascontiguousarray(reverse_flow[..., axis]), grid) for axis in (0, 1))
    mismatch = np.square(x)
    mismatch += np.square(y)
    mismatch /= 0.02 * _squared_length(flow) + np.float32(0.25)
    change = cv2.blur(cv2.absdiff(gray, warp(other, grid)), (3, 3)) * np.float32(1 / _BRIGHTNESS_TOLERANCE)
    mismatch *= mismatch
    mismatch += np.square(np.square(change))
    confidence = cv2.exp(np.negative(mismatch, out=mismatch), dst=mismatch)
    height, width = gray.shape
    inside = cv2.bitwise_and(cv2.inRange(grid.x, 0, width - 1), cv2.inRange(grid.y, 0, height - 1))
    return cast(DepthMap, cv2.copyTo(confidence, inside))


def _squared_length(vectors: Flow) -> DepthMap:
    squares = np.square(vectors)
    return cast(DepthMap, squares[..., 0] + squares[..., 1])
