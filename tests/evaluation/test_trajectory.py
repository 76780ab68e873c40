"""Errors of trajectories, against ones that are known."""

from __future__ import annotations

import numpy as np
import pytest

from streamdepth.evaluation.trajectory import align_places, score_trajectory
from streamdepth.geometry.transforms import transform_from_quaternion


def path(count: int = 41) -> list[np.ndarray]:
    """Returns poses on a quarter of a circle of 4 m, with the camera turning."""
    angles = np.linspace(0, np.pi / 2, count)
    return [
        transform_from_quaternion((4 * np.cos(a), 4 * np.sin(a), a), (0, 0, np.sin(a / 2), np.cos(a / 2)))
        for a in angles
    ]


def test_a_turned_scaled_copy_is_perfect() -> None:
    truth, move = path(), transform_from_quaternion((3, -1, 2), (0.2, 0.3, 0.1, 0.9))
    copies = [move @ pose for pose in truth]
    for copy in copies:
        copy[:3, 3] *= 0.5
    score = score_trajectory(copies, truth)
    assert score.ate_m == pytest.approx(0, abs=1e-9)
    assert score.rpe_m == pytest.approx(0, abs=1e-9)
    assert score.scale == pytest.approx(2)


def test_a_scale_that_drifts_is_an_error_per_meter() -> None:
    truth = [transform_from_quaternion((x, 0, 0), (0, 0, 0, 1)) for x in np.arange(0, 4.01, 0.1)]
    turned = [
        transform_from_quaternion((x, 0, 0), (0, 0, np.sin(x / 100), np.cos(x / 100))) for x in np.arange(0, 4.01, 0.1)
    ]
    assert score_trajectory(turned, truth).rpe_degrees == pytest.approx(np.degrees(0.02), rel=1e-3)
    shifted = [pose.copy() for pose in truth]
    shifted[0][1, 3] = 0.41
    assert score_trajectory(shifted, truth).ate_m == pytest.approx(0.41 / np.sqrt(41), rel=0.15)
    assert np.isnan(score_trajectory(truth, truth, way_m=9).rpe_m)


def test_a_mirror_image_is_no_alignment() -> None:
    places = np.random.default_rng(0).normal(size=(20, 3))
    aligned, _ = align_places(places * (1, 1, -1), places)
    assert np.linalg.norm(aligned - places) > 1
