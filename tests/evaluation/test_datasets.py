from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.pairs import write_pairs

from streamdepth.core.errors import SourceOpenError
from streamdepth.evaluation.datasets import DepthDataset


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    write_pairs(tmp_path, "mine")
    pairs = list(DepthDataset(tmp_path / "mine").pairs(border=4))
    assert [pair.name for pair in pairs] == ["0000", "0001", "0002", "0003"]
    assert pairs[0].image.shape == (64, 88, 3)
    assert pairs[0].depth.shape == (64, 88)
    assert np.nanmin(pairs[0].depth) == pytest.approx(1.5)
    assert np.isnan(next(DepthDataset(tmp_path / "mine").pairs()).depth[0]).all()


def test_some_of_a_folder(tmp_path: Path) -> None:
    data = DepthDataset(write_pairs(tmp_path, "mine", count=7))
    assert len(data) == 7
    assert data.names(every=3) == ["0000", "0003", "0006"]
    assert data.names(every=3, limit=2) == ["0000", "0003"]
    assert [pair.name for pair in data.pairs(["0003"])] == ["0003"]


def test_the_value_of_infinity(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, "mine", count=1, infinity=65535)
    values = np.array([[0, 1000, 65535]], np.uint16)
    cv2.imwrite(str(folder / "depth/0000.png"), values)
    depth = next(DepthDataset(folder).pairs()).depth
    np.testing.assert_array_equal(depth, np.array([[np.nan, 1, np.inf]], np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_both_depths_of_png(tmp_path: Path, dtype: type) -> None:
    folder = write_pairs(tmp_path, "mine", count=1, depth_scale=25.5)
    cv2.imwrite(str(folder / "depth/0000.png"), np.array([[0, 51, 255]], dtype))
    np.testing.assert_allclose(next(DepthDataset(folder).pairs()).depth, [[np.nan, 2, 10]])


def test_the_index_inside_the_folder_wins_and_may_leave_out_the_name(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, "mine", crop="eigen", max_depth=80)
    assert (DepthDataset(folder).crop, DepthDataset(folder).max_depth_m) == ("eigen", 80)
    (folder / "index.json").write_text(json.dumps({"depth_scale": 500}))
    assert DepthDataset(folder).depth_scale == 500
    assert DepthDataset(folder).crop == "none"


def test_the_scale_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pairs(tmp_path, "mine")
    (tmp_path / "index.json").unlink()
    monkeypatch.chdir(folder)
    data = DepthDataset(Path("."), depth_scale=250)
    assert (data.name, data.depth_scale) == ("mine", 250)


def test_pictures_of_other_sizes_than_their_depth(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, "mine", count=1)
    cv2.imwrite(str(folder / "rgb/0000.jpg"), np.zeros((30, 50, 3), np.uint8))
    pair = next(DepthDataset(folder).pairs())
    assert (pair.image.shape, pair.depth.shape) == ((30, 50, 3), (72, 96))


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("break_it", "code", "fact"),
    [
        (lambda root: (root / "index.json").unlink(), "bad-index", "--depth-scale"),
        (lambda root: (root / "index.json").write_text("{}"), "bad-index", "depth_scale"),
        (lambda root: (root / "index.json").write_text("[1"), "bad-index", "index.json"),
        (lambda root: (root / "index.json").write_text('{"mine": {"depth_scale": -1}}'), "bad-index", "-1"),
        (lambda root: (root / "index.json").write_text('{"mine": {"depth_scale": Infinity}}'), "bad-index", "inf"),
        (lambda root: (root / "mine/depth/0001.png").unlink(), "unpaired", "rgb/0001"),
        (lambda root: (root / "mine/rgb/0002.jpg").unlink(), "unpaired", "depth/0002"),
        (lambda root: [p.unlink() for p in (root / "mine/rgb").iterdir()], "empty", "rgb"),
        (lambda root: (root / "mine/depth").rename(root / "mine/deep"), "not-found", "depth"),
        (lambda root: _cut_off(root / "mine/rgb/0001.jpg"), "undecodable", "0001.jpg"),
        (lambda root: _cut_off(root / "mine/depth/0001.png"), "undecodable", "0001.png"),
        (
            lambda root: cv2.imwrite(str(root / "mine/depth/0001.png"), np.zeros((4, 4, 3), np.uint8)),
            "not-depth",
            "gray PNG",
        ),
    ],
)
def test_a_broken_set_says_what_is_wrong(tmp_path: Path, break_it, code: str, fact: str) -> None:
    write_pairs(tmp_path, "mine")
    break_it(tmp_path)
    with raises_code(SourceOpenError, code) as caught:
        list(DepthDataset(tmp_path / "mine").pairs())
    assert fact in str(caught.value)


def test_a_folder_of_sets_is_not_a_set(tmp_path: Path) -> None:
    write_pairs(tmp_path, "mine")
    with raises_code(SourceOpenError, "not-found") as caught:
        DepthDataset(tmp_path)
    assert str(tmp_path / "mine") in str(caught.value)
