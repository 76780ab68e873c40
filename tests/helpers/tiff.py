"""TIFF files with any tags, which no library at hand writes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_SIZES, PLANES = 273, 274, 277, 278, 279, 284
SUB_DIRECTORIES, SAMPLE_FORMAT = 330, 339


class Page(NamedTuple):
    """One picture of a TIFF."""

    tags: Mapping[int, Sequence[int]]
    strips: Sequence[bytes] = ()


def page_of(pixels: np.ndarray, photometric: int, more: Mapping[int, int] | None = None) -> Page:
    """Returns a page of (H, W) gray or (H, W, 3) unsigned integers.

    Args:
        pixels: uint8, uint16 or uint32; with `PLANES: 2` among the tags the colors are stored one after the other.
        photometric: kind of the colors, such as 1 for gray and 2 for RGB.
        more: further tags.
    """
    tags = dict(more or {})
    height, width, *rest = pixels.shape
    colors = rest[0] if rest else 1
    is_separate = tags.get(PLANES) == 2
    strips = [pixels[..., i].tobytes() for i in range(colors)] if is_separate else [pixels.tobytes()]
    described = {
        WIDTH: [width],
        HEIGHT: [height],
        BITS: [pixels.dtype.itemsize * 8] * colors,
        COMPRESSION: [1],
        PHOTOMETRIC: [photometric],
        SAMPLES: [colors],
        STRIP_ROWS: [height],
    }
    return Page(described | {tag: [value] for tag, value in tags.items()}, strips)


def make_tiff(page: Page, *within: Page) -> bytes:
    """Returns a little-endian TIFF of one page, which refers to the pages `within` it, as raw photos do."""
    out = bytearray(b"II*\0\0\0\0\0")
    inner = [_add(out, each) for each in within]
    last = _add(out, page._replace(tags={**page.tags, **({SUB_DIRECTORIES: inner} if inner else {})}))
    out[4:8] = struct.pack("<I", last)
    return bytes(out)


def _add(out: bytearray, page: Page) -> int:
    """Appends a page, and returns where its directory begins."""
    tags = dict(page.tags)
    if page.strips:
        starts = [len(out) + sum(map(len, page.strips[:i])) for i in range(len(page.strips))]
        tags |= {STRIP_OFFSETS: starts, STRIP_SIZES: [len(strip) for strip in page.strips]}
        out += b"".join(page.strips)
    entries = b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            at = struct.pack("<I", len(out))
            out += packed
            packed = at
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    start = len(out)
    out += struct.pack("<H", len(tags)) + entries + bytes(4)
    return start
