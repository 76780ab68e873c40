"""Decoding of depth images of ROS 1 and ROS 2: raw (REP 118), of RealSense's own recorder, and compressedDepth.

compressedDepth is the format of the package compressed_depth_image_transport: 12 bytes with a float32 pair (a, b), then
a PNG, or RVL (Wilson, "Fast Lossless Depth Image Compression", ISS 2017). Where the image was 32FC1, its values are
quantized inverse depth: meters = a / (value - b).
"""

from __future__ import annotations

import re
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.limits import MAX_SIDE_PX, MAX_VIDEO_PIXELS, check_picture_size
from streamdepth.sources.untrusted_picture import open_picture

DEPTH_ENCODINGS = ("16UC1", "32FC1", "64FC1")
"""Encodings that hold depth whatever the topic is called (REP 118)."""
MILLIMETER = 0.001
"""Meters of one unit of integers, by REP 118."""

_DTYPES = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4", "64FC1": "f8"}
_HEADER_BYTES = 12
_NIBBLE_BITS = 3
_MAX_NIBBLES = 11
"""Nibbles of the longest number of 32 bits in RVL."""


def depth_encoding(message: Any, topic: str) -> str | None:
    """Returns the encoding of a message that holds depth; None for pictures.

    Images in mono16 are depth where a part of the topic's name begins with "depth", as in
    /device_0/sensor_0/Depth_0/image/data, which RealSense's own recorder writes.
    """
    if hasattr(message, "format"):
        encoding = message.format.partition(";")[0].strip()
        is_depth = encoding in DEPTH_ENCODINGS or "compressedDepth" in message.format
        return str(message.format) if is_depth else None
    encoding = str(getattr(message, "encoding", ""))
    is_named_depth = encoding == "mono16" and re.search(r"(^|[/_])depth", topic, re.IGNORECASE)
    return encoding if encoding in DEPTH_ENCODINGS or is_named_depth else None


def decode_depth(message: Any, unit_m: float = MILLIMETER) -> DepthMap:
    """Returns (h, w) meters along z, NaN where unknown, of an Image or CompressedImage that holds depth.

    Args:
        message: as rosbags deserializes it.
        unit_m: meters of one unit of integers; floats are meters.

    Raises:
        ValueError: if it holds no depth, or its data is cut off.
    """
    values = _decode_compressed(message) if hasattr(message, "format") else _decode_raw(message)
    meters = values.astype(np.float32) * np.float32(unit_m if values.dtype.kind == "u" else 1)
    return np.where(meters > 0, meters, np.float32(np.nan))


def draw_depth(message: Any) -> Image:
    """Returns (H, W, 3) uint8 gray pictures of depth for people and for optical flow: near is bright, unknown is black.

    The gray of a distance is the same in all pictures: half the brightness at 2000 units, or 2 m of floats. Raises
    ValueError as `decode_depth`.
    """
    with np.errstate(invalid="ignore"):
        gray = np.nan_to_num(510 / (2 + decode_depth(message))).clip(0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _decode_raw(message: Any) -> npt.NDArray[Any]:
    if message.encoding not in _DTYPES:
        raise ValueError(f"it holds no depth but '{message.encoding}'; depth is {', '.join(_DTYPES)}")
    dtype = np.dtype(_DTYPES[message.encoding]).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = message.height, message.width, message.step
    used = width * dtype.itemsize
    if height < 1 or width < 1 or step < used or len(message.data) < height * step:
        raise ValueError(f"its data is cut off: {len(message.data)} bytes for {width}x{height} px")
    lines = np.frombuffer(message.data, np.uint8, height * step).reshape(height, step)[:, :used]
    return np.ascontiguousarray(lines).view(dtype).astype(dtype.newbyteorder("="))


def _decode_compressed(message: Any) -> npt.NDArray[Any]:
    encoding = message.format.partition(";")[0].strip() or "16UC1"
    data = bytes(message.data)
    if "compressedDepth" not in message.format:
        return _decode_png(data)
    header, data = data[:_HEADER_BYTES], data[_HEADER_BYTES:]
    if len(header) < _HEADER_BYTES:
        raise ValueError(f"its data is cut off: {len(header)} bytes")
    values = _decode_rvl(data) if "rvl" in message.format.lower() else _decode_png(data)
    if encoding != "32FC1":
        return values
    _, a, b = struct.unpack("<iff", header)
    with np.errstate(divide="ignore"):
        return np.where(values > 0, np.float32(a) / (values.astype(np.float32) - np.float32(b)), np.float32(np.nan))


def _decode_png(data: bytes) -> npt.NDArray[Any]:
    try:
        open_picture(data, "its depth")  # checks the format and the size before anything is decoded
    except SourceOpenError as error:
        raise ValueError(str(error)) from error
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 2 or values.dtype != np.uint16:
        raise ValueError("its data is no gray picture of 16 bits")
    return values


def _decode_rvl(data: bytes) -> npt.NDArray[np.uint16]:
    """Returns the image of an RVL stream that begins with its width and height.

    Runs of zeros and runs of differences alternate, all as numbers of groups of 3 bits with a fourth that says that
    more follow, the lowest group first; eight such groups are one little-endian word, the highest first.
    """
    if len(data) < 8:
        raise ValueError(f"its data is cut off: {len(data)} bytes")
    width, height = struct.unpack_from("<II", data)
    try:
        check_picture_size("its depth", width, height, MAX_SIDE_PX, MAX_VIDEO_PIXELS)
    except SourceOpenError as error:
        raise ValueError(str(error)) from error
    numbers = _rvl_numbers(data[8:])
    is_known = np.zeros(width * height, bool)
    is_difference = np.zeros(len(numbers), bool)
    at = pixel = 0
    while pixel < len(is_known):
        if at >= len(numbers):
            raise ValueError(f"its data is cut off after {pixel} of {width}x{height} px")
        pixel += int(numbers[at])
        known = int(numbers[at + 1]) if at + 1 < len(numbers) else 0
        if pixel + known > len(is_known) or at + 2 + known > len(numbers):
            raise ValueError("its data is damaged or cut off")
        is_known[pixel : pixel + known] = True
        is_difference[at + 2 : at + 2 + known] = True
        pixel, at = pixel + known, at + 2 + known
    folded = numbers[is_difference].astype(np.int64)
    values = np.zeros(width * height, np.uint16)
    values[is_known] = np.cumsum((folded >> 1) ^ -(folded & 1)).astype(np.uint16)
    return values.reshape(height, width)


def _rvl_numbers(data: bytes) -> npt.NDArray[np.uint32]:
    """Returns all numbers of an RVL stream; padding at its end may add zeros."""
    words = np.frombuffer(data, "<u4", len(data) // 4)
    nibbles = ((words[:, None] >> np.arange(28, -4, -4, dtype=np.uint32)) & 15).ravel()
    ends = np.flatnonzero(nibbles < 8)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > _MAX_NIBBLES:
        raise ValueError("its data is damaged: a number has too many digits")
    numbers = np.zeros(len(ends), np.uint64)
    for digit in range(int(lengths.max()) if len(lengths) else 0):
        has_digit = lengths > digit
        digits = (nibbles[starts[has_digit] + digit] & 7).astype(np.uint64)
        numbers[has_digit] |= digits << np.uint64(_NIBBLE_BITS * digit)
    return numbers.astype(np.uint32)
