from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.pairs import write_pairs

from streamdepth.core.errors import SourceOpenError
from streamdepth.training import pack
from streamdepth.training.pack import BITS, SHORT_SIDE, is_pack, read_packed, write_pack
from streamdepth.training.sampler import make_sampler
from streamdepth.training.samples import NEAREST, Sample, make_sample, read_samples
from streamdepth.training.settings import make_settings


def sample(height: int = 48, width: int = 64, seed: int = 0) -> Sample:
    ramp = np.linspace(1, NEAREST, width).astype(np.uint16)[None].repeat(height, 0)
    ramp[:4] = 0
    image = np.full((height, width, 3), (200, 100, 20 + seed), np.uint8)
    return make_sample(image, ramp, 1.0)


def test_what_is_packed_comes_back_nearly_as_it_was(tmp_path: Path) -> None:
    first = sample()
    assert len(write_pack(tmp_path, [("rooms", [first])])) == 1
    (again,) = read_packed(tmp_path, "rooms", "exact")
    assert np.abs(again.image.astype(int) - first.image).max() < 8
    assert np.abs(again.codes.astype(int) - first.codes).max() <= NEAREST / 2**BITS
    assert ((again.codes == 0) == (first.codes == 0)).all()
    assert again.detail_weight == 1.0


def test_large_pictures_shrink(tmp_path: Path) -> None:
    write_pack(tmp_path, [("a", [sample(2 * SHORT_SIDE, 3 * SHORT_SIDE)])])
    assert read_packed(tmp_path, "a", "exact")[0].codes.shape == (SHORT_SIDE, 1.5 * SHORT_SIDE)


def test_parts_keep_their_size_and_sets_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "PART_BYTES", 1200)
    many = [sample(seed=10 * i) for i in range(5)]
    parts = write_pack(tmp_path, [("a", many), ("ab", many[:1])])
    assert len(parts) > 1
    assert all(part.stat().st_size <= 2 * 1200 for part in parts)
    back = read_packed(tmp_path, "a", "sensor")
    assert [round(s.image[..., 2].mean() / 10) for s in back] == [2, 3, 4, 5, 6]
    assert len(read_packed(tmp_path, "ab", "sensor")) == 1


def test_a_pack_takes_the_place_of_the_folders(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "sets", "mine")
    write_pack(tmp_path / "packed", [("mine", read_samples(folder, "exact"))])
    assert is_pack(tmp_path / "packed")
    assert not is_pack(tmp_path / "sets")
    settings = make_settings({"sets": [{"name": "mine"}]})
    views, _ = make_sampler(tmp_path / "packed", settings, torch.device("cpu"))
    assert len(views.sets[0]) == 4
    with pytest.raises(SourceOpenError, match="other"):
        make_sampler(tmp_path / "packed", make_settings({"sets": [{"name": "other"}]}), torch.device("cpu"))


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-00.zip").write_bytes(b"no archive")
    with pytest.raises(SourceOpenError, match=r"part-00\.zip"):
        read_packed(tmp_path, "a", "exact")
