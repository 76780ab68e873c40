"""Limits on what a stream may claim about itself."""

from __future__ import annotations

from fractions import Fraction

from streamdepth.core.errors import SourceOpenError

MAX_SIDE_PX = 16384
"""Default limit for the width and the height of a picture, in px."""

_MAX_FPS = 1000


def check_picture_size(name: str, width: int, height: int, max_side_px: int) -> None:
    """Raises SourceOpenError ("too-large") when a side in px is longer than the limit."""
    if max(width, height) > max_side_px:
        raise SourceOpenError(
            f"{name} is {width}x{height} px, and the limit is {max_side_px} px a side; raise it with --max-side",
            code="too-large",
        )


def plausible_fps(rate: Fraction | None) -> Fraction | None:
    """Returns `rate` in frames per second; None when it is unknown, not positive or above 1000."""
    return rate if rate and 0 < rate <= _MAX_FPS else None
