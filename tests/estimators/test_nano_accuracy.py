"""The accuracy of the built-in model on a part of NYU Depth v2; its card has the whole set's figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamdepth.estimators.nano import NanoEstimator
from streamdepth.evaluation.accuracy.protocol import EvaluationProtocol, evaluate_dataset
from streamdepth.evaluation.datasets import DepthDataset

_SET = "nyuv2_dev"
_EVERY = 6


def test_nano_is_right_for_most_of_a_room(footage: Path) -> None:
    folder = footage / "rgbd" / _SET
    if not folder.is_dir():
        pytest.skip(f"STREAMDEPTH_TEST_DATA has no rgbd/{_SET}")
    nano = NanoEstimator()
    found = evaluate_dataset(DepthDataset(folder), nano, EvaluationProtocol("eigen", every=_EVERY)).accuracy
    nano.close()
    assert found.scored_pictures > 20
    assert found.aligned.delta1 >= 0.80
