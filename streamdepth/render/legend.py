"""The legend in a picture's lower left corner: a color bar with meters, or with the words near and far."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.types import DepthKind
from streamdepth.render.colors import Range, lookup_table

if TYPE_CHECKING:
    from PIL import ImageFont

Floats = npt.NDArray[np.float32]

_SMALLEST_PICTURE_PX = 160
"""A picture narrower or lower than this has no room for readable words."""


class LegendPatch(NamedTuple):
    """The pixels of a legend and where they go; place and size are even, so that they fit YUV 4:2:0 as well."""

    rows: slice
    columns: slice
    colors: Floats
    """(h, w, 3) RGB, 0 to 255, already multiplied by their opacity: to be added to the darkened picture."""
    transparency: Floats
    """(h, w) from 0 to 1: the share of the picture below that remains visible."""


def draw_legend(picture: Image, range: Range, kind: DepthKind, colormap: str = "inferno") -> Image:
    """Returns a copy of `picture` with a legend: meters for metric depth, words for relative depth.

    A picture below 160 px in either direction is returned itself: there is no room for readable words.

    Args:
        picture: (H, W, 3) uint8 RGB.
        range: (low, high) that the colors span, in the unit of the depth.
    """
    patch = legend_patch(picture.shape[1], picture.shape[0], legend_labels(range, kind), colormap)
    if patch is None:
        return picture
    picture = picture.copy()
    corner = picture[patch.rows, patch.columns]
    corner[:] = corner * patch.transparency[..., None] + patch.colors
    return picture


def legend_patch(width: int, height: int, labels: tuple[str, ...], colormap: str) -> LegendPatch | None:
    """Returns the legend for a picture of `width` x `height` px; None if there is no room for readable words.

    `labels` are those that `legend_labels` returns.
    """
    side = min(width, height)
    if side < _SMALLEST_PICTURE_PX:
        return None
    text_px, margin = max(11, side // 32), max(4, side // 80 * 2)
    size = max(120, side // 4 * 2), 2 * text_px + 2
    top = (height - margin - size[1]) // 2 * 2
    colors, transparency = _legend_pixels(labels, text_px, size, colormap)
    return LegendPatch(slice(top, top + size[1]), slice(margin, margin + size[0]), colors, transparency)


def legend_labels(range: Range, kind: DepthKind) -> tuple[str, ...]:
    """Returns the labels along the bar from near to far; only metric depth has numbers."""
    if kind is DepthKind.RELATIVE:
        return "near", "far"
    low, high = range
    values = low, (low + high) / 2, high
    return tuple(f"{value:.{2 if value < 1 else 1 if value < 20 else 0}f} m" for value in values)


@lru_cache(maxsize=16)
def _legend_pixels(
    labels: tuple[str, ...], text_px: int, size: tuple[int, int], colormap: str
) -> tuple[Floats, Floats]:
    """Returns `colors` and `transparency` of a LegendPatch of `size` (width, height): labels above a color bar."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    width, height = size
    canvas = Pillow.new("L", size)
    draw, font = ImageDraw.Draw(canvas), default_font(text_px)
    pad = text_px // 3
    for i, label in enumerate(labels):
        x = pad + (width - 2 * pad) * i / (len(labels) - 1)
        anchor = "l" if i == 0 else "r" if i == len(labels) - 1 else "m"
        draw.text((x, text_px * 0.65), label, fill=255, font=font, anchor=anchor + "m")
    white = np.asarray(canvas, np.float32)
    colors, transparency = np.repeat(white[..., None], 3, axis=2), (1 - white / np.float32(255)) / np.float32(3)
    ramp = np.linspace(255, 0, width - 2 * pad).astype(np.uint8)
    bar = slice(text_px + 2, height - pad), slice(pad, width - pad)
    colors[bar], transparency[bar] = lookup_table(colormap)[ramp, 0], 0
    return colors, transparency


@cache
def default_font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns the font that Pillow carries, so that pictures look the same on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size_px)
