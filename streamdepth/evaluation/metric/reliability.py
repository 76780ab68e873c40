"""Reliability: the agreement of confidence with the share of correct results (Guo et al., ICML 2017, section 2)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.obstacles import Obstacle, ObstacleZone, nearest_obstacles
from streamdepth.stabilizers.confidence import TOLERANCE

BINS = 10
"""Equal parts of the confidence from 0 to 1."""
OBSTACLE_ZONE = ObstacleZone(-0.3, 0.3)
"""The zone in which obstacles are searched for: 30 cm above and below the camera, up to 10 m."""


class Reliability(NamedTuple):
    """Sums over items (pixels or obstacles) in BINS equal parts of the confidence, (BINS,) each."""

    number: Floats
    right: Floats
    """Number of items with an error below the confidence's TOLERANCE."""
    error: Floats
    """Sum of |d - d*| / d*."""
    confidence: Floats
    """Sum of the confidences."""

    @classmethod
    def measure(cls, error: Floats, confidence: Floats) -> Reliability:
        """Returns the sums of N items with these errors, as shares, and confidences, 0 to 1.

        >>> found = Reliability.measure(np.array([0.02, 0.3]), np.array([0.95, 0.55]))
        >>> found.number.tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        """
        part = np.clip((confidence * BINS).astype(np.intp), 0, BINS - 1)
        weights = np.ones_like(error), (error < TOLERANCE).astype(np.float64), error, confidence
        return cls(*(np.bincount(part, weight, BINS).astype(np.float64) for weight in weights))

    def added(self, other: Reliability) -> Reliability:
        """Returns the sums of both."""
        return Reliability(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def share_sure(self) -> float:
        """Share of items whose confidence is above 0.9; NaN without any item."""
        total = float(self.number.sum())
        return float(self.number[-1]) / total if total else math.nan

    @property
    def sure_ratio(self) -> float:
        """Mean error of items whose confidence is above 0.9 over the mean error of all; NaN without any."""
        if not self.number[-1] or not self.error.sum():
            return math.nan
        return float(self.error[-1] / self.number[-1] / (self.error.sum() / self.number.sum()))

    @property
    def calibration_error(self) -> float:
        """Mean difference between confidence and share of correct items over the parts (ECE); NaN without items."""
        total = float(self.number.sum())
        return float(np.abs(self.right - self.confidence).sum()) / total if total else math.nan

    def curve(self) -> list[tuple[float, float]]:
        """Returns (mean confidence, share of correct items) of each part that has items."""
        used = np.flatnonzero(self.number)
        return [(float(self.confidence[i] / self.number[i]), float(self.right[i] / self.number[i])) for i in used]


NOTHING = Reliability(*np.zeros((4, BINS)))
"""The sums without any item."""


def obstacle_reliability(given: DepthFrame, truth_m: DepthMap) -> Reliability:
    """Returns the reliability of the nearest obstacles of a frame's sectors, against those in the true depth.

    Only pixels known in both count, so that both have the same view.

    truth_m: (h, w) true meters at the depth's size, NaN where unknown.
    """
    known = np.isfinite(truth_m) & ~np.isnan(given.depth)
    unknown = np.float32(np.nan)
    estimated, true = (
        nearest_obstacles(_with_depth(given, np.where(known, depth, unknown)), OBSTACLE_ZONE)
        for depth in (given.depth, truth_m)
    )
    pairs = [pair for pair in zip(estimated, true, strict=True) if _is_judged(*pair)]
    error = np.array([abs(mine.distance_m / theirs.distance_m - 1) for mine, theirs in pairs], np.float64)
    return Reliability.measure(error, np.array([mine.confidence for mine, _ in pairs], np.float64))


def _with_depth(item: DepthFrame, depth_m: DepthMap) -> DepthFrame:
    return DepthFrame(
        item.frame, depth_m.astype(np.float32), DepthKind.METRIC, intrinsics=item.intrinsics, confidence=item.confidence
    )


def _is_judged(estimated: Obstacle, true: Obstacle) -> bool:
    return math.isfinite(estimated.distance_m) and math.isfinite(true.distance_m)
