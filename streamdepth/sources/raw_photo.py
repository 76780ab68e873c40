"""Raw photos of cameras (DNG, NEF, CR2, ARW and others built on TIFF): the large preview that they hold is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image as Pillow
from PIL import ImageFile

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.untrusted_picture import map_picture_errors, open_picture

_HEADERS = {b"II*\0": "<", b"MM\0*": ">"}
"""First bytes of a TIFF -> the order of bytes in its numbers, as `struct` writes it."""
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I"}
"""Types of TIFF's values -> the same as `struct` writes them."""
_COMPRESSION, _PHOTOMETRIC, _STRIP_OFFSETS, _STRIP_SIZES = 259, 262, 273, 279
_SUB_DIRECTORIES, _JPEG_OFFSET, _JPEG_SIZE = 330, 513, 514
"""Tags of TIFF."""
_SENSOR_DATA = (32803, 34892)
"""Kinds of pixels (TIFF/EP and DNG): one color each, as behind a color filter array, and linear RGB of the sensor."""
_JPEG_COMPRESSIONS = (6, 7)
_CANON = b"CR"
"""Mark of a CR2 at its 9th byte, whose sensor data have no kind of pixels."""
_MAX_DIRECTORIES, _MAX_TAGS, _MAX_VALUES = 32, 512, 64
_LEAST_SIDE_PX = 640
"""Smaller previews are thumbnails, of which depth would be too coarse."""

Tags = dict[int, tuple[int, ...]]
"""Numbers of the tags of a directory, which describes one picture of a TIFF, and their values."""


def is_raw_photo(data: bytes) -> bool:
    """True for the content of a TIFF that holds the data of a camera's sensor."""
    is_canon = data[:4] in _HEADERS and data[8:10] == _CANON
    return is_canon or any(_holds_sensor_data(tags) for tags in _directories(data))


def open_preview(data: bytes, name: str, max_side_px: int) -> tuple[ImageFile.ImageFile, Pillow.Exif]:
    """Returns the largest preview of a raw photo, a JPEG that is not decoded yet, and the EXIF of the photo.

    Raises SourceOpenError ("raw-photo") where no preview has a side of 640 px.
    """
    preview = max(_previews(data, name, max_side_px), key=lambda found: found.width * found.height, default=None)
    if preview is None or max(preview.size) < _LEAST_SIDE_PX:
        largest = f"; the largest has {preview.width}x{preview.height} px" if preview else ""
        raise SourceOpenError(
            f"{name} is a raw photo of a camera; a JPEG preview of {_LEAST_SIDE_PX} px or more is read, and it holds "
            f"none{largest}; export it as JPEG or TIFF with a program for raw photos",
            code="raw-photo",
        )
    exif = Pillow.Exif()
    with map_picture_errors(name):
        exif.load(data)
    return preview, exif


def _previews(data: bytes, name: str, max_side_px: int) -> Iterator[ImageFile.ImageFile]:
    """Yields the previews that are JPEGs, without decoding them; those that are too large or damaged are left out."""
    for tags in _directories(data):
        starts, sizes = tags.get(_JPEG_OFFSET, ()), tags.get(_JPEG_SIZE, ())
        if not starts and tags.get(_COMPRESSION, (0,))[0] in _JPEG_COMPRESSIONS and not _holds_sensor_data(tags):
            starts, sizes = tags.get(_STRIP_OFFSETS, ()), tags.get(_STRIP_SIZES, ())
        if not len(starts) == len(sizes) == 1:
            continue
        try:
            part = data[starts[0] : starts[0] + sizes[0]]
            yield open_picture(part, name, max_side_px=max_side_px, formats=("JPEG",))
        except SourceOpenError:
            continue


def _directories(data: bytes) -> Iterator[Tags]:
    """Yields the directories of a TIFF, and those within them; damaged ones are left out."""
    order = _HEADERS.get(data[:4])
    if order is None or len(data) < 8:
        return
    waiting, seen = list(struct.unpack_from(f"{order}I", data, 4)), set[int]()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if not offset or offset in seen:
            continue
        seen.add(offset)
        try:
            tags, following = _read_directory(data, order, offset)
        except struct.error:
            continue
        yield tags
        waiting += [following, *tags.get(_SUB_DIRECTORIES, ())]


def _read_directory(data: bytes, order: str, offset: int) -> tuple[Tags, int]:
    """Returns the tags of integers, and where the next directory is, or 0. Raises struct.error if tags are cut off."""
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    end = offset + 2 + 12 * count
    tags: Tags = {}
    for entry in range(offset + 2, end, 12)[:_MAX_TAGS]:
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, entry)
        if kind not in _INTEGERS or not 0 < number <= _MAX_VALUES:
            continue
        values = f"{order}{number}{_INTEGERS[kind]}"
        start = entry + 8
        if struct.calcsize(values) > 4:
            (start,) = struct.unpack_from(f"{order}I", data, start)
        tags[tag] = struct.unpack_from(values, data, start)
    return tags, int.from_bytes(data[end : end + 4], "little" if order == "<" else "big")


def _holds_sensor_data(tags: Tags) -> bool:
    return tags.get(_PHOTOMETRIC, (0,))[0] in _SENSOR_DATA
