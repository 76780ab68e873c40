"""The fit of scale and shift to known distances."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.types import DepthKind
from streamdepth.geometry.metric_fit import fit_points


@given(st.floats(0.05, 50), st.floats(-5, 5), st.integers(0, 2**31))
@settings(max_examples=50)
def test_many_points_bring_any_scale_and_shift_back(scale: float, shift: float, seed: int) -> None:
    """With a fifth of them wrong by far."""
    rng = np.random.default_rng(seed)
    meters = rng.uniform(0.5, 8, 400)
    x = (1 / meters - shift) / scale
    said = np.where(rng.random(400) < 0.2, meters * rng.uniform(1.5, 4, 400), meters)
    fit = fit_points(x, said, (float(x.min()), float(x.max())), DepthKind.RELATIVE)
    assert fit is not None
    found = 1 / np.maximum(fit.scale * x + fit.shift, 1e-3)
    assert np.median(np.abs(found / meters - 1)) < 0.02
    assert fit.residual < 0.05
