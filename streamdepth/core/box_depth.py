"""The depth of the object in a box of a detector: neither its background nor specks before it count.

The method: a histogram of inverse depth in the box, smoothed, is divided into modes at its valleys; the object is the
nearest mode that has enough of the pixels, and its depth is the median of that mode. Inverse depth is used because
equal steps of it are equally visible to a camera, and because relative depth is inverse depth already.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamdepth.core.masks import shrink_mask
from streamdepth.core.ranges import SAMPLE_PIXELS

if TYPE_CHECKING:
    from streamdepth.core.types import DepthFrame

LEAST_SHARE = 0.15
"""Share of the box's pixels that a mode must have to be the object; smaller modes are taken for specks before it."""
_BINS = 48
"""Largest number of bins; a box with few pixels has fewer, down to 8."""
_SMOOTHING = np.array((1, 4, 6, 4, 1)) / 16
_VALLEY_SHARE = 0.6
"""A valley divides two modes where it is lower than this share of the smaller one's peak."""
_NARROW = 0.02
"""Values that spread less than this share of the largest one, or of the frame's range, are never divided into modes."""

Floats = npt.NDArray[np.float64]


def box_depth(item: DepthFrame, box: tuple[float, float, float, float]) -> float:
    """Returns the depth of the object in `box`, as `DepthFrame.depth_in` describes it."""
    if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]) or not all(map(math.isfinite, box)):
        raise ValueError(f"a box is (left, top, right, bottom) in px with left < right and top < bottom, not {box}")
    values = _values_in(item, box)
    is_metric = item.kind.unit == "m"
    known = values[values > 0] if is_metric else values[np.isfinite(values)]
    if not known.size:
        return math.nan
    inverse = 1 / known.astype(np.float64) if is_metric else known.astype(np.float64)
    full_span = float(inverse.max()) if is_metric else _span(item)
    low, high = _nearest_mode(inverse, _NARROW * full_span)
    return float(np.median(known[(inverse >= low) & (inverse <= high)]))


def _values_in(item: DepthFrame, box: tuple[float, float, float, float]) -> npt.NDArray[np.float32]:
    """Returns evenly sampled depth in a box, NaN where the frame shows nothing; empty outside of the frame."""
    (width, height), (rows, columns) = item.frame.size, item.depth.shape
    across, down = _pixels(box[0], box[2], width, columns), _pixels(box[1], box[3], height, rows)
    values = item.depth[down, across]
    step = max(1, math.isqrt(values.size // SAMPLE_PIXELS))
    if item.frame.valid is not None:
        values = np.where(shrink_mask(item.frame.valid, columns, rows)[down, across], values, np.float32(np.nan))
    return values[::step, ::step].ravel()


def _pixels(start: float, end: float, length: int, count: int) -> slice:
    """Returns the pixels of a map of `count` whose centers lie between two px of a frame; at least one, if inside."""
    if end <= 0 or start >= length:
        return slice(0)
    first, last = math.ceil(start * count / length - 0.5), math.ceil(end * count / length - 0.5)
    if first >= last:
        first = int((start + end) / 2 * count / length)
        last = first + 1
    first = min(max(first, 0), count - 1)
    return slice(first, max(first + 1, last))


def _span(item: DepthFrame) -> float:
    """Returns the span of the frame's relative depth: that of its steady range, or of its finite values."""
    if item.range is not None:
        return item.range[1] - item.range[0]
    finite = item.depth[np.isfinite(item.depth)]
    return float(finite.max() - finite.min())


def _nearest_mode(inverse: Floats, narrow: float) -> tuple[float, float]:
    """Returns the smallest and largest inverse depth of the nearest mode with at least LEAST_SHARE of the values."""
    low, high = (float(value) for value in np.quantile(inverse, (0.01, 0.99)))
    if high - low <= narrow:
        return float(inverse.min()), float(inverse.max())
    bins = int(np.clip(2 * math.sqrt(inverse.size), 8, _BINS))
    counts, edges = np.histogram(np.clip(inverse, low, high), bins, (low, high))
    smooth = np.convolve(np.pad(counts, 2), _SMOOTHING, mode="valid")
    end = bins
    for start in [*_valleys(smooth), 0]:
        if counts[start:end].sum() >= LEAST_SHARE * inverse.size:
            return float(edges[start]) if start else -math.inf, float(edges[end]) if end < bins else math.inf
        end = start
    return -math.inf, math.inf


def _valleys(smooth: Floats) -> list[int]:
    """Returns the bins where a mode begins, nearest mode first: each is the lowest bin between two clear peaks."""
    found: list[int] = []
    peak, lowest, place = 0.0, math.inf, 0
    for at in range(len(smooth) - 1, -1, -1):
        height = float(smooth[at])
        if height < lowest:
            lowest, place = height, at
        if lowest < _VALLEY_SHARE * min(peak, height):
            found.append(place)
            peak, lowest = 0.0, math.inf
        if height > peak:
            peak, lowest, place = height, height, at
    return found
