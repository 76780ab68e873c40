"""The confidence of each pixel of metric depth."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.depth_frames import texture

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.stabilizers.confidence import ConfidenceEstimator
from streamdepth.stabilizers.optical_flow import FlowPair, MotionTracker

WALL: DepthMap = np.full((60, 80), 2, np.float32)


def frame(depth_m: DepthMap, sigma: float | None = None) -> DepthFrame:
    picture = Frame(np.zeros((120, 160, 3), np.uint8), 0, 0, Fraction(1, 30), 0.0)
    return DepthFrame(picture, depth_m.astype(np.float32), DepthKind.METRIC, scale_sigma=sigma)


def probability(error: float) -> float:
    """That of being right to 10 %, for errors of this size with a Weibull distribution of shape 1.7."""
    return float(1 - np.exp(-((np.log(1.1) / error) ** 1.7)))


def still() -> FlowPair:
    gray = np.zeros((60, 80), np.uint8)
    return MotionTracker().flow_between(gray, gray)


def test_a_wall_is_sure_in_the_middle_and_unknown_depth_has_none() -> None:
    depth = WALL.copy()
    depth[:5] = np.nan
    confidence = ConfidenceEstimator().estimate(frame(depth), None, None)
    assert (confidence[:5] == 0).all()
    # 0.081 everywhere and 0.246 of the change of 0.05 that is taken for a first frame.
    assert confidence[30, 40] == pytest.approx(probability(0.081 + 0.246 * 0.05), abs=0.01)
    assert confidence[30, 40] > confidence[30, 0]
    assert not ConfidenceEstimator().estimate(frame(WALL * np.nan), None, None).any()


def test_edges_and_far_parts_are_less_sure() -> None:
    depth = WALL.copy()
    depth[:, :30] = 6
    confidence = ConfidenceEstimator().estimate(frame(depth), None, None)
    assert confidence[30, 30] < 0.5 * confidence[30, 45]
    assert confidence[30, 20] < confidence[30, 45]


def test_what_changes_along_the_flow_is_less_sure_and_stays_so_for_a_while() -> None:
    estimator, flickering = ConfidenceEstimator(), WALL.copy()
    flickering[20:40, 50:70] = 2.6
    estimator.estimate(frame(WALL), None, None)
    for depth in (flickering, WALL):
        confidence = estimator.estimate(frame(depth), still(), None)
    assert confidence[30, 60] < confidence[30, 20] - 0.05


def test_beside_a_measured_point_confidence_says_how_far_the_depth_is_from_it() -> None:
    right, wrong = np.array([[40.0, 60.0, 2.0]]), np.array([[120.0, 60.0, 3.0]])
    confidence = ConfidenceEstimator().estimate(frame(WALL), None, np.vstack([right, wrong]))
    assert confidence[30, 20] > 0.9
    assert confidence[30, 60] < 0.3
    assert confidence[30, 40] == pytest.approx(
        ConfidenceEstimator().estimate(frame(WALL), None, None)[30, 40], abs=0.01
    )


def test_what_was_measured_is_remembered_along_the_flow_until_it_is_hidden() -> None:
    estimator, picture = ConfidenceEstimator(), texture(np.random.default_rng(0), (60, 80))[..., 1]
    points = np.array([[40.0, 60.0, 2.0], [120.0, 60.0, 3.0]])
    estimator.estimate(frame(WALL), None, points)
    moved = MotionTracker().flow_between(np.roll(picture, 4, axis=1), picture)
    confidence = estimator.estimate(frame(WALL), moved, None)
    assert confidence[30, 24] > 0.9, "the point moved on by 4 px"
    assert confidence[30, 64] < 0.3
    other = texture(np.random.default_rng(1), (60, 80))[..., 1]
    for _ in range(3):
        confidence = estimator.estimate(frame(WALL), MotionTracker().flow_between(other, picture), None)
    assert confidence[30, 24] < 0.8
    assert estimator.estimate(frame(WALL), None, None)[30, 64] > 0.4, "without a flow nothing is remembered"


def test_an_uncertain_scale_makes_all_less_sure() -> None:
    sure, unsure = (ConfidenceEstimator().estimate(frame(WALL, s), None, None)[30, 40] for s in (0.0, 0.2))
    assert unsure == pytest.approx(probability(np.hypot(0.0933, 0.68 * 0.2)), abs=0.01)
    assert unsure < sure
