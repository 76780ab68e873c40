"""The range that samples of more than 8 bits are stretched from."""

from __future__ import annotations

import numpy as np
import pytest

from streamdepth.sources.sample_levels import SampleLevels, to_eight_bits


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 64 * 48).reshape(48, 64).astype(np.uint16)


def test_hot_and_dead_pixels_do_not_set_the_range() -> None:
    twelve, thermal = ramp(0, 4095), ramp(7600, 8600)
    twelve[5, 5], thermal[5, 5], thermal[6, 6] = 65535, 0, 65535
    assert SampleLevels().fit(twelve) == (0, 4095)
    assert SampleLevels().fit(thermal) == pytest.approx((7600, 8600), abs=2)


def test_colors_begin_at_black() -> None:
    assert SampleLevels().fit(ramp(3000, 3500), is_color=True) == (0, 4095)
    assert SampleLevels().fit(ramp(5000, 6000), is_color=True) == (0, 16383)


def test_a_later_picture_that_does_not_fit_widens_the_range_once() -> None:
    levels = SampleLevels()
    assert levels.fit(ramp(0, 200)) == (0, 255), "a dark first picture"
    assert levels.fit(ramp(0, 4000)) == (0, 4095)
    assert levels.fit(ramp(0, 300)) == (0, 4095), "a range never shrinks"


def test_a_range_of_counts_is_widened_with_room_so_that_it_rarely_moves() -> None:
    levels = SampleLevels()
    levels.fit(ramp(7600, 8600))
    assert levels.fit(ramp(7600, 8605)) == (7600, 8600), "some samples out of it change nothing"
    low, high = levels.fit(ramp(7600, 9600))
    assert (low, high) == (7100, 10100)
    assert levels.fit(ramp(7500, 10000)) == (low, high)


def test_a_picture_of_one_level_says_nothing_of_the_next() -> None:
    levels = SampleLevels()
    levels.fit(np.full((4, 5), 8000, np.uint16))
    assert levels.fit(ramp(7600, 8600)) == (7600, 8600)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0.3, (0, 1)),  # a dark picture
        (0, 1.2, (0, 1.2)),  # highlights above white
        (18, 36, (18, 36)),  # degrees Celsius
        (0, 200, (0, 255)),  # converted from 8 bits
        (291, 309, (291, 309)),  # kelvins
        (0, 4000, (0, 4000)),
        (0, 60000, (0, 65535)),
        (-20, 40, (-20, 40)),
    ],
)
def test_the_range_of_floating_point(low: float, high: float, expected: tuple[float, float]) -> None:
    levels = SampleLevels()
    assert levels.fit(np.linspace(low, high, 48 * 64, dtype=np.float32)) == pytest.approx(expected)
    assert bool(levels.notice("it")) == (expected == (low, high))


def test_stated_bits_are_the_range_of_a_dark_picture() -> None:
    assert SampleLevels(bits=10).fit(ramp(0, 400)) == (0, 1023)
    assert SampleLevels(bits=12).fit(ramp(0, 2000)) == (0, 4095)
    assert SampleLevels(bits=12).fit(ramp(1900, 2150)) == (1900, 2150)


def test_eight_bits_of_integers_and_of_floating_point_agree() -> None:
    samples = ramp(0, 4095)
    np.testing.assert_array_equal(to_eight_bits(samples, 0, 4095), to_eight_bits(samples.astype(float), 0, 4095))
    assert to_eight_bits(np.array([np.nan, -1, 9e9]), 0, 1).tolist() == [0, 0, 255]
