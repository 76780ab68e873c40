"""The field of view guessed from pictures, against that of the cameras that made them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.room import CAMERA, room_frames

from streamdepth.geometry.field_of_view import guess_field_of_view
from streamdepth.geometry.projection import ASSUMED_FOV


def test_a_room_tells_the_field_of_view_and_half_of_it_tells_half() -> None:
    pictures = [item.frame.image for item in room_frames(range(0, 40, 20))]
    found = guess_field_of_view(pictures)
    assert found.is_measured
    assert found.degrees == pytest.approx(66, abs=3)
    inner = [np.ascontiguousarray(image[68:292, 120:520]) for image in pictures]
    width = 2 * np.degrees(np.arctan(200 / CAMERA.fx))
    assert guess_field_of_view(inner).degrees == pytest.approx(width, abs=4)


def test_pictures_without_lines_tell_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    for pictures in ([], [np.full((120, 160, 3), 90, np.uint8)], [noise]):
        assert guess_field_of_view(pictures) == (ASSUMED_FOV, False)
