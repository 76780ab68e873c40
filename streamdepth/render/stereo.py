"""Stereo pictures: the source's picture for the left eye, and a view made from its depth for the right eye.

The right eye's camera is parallel to the left one and at its right, so that disparity is horizontal.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.render.disparity import Disparity, disparity_of

_MAX_STRETCH_PX = 1.5
"""Neighboring pixels that are farther apart than this in the right view belong to two surfaces with a hole between."""
_HALF_PIXEL = 0.5
_STRIP_ROWS = 16
"""Number of rows that are warped at a time, few enough to fit the processor's cache."""
_DUBOIS_RED_CYAN = np.array(
    [
        [[0.437, 0.449, 0.164], [-0.062, -0.062, -0.024], [-0.048, -0.050, -0.017]],
        [[-0.011, -0.032, -0.007], [0.377, 0.761, 0.009], [-0.026, -0.093, 1.234]],
    ],
    np.float32,
)
"""Matrices from RGB of the left and of the right picture to RGB of an anaglyph (Dubois, ICASSP 2001)."""


def render_stereo(item: DepthFrame, options: RenderOptions) -> Image:
    """Draws both eyes of a frame in one of the styles of `STEREO_STYLES`.

    Returns:
        uint8 RGB: (H, 2W, 3) for "sbs", (2H, W, 3) for "top-bottom", (H, W, 3) for "half-sbs" and "anaglyph".

    Raises:
        ConfigError: as `disparity_of`.
    """
    left = item.frame.image
    right = right_view(left, disparity_of(item, options))
    if options.style == "anaglyph":
        return anaglyph(left, right)
    if options.style == "top-bottom":
        return cast(Image, cv2.vconcat([left, right]))
    both = cast(Image, cv2.hconcat([left, right]))
    return (
        both if options.style == "sbs" else cast(Image, cv2.resize(both, item.frame.size, interpolation=cv2.INTER_AREA))
    )


def right_view(left: Image, disparity: Disparity) -> Image:
    """Returns the view of an eye to the right of the camera.

    Near surfaces hide far ones. Holes, which only that eye sees, get the color of the far surface beside them in the
    same row, so that they change from frame to frame only if that surface does.

    Args:
        left: (H, W, 3) uint8 RGB.
        disparity: (H, W) px.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    view = np.empty_like(left)
    for top in range(0, len(left), _STRIP_ROWS):
        strip = slice(top, top + _STRIP_ROWS)
        columns = source_columns(disparity[strip])
        rows = np.repeat(np.arange(len(columns), dtype=np.float32)[:, None], columns.shape[1], axis=1)
        places = cv2.convertMaps(columns, rows, cv2.CV_16SC2)  # a third of the time of floats, exact to 1/32 px
        view[strip] = cv2.remap(left[strip], *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return view


def source_columns(disparity: Disparity) -> npt.NDArray[np.float32]:
    """Returns the column of the left picture that each pixel of the right view shows, (H, W) px.

    A pixel at x lands at x - disparity. It is hidden if a pixel to its right lands farther left, which is nearer then.
    The visible ones land in the order of their columns, so that the pixel seen at a place is the last one that lands
    before it.
    """
    height, width = disparity.shape
    places = np.arange(width, dtype=np.float32)
    lands = np.empty((height, width + 1), np.float32)
    np.minimum.accumulate((places - disparity)[:, ::-1], axis=1, out=lands[:, -2::-1])
    lands[:, -1] = 4 * width  # right of the picture nothing is seen
    starts = np.arange(height, dtype=np.int32)[:, None] * np.int32(width + 1)
    first_seen = np.clip(np.ceil(lands[:, :-1]), 0, width).astype(np.int32)
    last = np.zeros((height, width + 1), np.int32)
    last.ravel()[first_seen + starts] = np.arange(width, dtype=np.int32)  # of equal indices the last one counts
    column = np.maximum.accumulate(last[:, :-1], axis=1)
    index = column + starts
    begin, end = lands.ravel()[index], lands.ravel()[index + 1]
    beyond, stretch = places - begin, end - begin
    way = np.minimum(beyond / np.maximum(stretch, np.float32(1e-6)), 1)
    np.copyto(way, beyond > _HALF_PIXEL, where=stretch > _MAX_STRETCH_PX)  # a hole: of it, only half a pixel is near
    return cast(npt.NDArray[np.float32], column.astype(np.float32) + way)


def anaglyph(left: Image, right: Image) -> Image:
    """Returns a picture for red-cyan glasses, (H, W, 3) uint8 RGB, by the least-squares matrices of Dubois."""
    of_left, of_right = (
        cv2.transform(image.astype(np.int16), matrix)
        for image, matrix in zip((left, right), _DUBOIS_RED_CYAN, strict=True)
    )
    return cast(Image, cv2.add(of_left, of_right, dtype=cv2.CV_8U))
