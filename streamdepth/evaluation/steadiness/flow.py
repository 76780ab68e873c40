"""How pixels move from frame to frame: dense optical flow, where it can be trusted, and warping along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image

Flow = npt.NDArray[np.float32]
"""(h, w, 2): px to the right and down."""
Mask = npt.NDArray[np.bool_]
"""(h, w)."""
Map = TypeVar("Map", DepthMap, Image)

LONGEST_SIDE_PX = 640
"""Motion is measured on pictures no larger than this."""
_SHORTEST_SIDE_PX = 32
"""Of wide and of tiny pictures, which are stretched: on lower ones OpenCV's flow reads beyond its memory."""
_MOST_COLOUR_CHANGE = float(np.log(2) / 50)
"""exp(-50 c) > 0.5, where c is the squared change of colour, summed over the channels of 0 to 1."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved between the frame before and this one; all maps are (h, w) at the measured size."""

    flow: Flow
    """From each pixel of this frame to where it was in the frame before."""
    trusted: Mask
    """Flow there and back agrees, and the colour is the same at both ends."""
    change: DepthMap
    """|change of brightness| at the same place, 0 to 1, averaged over 5x5 px so that a sensor's noise is no motion."""

    @property
    def speed(self) -> DepthMap:
        """px per frame."""
        return cast(DepthMap, cv2.magnitude(self.flow[..., 0], self.flow[..., 1]))


class MotionEstimator:
    """Motion from picture to picture, of pictures of one size: DIS flow (Kroeger et al., ECCV 2016).

    It is trusted where |f + b| ^ 2 < 0.01 (|f| ^ 2 + |b| ^ 2) + 0.5 for the flow there (f) and back (b), as Sundaram
    et al., ECCV 2010 do, and where exp(-50 dI ^ 2) > 0.5 (the photometric mask of OPW; NVDS, ICCV 2023).
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: tuple[Image, npt.NDArray[np.uint8]] | None = None

    def next(self, image: Image) -> Motion | None:
        """`image`: (h, w, 3) uint8 RGB. None for the first picture."""
        gray = cast(npt.NDArray[np.uint8], cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        before, self._before = self._before, (image, gray)
        if before is None:
            return None
        old_image, old_gray = before
        back, there = self._flow(gray, old_gray), self._flow(old_gray, gray)
        difference = cv2.absdiff(cv2.blur(gray, (5, 5)), cv2.blur(old_gray, (5, 5)))
        trusted = _agrees(back, warp(there, back)) & _looks_alike(image, warp(old_image, back))
        return Motion(back, trusted, np.asarray(difference, np.float32) / np.float32(255))

    def _flow(self, start: npt.NDArray[np.uint8], end: npt.NDArray[np.uint8]) -> Flow:
        return cast(Flow, self._dis.calc(start, end, None))  # type: ignore[call-overload]  # the stub wants an array to fill


def working_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) at which motion is measured: that of the picture, within both limits."""
    share = min(1.0, LONGEST_SIDE_PX / max(width, height))
    return max(_SHORTEST_SIDE_PX, round(width * share)), max(_SHORTEST_SIDE_PX, round(height * share))


def warp(map: Map, flow: Flow) -> Map:
    """The map of the frame before, carried to this frame along `flow`; NaN (0 for integers) from outside the picture.

    Bilinear, so a value next to an unknown one becomes unknown.
    """
    x, y = np.meshgrid(np.arange(flow.shape[1], dtype=np.float32), np.arange(flow.shape[0], dtype=np.float32))
    outside = np.nan if map.dtype == np.float32 else 0
    places = x + flow[..., 0], y + flow[..., 1]
    return cast(
        Map, cv2.remap(map, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=[outside] * 4)
    )


def _agrees(back: Flow, there: Flow) -> Mask:
    return _squared(back + there) < 0.01 * (_squared(back) + _squared(there)) + 0.5


def _looks_alike(image: Image, warped: Image) -> Mask:
    difference = np.asarray(cv2.absdiff(image, warped), np.float32) / np.float32(255)
    return _squared(difference) < _MOST_COLOUR_CHANGE


def _squared(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Squared length along the last axis, which is too short for numpy's own sum to be quick."""
    total = vectors[..., 0] ** 2
    for i in range(1, vectors.shape[2]):
        total += vectors[..., i] ** 2
    return total
