"""Sparsification: how well confidence ranks pixels by their error (Ilg et al., ECCV 2018, section 5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamdepth.geometry.arrays import Floats

STEPS = 20
"""Points of a curve; one pixel in so many goes at each."""


class Sparsification(NamedTuple):
    """Curves of the mean error of the remaining pixels over the mean error of all, and the areas between them."""

    ause: float
    """Area between removing the least confident pixels first and removing the worst first: 0 is perfect."""
    ause_random: float
    """The same for a random order, which equals a constant confidence."""
    curve: Floats
    """(STEPS,) mean error of the remaining pixels, over that of all, when the least confident go first."""
    best_curve: Floats
    """(STEPS,) the same when the worst go first."""


def sparsify(error: Floats, confidence: Floats) -> Sparsification:
    """Returns the areas for N pixels; NaN without pixels or without errors.

    >>> error = np.array([0.1, 0.2, 0.3, 0.4])
    >>> sparsify(error, -error).ause
    0.0
    """
    mean = float(error.mean()) if error.size else 0.0
    if not mean > 0:
        nothing = np.full(STEPS, np.nan)
        return Sparsification(float("nan"), float("nan"), nothing, nothing)
    oracle = _curve(np.sort(error)) / mean
    # Equal confidences are in random order: otherwise the order of the pixels would count.
    order = np.lexsort((np.random.default_rng(0).random(error.size), -confidence))
    ordered = _curve(error[order]) / mean
    return Sparsification(float((ordered - oracle).mean()), float((1 - oracle).mean()), ordered, oracle)


def _curve(error: Floats) -> Floats:
    """Returns the mean of the first 1, 19/20, 18/20 ... 1/20 of the errors."""
    sums = np.cumsum(error, dtype=np.float64)
    counts = np.maximum(1, np.rint(error.size * np.arange(STEPS, 0, -1) / STEPS).astype(int))
    return np.asarray(sums[counts - 1] / counts, np.float64)
