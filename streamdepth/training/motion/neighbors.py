"""The choice of views for stereo with a view: they see the same places at a good angle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamdepth.geometry.arrays import Floats
from streamdepth.training.motion.structure import View

ANGLE = 5.0
"""Best angle for stereo, in degrees, between the rays of two views to one place."""
SPREADS = (1.5, 10.0)
"""Degrees below and above ANGLE at which the weight of a place has fallen to 0.6."""


def choose_neighbors(view: View, others: Sequence[View], most: int) -> list[View]:
    """Returns at most `most` of the other views, the best first.

    Views are weighed by the angles at which they see common places, as by Yao et al., "MVSNet" (ECCV 2018).
    """
    scores = [_score(view, other) for other in others]
    order = np.argsort(scores)[::-1][:most]
    return [others[i] for i in order if scores[i] > 0]


def _score(view: View, other: View) -> float:
    if other.index == view.index:
        return 0.0
    _, first, _ = np.intersect1d(view.point_ids, other.point_ids, assume_unique=True, return_indices=True)
    angles = triangulation_angles(view.points[first], view.center, other.center)
    spread = np.where(angles < ANGLE, *SPREADS)
    return float(np.exp(-((angles - ANGLE) ** 2) / (2 * spread**2)).sum())


def triangulation_angles(points: Floats, first: Floats, second: Floats) -> Floats:
    """Returns the (N,) angles in degrees at which (N, 3) places see two centers, (3,) each."""
    a, b = (points - center for center in (first, second))
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), np.float64)
