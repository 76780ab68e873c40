"""Names for the kinds of NumPy arrays that pass through streamdepth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""A picture: (H, W, 3) RGB."""
GrayImage = npt.NDArray[np.uint8]
"""One channel of 8 bits, such as a plane of a YUV picture: (h, w)."""
Mask = npt.NDArray[np.bool_]
"""A choice of pixels: (h, w), True for those that are chosen."""
DepthMap = npt.NDArray[np.float32]
"""Depth or inverse depth: (h, w), NaN where it is unknown."""
