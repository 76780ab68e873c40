"""The estimate of scale and shift over time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamdepth.geometry.metric_fit import ScaleShiftFit
from streamdepth.geometry.scale_filter import ScaleShiftFilter

LIMITS = (0.5, 2.0)


def fit(scale: float, shift: float, sigma: float, noise_share: float = 1.0) -> ScaleShiftFit:
    """With independent errors of `sigma`, as a share, at the far and the near end."""
    ends = np.array([[limit, 1.0] for limit in LIMITS])
    error = np.diag((sigma * (ends @ (scale, shift))) ** 2)
    to_state = np.linalg.inv(ends)
    return ScaleShiftFit(scale, shift, 0.0, 9, to_state @ error @ to_state.T, noise_share)


def test_nothing_is_known_at_first() -> None:
    empty = ScaleShiftFilter()
    empty.predict(0.1, 0.1, LIMITS, has_shift=True)
    assert empty.state is None
    assert math.isinf(empty.sigma_at(1.0))


def test_independent_measurements_average() -> None:
    filter = ScaleShiftFilter()
    for scale in (1.0, 1.1, 0.9, 1.0):
        filter.update(fit(scale, 0.2, 0.1), LIMITS)
    assert filter.state == pytest.approx([1.0, 0.2], abs=0.02)
    assert filter.sigma_at(LIMITS[1]) == pytest.approx(0.1 / 2, rel=0.05), "a quarter of the variance"


def test_errors_that_all_frames_share_never_average_out() -> None:
    filter = ScaleShiftFilter()
    for _ in range(50):
        filter.update(fit(1.0, 0.2, 0.2, noise_share=0.02), LIMITS)
    assert filter.sigma_at(LIMITS[1]) == pytest.approx(0.2 * math.sqrt(0.98), rel=0.02)


def test_fits_that_contradict_each_other_share_the_error_that_shows() -> None:
    filter = ScaleShiftFilter()
    for _ in range(50):
        filter.update(fit(1.0, 0.2, 0.05, noise_share=0.1)._replace(least_common_sigma=0.4), LIMITS)
    assert filter.sigma_at(LIMITS[1]) == pytest.approx(0.4, rel=0.05), "many frames do not average it away"
    for _ in range(50):
        filter.update(fit(1.0, 0.2, 0.05, noise_share=0.1), LIMITS)
    assert filter.sigma_at(LIMITS[1]) < 0.1, "it recovers when they agree again"


def test_a_contradiction_reaches_a_state_that_was_certain() -> None:
    filter = ScaleShiftFilter()
    filter.update(fit(1.0, 0.2, 0.05, noise_share=0.1), LIMITS)
    filter.update(fit(1.0, 0.2, 0.05, noise_share=0.1)._replace(least_common_sigma=0.4), LIMITS)
    assert filter.sigma_at(LIMITS[1]) > 0.35


def test_a_drift_changes_the_scale_and_makes_it_less_certain() -> None:
    filter = ScaleShiftFilter()
    filter.update(fit(1.0, 0.2, 1e-6), LIMITS)
    filter.predict(math.log(1.5), 0.04, LIMITS, has_shift=True)
    assert filter.state == pytest.approx([1.5, 0.3])
    # Half of the drift is common to both ends, and 0.7 of it is each end's own: 1.2 of it at an end.
    assert filter.sigma_at(LIMITS[1]) == pytest.approx(math.sqrt(1.2 * 0.04), rel=1e-3)


def test_a_worse_fit_hardly_counts_beside_a_better_one() -> None:
    filter = ScaleShiftFilter()
    filter.update(fit(1.0, 0.2, 0.05, noise_share=0.03), LIMITS)
    filter.predict(0.0, 0.0005, LIMITS, has_shift=True)
    filter.update(fit(1.5, 0.3, 0.3, noise_share=0.03), LIMITS)
    assert filter.state is not None
    assert filter.state[0] < 1.05
    assert filter.sigma_at(LIMITS[1]) < 0.07


def test_a_fit_of_one_end_is_followed_there() -> None:
    filter = ScaleShiftFilter()
    filter.update(fit(1.0, 0.2, 0.1), LIMITS)
    far, near = LIMITS[0] + 0.2, 2 * (LIMITS[1] + 0.2)
    scale = (near - far) / (LIMITS[1] - LIMITS[0])
    ends = np.linalg.inv(np.array([[limit, 1.0] for limit in LIMITS]))
    covariance = ends @ np.diag([1e4, 1e-8]) @ ends.T
    filter.update(ScaleShiftFit(scale, far - scale * LIMITS[0], 0.0, 1, covariance, 1.0), LIMITS)
    assert filter.state is not None
    assert filter.state[0] * LIMITS[1] + filter.state[1] == pytest.approx(near, rel=0.01)
    assert filter.state[0] * LIMITS[0] + filter.state[1] == pytest.approx(far, rel=0.01)


def test_what_the_state_cannot_explain_is_followed_at_once() -> None:
    filter = ScaleShiftFilter()
    filter.update(fit(1.0, 0.0, 0.01), LIMITS)
    filter.update(fit(3.0, 0.5, 0.01), LIMITS)
    assert filter.state == pytest.approx([3.0, 0.5], rel=0.05)


def test_metric_networks_have_no_shift() -> None:
    filter = ScaleShiftFilter()
    exact = ScaleShiftFit(1.2, 0.0, 0.0, 9, np.array([[0.0144, 0.0], [0.0, 0.0]]))
    filter.update(exact, LIMITS)
    filter.predict(0.1, 0.0, LIMITS, has_shift=False)
    filter.update(exact._replace(scale=1.3), LIMITS)
    assert filter.state is not None
    assert filter.state[1] == 0
    assert 1.2 < filter.state[0] <= 1.3
    assert filter.sigma_at(1.0) == pytest.approx(0.1, rel=0.2)
