"""Pictures that anybody may have made: only the formats that are meant, and what they cost is known before decoding."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import http_server
from helpers.errors import raises_code
from PIL import Image

from streamdepth.core.errors import SourceOpenError, SourceTimeoutError
from streamdepth.evaluation.steadiness.inputs import open_depth
from streamdepth.sources import web_picture
from streamdepth.sources.picture_file import read_depth_png, read_picture, read_picture_file
from streamdepth.sources.untrusted_picture import MAX_SCANS, count_scans, open_picture

READERS: dict[str, Callable[[Path], object]] = {
    "read_picture": read_picture,
    "read_picture_file": read_picture_file,
    "read_depth_png": lambda path: read_depth_png(path, 1000),
    "open_depth": lambda path: open_depth(path.parent),
}
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n"


def webp(width: int, height: int, kind: str) -> bytes:
    """Returns a WebP file that is little more than its header."""
    if kind == "VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == "VP8L":
        body = b"\x2f" + (width - 1 | (height - 1) << 14).to_bytes(4, "little") + bytes(8)
    else:
        body = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(8)
    chunk = kind.encode() + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def png(width: int, height: int) -> bytes:
    """Returns a gray PNG with the header of a large picture and hardly any data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def jpeg_of_scans(count: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Returns a progressive JPEG whose last scan is repeated until there are `count`."""
    file = io.BytesIO()
    Image.new("RGB", size, (90, 120, 30)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * (count - count_scans(data) + 1) + data[-2:]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [POSTSCRIPT, b"#define a_width 9\n#define a_height 9\n", b"8BPS\0\1" + bytes(99)])
def test_a_name_that_ends_in_png_makes_no_other_format_a_picture(tmp_path: Path, reader: str, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    started_at = time.monotonic()
    with pytest.raises(SourceOpenError) as caught:
        READERS[reader](tmp_path / "a.png")
    assert caught.value.code in ("unknown-format", "no-depth")
    assert time.monotonic() - started_at < 10


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_the_formats_that_are_meant(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (9, 99, 200)).save(file, kind)
    assert open_picture(file.getvalue(), "it").size == (8, 6)
    with raises_code(SourceOpenError, "unknown-format"):
        open_picture(file.getvalue(), "it", formats=["JPEG"] if kind != "JPEG" else ["PNG"])


@pytest.mark.parametrize("kind", ["VP8X", "VP8L", "VP8 "])
def test_the_size_of_a_webp_is_read_from_its_header(kind: str) -> None:
    for size in ((16383, 16383), (16383, 4097), (4097, 16383)):
        with raises_code(SourceOpenError, "too-large"):
            open_picture(webp(*size, kind), "it")
    with raises_code(SourceOpenError, "too-large", naming="100x60"):
        open_picture(webp(100, 60, kind), "it", max_side_px=99)
    with raises_code(SourceOpenError, "undecodable"):
        read = open_picture(webp(100, 60, kind)[:22], "it")
        read.load()


def test_a_number_of_pixels_of_our_own() -> None:
    with raises_code(SourceOpenError, "too-large", naming="268"):
        open_picture(png(16384, 16384), "it")
    assert open_picture(png(16320, 12240), "it").size == (16320, 12240)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "MPO", "GIF", "BMP"])
def test_no_format_asks_for_the_limit_of_pillow(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 60), (9, 99, 200))
    image.save(tmp_path / "a", kind, **({"save_all": True, "append_images": [image]} if kind == "MPO" else {}))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_picture(tmp_path / "a").shape == (60, 80, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("tile", [(322, 60000), (323, 60000)])
def test_a_tiff_cannot_hide_large_tiles(tile: tuple[int, int]) -> None:
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1, 322: 16, 323: 16, 324: 300, 325: 256, tile[0]: tile[1]}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(600)
    with raises_code(SourceOpenError, "too-large"):
        open_picture(data, "it")


def test_a_jpeg_of_many_scans_is_refused_by_its_markers() -> None:
    usual = jpeg_of_scans(MAX_SCANS)
    assert count_scans(usual) == MAX_SCANS
    open_picture(usual, "it").load()
    with raises_code(SourceOpenError, "too-many-scans", naming="101"):
        open_picture(jpeg_of_scans(MAX_SCANS + 1), "it")


def test_markers_in_metadata_and_behind_the_end_are_no_scans() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG", comment=b"\xff\xda\0\2" * 500)
    assert count_scans(file.getvalue() + b"\xff\xda\0\2" * 500) == 1


def test_a_photo_of_a_phone_is_read_whole(tmp_path: Path) -> None:
    Image.new("L", (16000, 11500), 77).save(
        tmp_path / "a.png", compress_level=1
    )  # 184 megapixels: above Pillow's limit
    image = read_picture(tmp_path / "a.png")
    assert image.shape == (11500, 16000, 3)
    assert image[::1000, ::1000].min() == image[-1, -1].max() == 77


def test_gray_of_sixteen_bits_is_converted_a_few_rows_at_a_time(tmp_path: Path) -> None:
    values = np.arange(3000 * 2000, dtype=np.uint32).reshape(2000, 3000) % 65536
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "a.png")
    expected = (values * (255 / 65535) + 0.5).astype(np.uint8)
    assert (read_picture(tmp_path / "a.png")[..., 1] == expected).all()


def test_a_picture_that_comes_drop_by_drop_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_picture, "_TIMEOUT_SECONDS", 0.5)
    for head in (b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.0 200 OK\r\nX: "):
        with http_server.dripping(head, b"x", 0.1) as address, pytest.raises(SourceTimeoutError):
            read_picture(f"{address}/a.png")


def test_a_picture_that_is_cut_off_on_its_way_says_so() -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n"
    with http_server.dripping(head, b"x", 0, count=3) as address, pytest.raises(SourceOpenError):
        read_picture(f"{address}/a.png")
