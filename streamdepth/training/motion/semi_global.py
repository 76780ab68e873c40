"""Smoothing of matching costs along eight directions.

Hirschmueller, "Stereo Processing by Semiglobal Matching and Mutual Information" (TPAMI 2008).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats32 = npt.NDArray[np.float32]
SLOPE, JUMP = np.float32(0.06), np.float32(0.6)
"""Cost of a step to the next plane, and of one to any other plane where the picture is smooth."""
CONTRAST = np.float32(12.0)
"""Difference of neighboring gray values, of 255, at which a jump costs half as much."""


def smooth_costs(costs: Floats32, gray: Floats32) -> Floats32:
    """Returns the (h, w, planes) costs as means over the best paths from eight directions.

    `gray` is the (h, w) picture, whose edges make jumps cheap.
    """
    total = np.zeros_like(costs)
    for turned in (False, True):  # along columns, then along rows
        volume, picture = (np.ascontiguousarray(costs.swapaxes(0, 1)), gray.T) if turned else (costs, gray)
        target = total.swapaxes(0, 1) if turned else total
        for flip in (1, -1):
            for shift in (0,) if turned else (-1, 0, 1):
                target[::flip] += _along(volume[::flip], picture[::flip], shift)
    return total / np.float32(8)


def _along(costs: Floats32, gray: Floats32, shift: int) -> Floats32:
    """Returns the costs of the best paths to each pixel from the first row, moving `shift` columns in each row."""
    summed = np.empty_like(costs)
    summed[0] = costs[0]
    steps = np.abs(gray[1:] - _shifted(gray[:-1].T, shift).T)
    jumps = JUMP / (1 + steps / CONTRAST)
    for row in range(1, len(costs)):
        before = _shifted(summed[row - 1], shift)
        least = before.min(axis=1, keepdims=True)
        way = np.minimum(before, least + jumps[row - 1, :, None])
        np.minimum(way[:, 1:], before[:, :-1] + SLOPE, out=way[:, 1:])
        np.minimum(way[:, :-1], before[:, 1:] + SLOPE, out=way[:, :-1])
        summed[row] = costs[row] + way - least
    return summed


def _shifted(rows: Floats32, shift: int) -> Floats32:
    """Returns rows moved by `shift` along the first axis; those at the border stay where they are."""
    if not shift:
        return rows
    moved = np.roll(rows, shift, axis=0)
    border = 0 if shift > 0 else -1
    moved[border] = rows[border]
    return moved
