"""Upsampling of depth that follows the edges of the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.core.resize import fill_edges, resize_depth
from streamdepth.core.types import DepthFrame, DepthMap, Edges, Image

EDGES: tuple[Edges, ...] = get_args(Edges)


def check_edges(edges: str) -> None:
    """Raises ConfigError unless it is one of EDGES."""
    if edges not in EDGES:
        raise ConfigError(f"unknown edges {edges!r}; one of {', '.join(EDGES)}")


def with_edges(item: DepthFrame, edges: Edges) -> DepthFrame:
    """`item` with its depth at the frame's size for `guided`, as it is for `plain`."""
    if edges == "plain":
        return item
    return replace(item, depth=guided_resize(item.depth, item.frame.image))


def guided_resize(depth: DepthMap, image: Image, radius: int = 1, smoothness: float = 0.004) -> DepthMap:
    """`depth` (h, w) at the size of `image` (H, W, 3), with depth's edges on the picture's edges.

    The fast guided filter (He & Sun, arXiv 1505.00996): in each window of `radius` px of the depth's size, depth is
    a linear function of brightness (0 to 1), found at the small size and applied at the full size. Where brightness
    varies by less than the square root of `smoothness` it adds nothing. Only the detail that the small size cannot
    hold is taken from it, so that nothing of the depth is averaged away. What is not finite stays where it is.
    """
    height, width = image.shape[:2]
    guide = _brightness(image)
    gray = cast(DepthMap, cv2.resize(guide, depth.shape[::-1], interpolation=cv2.INTER_AREA))
    known = np.isfinite(depth)
    values = depth if known.all() else fill_edges(depth, known)
    slope, offset = _linear_model(gray, values, radius, smoothness)
    size = (width, height)
    result = cv2.resize(slope, size) * guide + cv2.resize(offset, size)
    held = cv2.resize(result, depth.shape[::-1], interpolation=cv2.INTER_AREA)
    result = np.clip(result + cv2.resize(values - held, size), values.min(), values.max())
    if not known.all():
        plain = resize_depth(depth, width, height)
        result = np.where(np.isfinite(plain), result, plain)
    return cast(DepthMap, result)


def _brightness(image: Image) -> npt.NDArray[np.float32]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) * np.float32(1 / 255)


def _linear_model(
    guide: npt.NDArray[np.float32], values: DepthMap, radius: int, smoothness: float
) -> tuple[DepthMap, DepthMap]:
    """(h, w) each: values = slope * guide + offset, averaged over the windows a pixel lies in."""
    mean_guide, mean_values = _box(guide, radius), _box(values, radius)
    covariance = _box(guide * values, radius) - mean_guide * mean_values
    variance = _box(guide * guide, radius) - mean_guide * mean_guide
    slope = cast(DepthMap, covariance / (variance + np.float32(smoothness)))
    return _box(slope, radius), _box(mean_values - slope * mean_guide, radius)


def _box(values: npt.NDArray[np.float32], radius: int) -> npt.NDArray[np.float32]:
    return cast(npt.NDArray[np.float32], cv2.blur(values, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT_101))
