"""Zones on a picture: their outlines, with a name and the nearest depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.types import DepthFrame
from streamdepth.core.zones import Zone, measure_zone, unit_of
from streamdepth.render.legend import default_font

_COLOR, _DARK = (255, 255, 255), (0, 0, 0)
_GROUND_SHARE = np.float32(0.35)
"""Share of the picture that is visible through the background of a label."""


def draw_zones(picture: Image, item: DepthFrame, zones: Sequence[Zone]) -> Image:
    """Returns a copy of a picture of `item`, (H, W, 3) uint8 RGB, with zones and the nearest depth in each."""
    picture = picture.copy()
    thickness = max(1, min(picture.shape[:2]) // 240)
    for zone in zones:
        points = [
            np.round(np.array(zone.corners) * 16 - 8).astype(np.int32)
        ]  # in sixteenths of px; pixel 0 has its center at 0
        cv2.polylines(picture, points, True, _DARK, thickness + 2, cv2.LINE_AA, shift=4)
        cv2.polylines(picture, points, True, _COLOR, thickness, cv2.LINE_AA, shift=4)
        text = f"{zone.name} {depth_text(measure_zone(zone, item).nearest, item)}"
        y, x = min((y, x) for x, y in zone.corners)
        _draw_label(picture, text, round(x) + thickness, round(y) + thickness)
    return picture


def depth_text(value: float, item: DepthFrame) -> str:
    """Returns a depth in a zone for people, such as "1.42 m", "63 %", "far" (beyond what is measured) or "unknown"."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "far"
    return f"{value:.2f} m" if unit_of(item.kind) == "m" else f"{value:.0f} %"


def _draw_label(picture: Image, text: str, left: int, top: int) -> None:
    """Draws a label to the right of and below a point, moved so that it lies within the picture."""
    height, width = picture.shape[:2]
    letters = _letters(text, max(11, min(height, width) // 30))[:height, :width]
    rows, columns = letters.shape[:2]
    left, top = min(left, width - columns), min(top, height - rows)
    ground = picture[top : top + rows, left : left + columns]
    ground[:] = ground * _GROUND_SHARE * (1 - letters) + 255 * letters


@lru_cache(maxsize=256)
def _letters(text: str, text_px: int) -> npt.NDArray[np.float32]:
    """Returns the opacity of the letters, (h, w, 1) from 0 to 1."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    font, pad = default_font(text_px), text_px // 3
    canvas = Pillow.new("L", (int(font.getlength(text)) + 2 * pad, text_px + 2 * pad))
    ImageDraw.Draw(canvas).text((pad, canvas.height // 2), text, fill=255, font=font, anchor="lm")
    return np.asarray(canvas, np.float32)[..., None] / np.float32(255)
