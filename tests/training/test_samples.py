from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.pairs import write_pairs

from streamdepth.training.samples import FARTHEST, NEAREST, SHORT_SIDE, encode, is_usable, read_samples


def test_codes_rise_linearly_with_inverse_depth() -> None:
    inverse = np.array([[0.0, 0.25, 0.5, 1.0, np.nan]], np.float32)
    codes = encode(inverse)[0].astype(int)
    assert (codes[0], codes[3], codes[4]) == (FARTHEST, NEAREST, 0)
    assert codes[2] - codes[1] == pytest.approx(codes[1] - codes[0], rel=0.01)


def test_what_is_infinitely_far_is_farthest_and_unknown_stays_unknown(tmp_path: Path) -> None:
    write_pairs(tmp_path, "mine", count=1, infinity=65535)
    depth = np.linspace(1000, 3000, 96, dtype=np.uint16)[None].repeat(72, 0)
    depth[:20], depth[20:40] = 65535, 0
    cv2.imwrite(str(tmp_path / "mine" / "depth" / "0000.png"), depth)
    (sample,) = read_samples(tmp_path / "mine", "sensor")
    assert (sample.codes[:20] == FARTHEST).all()
    assert not sample.codes[20:40].any()
    assert (np.diff(sample.codes[50].astype(int)) < 0).all()


def test_disparity_and_depth_of_one_scene_become_the_same_codes(tmp_path: Path) -> None:
    depth = np.linspace(1000, 4000, 96)[None].repeat(72, 0)
    for name, values in (("meters", depth), ("disparity", 4e6 / depth)):
        write_pairs(tmp_path / name, "mine", count=1)
        cv2.imwrite(str(tmp_path / name / "mine" / "depth" / "0000.png"), values.round().astype(np.uint16))
    facts = {"mine": {"scale": 1000, "kind": "inverse", "affine": True}}
    (tmp_path / "disparity" / "index.json").write_text(json.dumps(facts))
    first, second = (read_samples(tmp_path / name / "mine", "exact")[0].codes for name in ("meters", "disparity"))
    assert np.abs(first.astype(int) - second).max() < 0.005 * NEAREST


def test_large_pictures_shrink_and_keep_every_known_point(tmp_path: Path) -> None:
    write_pairs(tmp_path, "mine", count=1, width=4 * SHORT_SIDE, height=2 * SHORT_SIDE)
    depth = np.zeros((2 * SHORT_SIDE, 4 * SHORT_SIDE), np.uint16)
    depth[1::8, 1::8] = np.linspace(1000, 9000, SHORT_SIDE // 2, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "mine" / "depth" / "0000.png"), depth)
    (sample,) = read_samples(tmp_path / "mine", "sparse")
    assert sample.codes.shape == sample.image.shape[:2] == (SHORT_SIDE, 2 * SHORT_SIDE)
    assert np.count_nonzero(sample.codes) == np.count_nonzero(depth)


def _slope() -> np.ndarray:
    return np.linspace(0.5, 1, 64, dtype=np.float32)[None].repeat(64, 0)


def test_a_slope_is_worth_learning() -> None:
    assert is_usable(_slope())


@pytest.mark.parametrize("fault", ["unknown", "flat", "noise"])
def test_flat_broken_and_unknown_truth_is_left_out(fault: str) -> None:
    inverse = _slope()
    if fault == "unknown":
        inverse[1:] = np.nan
    elif fault == "flat":
        inverse = 0.5 + 0.005 * inverse
    else:
        inverse = np.random.default_rng(0).uniform(0.5, 1, inverse.shape).astype(np.float32)
    assert not is_usable(inverse)


def test_affine_truth_has_no_zero_to_be_flat_against() -> None:
    assert is_usable(100 + 0.005 * _slope(), is_affine=True)
    assert not is_usable(np.ones((64, 64), np.float32), is_affine=True)
