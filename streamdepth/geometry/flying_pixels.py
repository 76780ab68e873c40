"""Flying pixels: metric depth between a near and a far surface, which arises because a network blurs the jump."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.arrays import Mask


def flying_pixels(depth: DepthMap, kind: DepthKind, max_jump: float = 0.15) -> Mask:
    """Returns (h, w), True for pixels on a jump of metric depth; relative depth has none.

    A pixel is on a jump if, within 3x3 px, the farthest is more than `max_jump` (a share) farther than the nearest.
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
        return known & (nearest > (1 + max_jump) * farthest)


def without_flying_pixels(item: DepthFrame) -> DepthFrame:
    """Returns `item` with its flying pixels unknown (NaN)."""
    is_flying = flying_pixels(item.depth, item.kind)
    return replace(item, depth=np.where(is_flying, np.float32(np.nan), item.depth)) if is_flying.any() else item
