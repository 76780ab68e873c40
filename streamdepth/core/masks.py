"""Masks of valid pixels. The depth of all others, which are black bars and transparent parts, is unknown."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np

from streamdepth.core.arrays import DepthMap, Mask

_REMEMBERED = 16
"""Results that are remembered for masks that many frames share."""
P = ParamSpec("P")
T = TypeVar("T")


class Box(NamedTuple):
    """A rectangle of a picture in px; `bottom` and `right` lie outside of it."""

    top: int
    bottom: int
    left: int
    right: int

    def scaled(self, y: float, x: float) -> Box:
        """Returns the largest box of whole px inside this one once the picture is resized by factors `y` and `x`."""
        top, left = -int(-self.top * y // 1), -int(-self.left * x // 1)
        return Box(top, int(self.bottom * y), left, int(self.right * x))


def hide_depth(depth: DepthMap, valid: Mask | None) -> DepthMap:
    """Returns `depth` (h, w) with NaN wherever it covers no valid pixel of the frame.

    A depth value that covers valid and other pixels is kept, so that every valid pixel has depth.

    Args:
        depth: of any size.
        valid: (H, W), True for the valid pixels of the frame; None if all are valid.
    """
    if valid is None:
        return depth
    return np.where(shrink_mask(valid, depth.shape[1], depth.shape[0]), depth, np.float32(np.nan))


def _remember(function: Callable[Concatenate[Mask, P], T]) -> Callable[Concatenate[Mask, P], T]:
    """Remembers the results of a function for read-only masks, such as that of black bars, by identity."""
    results: OrderedDict[tuple[object, ...], tuple[Mask, T]] = OrderedDict()

    def remembering(mask: Mask, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = id(mask), *args, *kwargs.items()
        if (known := results.get(key)) is not None and known[0] is mask:
            return known[1]
        result = function(mask, *args, **kwargs)
        if not mask.flags.writeable:
            results[key] = mask, result
            while len(results) > _REMEMBERED:
                results.popitem(last=False)
        return result

    remembering.__doc__ = function.__doc__
    return remembering


@_remember
def shrink_mask(mask: Mask, width: int, height: int) -> Mask:
    """Returns a mask resized to (height, width): a pixel is True if any pixel that it covers is."""
    if mask.shape == (height, width):
        return mask
    import cv2

    levels = np.where(mask, np.uint8(255), np.uint8(0))
    return cv2.resize(levels, (width, height), interpolation=cv2.INTER_AREA) > 0


@_remember
def rectangle_of(mask: Mask) -> Box | None:
    """Returns the rectangle that the True pixels fill; None if they fill no rectangle, or if all pixels are True."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    box = Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
    is_whole = box == (0, mask.shape[0], 0, mask.shape[1])
    is_full = mask[box.top : box.bottom, box.left : box.right].all()
    return box if is_full and not is_whole else None
