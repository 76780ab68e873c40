"""Pictures made smaller, in the one way that all who look at them small share."""

from __future__ import annotations

import numpy as np

from streamdepth.core.types import Image


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
