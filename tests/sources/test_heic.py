"""HEIC photos: of one tile by PyAV alone, of several by the extra `heic`, and a plain word where that is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.heif import write_tiled_heic
from helpers.media import quarters

from streamdepth.core.errors import MissingDependencyError
from streamdepth.sources.images import ImagesSource
from streamdepth.sources.picture_file import load_picture

pytestmark = pytest.mark.skipif("libx265" not in av.codecs_available, reason="PyAV has no HEVC encoder")


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [(150, 100), (64, 64)])
def test_tiles_are_joined_cut_and_turned(tmp_path: Path, turns: int, size: tuple[int, int]) -> None:
    pytest.importorskip("pi_heif")
    path = write_tiled_heic(tmp_path / "IMG_0001.HEIC", quarters(*size), quarter_turns=turns)
    picture = load_picture(path)
    expected = np.rot90(quarters(*size), turns)
    assert picture.pixels.shape == expected.shape
    assert picture.notices(str(path)) == []
    assert np.abs(picture.pixels.astype(int) - expected).mean() < 4  # 4:2:0 blurs the edges between the quarters


def test_a_missing_extra_is_told_with_the_command_that_installs_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    path = write_tiled_heic(tmp_path / "a.heic", quarters(150, 100))
    for read in (load_picture, lambda path: ImagesSource(path).open()):
        with raises_code(MissingDependencyError, "missing-dependency", naming=r'pip install "?.*heic'):
            read(path)
