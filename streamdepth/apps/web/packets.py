"""Encodes a result for the page: a JPEG beside its depth, which is packed without loss in 4095 levels."""

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

DepthCodes = npt.NDArray[np.int16]
"""(h, w) int16: 0 is unknown, 1 to LEVELS are equal steps from the smallest to the largest known value."""
LEVELS = 4095
_MAX_RENDERED_PX = 1280


class DetailLevel(enum.StrEnum):
    """The amount of detail that a viewer gets; small screens and slow connections ask for less."""

    FULL = "full"
    LIGHT = "light"


class _EncodingLimits(NamedTuple):
    """Largest sizes of what is sent at one level of detail."""

    picture_px: int
    """Longer side of the picture."""
    depth_px: int
    """Longer side of the depth map."""
    jpeg_quality: int


_LIMITS = {
    DetailLevel.FULL: _EncodingLimits(picture_px=960, depth_px=512, jpeg_quality=80),
    DetailLevel.LIGHT: _EncodingLimits(picture_px=480, depth_px=192, jpeg_quality=70),
}


def encode_packet(item: DepthFrame, detail: DetailLevel) -> bytes:
    """Encodes a result as: length of the header (uint32, little-endian), header (JSON), picture (JPEG), depth.

    The header has these keys:

    - `picture_bytes`, `depth_bytes`: lengths of what follows it
    - `width`, `height`: size of the stream in px
    - `depth_size`: [width, height] of the depth map
    - `depth_low`, `depth_step`: value of code 1, and the step from code to code, in the unit of `kind`
    - `kind`: "metric" or "relative"
    - `range`: [low, high] to display
    - `camera`: [fx, fy, cx, cy] as shares of width and height; null if it is unknown
    - `index`, `time`: of the frame, `time` in seconds on the source's clock
    - `age`: seconds since the model saw a frame, see `DepthFrame.depth_age_seconds`
    - `cut`: true for the first frame of a shot
    """
    limits = _LIMITS[detail]
    picture = encode_jpeg(limit_size(item.frame.image, limits.picture_px), limits.jpeg_quality)
    depth = _limit_depth_size(item.depth, limits.depth_px)
    codes, low, step = quantize_depth(depth)
    packed = pack_codes(codes)
    width, height = item.frame.size
    header: dict[str, Any] = {
        "picture_bytes": len(picture),
        "depth_bytes": len(packed),
        "width": width,
        "height": height,
        "depth_size": [depth.shape[1], depth.shape[0]],
        "depth_low": low,
        "depth_step": step,
        "kind": item.kind.value,
        "range": _range_to_display(item),
        "camera": _relative_intrinsics(item, width, height),
        "index": item.frame.index,
        "time": round(item.frame.time, 4),
        "age": round(item.depth_age_seconds, 4),
        "cut": item.cut,
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return b"".join((struct.pack("<I", len(text)), text, picture, packed))


def _range_to_display(item: DepthFrame) -> tuple[float, float]:
    """Returns the item's range, or that of its depth if the former is not finite: JSON has no infinity and no NaN."""
    given = item.range
    return given if given and all(map(math.isfinite, given)) else display_range(item.depth)


def _relative_intrinsics(item: DepthFrame, width: int, height: int) -> list[float] | None:
    c = item.intrinsics
    return None if c is None else [c.fx / width, c.fy / height, (c.cx + 0.5) / width, (c.cy + 0.5) / height]


def quantize_depth(depth: DepthMap) -> tuple[DepthCodes, float, float]:
    """Returns the codes, the value of code 1, and the step from code to code; what is not finite becomes code 0."""
    finite = np.isfinite(depth)
    is_complete = bool(finite.all())
    known = depth if is_complete else depth[finite]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    step = (high - low) / (LEVELS - 1) or 1.0
    scaled = (depth - np.float32(low)) * np.float32(1 / step) + np.float32(1.5)
    codes = (scaled if is_complete else np.where(finite, scaled, 0)).astype(np.int16)
    return codes, low, step


def pack_codes(codes: DepthCodes) -> bytes:
    """Compresses codes without loss.

    Differences along each row, with the sign folded into the lowest bit (zigzag), all low bytes before all high bytes,
    deflated.
    """
    differences = np.diff(codes, axis=1, prepend=np.int16(0))
    zigzag = ((differences << 1) ^ (differences >> 15)).astype("<u2")
    byte_planes = zigzag.view(np.uint8).reshape(-1, 2).T.tobytes()
    deflater = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return deflater.compress(byte_planes) + deflater.flush()


def _limit_depth_size(depth: DepthMap, max_side_px: int) -> DepthMap:
    height, width = depth.shape
    scale = max_side_px / max(width, height)
    return depth if scale >= 1 else resize_depth(depth, max(1, round(width * scale)), max(1, round(height * scale)))


def limit_size(image: Image, max_side_px: int) -> Image:
    """Returns the image, made smaller if its longer side is longer than `max_side_px`."""
    height, width = image.shape[:2]
    scale = max_side_px / max(width, height)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR))


def encode_jpeg(image: Image, quality: int = 80) -> bytes:
    """Encodes an RGB image (H, W, 3) as JPEG."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV writes every 8-bit picture as JPEG"
    return data.tobytes()


def rendered_jpeg(item: DepthFrame, options: RenderOptions) -> bytes:
    """Draws a result as videos show it, at most 1280 px wide or high, and encodes it as JPEG."""
    return encode_jpeg(limit_size(render(item, options), _MAX_RENDERED_PX))
