"""Decoding of pictures by libav, also of HEIC photos of a single tile."""

from __future__ import annotations

import io

import av
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError, SourceOpenError
from streamdepth.sources.limits import check_picture_size
from streamdepth.utils.containers import file_options

_HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"heim", b"heis")


def is_heic(data: bytes) -> bool:
    """True for the content of an HEIC photo (ISO/IEC 23008-12)."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS


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
    frame = decode_frame(data, name, "mov", f"{name} is an HEIC photo that cannot be read")
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, frame.rotation // 90))


def decode_frame(data: bytes, name: str, container_format: str, message: str) -> av.VideoFrame:
    """Returns the first picture of a file's content; `message` begins the SourceOpenError ("undecodable")."""
    try:
        with av.open(io.BytesIO(data), "r", container_format, options=file_options()) as container:
            return next(container.decode(video=0))
    except (av.FFmpegError, OSError, ValueError, StopIteration) as error:
        reason = str(error) or "it holds no picture"
        raise SourceOpenError(f"{message}: {reason}", code="undecodable") from error
