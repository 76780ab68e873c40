"""Labels of a teacher are a dataset for a student."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthKind
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.testing import ConstantEstimator, SyntheticSource
from streamdepth.training.labels import encode_depth, write_labels


def test_metric_labels_are_millimeters() -> None:
    depth = np.array([[1.5, np.nan, 0.0], [np.inf, 80.0, -1.0]], np.float32)
    assert encode_depth(depth, DepthKind.METRIC).tolist() == [[1500, 0, 0], [65535, 65535, 0]]


def test_relative_labels_keep_inverse_depth_up_to_scale_and_shift() -> None:
    inverse = np.random.default_rng(0).uniform(-3, 9, (40, 50)).astype(np.float32)
    inverse[0] = np.nan
    values = encode_depth(inverse, DepthKind.RELATIVE)
    assert (values[0] == 0).all()
    back = np.where(values[1:] == 65535, 0, 1000 / values[1:])
    expected = (inverse[1:] - np.nanmin(inverse)) / np.ptp(inverse[1:])
    np.testing.assert_allclose(back, expected, atol=0.016)
    near = expected > 0.1
    np.testing.assert_allclose(back[near], expected[near], atol=6e-4)


def test_flat_and_empty_labels() -> None:
    assert (encode_depth(np.full((2, 2), 3.0, np.float32), DepthKind.RELATIVE) == 1000).all()
    assert (encode_depth(np.full((2, 2), np.nan, np.float32), DepthKind.RELATIVE) == 0).all()


def test_labels_are_a_data_set_at_the_wanted_times_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    folder, teacher = tmp_path / "labels", ConstantEstimator()
    source = SyntheticSource(count=20, width=64, height=48)
    first = write_labels(source, teacher, folder, every_seconds=0.1, max_pictures=3)
    assert (first, len(teacher.batches)) == (3, 3)
    heard: list[int] = []
    again = SyntheticSource(count=20, width=64, height=48)
    count = write_labels(again, teacher, folder, every_seconds=0.1, max_pictures=100, on_picture=heard.append)
    pairs = list(DepthDataset(folder).pairs())
    assert len(pairs) == count == len(teacher.batches) == heard[-1]
    assert [int(pair.name) for pair in pairs] == list(range(0, 20, 3))
    assert pairs[0].image.shape == (48, 64, 3)


@pytest.mark.parametrize("what", ["teacher", "source"])
def test_labels_of_something_else_are_not_mixed_in(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "labels"
    write_labels(SyntheticSource(count=2), ConstantEstimator(), folder, every_seconds=0, max_pictures=2)
    facts = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(facts | {what: "something else"}))
    with raises_code(ConfigError, "other-labels"):
        write_labels(SyntheticSource(count=2), ConstantEstimator(), folder, every_seconds=0, max_pictures=2)
