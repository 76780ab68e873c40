"""Tests of the spread of successive fits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamdepth.geometry.affine import Affine
from streamdepth.stabilizers.fit_scatter import FitScatter
from streamdepth.stabilizers.scale_drift import ScaleDrift


def test_fits_that_follow_the_drift_have_no_spread() -> None:
    scatter, factor = FitScatter(), 1.0
    for _ in range(20):
        spread = scatter.update(Affine(0.5 * factor, 0.1 * factor), 2.0)
        assert spread == pytest.approx(0, abs=1e-6)
        scatter.carry(ScaleDrift(math.log(1.1), 1e-4))
        factor *= 1.1


def test_the_spread_is_one_and_a_half_standard_deviations_of_the_path() -> None:
    scatter = FitScatter()
    for index in range(40):
        scatter.carry(ScaleDrift(0.0, 0.0))
        spread = scatter.update(Affine(0.5 * (1 + index % 2), 0.0), 2.0)
    assert spread == pytest.approx(1.5 * math.log(2) / 2, rel=1e-6)


@pytest.mark.parametrize(("said", "least", "most"), [(0.0, 0.15, 0.4), (0.05**2, 0.0, 0.15)])
def test_a_walk_that_the_drift_explains_is_no_contradiction(said: float, least: float, most: float) -> None:
    found = []
    for seed in range(20):
        scatter, rng, path = FitScatter(), np.random.default_rng(seed), 0.0
        for _ in range(40):
            scatter.carry(ScaleDrift(0.0, said))
            path += rng.normal(0, 0.05)
            spread = scatter.update(Affine(math.exp(path), 0.0), 1.0)
        found.append(spread)
    assert least <= np.median(found) < most


def test_fits_with_an_unknown_drift_between_them_are_not_compared() -> None:
    scatter = FitScatter()
    scatter.update(Affine(0.5, 0.0), 2.0)
    scatter.carry(ScaleDrift(0.0, 0.1))
    assert scatter.update(Affine(1.5, 0.0), 2.0) == 0
