"""Pixels of metric depth that float between a near and a far surface, where a network draws a slope over a jump."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.types import DepthFrame, DepthKind, DepthMap

Mask = npt.NDArray[np.bool_]
"""(h, w)."""


def flying_pixels(depth: DepthMap, kind: DepthKind, most: float = 0.15) -> Mask:
    """Pixels on a jump of metric depth, where a network draws a slope that is not there; none for relative depth.

    On a jump: within 3x3 px the farthest is more than `most` (a share) farther than the nearest.
    """
    if kind is not DepthKind.METRIC:
        return np.zeros(depth.shape, np.bool_)
    with np.errstate(invalid="ignore", divide="ignore"):
        inverse = np.where(depth > 0, 1 / depth, np.float32(0))
    known = np.isfinite(depth) & (depth > 0)
    window = np.ones((3, 3), np.uint8)
    nearest = cv2.dilate(inverse, window)
    farthest = cv2.erode(np.where(known | np.isposinf(depth), inverse, np.float32(np.inf)), window)
    with np.errstate(over="ignore"):  # where nothing is known, OpenCV gives the largest float
        return known & (nearest > (1 + most) * farthest)


def without_flying(item: DepthFrame) -> DepthFrame:
    """`item` with its flying pixels unknown."""
    flying = flying_pixels(item.depth, item.kind)
    return replace(item, depth=np.where(flying, np.float32(np.nan), item.depth)) if flying.any() else item
