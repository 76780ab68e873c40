"""How the picture moves, measured once per frame on a small picture and shared by all parts of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.types import DepthMap, Frame, Image

Gray = npt.NDArray[np.uint8]
"""(h, w)."""
Flow = npt.NDArray[np.float32]
"""(h, w, 2): px to the right and down."""
Map = TypeVar("Map", DepthMap, Gray, Flow)

GAP_SECONDS = 0.5
"""After a longer gap, or when the picture's size changes, nothing before counts any more."""
LONGEST_SIDE_PX = 160
"""Motion is measured on pictures of this size: finer flow made depth no steadier, and costs more than the network."""
_SHORTEST_SIDE_PX = 32
"""Of wide and of tiny pictures, which are stretched: on lower ones OpenCV's flow reads beyond its memory."""
_STILL_PX = 0.05
"""Slower is standing still: what stands still is not resampled, and so not blurred."""
_BRIGHTNESS = 25.0
"""Of 255: a change of brightness along the flow by which trust falls to 1 / e; less counts for little."""


@dataclass(frozen=True, slots=True)
class Motion:
    """The small picture of a frame, and what moved since the frame before; maps are (h, w) of the small picture."""

    image: Image
    """(h, w, 3) uint8 RGB, the longer side LONGEST_SIDE_PX at most."""
    gray: Gray
    seconds: float = 0.0
    """Since the frame before."""
    path: Path | None = None
    """From this frame to the one before; None where nothing before counts."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where pixels come from, between two pictures of one size."""

    gray: Gray
    other: Gray
    flow: Flow
    """From each pixel of `gray` to where it is in `other`."""
    reverse: Flow
    """From each pixel of `other` to where it is in `gray`."""
    trust: DepthMap
    """0 to 1 for each pixel of `gray`: flow there and back agrees, and so does the brightness at both ends."""

    @classmethod
    def between(cls, gray: Gray, other: Gray, flow: Flow, reverse: Flow) -> Path:
        """Measures how far the flow can be trusted."""
        return cls(gray, other, flow, reverse, _trust(gray, other, flow, reverse))

    def back(self) -> Path:
        """The other way round."""
        return Path.between(self.other, self.gray, self.reverse, self.flow)


class MotionTracker:
    """Motion from frame to frame of one stream: DIS flow (Kroeger et al., ECCV 2016), there and back.

    `of` may be asked for the newest frame again and again, by each part of a chain; it is measured once. Trust follows
    the agreement of both flows (Sundaram et al., ECCV 2010) and the brightness along them. State: one small picture.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._frame: Frame | None = None
        self._motion: Motion | None = None

    def of(self, frame: Frame) -> Motion:
        """The motion of `frame` since the frame before; frames come in order."""
        if self._motion is None or frame is not self._frame:
            self._motion = self._measure(frame, self._frame, self._motion)
            self._frame = frame
        return self._motion

    def between(self, gray: Gray, other: Gray) -> Path:
        """The path from `gray` to `other`."""
        if np.array_equal(gray, other):
            still = np.zeros((*gray.shape, 2), np.float32)
            return Path(gray, other, still, still, np.ones(gray.shape, np.float32))
        return Path.between(gray, other, self._flow(gray, other), self._flow(other, gray))

    def _measure(self, frame: Frame, before: Frame | None, old: Motion | None) -> Motion:
        image = frame.shrunk(*small_size(*frame.size))
        gray = cast(Gray, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        if before is None or old is None or before.size != frame.size:
            return Motion(image, gray)
        seconds = frame.time - before.time
        if not 0 <= seconds <= GAP_SECONDS:
            return Motion(image, gray)
        return Motion(image, gray, seconds, self.between(gray, old.gray))

    def _flow(self, start: Gray, end: Gray) -> Flow:
        flow = cast(Flow, self._dis.calc(start, end, None))  # type: ignore[call-overload]  # the stub wants an array to fill
        flow[_squared(flow) < _STILL_PX**2] = 0
        return flow


def small_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the picture on which motion is measured."""
    share = min(1.0, LONGEST_SIDE_PX / max(width, height))
    return max(_SHORTEST_SIDE_PX, round(width * share)), max(_SHORTEST_SIDE_PX, round(height * share))


def where(flow: Flow, shape: tuple[int, ...], out: Flow | None = None) -> Flow:
    """(h, w, 2): the places, in px of a map of `shape`, from which `flow` of any size brings its pixels."""
    height, width = shape
    scale = np.array((width / flow.shape[1], height / flow.shape[0]), np.float32)
    large = cv2.resize(flow * scale, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
    return cast(Flow, cv2.add(large, _grid(height, width), dst=large))


def carry(values: Map, places: Flow, interpolation: int = cv2.INTER_LINEAR) -> Map:
    """`values` (h, w) brought here from `places`; the edges are continued. Next to unknown values is unknown."""
    return cast(Map, cv2.remap(values, places, None, interpolation, borderMode=cv2.BORDER_REPLICATE))  # type: ignore[call-overload]  # the stub wants a second map


def thinned(values: DepthMap, size: tuple[int, int]) -> DepthMap:
    """`values` at (width, height) `size`, each a mean of many; quick where the sizes are no multiples of each other."""
    fourfold = cv2.resize(values, (4 * size[0], 4 * size[1]), interpolation=cv2.INTER_LINEAR)
    return cast(DepthMap, cv2.resize(fourfold, size, interpolation=cv2.INTER_AREA))


def _trust(gray: Gray, other: Gray, flow: Flow, reverse: Flow) -> DepthMap:
    places = where(flow, gray.shape)
    gap = _squared(flow + carry(reverse, places)) / (0.02 * _squared(flow) + np.float32(0.25))
    change = cv2.blur(cv2.absdiff(gray, carry(other, places)), (3, 3)) * np.float32(1 / _BRIGHTNESS)
    height, width = gray.shape
    x, y = places[..., 0], places[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    change *= change
    return cast(DepthMap, np.exp(-gap * gap - change * change) * inside)


@lru_cache(maxsize=16)
def _grid(height: int, width: int) -> Flow:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([x, y])


def _squared(vectors: Flow) -> DepthMap:
    x, y = cv2.split(vectors)
    return cast(DepthMap, x * x + y * y)
