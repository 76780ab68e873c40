"""Pictures with 16 or 32 bits a sample show what those of 8 bits show, however they are stored."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.tiff import ORIENTATION, PLANES, make_tiff, page_of

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.picture_file import LoadedPicture, load_picture

EIGHT = np.arange(24 * 32, dtype=np.uint32).reshape(24, 32) % 256
COLORS = np.dstack([EIGHT, 255 - EIGHT, EIGHT // 2])
GRAY, GRAY_ALPHA = 0, 4
"""Kinds of colors in a PNG."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2


def load(tmp_path: Path, data: bytes) -> LoadedPicture:
    (tmp_path / "picture").write_bytes(data)
    return load_picture(tmp_path / "picture")


def make_png(samples: np.ndarray, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Returns a PNG of 16 bits."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, kind, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        out += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return out


@pytest.mark.parametrize(
    ("pixels", "photometric", "tags"),
    [
        (COLORS, RGB, {ORIENTATION: 3}),
        (COLORS, RGB, {ORIENTATION: 6}),
        (EIGHT, BLACK_IS_ZERO, {ORIENTATION: 8}),
        (EIGHT, WHITE_IS_ZERO, {ORIENTATION: 6}),
        (COLORS, RGB, {PLANES: 2, ORIENTATION: 6}),
    ],
)
def test_a_tiff_of_16_bits_shows_what_8_bits_show(
    tmp_path: Path, pixels: np.ndarray, photometric: int, tags: dict[int, int]
) -> None:
    shown = [
        load(tmp_path, make_tiff(page_of(samples, photometric, tags)))
        for samples in (pixels.astype(np.uint8), (pixels * 257).astype(np.uint16))
    ]
    assert shown[0].pixels.std() > 10
    np.testing.assert_array_equal(shown[1].pixels, shown[0].pixels)


def test_a_tiff_of_16_bits_that_would_be_shown_wrongly_is_refused(tmp_path: Path) -> None:
    negative = make_tiff(page_of((EIGHT * 257).astype(np.uint16), WHITE_IS_ZERO))
    (first,) = struct.unpack_from("<I", negative, 4)
    big = b"II+\0\x08\0\0\0" + struct.pack("<Q", len(negative) + 8) + negative[8:]  # 64-bit offsets: unknown to libav
    entries = [struct.unpack_from("<HHII", negative, first + 2 + 12 * i) for i in range(9)]
    assert len(entries) == struct.unpack_from("<H", negative, first)[0]
    moved = [(tag, kind, count, value + 8 * (tag == 273)) for tag, kind, count, value in entries]
    directory = struct.pack("<Q", 9) + b"".join(struct.pack("<HHQQ", *entry) for entry in moved) + bytes(8)
    with raises_code(SourceOpenError, "unknown-pixels"):
        load(tmp_path, big + directory)


@pytest.mark.parametrize("magic", ["P5", "P6"])
@pytest.mark.parametrize("bits", [12, 16])
def test_a_ppm_of_any_depth_shows_what_8_bits_show(tmp_path: Path, magic: str, bits: int) -> None:
    pixels = EIGHT if magic == "P5" else COLORS
    samples = (pixels * (2**bits - 1) // 255).astype(">u2")
    picture = load(tmp_path, f"{magic}\n32 24\n65535\n".encode() + samples.tobytes())
    assert np.abs(picture.pixels.astype(int) - pixels.reshape(24, 32, -1)).max() <= 1
    assert bool(picture.notices("it")) == (bits < 16)


def test_gray_with_alpha_is_stretched_and_its_alpha_is_not(tmp_path: Path) -> None:
    alpha = np.where(np.arange(32) < 8, 0, 65535) + 0 * EIGHT
    picture = load(tmp_path, make_png(np.dstack([EIGHT * 4095 // 255, alpha]), GRAY_ALPHA))
    np.testing.assert_array_equal(picture.valid, alpha > 0)
    assert np.abs(picture.pixels[:, 8:, 1].astype(int) - EIGHT[:, 8:]).max() <= 1
    assert (picture.pixels[:, :8] == 128).all()


def test_a_level_of_gray_that_is_transparent(tmp_path: Path) -> None:
    samples = EIGHT * 257
    picture = load(tmp_path, make_png(samples, GRAY, (b"tRNS", struct.pack(">H", 7 * 257))))
    np.testing.assert_array_equal(picture.valid, EIGHT != 7)
    np.testing.assert_array_equal(picture.pixels[..., 0], np.where(EIGHT == 7, 128, EIGHT))


def test_unsigned_integers_of_32_bits_do_not_wrap_below_zero(tmp_path: Path) -> None:
    picture = load(tmp_path, make_tiff(page_of(EIGHT * 16_000_000, BLACK_IS_ZERO)))
    np.testing.assert_array_equal(picture.pixels[..., 0], EIGHT)
