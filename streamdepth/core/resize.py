"""Pictures and depth maps brought to another size."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from streamdepth.core.types import DepthMap, Image


def shrink(image: Image, width: int, height: int) -> Image:
    """`image` (H, W, 3) at (height, width), each pixel a mean of many; a picture that is smaller is enlarged.

    Bilinear to twice the size, then halved: nearly as good as averaging all pixels, in a fraction of the time.
    """
    import cv2

    if image.shape[1] > 2 * width and image.shape[0] > 2 * height:
        image = np.asarray(cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR), np.uint8)
    smaller = image.shape[1] > width or image.shape[0] > height
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def resize_depth(depth: DepthMap, width: int, height: int) -> DepthMap:
    """`depth` (h, w) at (height, width), bilinear.

    Unknown and infinite values are never mixed with their neighbours: where the nearest value is not finite it is
    taken as it is, everywhere else the finite neighbours alone are averaged.
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


def fill_edges(depth: DepthMap, finite: npt.NDArray[np.bool_]) -> DepthMap:
    """`depth` with each value that is not finite replaced by the mean of its finite neighbours, or 0."""
    import cv2

    total = cv2.blur(np.where(finite, depth, np.float32(0)), (3, 3), borderType=cv2.BORDER_REPLICATE)
    share = cv2.blur(finite.astype(np.float32), (3, 3), borderType=cv2.BORDER_REPLICATE)
    return cast(DepthMap, np.where(finite, depth, total / np.maximum(share, np.float32(1e-3))))
