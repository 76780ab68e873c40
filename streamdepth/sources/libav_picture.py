"""Pictures that libav decodes because Pillow cannot: OpenEXR, HEIC photos of a single tile, and colors of 16 bits."""

from __future__ import annotations

import io
import struct
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image, Mask
from streamdepth.core.errors import MissingDependencyError, SourceOpenError
from streamdepth.sources.limits import check_picture_size
from streamdepth.sources.transparency import BACKGROUND, valid_where_opaque
from streamdepth.utils.containers import file_options

_EXR_MAGIC = b"\x76\x2f\x31\x01"
_EXR_WINDOW = b"dataWindow\0box2i\0"
_LINEAR_BACKGROUND = ((BACKGROUND / 255 + 0.055) / 1.055) ** 2.4
"""The background of transparent pictures in linear light."""
_HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"heim", b"heis")


def is_exr(data: bytes) -> bool:
    """True for the content of an OpenEXR file."""
    return data.startswith(_EXR_MAGIC)


def is_heic(data: bytes) -> bool:
    """True for the content of an HEIC photo (ISO/IEC 23008-12)."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


def read_exr(data: bytes, name: str, max_side_px: int) -> tuple[Image, Mask | None]:
    """Returns an OpenEXR picture, whose values are linear light, as (H, W, 3) uint8 in sRGB (IEC 61966-2-1).

    The colors are taken as premultiplied by alpha, as OpenEXR defines them. The mask of opaque pixels is None if all
    are opaque.

    Light above 1 is clipped, NaN becomes black. Raises SourceOpenError: "undecodable", or "too-large".
    """
    start = data.find(_EXR_WINDOW, 0, 65536)
    corners = data[start + len(_EXR_WINDOW) + 4 :][:16]
    if start < 0 or len(corners) < 16:
        raise SourceOpenError(f"{name} is an OpenEXR file without a size; it is damaged", code="undecodable")
    left, top, right, bottom = struct.unpack("<4i", corners)
    check_picture_size(name, max(0, right - left + 1), max(0, bottom - top + 1), max_side_px)
    frame = _decode(data, name, "exr_pipe", f"{name} is an OpenEXR file that cannot be read")
    is_half = frame.format.name in ("gbrpf16le", "gbrapf16le", "grayf16le")
    if not is_half and frame.format.name not in ("gbrpf32le", "gbrapf32le", "grayf32le"):
        raise SourceOpenError(
            f"{name} is an OpenEXR file without channels R, G, B or Y; write the picture's colors", code="undecodable"
        )
    planes = [_pixels(plane, frame.width, frame.height, is_half) for plane in frame.planes]
    if len(planes) == 1:
        return np.repeat(_to_srgb(planes[0])[..., None], 3, axis=2), None
    green, blue, red = planes[:3]
    if len(planes) == 3:
        return np.dstack([_to_srgb(plane) for plane in (red, green, blue)]), None
    alpha = np.clip(np.nan_to_num(planes[3]), 0, 1)
    behind = (1 - alpha) * np.float32(_LINEAR_BACKGROUND)
    image = np.dstack([_to_srgb(np.nan_to_num(plane) + behind) for plane in (red, green, blue)])
    return image, valid_where_opaque(np.rint(alpha * 255).astype(np.uint8))


def _pixels(plane: Any, width: int, height: int, is_half: bool) -> npt.NDArray[np.float32]:
    values = np.frombuffer(plane, np.float16 if is_half else np.float32)
    return values.reshape(height, -1)[:, :width].astype(np.float32)


def _to_srgb(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    light = np.clip(np.nan_to_num(linear, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    levels: npt.NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return levels


def read_deep_colors(data: bytes, name: str) -> npt.NDArray[np.uint16] | None:
    """Returns the colors of a PNG or TIFF as (H, W, 3) uint16, or (H, W, 4) with alpha, as they are stored.

    None where libav cannot read the file, or where its colors have 8 bits.
    """
    demuxer = "png_pipe" if data.startswith(b"\x89PNG") else "tiff_pipe"
    try:
        frame = _decode(data, name, demuxer, f"{name} is a picture that cannot be read")
    except SourceOpenError:
        return None
    if frame.format.components[0].bits != 16 or not frame.format.is_rgb:
        return None
    has_alpha = len(frame.format.components) == 4
    return np.asarray(frame.to_ndarray(format="rgba64le" if has_alpha else "rgb48le"), np.uint16)


def read_heic(data: bytes, name: str, max_side_px: int) -> Image:
    """Returns an HEIC photo of a single tile as (H, W, 3) uint8, upright.

    Raises SourceOpenError, and MissingDependencyError for photos of several tiles, as those of telephones are.
    """
    try:
        with av.open(io.BytesIO(data), "r", "mov", options=file_options()) as container:
            tiles = len(container.streams.video)
            size = [(s.codec_context.width, s.codec_context.height) for s in container.streams.video]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceOpenError(f"{name} is an HEIC photo that cannot be read: {error}", code="undecodable") from error
    if tiles != 1:
        raise MissingDependencyError("pi_heif", "heic", "an HEIC photo of several tiles")
    check_picture_size(name, *size[0], max_side_px)
    frame = _decode(data, name, "mov", f"{name} is an HEIC photo that cannot be read")
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, frame.rotation // 90))


def _decode(data: bytes, name: str, container_format: str, message: str) -> av.VideoFrame:
    try:
        with av.open(io.BytesIO(data), "r", container_format, options=file_options()) as container:
            return next(container.decode(video=0))
    except (av.FFmpegError, OSError, ValueError, StopIteration) as error:
        reason = str(error) or "it holds no picture"
        raise SourceOpenError(f"{message}: {reason}", code="undecodable") from error
