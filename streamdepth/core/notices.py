"""Notices: sentences that a user should read, each logged once and kept for the report."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


def warn_once(text: str, notices: list[str]) -> None:
    """Logs `text` as a warning and appends it to `notices`, unless it stands there already."""
    if text not in notices:
        notices.append(text)
        _log.warning("%s", text)


@contextmanager
def notices_not_logged() -> Iterator[None]:
    """Keeps notices out of the log, for a caller who shows those of the report once, at the end."""
    level = _log.level
    _log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        _log.setLevel(level)


def unknown_camera_notice(assumed_focal_px: float, width: int) -> str:
    """Returns the notice for a model whose meters depend on the focal length, and a camera that is unknown.

    Args:
        assumed_focal_px: focal length in px for which the meters hold.
        width: width of the pictures in px.
    """
    degrees = 2 * math.degrees(math.atan(width / 2 / assumed_focal_px))
    return (
        "the camera is unknown, and this model's meters grow with its focal length: a horizontal field of view of "
        f"{degrees:.0f} degrees is assumed; --fov or --camera-info tells it"
    )
