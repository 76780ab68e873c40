"""How near the built-in model is to the truth, on a part of NYU Depth v2; its card has the whole set's figures."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from streamdepth.estimators.nano import NanoEstimator
from streamdepth.evaluation.accuracy import EIGEN_CROP, NYU_BORDER_PX, evaluate
from streamdepth.evaluation.datasets import read_pairs

_SET = "nyuv2_dev"
_EVERY = 6


def test_nano_is_right_for_most_of_a_room(footage: Path) -> None:
    root = footage / "rgbd"
    if not (root / _SET).is_dir():
        pytest.skip(f"STREAMDEPTH_TEST_DATA has no rgbd/{_SET}")
    nano = NanoEstimator()
    scores, count, _ = evaluate(islice(read_pairs(root, _SET, NYU_BORDER_PX), 0, None, _EVERY), nano, crop=EIGEN_CROP)
    nano.close()
    assert count > 20
    assert scores.delta1 >= 0.80
