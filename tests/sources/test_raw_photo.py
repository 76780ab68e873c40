"""Raw photos: the large preview within them is read, never a thumbnail."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.tiff import COMPRESSION, HEIGHT, ORIENTATION, PHOTOMETRIC, WIDTH, Page, make_tiff, page_of
from PIL import Image

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.picture_file import load_picture

JPEG_OFFSET, JPEG_SIZE, JPEG, COLOR_FILTER_ARRAY, YCBCR = 513, 514, 7, 32803, 6
THUMBNAIL = page_of(np.full((30, 40, 3), 99, np.uint8), 2)
SENSOR = page_of(np.zeros((48, 64), np.uint16), COLOR_FILTER_ARRAY)


def jpeg(width: int, height: int) -> bytes:
    """Returns a picture that is red at its left."""
    picture, out = Image.new("RGB", (width, height), (20, 20, 20)), io.BytesIO()
    picture.paste((200, 20, 20), (0, 0, width // 2, height))
    picture.save(out, "JPEG")
    return out.getvalue()


def preview(width: int, height: int) -> Page:
    """Returns a preview as DNG has it."""
    tags = {WIDTH: [width], HEIGHT: [height], COMPRESSION: [JPEG], PHOTOMETRIC: [YCBCR]}
    return Page(tags, [jpeg(width, height)])


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_the_largest_preview_is_read_upright_and_announced(tmp_path: Path) -> None:
    first = THUMBNAIL._replace(tags={**THUMBNAIL.tags, ORIENTATION: [6]})
    data = make_tiff(first, SENSOR, preview(320, 240), preview(800, 600), preview(160, 120))
    picture = load_picture(write(tmp_path / "photo.dng", data))
    assert picture.pixels.shape == (800, 600, 3)
    assert np.abs(picture.pixels[100, 300].astype(int) - (200, 20, 20)).max() <= 3, "its left is now at the top"
    assert np.abs(picture.pixels[700, 300].astype(int) - 20).max() <= 3
    assert any("preview of 600x800 px" in text for text in picture.notices("photo.dng"))


def test_a_preview_without_strips(tmp_path: Path) -> None:
    """NEF and ARW say where the JPEG begins and ends."""
    content = jpeg(800, 600)
    head = make_tiff(THUMBNAIL, SENSOR, Page({JPEG_OFFSET: [0], JPEG_SIZE: [len(content)]}))
    data = make_tiff(THUMBNAIL, SENSOR, Page({JPEG_OFFSET: [len(head)], JPEG_SIZE: [len(content)]})) + content
    assert load_picture(write(tmp_path / "photo.nef", data)).pixels.shape == (600, 800, 3)


def test_the_preview_of_a_cr2_whose_sensor_data_are_not_marked(tmp_path: Path) -> None:
    plain = make_tiff(preview(800, 600))
    start = int.from_bytes(plain[4:8], "little")
    mark = b"CR\x02\0"  # between the header and the pictures, which move by as much
    moved = preview(800, 600)
    tags = {**moved.tags, 273: [8 + len(mark)], 279: [len(moved.strips[0])]}
    directory = make_tiff(Page(tags))[8:]
    data = plain[:4] + (start + len(mark)).to_bytes(4, "little") + mark + moved.strips[0] + directory
    picture = load_picture(write(tmp_path / "photo.cr2", data))
    assert picture.pixels.shape == (600, 800, 3)
    assert any("raw photo" in text for text in picture.notices("photo.cr2"))


@pytest.mark.parametrize("within", [[SENSOR], [SENSOR, preview(320, 240)]])
def test_a_raw_photo_with_thumbnails_only_is_refused(tmp_path: Path, within: list[Page]) -> None:
    with raises_code(SourceOpenError, "raw-photo", naming="export it as JPEG or TIFF"):
        load_picture(write(tmp_path / "photo.dng", make_tiff(THUMBNAIL, *within)))


def test_other_pages_within_a_tiff_change_nothing(tmp_path: Path) -> None:
    data = make_tiff(THUMBNAIL, preview(800, 600))
    assert load_picture(write(tmp_path / "photo.tiff", data)).pixels.shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda data: data[:-4] + data[4:8], "raw-photo"),  # the next page is this one
        (lambda data: data[:-4], "raw-photo"),
        (lambda data: data[:4] + b"\xff\xff\xff\x7f" + data[8:], "undecodable"),
        (lambda data: data[:4], "undecodable"),
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
def test_a_damaged_raw_photo_is_one_clear_error(tmp_path: Path, damage: Callable[[bytes], bytes], code: str) -> None:
    with raises_code(SourceOpenError, code):
        load_picture(write(tmp_path / "photo.dng", damage(make_tiff(SENSOR))))
