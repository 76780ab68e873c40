"""Limits for the size and the frame rate that a stream states."""

from __future__ import annotations

from fractions import Fraction

from streamdepth.core.errors import SourceOpenError

MAX_SIDE_PX = 16384
"""Default limit for the width and the height of a picture, in px."""
MAX_PIXELS = 225_000_000
"""Limit for a photo: the largest cameras of telephones have 200 megapixels. Decoding one takes up to 1.6 GB."""
MAX_VIDEO_PIXELS = 16384 * 8704
"""Limit for a frame of a video, the largest of any level of H.264, HEVC and AV1; a decoder keeps several."""

_MAX_FPS = 1000


def check_picture_size(name: str, width: int, height: int, max_side_px: int, max_pixels: int = MAX_PIXELS) -> None:
    """Raises SourceOpenError ("too-large") when a side in px or the number of pixels is above its limit."""
    if max(width, height) > max_side_px:
        raise SourceOpenError(
            f"{name} is {width}x{height} px, and the limit is {max_side_px} px a side; raise it with --max-side",
            code="too-large",
        )
    if width * height > max_pixels:
        raise SourceOpenError(
            f"{name} is {width}x{height} px, which is {width * height / 1e6:.0f} megapixels, and the limit is "
            f"{max_pixels / 1e6:.0f}; make it smaller first",
            code="too-large",
        )


def plausible_fps(rate: Fraction | None) -> Fraction | None:
    """Returns `rate` in frames per second; None when it is unknown, not positive or above 1000."""
    return rate if rate and 0 < rate <= _MAX_FPS else None
