"""Filling of small holes in a depth sensor's map."""

from __future__ import annotations

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap

_MAX_RATIO = 1.1
"""Ends of a hole that differ by a smaller ratio belong to one surface."""


def fill_holes(depth_m: DepthMap, max_gap_px: int) -> DepthMap:
    """Returns the depth with its small holes closed, along rows and then along columns.

    A hole between ends of one surface gets inverse depth that is linear, which is exact for planes. Between different
    surfaces it gets the farther end: pixels that a sensor misses beside an edge mostly show the background, which the
    edge hides from the sensor. Holes that are wider and higher than `max_gap_px`, and those at the border, stay NaN.

    Args:
        depth_m: (h, w) meters, NaN where unknown.
        max_gap_px: the longest run of unknown pixels that is closed; 0 closes none.
    """
    filled = depth_m
    for is_column in (False, True):
        if max_gap_px < 1 or np.isfinite(filled).all():
            return filled
        filled = _fill_rows(filled.T, max_gap_px).T if is_column else _fill_rows(filled, max_gap_px)
    return np.ascontiguousarray(filled)


def fill_nearest(depth_m: DepthMap) -> DepthMap | None:
    """Returns the depth with the value of the nearest known pixel at each unknown one; None where nothing is known.

    `depth_m` is (h, w) meters; values that are not finite or not above 0 are unknown.
    """
    is_known = np.isfinite(depth_m) & (depth_m > 0)
    if is_known.all() or not is_known.any():
        return depth_m if is_known.any() else None
    _, labels = cv2.distanceTransformWithLabels(
        (~is_known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(labels.max() + 1, np.float32)
    by_label[labels[is_known]] = depth_m[is_known]
    filled: DepthMap = by_label[labels]
    return filled


def _fill_rows(depth_m: DepthMap, max_gap_px: int) -> DepthMap:
    width = depth_m.shape[1]
    is_known = np.isfinite(depth_m)
    columns = np.arange(width, dtype=np.int32)
    left = np.maximum.accumulate(np.where(is_known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(is_known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    row, column = np.nonzero(~is_known & (left >= 0) & (right < width) & (right - left - 1 <= max_gap_px))
    first, last = left[row, column], right[row, column]
    before, after = depth_m[row, first], depth_m[row, last]
    share = (column - first) / (last - first)
    linear = 1 / ((1 - share) / before + share / after)
    farther, nearer = np.maximum(before, after), np.minimum(before, after)
    filled = np.array(depth_m)
    filled[row, column] = np.where(farther <= nearer * _MAX_RATIO, linear, farther)
    return filled
