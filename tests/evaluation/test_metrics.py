from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamdepth.core.arrays import DepthMap
from streamdepth.evaluation.accuracy.boundary import THRESHOLDS, boundary_f1
from streamdepth.evaluation.accuracy.metrics import align, score

NAN = float("nan")
DEPTHS = hnp.arrays(np.float32, (6, 7), elements=st.floats(0.5, 9, width=32))


def step(left: float, right: float) -> DepthMap:
    """(8, 8): a wall that jumps in the middle."""
    depth = np.full((8, 8), left, np.float32)
    depth[:, 4:] = right
    return depth


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, -2.0), (0.01, 5.0), (-2.0, 1.0)])
def test_alignment_finds_scale_and_shift(scale: float, shift: float) -> None:
    truth = np.random.default_rng(0).uniform(0.5, 9, (20, 30)).astype(np.float32)
    prediction = ((1 / truth - shift) / scale).astype(np.float32)
    np.testing.assert_allclose(align(prediction, truth), truth, rtol=2e-3)


def test_alignment_of_a_flat_map_is_the_mean_and_unknown_truth_does_not_count() -> None:
    truth = np.full((4, 4), 2.0, np.float32)
    truth[0] = np.nan
    np.testing.assert_allclose(align(np.full((4, 4), 7.0, np.float32), truth), 2.0)


def test_alignment_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(1)
    truth, prediction = (rng.uniform(1, 2, (20, 30)).astype(np.float32) for _ in range(2))
    columns = np.stack([prediction.ravel(), np.ones(truth.size)], 1)
    (scale, shift), *_ = np.linalg.lstsq(columns, 1 / truth.ravel(), rcond=None)
    np.testing.assert_allclose(align(prediction, truth), 1 / (scale * prediction + shift), rtol=1e-5)


def test_alignment_stays_within_the_cap_and_unknown_stays_unknown() -> None:
    truth = np.array([[1, 10, 10, 10]], np.float32)
    prediction = np.array([[1.0, 0.1, NAN, -50]], np.float32)
    truth[0, 3] = NAN
    np.testing.assert_allclose(align(prediction, truth, 0.5, 20), [[1, 10, NAN, 20]], rtol=1e-5)


def test_scores_of_one_factor_in_closed_form() -> None:
    truth = np.full((10, 10), 2.0, np.float32)
    truth[0] = np.nan
    exact, off = score(truth.copy(), truth), score(truth * np.float32(1.5), truth)
    assert (exact.abs_rel, exact.sq_rel, exact.rmse_m, exact.log10, exact.silog, exact.delta1) == (0, 0, 0, 0, 0, 1)
    assert off.abs_rel == pytest.approx(0.5)
    assert off.sq_rel == pytest.approx(0.5)
    assert off.rmse_m == pytest.approx(1.0)
    assert off.rmse_log == pytest.approx(math.log(1.5))
    assert off.log10 == pytest.approx(math.log10(1.5))
    assert off.silog == pytest.approx(0, abs=1e-5)
    assert (off.delta1, off.delta2, off.delta3) == (0, 1, 1)
    assert math.isnan(off.boundary_f1)


def test_silog_is_the_spread_of_the_logarithm() -> None:
    truth = np.full((2, 2), 3.0, np.float32)
    off = score(truth * np.array([[1.1, 1.1], [1 / 1.1, 1 / 1.1]], np.float32), truth)
    assert off.silog == pytest.approx(100 * math.log(1.1), rel=1e-5)
    assert off.rmse_log == pytest.approx(math.log(1.1), rel=1e-5)


def test_deltas_are_shares_on_both_sides() -> None:
    truth = np.ones((1, 8), np.float32)
    factors = np.array([[1.2, 1 / 1.2, 1.3, 1 / 1.3, 1.6, 1 / 1.6, 2.0, 1 / 2.0]], np.float32)
    off = score(factors, truth)
    assert (off.delta1, off.delta2, off.delta3) == (0.25, 0.5, 0.75)


def test_pixels_without_a_prediction_do_not_count() -> None:
    truth, depth = step(2, 4), step(2, 8)
    depth[:, 4:] = np.nan
    assert score(depth, truth).abs_rel == 0


@pytest.mark.parametrize("right", [2.0, 0.5, 1.06])
def test_boundaries_of_a_perfect_prediction(right: float) -> None:
    assert boundary_f1(step(1, right), step(1, right)) == 1


@pytest.mark.parametrize("prediction", [step(1, 1), step(1, 0.5), step(1, 1.04), step(1, 2).T])
def test_boundaries_missed_turned_round_faint_or_across(prediction: DepthMap) -> None:
    assert boundary_f1(prediction, step(1, 2)) == 0


def test_a_truth_without_boundaries_has_no_score() -> None:
    assert math.isnan(boundary_f1(step(1, 2), step(3, 3)))


def test_half_of_a_boundary() -> None:
    prediction = step(1, 1)
    prediction[:4] = step(1, 1.5)[:4]
    across = 4  # the end of the step is a boundary that is not there: 4 neighbors below one another
    found, predicted, true = 4, 4 + across, 8
    assert boundary_f1(prediction, step(1, 1.5)) == pytest.approx(2 * found / (predicted + true))


def test_each_threshold_counts_by_its_weight() -> None:
    agree = THRESHOLDS < 1.15
    expected = THRESHOLDS[agree].sum() / THRESHOLDS.sum()
    assert boundary_f1(step(1, 1.5), step(1, 1.15)) == pytest.approx(expected)


def test_unknown_neighbors_do_not_count() -> None:
    truth, prediction = step(1, 2), step(1, 2)
    prediction[:2], truth[:2] = step(2, 1)[:2], np.nan
    prediction[-2:, 3] = np.nan
    assert boundary_f1(prediction, truth) == 1


@given(DEPTHS, DEPTHS, st.floats(0.1, 10))
def test_boundaries_do_not_know_scale_inversion_or_orientation(d: DepthMap, t: DepthMap, scale: float) -> None:
    d, t = (np.exp2(np.round(np.log2(x) * 4) / 4).astype(np.float32) for x in (d, t))  # away from thresholds
    expected = boundary_f1(d, t)
    for other in (
        boundary_f1(d * np.float32(scale), t),
        boundary_f1(1 / d, 1 / t),
        boundary_f1(d[::-1], t[::-1]),
        boundary_f1(d.T, t.T),
        boundary_f1(t, d),
    ):
        assert other == pytest.approx(expected, nan_ok=True) or math.isnan(other) or math.isnan(expected)
    assert math.isnan(expected) or 0 <= expected <= 1
