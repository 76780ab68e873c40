"""Dense optical flow between frames, masks of where it is consistent, and warping along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image

Flow = npt.NDArray[np.float32]
"""(h, w, 2) px to the right and down."""
Mask = npt.NDArray[np.bool_]
"""(h, w), True for the pixels that count."""
Map = TypeVar("Map", DepthMap, Image)

LONGEST_SIDE_PX = 640
"""Pictures are reduced to this size for optical flow."""
_SHORTEST_SIDE_PX = 32
"""Smaller sides are enlarged to this, because OpenCV's flow reads out of bounds on smaller pictures."""
_MAX_COLOR_CHANGE = float(np.log(2) / 50)
"""The c of exp(-50 c) = 0.5, where c is the squared change of color, summed over channels of 0 to 1."""


@dataclass(frozen=True, slots=True)
class MaskedFlow:
    """Optical flow from a frame to the previous one; all maps are (h, w) at the size of the flow."""

    flow: Flow
    """Motion in px from each pixel of this frame to its place in the previous frame."""
    is_consistent: Mask
    """True where the flow forwards and backwards agrees and the color is the same at both ends."""
    brightness_change: DepthMap
    """Absolute change at the same pixel, 0 to 1, averaged over 5x5 px so that a sensor's noise is no motion."""

    @property
    def speed(self) -> DepthMap:
        """Length of the flow, px per frame."""
        return cast(DepthMap, cv2.magnitude(self.flow[..., 0], self.flow[..., 1]))


class FlowEstimator:
    """DIS optical flow (Kroeger et al., ECCV 2016) from picture to picture, all of one size.

    It is consistent where |f + b| ^ 2 < 0.01 (|f| ^ 2 + |b| ^ 2) + 0.5 for the flow forwards (f) and backwards (b), as
    in Sundaram et al., ECCV 2010, and where exp(-50 dI ^ 2) > 0.5 (the photometric mask of OPW; NVDS, ICCV 2023).
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._previous: tuple[Image, npt.NDArray[np.uint8]] | None = None

    def flow_to_previous(self, image: Image) -> MaskedFlow | None:
        """Returns the flow of an (h, w, 3) uint8 RGB picture to the one of the last call; None for the first."""
        gray = cast(npt.NDArray[np.uint8], cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        previous, self._previous = self._previous, (image, gray)
        if previous is None:
            return None
        old_image, old_gray = previous
        backward, forward = self._flow(gray, old_gray), self._flow(old_gray, gray)
        difference = cv2.absdiff(cv2.blur(gray, (5, 5)), cv2.blur(old_gray, (5, 5)))
        is_consistent = _is_round_trip(backward, warp(forward, backward))
        is_consistent &= _has_same_color(image, warp(old_image, backward))
        return MaskedFlow(backward, is_consistent, np.asarray(difference, np.float32) / np.float32(255))

    def _flow(self, start: npt.NDArray[np.uint8], end: npt.NDArray[np.uint8]) -> Flow:
        return cast(Flow, self._dis.calc(start, end, None))  # type: ignore[call-overload]  # the stub wants an array to fill


def working_size(width: int, height: int) -> tuple[int, int]:
    """Returns the (width, height) at which optical flow is computed: the picture's own, within both limits."""
    factor = min(1.0, LONGEST_SIDE_PX / max(width, height))
    return max(_SHORTEST_SIDE_PX, round(width * factor)), max(_SHORTEST_SIDE_PX, round(height * factor))


def warp(map: Map, flow: Flow) -> Map:
    """Warps a map of the previous frame to this frame along `flow`.

    Values from outside the picture are NaN, or 0 for integers. Sampling is bilinear, so that a value next to an unknown
    one becomes unknown.
    """
    x, y = np.meshgrid(np.arange(flow.shape[1], dtype=np.float32), np.arange(flow.shape[0], dtype=np.float32))
    outside = np.nan if map.dtype == np.float32 else 0
    grid = x + flow[..., 0], y + flow[..., 1]
    return cast(Map, cv2.remap(map, *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=[outside] * 4))


def _is_round_trip(backward: Flow, forward: Flow) -> Mask:
    return _squared(backward + forward) < 0.01 * (_squared(backward) + _squared(forward)) + 0.5


def _has_same_color(image: Image, warped: Image) -> Mask:
    difference = np.asarray(cv2.absdiff(image, warped), np.float32) / np.float32(255)
    return _squared(difference) < _MAX_COLOR_CHANGE


def _squared(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns the squared length along the last axis, which is too short for numpy's own sum to be quick."""
    total = vectors[..., 0] ** 2
    for i in range(1, vectors.shape[2]):
        total += vectors[..., i] ** 2
    return total
