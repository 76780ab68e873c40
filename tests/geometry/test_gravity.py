"""Tests of the direction of up, estimated from a picture and its depth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamdepth.core.arrays import Image
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.gravity import Gravity, estimate_gravity, up_vector
from streamdepth.geometry.projection import rays

CAMERA = Intrinsics.from_fov(65, 320, 240)


def room(pitch: float, roll: float) -> tuple[Image, np.ndarray]:
    """Returns a picture of vertical poles of many colors around the camera, and the inverse depth of floor and wall."""
    up = up_vector(pitch, roll)
    ahead = np.array([0.0, 0, 1]) - up[2] * up
    ahead /= np.linalg.norm(ahead)
    right = np.cross(-up, ahead)
    ray = np.concatenate([rays(CAMERA, 320, 240), np.ones((240, 320, 1))], axis=-1)
    inverse = np.maximum(-(ray @ up) / 1.3, ray @ ahead / 4).astype(np.float32)
    image = np.full((240, 320, 3), 128, np.uint8)
    for index, aside in enumerate(np.arange(-4, 4.1, 0.5)):
        ends = aside * right + 4 * ahead + np.outer([-1.0, 2.0], up)
        u, v = (ends[:, 0] / ends[:, 2] * CAMERA.fx + CAMERA.cx, ends[:, 1] / ends[:, 2] * CAMERA.fy + CAMERA.cy)
        start, end = ((round(a * 16), round(b * 16)) for a, b in zip(u, v, strict=True))
        cv2.line(image, start, end, (20, 20 + 10 * index, 200), 3, cv2.LINE_AA, 4)
    return image, inverse


@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (15, 0), (25, 6), (-5, -8)])
def test_vertical_lines_tell_pitch_and_roll(pitch: float, roll: float) -> None:
    image, inverse = room(pitch, roll)
    gravity = estimate_gravity(image, inverse, CAMERA)
    tilt = np.degrees(np.arccos(np.clip(gravity.up @ up_vector(pitch, roll), -1, 1)))
    assert tilt < 1.5
    assert gravity.sigma_degrees < 4


def test_a_picture_without_lines_is_uncertain() -> None:
    _, inverse = room(15, 0)
    gravity = estimate_gravity(np.full((240, 320, 3), 128, np.uint8), inverse, CAMERA)
    assert gravity.sigma_degrees == pytest.approx(10)
    assert abs(gravity.roll_degrees) < 1


def test_up_has_the_pitch_and_roll_that_it_was_made_of() -> None:
    gravity = Gravity(up_vector(20.0, -7.0), 1.0)
    assert gravity.pitch_degrees == pytest.approx(20)
    assert gravity.roll_degrees == pytest.approx(-7)
    assert np.linalg.norm(gravity.up) == pytest.approx(1)


def test_flat_depth_has_a_gravity_too() -> None:
    gravity = estimate_gravity(np.zeros((240, 320, 3), np.uint8), np.full((24, 32), 1, np.float32), CAMERA)
    np.testing.assert_allclose(gravity.up, [0, -1, 0], atol=0.02)
