"""Ordinal accuracy: the share of pixel pairs in the right order, which needs no fit and no unit.

1 - WHDR of Chen et al., "Single-Image Depth Perception in the Wild" (NeurIPS 2016), over pairs drawn at random from the
truth; as there, pairs that are about equally far do not count, and a tie is an error.
"""

from __future__ import annotations

import numpy as np

from streamdepth.core.arrays import DepthMap

PAIRS = 20_000
"""Number of pairs that are drawn from each picture."""
APART = 1.05
"""Smallest ratio of two depths that counts."""


def ordinal_accuracy(nearness: DepthMap, truth_m: DepthMap) -> float:
    """Returns the share of pairs in the right order, 0 to 1; NaN where no pair is far enough apart.

    nearness: (H, W), larger is nearer; truth_m: (H, W) meters above 0. Only pixels finite in both are drawn. The same
    maps have the same pairs.
    """
    known = np.flatnonzero(np.isfinite(nearness) & np.isfinite(truth_m))
    first, second = np.random.default_rng(0).choice(known, (2, PAIRS)) if known.size else np.empty((2, 0), np.int64)
    ratio = np.log(truth_m.flat[second] / truth_m.flat[first])
    apart = np.abs(ratio) >= np.log(APART)
    if not apart.any():
        return float("nan")
    predicted = np.sign(nearness.flat[first] - nearness.flat[second])
    return float((predicted == np.sign(ratio))[apart].mean())
