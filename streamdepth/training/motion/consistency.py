"""The consistency check of depth maps: only depth on which several views agree is kept.

It removes moving objects, which are at another place in each view, wrong matches, and places that only one view shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.geometry.arrays import Mask
from streamdepth.geometry.projection import back_project, project
from streamdepth.training.motion.sweep import Floats32, SweptView

TOLERANCE = 0.02
"""Relative difference of depth up to which two views agree."""
AGREEING = 2
"""Smallest number of other views that must agree."""
SPECKLE_PX = 40
"""Smaller regions of agreeing pixels are dropped."""


def agreeing(
    reference: SweptView, inverse: Floats32, others: Sequence[tuple[SweptView, Floats32]], *, least: int = AGREEING
) -> Floats32:
    """Returns the (h, w) inverse depth of the reference, NaN where fewer than `least` other views agree.

    others: views of the same reconstruction with their (h, w) inverse depth, NaN = unknown.
    """
    count = np.zeros(inverse.shape, np.int64)
    for other, depth in others:
        count += _agrees(reference, inverse, other, depth)
    return np.where(_without_speckles(count >= least), inverse, np.float32(np.nan))


def _agrees(reference: SweptView, inverse: Floats32, other: SweptView, found: Floats32) -> Mask:
    points = back_project(np.reciprocal(inverse), reference.camera)
    motion = other.view.transform @ np.linalg.inv(reference.view.transform)
    moved = points @ motion[:3, :3].T.astype(np.float32) + motion[:3, 3].astype(np.float32)
    x, y = np.moveaxis(np.nan_to_num(project(moved, other.camera), nan=-1), -1, 0)
    z = moved[..., 2]
    height, width = found.shape
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5) & (z > 0)
    columns, rows = (np.rint(np.where(inside, places, 0)).astype(np.int64) for places in (x, y))
    difference = np.abs(found[rows, columns] * z - 1)
    return np.asarray(inside & (difference < TOLERANCE), np.bool_)


def _without_speckles(kept: Mask) -> Mask:
    _, labels, facts, _ = cv2.connectedComponentsWithStats(kept.astype(np.uint8), connectivity=4)
    areas: npt.NDArray[np.int32] = np.asarray(facts[:, cv2.CC_STAT_AREA], np.int32)
    return np.asarray(kept & (areas[labels] >= SPECKLE_PX), np.bool_)
