"""Sparsification: does confidence tell good pixels from bad ones (Ilg et al., ECCV 2018, section 5)?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamdepth.geometry.arrays import Floats

_STEPS = 20


class Sparsification(NamedTuple):
    """Areas between curves of the mean error of the remaining pixels, as shares of the mean error of all."""

    ause: float
    """Area between removing the least confident pixels first and removing the worst first: 0 is perfect."""
    ause_random: float
    """The same of a random order, which is what a constant confidence amounts to."""


def sparsify(error: Floats, confidence: Floats) -> Sparsification:
    """Returns the areas for N pixels; NaN without pixels or without errors.

    >>> error = np.array([0.1, 0.2, 0.3, 0.4])
    >>> sparsify(error, -error).ause
    0.0
    """
    mean = float(error.mean()) if error.size else 0.0
    if not mean > 0:
        return Sparsification(float("nan"), float("nan"))
    oracle = _curve(np.sort(error)) / mean
    # Equal confidences are in random order: otherwise the order of the pixels would count.
    order = np.lexsort((np.random.default_rng(0).random(error.size), -confidence))
    ordered = _curve(error[order]) / mean
    return Sparsification(float((ordered - oracle).mean()), float((1 - oracle).mean()))


def _curve(error: Floats) -> Floats:
    """Returns the mean of the first 1, 19/20, 18/20 ... 1/20 of the errors."""
    sums = np.cumsum(error, dtype=np.float64)
    counts = np.maximum(1, np.rint(error.size * np.arange(_STEPS, 0, -1) / _STEPS).astype(int))
    return np.asarray(sums[counts - 1] / counts, np.float64)
