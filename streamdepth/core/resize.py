"""Resizing of pictures and depth maps."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image


def shrink(image: Image, width: int, height: int) -> Image:
    """Returns `image` (H, W, 3) at (height, width), each pixel a mean of many; a smaller picture is enlarged.

    Resizes bilinearly to twice the size, then halves: nearly as good as averaging all pixels, in a fraction of the
    time.
    """
    import cv2

    if image.shape[1] > 2 * width and image.shape[0] > 2 * height:
        image = np.asarray(cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR), np.uint8)
    smaller = image.shape[1] > width or image.shape[0] > height
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def resize_depth(depth: DepthMap, width: int, height: int) -> DepthMap:
    """Returns `depth` (h, w) at (height, width), interpolated bilinearly.

    Unknown and infinite values are never mixed with their neighbors: where the nearest value is not finite it is
    taken as it is, everywhere else the finite neighbors alone are averaged.
    """
    if depth.shape == (height, width):
        return depth
    import cv2

    finite = np.isfinite(depth)
    filled = depth if finite.all() else fill_edges(depth, finite)
    resized = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    if filled is not depth:
        nearest = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        np.copyto(resized, nearest, where=~np.isfinite(nearest))
    return cast(DepthMap, resized)


def sample_depth(depth: DepthMap, width: int, height: int, x: int, y: int) -> float:
    """Returns `resize_depth(depth, width, height)[y, x]`, computed from the neighboring values alone.

    Where one of two values is unknown and the pixel's center lies exactly between them, the results may differ.
    """
    rows, columns = depth.shape
    nearest = float(depth[int((y + 0.5) * rows / height), int((x + 0.5) * columns / width)])
    if (rows, columns) == (height, width) or not math.isfinite(nearest):
        return nearest
    top, down = _between(y, rows / height, rows)
    left, right = _between(x, columns / width, columns)
    first_row, first_column = max(0, top - 1), max(0, left - 1)
    patch = depth[first_row : top + 3, first_column : left + 3]
    finite = np.isfinite(patch)
    filled = patch if finite.all() else fill_edges(patch, finite)
    square = filled[top - first_row : top - first_row + 2, left - first_column : left - first_column + 2]
    upper, lower = square[0], square[-1]
    values = upper + (lower - upper) * down
    return float(values[0] + (values[-1] - values[0]) * right)


def _between(position: int, scale: float, count: int) -> tuple[int, float]:
    """Returns the index of the source pixel before a resized pixel's center, and the weight of the next one, 0 to 1."""
    exact = min(max((position + 0.5) * scale - 0.5, 0.0), count - 1.0)
    return int(exact), exact - int(exact)


def fill_edges(depth: DepthMap, finite: npt.NDArray[np.bool_]) -> DepthMap:
    """Returns `depth` with each value that is not finite replaced by the mean of its finite neighbors, or 0."""
    import cv2

    total = cv2.blur(np.where(finite, depth, np.float32(0)), (3, 3), borderType=cv2.BORDER_REPLICATE)
    share = cv2.blur(finite.astype(np.float32), (3, 3), borderType=cv2.BORDER_REPLICATE)
    return cast(DepthMap, np.where(finite, depth, total / np.maximum(share, np.float32(1e-3))))
