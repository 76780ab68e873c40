from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamdepth.errors import SourceOpenError
from streamdepth.evaluation.accuracy import align, evaluate, score
from streamdepth.evaluation.datasets import read_pairs
from streamdepth.testing import ConstantEstimator, SyntheticSource
from streamdepth.types import DepthKind


def write_pairs(root: Path, name: str, count: int = 4, width: int = 96, height: int = 72) -> None:
    """A data set as `read_pairs` takes it: the synthetic scene, in millimetres."""
    source = SyntheticSource(count=count, width=width, height=height)
    for folder in ("rgb", "depth"):
        (root / name / folder).mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(root / name / "rgb" / f"{i:04d}.jpg"), source.image_at(i)[..., ::-1])
        millimetres = (source.depth_at(i) * 1000).astype(np.uint16)
        millimetres[0] = 0
        cv2.imwrite(str(root / name / "depth" / f"{i:04d}.png"), millimetres)
    (root / "index.json").write_text(json.dumps({name: {"depth_scale": 1000}}))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (3.0, -2.0), (0.01, 5.0)])
def test_alignment_finds_scale_and_shift(scale: float, shift: float) -> None:
    truth = np.random.default_rng(0).uniform(0.5, 9, (20, 30)).astype(np.float32)
    prediction = ((1 / truth - shift) / scale).astype(np.float32)
    np.testing.assert_allclose(align(prediction, truth), truth, rtol=2e-3)


def test_alignment_of_a_flat_map_is_the_mean_and_unknown_truth_does_not_count() -> None:
    truth = np.full((4, 4), 2.0, np.float32)
    truth[0] = np.nan
    np.testing.assert_allclose(align(np.full((4, 4), 7.0, np.float32), truth), 2.0)


def test_scores_in_closed_form() -> None:
    truth = np.full((10, 10), 2.0, np.float32)
    truth[0] = np.nan
    exact, off = score(truth.copy(), truth), score(truth * np.float32(1.5), truth)
    assert (exact.abs_rel, exact.rmse_m, exact.log10, exact.delta1) == (0, 0, 0, 1)
    assert off.abs_rel == pytest.approx(0.5)
    assert off.rmse_m == pytest.approx(1.0)
    assert off.log10 == pytest.approx(np.log10(1.5), rel=1e-6)
    assert off.delta1 == 0


def test_evaluate_reads_a_folder(tmp_path: Path) -> None:
    write_pairs(tmp_path, "mine")
    pairs = list(read_pairs(tmp_path, "mine", border=4))
    assert pairs[0].image.shape == (64, 88, 3)
    assert np.nanmin(pairs[0].depth) == pytest.approx(1.5)
    scores, count, seconds = evaluate(pairs, ConstantEstimator(kind=DepthKind.METRIC))
    assert count == 4
    assert seconds > 0
    assert 0 <= scores.delta1 < 0.2


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda root: (root / "index.json").unlink(), "depth_scale"),
        (lambda root: (root / "mine/depth/0001.png").unlink(), "0001.png"),
        (lambda root: [p.unlink() for p in (root / "mine/rgb").iterdir()], "no pictures"),
    ],
)
def test_a_broken_set_says_what_is_missing(tmp_path: Path, break_it, says: str) -> None:
    write_pairs(tmp_path, "mine")
    break_it(tmp_path)
    with pytest.raises(SourceOpenError, match=says):
        list(read_pairs(tmp_path, "mine"))
