"""Lines of text in the upper left corner of a picture, on a dark background."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.render.legend import default_font

_GROUND_SHARE = np.float32(0.35)
"""Share of the picture that is visible through the background of a caption."""


def draw_caption(picture: Image, lines: tuple[str, ...]) -> Image:
    """Returns a copy of `picture`, (H, W, 3) uint8 RGB, with `lines` of text; without lines `picture` itself."""
    if not lines:
        return picture
    height, width = picture.shape[:2]
    text_px = max(11, min(height, width) // 28)
    letters = _letters(lines, text_px)[:height, :width]
    picture = picture.copy()
    corner = picture[: letters.shape[0], : letters.shape[1]]
    corner[:] = corner * _GROUND_SHARE * (1 - letters) + 255 * letters
    return picture


@lru_cache(maxsize=32)
def _letters(lines: tuple[str, ...], text_px: int) -> npt.NDArray[np.float32]:
    """Returns the opacity of the letters, (h, w, 1) from 0 to 1, large enough for all lines."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    font, pad = default_font(text_px), text_px // 2
    width = max(int(font.getlength(line)) for line in lines) + 2 * pad
    canvas = Pillow.new("L", (width, round(1.35 * text_px * len(lines)) + 2 * pad))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        draw.text((pad, pad + round(1.35 * text_px * number)), line, fill=255, font=font)
    return np.asarray(canvas, np.float32)[..., None] / np.float32(255)
