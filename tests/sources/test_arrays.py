"""Arrays of a program as pictures and as streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError, SourceLostError, SourceOpenError
from streamdepth.sources.arrays import ArraySource, to_rgb_image


def gray(level: int, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_bgr_becomes_rgb() -> None:
    blue_in_bgr = np.zeros((2, 2, 3), np.uint8)
    blue_in_bgr[..., 0] = 200
    image = to_rgb_image(blue_in_bgr, "bgr")
    assert image[0, 0].tolist() == [0, 0, 200]
    assert image.flags.c_contiguous


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2, 3), np.int16), np.zeros((0, 2, 3), np.uint8), "a.png"]
)
def test_other_things_are_refused(array: object) -> None:
    with raises_code(ConfigError, "bad-array"):
        to_rgb_image(array)


def test_live_frames_have_the_time_of_their_arrival() -> None:
    source = ArraySource(iter([gray(1), gray(2)]), is_live=True)
    info = source.open()
    first, second = source.read(), source.read()
    assert (info.is_live, info.fps) == (True, None)
    assert first is not None
    assert second is not None
    assert 0 <= first.time <= second.time < 10


def test_another_size_is_announced_with_its_first_frame() -> None:
    source = ArraySource([gray(1), gray(2, 8, 8), gray(3, 8, 8)])
    source.open()
    source.read()
    assert source.take_changed_info() is None
    frame = source.read()
    changed = source.take_changed_info()
    assert frame is not None
    assert changed is not None
    assert frame.size == (changed.width, changed.height) == (8, 8)
    source.read()
    assert source.take_changed_info() is None


def test_a_generator_that_fails_is_a_lost_source() -> None:
    def failing() -> Iterator[np.ndarray]:
        yield gray(1)
        raise RuntimeError("the camera is gone")

    source = ArraySource(failing())
    source.open()
    source.read()
    with raises_code(SourceLostError, "iterable-failed") as caught:
        source.read()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_generator_is_closed_with_its_source() -> None:
    closed = []

    def endless() -> Iterator[np.ndarray]:
        try:
            while True:
                yield gray(1)
        finally:
            closed.append(True)

    source = ArraySource(endless())
    source.open()
    source.close()
    assert closed == [True]


def test_nothing_to_read_and_no_rate_are_errors() -> None:
    with raises_code(SourceOpenError, "no-frames"):
        ArraySource([]).open()
    with raises_code(ConfigError, "bad-value"):
        ArraySource([gray(1)], fps=0)
