"""The motion of a camera from optical flow and depth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.egomotion import CameraMotion, camera_motion
from streamdepth.geometry.projection import rays

CAMERA = Intrinsics.from_fov(60, 160, 120)
RAY = rays(CAMERA, 160, 120)
DEPTH = (2 + np.sin(np.arange(160) / 20)[None] + np.cos(np.arange(120) / 15)[:, None]).astype(np.float32)


def flow_of(motion: CameraMotion, depth: np.ndarray = DEPTH) -> np.ndarray:
    points = np.dstack([RAY, np.ones(depth.shape)]) * depth[..., None]
    there = points @ motion.rotation.T + motion.translation
    return there[..., :2] / there[..., 2:] - RAY


def motion(*translation: float, turn: float = 0.01) -> CameraMotion:
    return CameraMotion(cv2.Rodrigues(np.array([turn, -turn / 2, turn / 3]))[0], np.array(translation))


def test_a_small_motion_is_found() -> None:
    true = motion(0.02, -0.01, 0.03)
    found = camera_motion(flow_of(true), RAY, 1 / DEPTH, np.ones_like(DEPTH))
    assert found is not None
    np.testing.assert_allclose(found.translation, true.translation, atol=0.002)
    np.testing.assert_allclose(found.rotation, true.rotation, atol=0.001)


def test_what_moves_by_itself_and_what_is_unsure_does_not_count() -> None:
    true = motion(0.02, -0.01, 0.03)
    flow, sure = flow_of(true), np.ones_like(DEPTH)
    flow[30:70, 20:80] += 0.05
    flow[90:, :], sure[90:, :] = 0.3, 0.0
    found = camera_motion(flow, RAY, 1 / DEPTH, sure)
    assert found is not None
    np.testing.assert_allclose(found.translation, true.translation, atol=0.004)


def test_a_point_goes_there_and_back() -> None:
    true, point = motion(0.1, 0.2, 0.3, turn=0.2), np.array([1.0, 2.0, 3.0])
    assert true.undo(true.rotation @ point + true.translation) == pytest.approx(point)


def test_nothing_known_is_no_motion() -> None:
    unknown = np.full_like(DEPTH, np.nan)
    assert camera_motion(flow_of(motion(0.1, 0, 0)), RAY, unknown, np.ones_like(DEPTH)) is None
