"""Fits of scale and shift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.geometry.affine import fit_affine


@settings(max_examples=30)
@given(st.floats(0.6, 1.8), st.floats(-1, 1), st.integers(0, 2**32 - 1))
def test_the_fit_withstands_a_third_of_outliers(scale: float, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 2, 600).astype(np.float32)
    target = (scale * x + shift + rng.normal(0, 0.003, 600)).astype(np.float32)
    target[:180] = rng.uniform(-2, 4, 180)
    fit = fit_affine(x, target, np.ones(600, np.float32))
    assert fit is not None
    assert fit.scale == pytest.approx(scale, abs=0.03)
    assert fit.shift == pytest.approx(shift, abs=0.03)


def test_nothing_to_go_by_is_no_fit() -> None:
    ones = np.ones(600, np.float32)
    rng = np.random.default_rng(0)
    assert fit_affine(ones, ones, ones) is None
    assert fit_affine(ones[:10], ones[:10], ones[:10]) is None
    assert fit_affine(rng.random(600, np.float32), rng.random(600, np.float32), ones) is None
    assert fit_affine(rng.random(600, np.float32), 5 * rng.random(600, np.float32), ones) is None
