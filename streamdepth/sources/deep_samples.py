"""Reading of PNG, TIFF and PPM with samples of 16 or 32 bits, of which Pillow keeps 8, or misreads some.

Pillow shows white-is-zero gray of 16 bits as a negative, confuses the bytes of separate planes, knows no gray with
alpha of 16 bits, and takes unsigned integers of 32 bits for signed ones. libav reads all files of 16 bits as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.libav_picture import decode_frame
from streamdepth.sources.sample_levels import SampleLevels, to_eight_bits

_DEMUXERS = {
    b"\x89PNG": "png_pipe",
    **dict.fromkeys((b"II", b"MM"), "tiff_pipe"),
    **dict.fromkeys((b"P2", b"P5"), "pgm_pipe"),
    **dict.fromkeys((b"P3", b"P6"), "ppm_pipe"),
}
"""First bytes of a file -> libav's name of its format."""
_SIXTEEN_BITS = {1: "gray16le", 2: "rgba64le", 3: "rgb48le", 4: "rgba64le"}
"""Number of channels -> a pixel format that has them last, and that PyAV makes an array of."""

_BITS, _PHOTOMETRIC, _ORIENTATION, _PLANES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 262, 274, 284, 338, 339
"""Tags of TIFF."""
_WHITE_IS_ZERO, _SEPARATE, _PREMULTIPLIED, _UNSIGNED = 0, 2, 1, 1
"""Values of those tags."""
_PIXELS_AT_A_TIME = 4_000_000


def read_samples(picture: Pillow.Image, data: bytes, name: str, levels: SampleLevels) -> Pillow.Image:
    """Returns an opened picture as it is to be shown, turned as its tag says or with that tag; others as they are.

    Samples of 16 bits become 8, those of 32 floating point. Raises SourceOpenError ("unknown-pixels"), and Pillow's
    errors for a file that is cut off.

    Args:
        picture: as Pillow has opened it, before its pixels are decoded.
        data: the content of its file.
        levels: the range that is stretched to 8 bits.
    """
    bits = _unsigned_bits(picture, data)
    if bits == 32:
        return Pillow.fromarray(np.asarray(picture).view(np.uint32).astype(np.float32))
    if bits != 16:
        return picture
    orientation = picture.getexif().get(_ORIENTATION, 1)  # is gone once Pillow has turned the pixels of a TIFF
    has_alpha = "A" in picture.mode or "transparency" in picture.info
    picture.load()  # finds files that are cut off
    samples = _read(data, name)
    if samples is None:
        _check_pillow_reads(picture, name)
        return picture
    colors = samples.shape[2] - (samples.shape[2] % 2 == 0)
    reduced = _reduce(samples if has_alpha else samples[..., :colors], colors, levels)
    reduced.getexif()[_ORIENTATION] = orientation
    return reduced


def _unsigned_bits(picture: Pillow.Image, data: bytes) -> int:
    """Returns the bits of each sample of a file, where all have the same, are unsigned, and not premultiplied; else 0.

    The arguments of Pillow's decoders tell those of a PPM.
    """
    if picture.format == "PNG":
        return data[24]
    if picture.format == "PPM":
        arguments = picture.tile[0][3]  # type: ignore[attr-defined]
        is_deep = arguments[-1] > 255 if isinstance(arguments, tuple) else arguments == "I;16B"
        return 16 if is_deep else 8
    if picture.format != "TIFF":
        return 0
    tags = picture.tag_v2  # type: ignore[attr-defined]
    bits = set(tags.get(_BITS, (1,)))
    is_unsigned = set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) == {_UNSIGNED}
    is_usual = is_unsigned and len(bits) == 1 and _PREMULTIPLIED not in tags.get(_EXTRA_SAMPLES, ())
    return int(bits.pop()) if is_usual else 0


def _check_pillow_reads(picture: Pillow.Image, name: str) -> None:
    """Raises SourceOpenError ("unknown-pixels") for a TIFF of 16 bits that Pillow would show wrongly."""
    tags = getattr(picture, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO or tags.get(_PLANES) == _SEPARATE:
        raise SourceOpenError(
            f"{name} is a TIFF of 16 bits a sample of a kind that is not read; save it with black as zero, interleaved "
            "colors, and no compression or LZW",
            code="unknown-pixels",
        )


def _read(data: bytes, name: str) -> npt.NDArray[np.uint16] | None:
    """Returns the samples of a file as (H, W, channels) uint16, turned as they are stored.

    The channels are gray, gray and alpha, RGB, or RGB and alpha; black is 0. None where libav cannot read the file, or
    where its samples have other than 16 bits.
    """
    demuxer = next(demuxer for start, demuxer in _DEMUXERS.items() if data.startswith(start))
    try:
        frame = decode_frame(data, name, demuxer, f"{name} is a picture that cannot be read")
    except SourceOpenError:
        return None
    channels = len(frame.format.components)
    if frame.format.components[0].bits != 16 or not (channels <= 2 or frame.format.is_rgb):
        return None
    samples = frame.to_ndarray(format=_SIXTEEN_BITS[channels])
    return np.asarray(samples.reshape(frame.height, frame.width, -1)[..., -channels:], np.uint16)


def _reduce(samples: npt.NDArray[np.uint16], colors: int, levels: SampleLevels) -> Pillow.Image:
    """Returns samples of 16 bits as a picture of 8 bits: L, LA, RGB or RGBA. Alpha is not stretched.

    Args:
        samples: (H, W, channels).
        colors: number of channels without alpha.
    """
    low, high = levels.fit(samples[..., :colors], is_color=colors == 3)
    height, width, channels = samples.shape
    pixels = np.empty((height, width, channels), np.uint8)
    for rows in row_slices(height, width):
        pixels[rows, :, :colors] = to_eight_bits(samples[rows, :, :colors], low, high)
        pixels[rows, :, colors:] = samples[rows, :, colors:] >> 8
    return Pillow.fromarray(pixels[..., 0] if channels == 1 else pixels)


def row_slices(height: int, width: int) -> Iterator[slice]:
    """Yields slices of rows, of a few megapixels each, that cover a picture."""
    step = max(1, _PIXELS_AT_A_TIME // max(1, width))
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))
