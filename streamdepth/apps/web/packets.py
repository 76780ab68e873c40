"""One result as bytes for a page: a JPEG beside its depth, packed without loss beyond its 4095 levels."""

from __future__ import annotations

import enum
import json
import math
import struct
import zlib
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthFrame
from streamdepth.render.colors import display_range
from streamdepth.render.overlay import render

Codes = npt.NDArray[np.int16]
"""(h, w): 0 unknown, 1 to LEVELS from the least to the greatest known value, in equal steps."""
LEVELS = 4095


class Detail(enum.StrEnum):
    """How much a viewer gets."""

    FULL = "full"
    LIGHT = "light"


class _Limits(NamedTuple):
    picture_px: int
    depth_px: int
    quality: int


_LIMITS = {Detail.FULL: _Limits(960, 512, 80), Detail.LIGHT: _Limits(480, 192, 70)}
"""Longest sides in px, and the JPEG's quality."""


def pack(item: DepthFrame, detail: Detail) -> bytes:
    """A header's length (uint32, little-endian), the header (JSON), the picture (JPEG), the depth.

    Header: `picture` and `depth` are the lengths of what follows; `width, height` of the stream in px; `map` the
    width and height of the depth, the value of code 1 and a code's step, in the unit of `kind`; `range` to display;
    `camera` fx, fy, cx, cy as shares of width and height, null when unknown; `time` on the source's clock, `age` as in
    `DepthFrame`.
    """
    limits = _LIMITS[detail]
    picture = encode_jpeg(shrink(item.frame.image, limits.picture_px), limits.quality)
    depth = _shrink_depth(item.depth, limits.depth_px)
    codes, low, step = quantize(depth)
    packed = pack_codes(codes)
    width, height = item.frame.size
    header: dict[str, Any] = {
        "picture": len(picture),
        "depth": len(packed),
        "width": width,
        "height": height,
        "map": [depth.shape[1], depth.shape[0], low, step],
        "kind": item.kind.value,
        "range": _range(item),
        "camera": _camera(item, width, height),
        "index": item.frame.index,
        "time": round(item.frame.time, 4),
        "age": round(item.depth_age_seconds, 4),
        "cut": item.cut,
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return b"".join((struct.pack("<I", len(text)), text, picture, packed))


def _range(item: DepthFrame) -> tuple[float, float]:
    """What is displayed; the picture's own where it is not finite, which JSON has no words for."""
    given = item.range
    return given if given and all(map(math.isfinite, given)) else display_range(item.depth)


def _camera(item: DepthFrame, width: int, height: int) -> list[float] | None:
    c = item.intrinsics
    return None if c is None else [c.fx / width, c.fy / height, (c.cx + 0.5) / width, (c.cy + 0.5) / height]


def quantize(depth: DepthMap) -> tuple[Codes, float, float]:
    """Codes, the value of code 1, and the step from code to code; what is not finite becomes 0."""
    finite = np.isfinite(depth)
    is_whole = bool(finite.all())
    known = depth if is_whole else depth[finite]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    step = (high - low) / (LEVELS - 1) or 1.0
    scaled = (depth - np.float32(low)) * np.float32(1 / step) + np.float32(1.5)
    codes = (scaled if is_whole else np.where(finite, scaled, 0)).astype(np.int16)
    return codes, low, step


def pack_codes(codes: Codes) -> bytes:
    """Differences along each row, signs folded into the lowest bit, low bytes before high bytes, deflated."""
    steps = np.diff(codes, axis=1, prepend=np.int16(0))
    folded = ((steps << 1) ^ (steps >> 15)).astype("<u2")
    planes = folded.view(np.uint8).reshape(-1, 2).T.tobytes()
    deflater = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return deflater.compress(planes) + deflater.flush()


def _shrink_depth(depth: DepthMap, longest_px: int) -> DepthMap:
    height, width = depth.shape
    scale = longest_px / max(width, height)
    return depth if scale >= 1 else resize_depth(depth, max(1, round(width * scale)), max(1, round(height * scale)))


def shrink(image: Image, longest_px: int) -> Image:
    """The image, made smaller where its longer side is longer than that."""
    height, width = image.shape[:2]
    scale = longest_px / max(width, height)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR))


def encode_jpeg(image: Image, quality: int = 80) -> bytes:
    """(H, W, 3) RGB as a JPEG."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV writes every 8-bit picture as JPEG"
    return data.tobytes()


def rendered_jpeg(item: DepthFrame, options: RenderOptions) -> bytes:
    """The result as people see it elsewhere, at most 1280 px wide."""
    return encode_jpeg(shrink(render(item, options), 1280))
