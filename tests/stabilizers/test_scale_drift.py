"""The drift of a network's scale, as a rigid scene shows it."""

from __future__ import annotations

import math
from fractions import Fraction

import cv2
import numpy as np
import pytest

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.stabilizers.optical_flow import MotionTracker
from streamdepth.stabilizers.scale_drift import ScaleDrift, ScaleDriftEstimator

CAMERA = Intrinsics.from_fov(60, 320, 240)
NOISE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (240, 320, 3)).astype(np.uint8), (0, 0), 3)
TEXTURE = np.asarray(cv2.normalize(NOISE, NOISE, 0, 255, cv2.NORM_MINMAX), np.uint8)
INVERSE: DepthMap = np.full((48, 64), 0.5, np.float32)


def zoomed(factor: float) -> Image:
    matrix = cv2.getRotationMatrix2D((CAMERA.cx, CAMERA.cy), 0, factor)
    return np.asarray(cv2.warpAffine(TEXTURE, matrix, (320, 240), borderMode=cv2.BORDER_REFLECT), np.uint8)


def drift_between(first: Image, second: Image, seconds: float = 0.1) -> ScaleDrift:
    """With a wall 2 m ahead, and a network that shows the same in both pictures."""
    tracker = MotionTracker()
    estimator = ScaleDriftEstimator(tracker)
    for image, ticks in ((first, 0), (second, round(100 * seconds))):
        frame = Frame(image, ticks, ticks, Fraction(1, 100), 0.0)
        item = DepthFrame(frame, INVERSE, DepthKind.RELATIVE, intrinsics=CAMERA)
        motion = tracker.track(frame)
        drift = estimator.measure(item, motion, INVERSE)
        estimator.remember(item, motion, INVERSE)
    return drift


def test_a_wall_that_comes_nearer_shows_the_drift_of_a_network_that_does_not_notice() -> None:
    drift = drift_between(TEXTURE, zoomed(1.03))
    assert drift.log_change == pytest.approx(math.log(1.03), rel=0.25)
    assert drift.camera is not None
    assert drift.camera.translation[2] == pytest.approx(2 * 0.03, rel=0.25)


def test_a_camera_that_turns_or_stands_still_changes_no_scale() -> None:
    turned = drift_between(TEXTURE, np.ascontiguousarray(np.roll(TEXTURE, 6, axis=1)))
    assert turned.log_change == pytest.approx(0, abs=0.01)
    still = drift_between(TEXTURE, TEXTURE)
    assert still.log_change == 0
    assert still.variance < 1e-4 < turned.variance


def test_other_views_and_gaps() -> None:
    other = np.ascontiguousarray(255 - TEXTURE[::-1, ::-1])
    assert drift_between(TEXTURE, other, seconds=2.0).variance == pytest.approx(ScaleDrift().variance)
    assert drift_between(TEXTURE, TEXTURE, seconds=2.0).variance < 1e-3, "nothing has moved meanwhile"
