"""Upsampling of depth that follows the edges of the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.masks import hide_depth
from streamdepth.core.render_options import Edges
from streamdepth.core.resize import fill_edges, resize_depth
from streamdepth.core.types import DepthFrame

EDGES: tuple[Edges, ...] = get_args(Edges)


def check_edges(edges: str) -> None:
    """Raises ConfigError (code "unknown-edges") unless `edges` is one of EDGES."""
    if edges not in EDGES:
        raise ConfigError(f"unknown edges {edges!r}; one of {', '.join(EDGES)}", code="unknown-edges")


def upsample(item: DepthFrame, edges: Edges) -> DepthFrame:
    """Returns `item` with depth and confidence at the frame's size for `guided`, and unchanged for `plain`."""
    width, height = item.frame.size
    if edges == "plain" or item.depth.shape == (height, width):
        return item
    depth = hide_depth(guided_upsample(item.depth, item.frame.image), item.frame.valid)
    return replace(item, depth=depth, confidence=_enlarged_confidence(item.confidence, depth))


def _enlarged_confidence(confidence: DepthMap | None, depth: DepthMap) -> DepthMap | None:
    """Returns the confidence at the size of `depth`, 0 where that is unknown."""
    if confidence is None:
        return None
    enlarged = cv2.resize(confidence, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cast(DepthMap, np.where(np.isnan(depth), np.float32(0), enlarged))


def guided_upsample(depth: DepthMap, image: Image, radius: int = 1, smoothness: float = 0.004) -> DepthMap:
    """Enlarges depth to the size of its picture, and lets the depth's edges follow those of the picture.

    This is the fast guided filter (He & Sun, arXiv 1505.00996): in each window, depth is a linear function of
    brightness (0 to 1), fitted at the small size and applied at the full size. Only the detail that the small size
    cannot represent is added, so that the depth itself is not smoothed.

    Args:
        depth: (h, w) float32; values that are not finite stay where they are.
        image: (H, W, 3) uint8 RGB.
        radius: half the window's side, in px of the depth map.
        smoothness: the filter's epsilon; brightness that varies by less than its square root adds no detail.

    Returns:
        (H, W) float32, within the finite range of `depth`.
    """
    height, width = image.shape[:2]
    guide = _brightness(image)
    small_guide = cast(DepthMap, cv2.resize(guide, depth.shape[::-1], interpolation=cv2.INTER_AREA))
    known = np.isfinite(depth)
    values = depth if known.all() else fill_edges(depth, known)
    slope, offset = _linear_model(small_guide, values, radius, smoothness)
    size = (width, height)
    result = cv2.resize(slope, size) * guide + cv2.resize(offset, size)
    downsampled = cv2.resize(result, depth.shape[::-1], interpolation=cv2.INTER_AREA)
    result = np.clip(result + cv2.resize(values - downsampled, size), values.min(), values.max())
    if not known.all():
        plain = resize_depth(depth, width, height)
        result = np.where(np.isfinite(plain), result, plain)
    return cast(DepthMap, result)


def _brightness(image: Image) -> npt.NDArray[np.float32]:
    """Returns (H, W) float32, 0 to 1."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) * np.float32(1 / 255)


def _linear_model(
    guide: npt.NDArray[np.float32], values: DepthMap, radius: int, smoothness: float
) -> tuple[DepthMap, DepthMap]:
    """Fits values = slope * guide + offset; returns slope and offset, (h, w) each, averaged over a pixel's windows."""
    mean_guide, mean_values = _box_filter(guide, radius), _box_filter(values, radius)
    covariance = _box_filter(guide * values, radius) - mean_guide * mean_values
    variance = _box_filter(guide * guide, radius) - mean_guide * mean_guide
    slope = cast(DepthMap, covariance / (variance + np.float32(smoothness)))
    return _box_filter(slope, radius), _box_filter(mean_values - slope * mean_guide, radius)


def _box_filter(values: npt.NDArray[np.float32], radius: int) -> npt.NDArray[np.float32]:
    return cast(npt.NDArray[np.float32], cv2.blur(values, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT_101))
