"""`streamdepth eval metric`: figures that can be computed by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.pairs import write_pairs

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.evaluation.accuracy.evaluate import ValidRegion
from streamdepth.evaluation.metric.score import MetricScorer, score_frame
from streamdepth.evaluation.metric.simulated_references import SIMULATED_REFERENCES, three_anchors
from streamdepth.evaluation.metric.sparsification import sparsify

TRUTH = np.linspace(1, 4, 48 * 64, dtype=np.float32).reshape(48, 64)
NEARNESS = (2 / TRUTH + 1).astype(np.float32)
REGION = ValidRegion(farthest_m=10.0)


def given(depth_m: DepthMap, sigma: float | None = None) -> DepthFrame:
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 0, 0, Fraction(1, 30), 0.0)
    return DepthFrame(frame, depth_m.astype(np.float32), DepthKind.METRIC, scale_sigma=sigma)


def test_meters_that_are_ten_percent_too_far() -> None:
    score = score_frame(given(1.1 * TRUTH, 0.05), NEARNESS, TRUTH, REGION)
    assert score.scale == pytest.approx(1.1, rel=1e-5)
    assert score.abs_rel == pytest.approx(0.1, rel=1e-4)
    assert score.best_abs_rel == pytest.approx(0, abs=1e-5)
    assert (score.sigma, score.is_given, score.is_refusal_right) == (0.05, True, False)


def test_withheld_meters_are_judged_by_what_they_would_have_been() -> None:
    nothing = given(np.full_like(TRUTH, np.nan))
    for factor, is_right in ((1.1, False), (1.5, True), (0.7, True)):
        score = score_frame(nothing, NEARNESS, TRUTH, REGION, withheld_m=(factor * TRUTH).astype(np.float32))
        assert not score.is_given
        assert math.isnan(score.abs_rel)
        assert score.is_refusal_right is is_right
    assert score_frame(nothing, NEARNESS, TRUTH, REGION).is_refusal_right is None
    assert score_frame(nothing, NEARNESS, TRUTH, REGION, has_evidence=True).is_refusal_right is False


def test_figures_of_a_set() -> None:
    scorer = MetricScorer()
    for factor, sigma in ((1.0, 0.1), (1.05, 0.1), (1.2, 0.1), (1.4, 0.1)):
        scorer.frames.append(score_frame(given(factor * TRUTH, sigma), NEARNESS, TRUTH, REGION))
    hidden = score_frame(given(TRUTH * np.nan), NEARNESS, TRUTH, REGION, withheld_m=(2 * TRUTH).astype(np.float32))
    scorer.frames.append(hidden)
    total = scorer.total()
    assert (total.frames, total.share_given) == (5, 0.8)
    assert total.scale_p50 == pytest.approx(1.125, rel=1e-5)
    assert total.abs_rel == pytest.approx((0 + 0.05 + 0.2 + 0.4) / 4, rel=1e-4)
    assert (total.refusals_right, total.refusals_due) == (1, 2), "1.4 should have been refused, too"
    assert (total.refusals_wrong, total.refusals_undue) == (0, 3)
    assert total.within_sigma == 0.5, "ln 1.2 and ln 1.4 are beyond 0.1"
    assert total.as_json()["ause"] is None


def test_sparsification() -> None:
    error = np.arange(1, 101) / 100
    assert sparsify(error, -error).ause == 0
    worst, none = sparsify(error, error), sparsify(error, np.ones(100))
    # The best p of the errors have the mean (100 p + 1) / 200, the worst p 1 - (100 p - 1) / 200, all of them 0.505.
    p = np.arange(1, 21) / 20
    assert worst.ause == pytest.approx(float(np.mean(1 - (100 * p - 1) / 200 - (100 * p + 1) / 200)) / 0.505)
    assert worst.ause_random == pytest.approx(float(np.mean(1 - (100 * p + 1) / 200 / 0.505)))
    assert none.ause == pytest.approx(none.ause_random, abs=0.1)
    assert math.isnan(sparsify(np.zeros(3), np.ones(3)).ause)


def test_confidence_is_judged_by_the_errors() -> None:
    wrong = TRUTH.copy()
    wrong[:, :32] *= 1.5
    confidence = np.ones_like(TRUTH)
    confidence[:, :32] = 0.1
    score = score_frame(replace(given(wrong), confidence=confidence), NEARNESS, TRUTH, REGION)
    assert score.sparsification is not None
    assert score.sparsification.ause == pytest.approx(0, abs=1e-6)
    assert score.sparsification.ause_random > 0.3
    assert score.sparsification.curve[[0, 10]].tolist() == pytest.approx([1, 0], abs=1e-6), "half of it is right"
    pixels = score.pixels
    assert pixels.number.tolist() == [0, 48 * 32, 0, 0, 0, 0, 0, 0, 0, 48 * 32]
    assert pixels.right.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 48 * 32]
    assert (pixels.share_sure, pixels.calibration_error) == pytest.approx((0.5, 0.05))
    assert pixels.sure_ratio == pytest.approx(0, abs=1e-6)


def test_obstacles_are_judged_by_those_in_the_truth() -> None:
    truth = np.full((48, 64), 4, np.float32)
    near = truth.copy()
    near[:, :32] = 3.0
    confidence = np.where(near == 4, np.float32(0.95), np.float32(0.55))
    found = score_frame(replace(given(near), confidence=confidence), 1 / truth, truth, REGION).obstacles
    # The two sectors on the right are right; the other three, one of which is seen by both halves, are nearer by 1/4.
    assert (found.number[-1], found.right[-1], found.number.sum()) == (2, 2, 5)
    assert found.error[-1] == pytest.approx(0, abs=1e-3)
    assert found.error[5] == pytest.approx(3 * 0.25, abs=0.02)
    assert (found.share_sure, found.sure_ratio) == pytest.approx((0.4, 0), abs=1e-2)
    assert found.curve() == [(pytest.approx(0.55, abs=1e-3), 0.0), (pytest.approx(0.95, abs=1e-3), 1.0)]


def test_anchors_lie_where_the_truth_is_smooth() -> None:
    truth = np.full((48, 64), 2, np.float32)
    truth[:, 30:34] = np.nan
    truth[:, 34:] = 5
    points = three_anchors(truth)
    assert points is not None
    assert sorted(points[:, 2]) == [2, 5, 5] or sorted(points[:, 2]) == [2, 2, 5]
    assert all(x < 27 or x > 36 for x in points[:, 0])
    assert three_anchors(truth * np.nan) is None


@pytest.mark.usefixtures("quick_model")
def test_command(cli, tmp_path: Path) -> None:
    data = write_pairs(tmp_path, "mine")
    done = cli("eval", "metric", data, "--json", tmp_path / "facts.json", "--plots", tmp_path / "plots")
    assert done.code == 0, done.err
    heading, *rows = done.out.splitlines()
    assert heading.split()[:4] == ["set", "reference", "frames", "given"]
    names = [name for name in SIMULATED_REFERENCES if name != "sparse-30"]
    assert [row.split()[:2] for row in rows] == [["mine", name] for name in names], "sparse-30 is for videos"
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert [row["reference"] for row in facts["rows"]] == names
    assert facts["rows"][0]["frames"] > 0
    plots = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert {"sparsification_sparse", "reliability_pixels_sparse", "reliability_obstacles_sparse"} <= plots


def test_unknown_reference(cli, tmp_path: Path) -> None:
    done = cli("eval", "metric", write_pairs(tmp_path, "mine"), "--reference", "guess")
    assert done.code == 2
    assert "sparse" in done.err
