"""Several metric references fused into one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.affine import Affine
from streamdepth.geometry.fit_fusion import fuse_fits, log_ratio
from streamdepth.geometry.metric_fit import ScaleShiftFit
from streamdepth.stabilizers.metric import MetricReference
from streamdepth.stabilizers.optical_flow import FrameMotion
from streamdepth.stabilizers.scale_drift import ScaleDrift

_MAX_DEVIATIONS = 3.0
"""References whose distances differ by more standard deviations than these contradict each other."""


class FusedReference(MetricReference):
    """Several references with independent errors, fused in each frame in which more than one is visible.

    If two of them contradict each other, one is wrong, and it is unknown which one. Their disagreement becomes the
    error of the fit, so that meters are withheld if it is large, and `contradiction` says how much they differ.
    """

    def __init__(self, references: Sequence[MetricReference]) -> None:
        self.references = references
        self.name = " and ".join(reference.name for reference in references)

    def reset(self) -> None:
        for reference in self.references:
            reference.reset()

    def track(self, item: DepthFrame, motion: FrameMotion, drift: ScaleDrift, estimate: Affine | None) -> None:
        for reference in self.references:
            reference.track(item, motion, drift, estimate)

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        found = [(one, fit) for one in self.references if (fit := one.fit(item, inverse)) is not None]
        self.caveat = "".join(one.caveat for one, _ in found)
        self.refusal = "; ".join(one.refusal for one in self.references if one.refusal)
        points = [one.points for one, _ in found if one.points is not None]
        self.points = np.concatenate(points) if points else None
        if not found:
            return None
        disagreement = self._contradict(found, float(np.nanmedian(inverse)))
        fused = fuse_fits([fit for _, fit in found])
        return fused._replace(least_common_sigma=max(fused.least_common_sigma, disagreement))

    def _contradict(self, found: Sequence[tuple[MetricReference, ScaleShiftFit]], x: float) -> float:
        """Returns the greatest disagreement of two references that contradict each other, a share; 0 without."""
        self.contradiction = "; ".join(one.contradiction for one, _ in found if one.contradiction)
        greatest = 0.0
        for (one, fit), (other, second) in combinations(found, 2):
            ratio, sigma = log_ratio(fit, second, x)
            if _MAX_DEVIATIONS * sigma < abs(ratio) and abs(ratio) > greatest:
                greatest = abs(ratio)
                far, near = (one.name, other.name) if ratio > 0 else (other.name, one.name)
                self.contradiction = (
                    f"{far} and {near} contradict each other: distances by the first are {math.exp(greatest):.2f} "
                    "times those by the second; check both, or leave one out"
                )
        return greatest
