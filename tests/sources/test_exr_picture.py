"""OpenEXR: linear light becomes sRGB with square pixels, and what cannot be read is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.errors import raises_code

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.picture_file import load_picture, read_picture

OpenEXR = pytest.importorskip("OpenEXR")


def write(path: Path, channels: dict[str, np.ndarray], **attributes: Any) -> Path:
    OpenEXR.File({"type": OpenEXR.scanlineimage, **attributes}, channels).write(str(path))
    return path


def ramp(kind: type = np.float32) -> np.ndarray:
    """Returns (6, 8) light that becomes brighter to the right."""
    return np.repeat(np.linspace(0, 1, 8, dtype=kind)[None], 6, axis=0)


def in_srgb(light: float) -> int:
    return round(255 * (1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("channels", ["RGB", "RGBA", "Y"])
def test_exr_is_linear_light_and_becomes_srgb(tmp_path: Path, channels: str, kind: type) -> None:
    linear = np.array([[0, 0.0031308, 0.2158605, 1, 7, np.nan]] * 4, kind)
    planes = dict.fromkeys(channels, linear) | ({"A": np.ones_like(linear)} if "A" in channels else {})
    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write(str(tmp_path / "p.1001.exr"))
    assert read_picture(tmp_path / "p.1001.exr")[2, :, 1].tolist() == [0, 10, 128, 255, 255, 0]
    with raises_code(SourceOpenError, "too-large"):
        read_picture(tmp_path / "p.1001.exr", max_side_px=5)
    (tmp_path / "bad.exr").write_bytes((tmp_path / "p.1001.exr").read_bytes()[:200])
    with raises_code(SourceOpenError, "undecodable"):
        read_picture(tmp_path / "bad.exr")


def test_exr_is_transparent_by_its_alpha(tmp_path: Path) -> None:
    planes = {name: np.array([[0, 0.5, 0.25]] * 2, np.float32) for name in "RGB"}  # multiplied by alpha already
    planes["A"] = np.array([[0, 1, 0.25]] * 2, np.float32)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write(str(tmp_path / "p.exr"))
    picture = load_picture(tmp_path / "p.exr")
    in_linear_light = 0.25 + 0.75 * ((128 / 255 + 0.055) / 1.055) ** 2.4
    expected = [128, 188, round(255 * (1.055 * in_linear_light ** (1 / 2.4) - 0.055))]
    assert picture.pixels[1, :, 2].tolist() == expected
    assert picture.valid[1].tolist() == [False, True, False]


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_gray_with_alpha(tmp_path: Path, kind: type) -> None:
    is_opaque = np.tile(np.arange(8) >= 2, (6, 1))
    planes = {"Y": np.where(is_opaque, 0.5, 0).astype(kind), "A": is_opaque.astype(kind)}
    picture = load_picture(write(tmp_path / "p.exr", planes))
    assert picture.pixels[3, :, 0].tolist() == [128] * 2 + [in_srgb(0.5)] * 6
    np.testing.assert_array_equal(picture.valid, is_opaque)


def test_pixels_become_square(tmp_path: Path) -> None:
    planes = dict.fromkeys("RGB", ramp()) | {"A": np.ones((6, 8), np.float32)}
    planes["A"][:, :4] = 0
    path = write(tmp_path / "p.exr", planes, pixelAspectRatio=2.0)
    picture = load_picture(path)
    assert picture.pixels.shape == (6, 16, 3)
    assert picture.pixels[2, -1].tolist() == [255] * 3
    np.testing.assert_array_equal(picture.valid[0], np.arange(16) >= 8)
    assert read_picture(write(tmp_path / "narrow.exr", planes, pixelAspectRatio=0.5)).shape == (6, 4, 3)
    with raises_code(SourceOpenError, "too-large"):
        read_picture(path, max_side_px=15)
    odd = load_picture(write(tmp_path / "odd.exr", planes, pixelAspectRatio=100.0))
    assert odd.pixels.shape == (6, 8, 3)
    assert any("implausible" in text for text in odd.notices("odd.exr"))


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ({f"beauty.{color}": ramp() for color in "RGB"}, r"layers \(beauty\)"),
        ({"R": ramp(np.float16), "G": ramp(), "B": ramp()}, "different types.*R half"),
        ({"Z": ramp()}, "the channels Z, and none named R"),
        ({"R": ramp(), "G": ramp()}, "the channels G, R, and none"),
        (dict.fromkeys("RGB", (ramp() * 1000).astype(np.uint32)), "whole numbers"),
    ],
)
def test_channels_that_are_no_picture_are_explained(
    tmp_path: Path, channels: dict[str, np.ndarray], reason: str
) -> None:
    with raises_code(SourceOpenError, "unknown-pixels", naming=reason):
        read_picture(write(tmp_path / "p.exr", channels))


def test_further_parts_and_other_primaries_are_announced(tmp_path: Path) -> None:
    colors, dark = dict.fromkeys("RGB", ramp()), dict.fromkeys("RGB", ramp() / 4)
    sides = {"left": colors, "right": dark}
    parts = [OpenEXR.Part({"type": OpenEXR.scanlineimage}, planes, name) for name, planes in sides.items()]
    OpenEXR.File(parts).write(str(tmp_path / "stereo.exr"))
    picture = load_picture(tmp_path / "stereo.exr")
    assert picture.pixels[0, -1].tolist() == [255] * 3
    assert any("2 parts" in text for text in picture.notices("stereo.exr"))
    ap0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    bt709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
    for stated, count in ((ap0, 2), (bt709, 1)):
        notices = load_picture(write(tmp_path / "p.exr", colors, chromaticities=stated)).notices("p.exr")
        assert [("primaries" in text) for text in notices] == [False, True][:count]


def test_the_display_window_is_limited_too(tmp_path: Path) -> None:
    window = (np.array([0, 0], np.int32), np.array([99, 5], np.int32))
    path = write(tmp_path / "p.exr", dict.fromkeys("RGB", ramp()), displayWindow=window)
    with raises_code(SourceOpenError, "too-large"):
        read_picture(path, max_side_px=50)


def test_a_header_that_is_cut_off(tmp_path: Path) -> None:
    data = write(tmp_path / "p.exr", dict.fromkeys("RGB", ramp())).read_bytes()
    for length in (4, 8, 20, 60, 150):
        (tmp_path / "cut.exr").write_bytes(data[:length])
        with raises_code(SourceOpenError, "undecodable"):
            read_picture(tmp_path / "cut.exr")
