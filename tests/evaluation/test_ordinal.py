from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from streamdepth.core.types import Frame
from streamdepth.evaluation.accuracy.ordinal import ordinal_accuracy
from streamdepth.evaluation.accuracy.ramp import Ramp


def test_any_rising_function_of_nearness_is_in_order_and_its_opposite_is_not() -> None:
    truth = np.linspace(1, 5, 400, dtype=np.float32).reshape(20, 20)
    assert ordinal_accuracy(1 / truth**3 - 2, truth) == 1
    assert ordinal_accuracy(truth, truth) == 0
    assert ordinal_accuracy(np.ones_like(truth), truth) == 0  # ties are errors


def test_chance_is_half() -> None:
    truth = np.linspace(1, 5, 10_000, dtype=np.float32).reshape(100, 100)
    noise = np.random.default_rng(1).random((100, 100)).astype(np.float32)
    assert ordinal_accuracy(noise, truth) == pytest.approx(0.5, abs=0.02)


def test_pairs_that_are_nearly_as_far_do_not_count() -> None:
    truth = np.array([[1.0, 1.04], [2.0, 2.08]], np.float32)
    assert ordinal_accuracy(np.array([[3, 4], [1, 2]], np.float32), truth) == 1  # wrong within rows only
    assert math.isnan(ordinal_accuracy(truth, np.ones((2, 2), np.float32)))


def test_unknown_pixels_do_not_count() -> None:
    truth = np.array([[1.0, 2.0, np.nan]], np.float32)
    assert ordinal_accuracy(np.array([[2.0, 1.0, 9.0]], np.float32), truth) == 1
    assert math.isnan(ordinal_accuracy(np.full((1, 3), np.nan, np.float32), truth))


def test_the_ramp_is_nearest_at_the_bottom() -> None:
    frame = Frame(np.zeros((5, 3, 3), np.uint8), 0, 0, Fraction(1), 0.0)
    (estimate,) = Ramp().estimate([frame])
    assert estimate.depth.shape == (5, 3)
    assert estimate.depth[:, 1].tolist() == [0, 0.25, 0.5, 0.75, 1]
