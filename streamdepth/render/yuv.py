"""`render` in the planes that video is decoded to and encoded from: no conversion of colours, half as many bytes.

Blending is linear, and so is the way from RGB to brightness and colour differences: the result is the same but for
rounding. BT.709 in limited range (ITU-R BT.709, section 3), colours at half the size.
"""

from __future__ import annotations

from functools import cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.types import DepthFrame, GrayImage, Style, YuvPlanes
from streamdepth.render.colors import Sprite, display_range, legend_sprite, levels, lookup_table

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_BLACK = 16, 128, 128
_RED, _GREEN, _BLUE = 0.2126, 0.7152, 0.0722


def render_planes(
    item: DepthFrame,
    out: YuvPlanes,
    *,
    style: Style = "overlay",
    colormap: str = "inferno",
    alpha: float = 0.6,
    bar: bool,
) -> None:
    """Fills `out` with what `render` shows of `item`, whose frame has planes and even sides; side by side is twice as
    wide."""
    below = item.frame.planes
    assert below is not None
    if style == "side-by-side":
        for source, target in zip(below, out, strict=True):
            target[:, : source.shape[1]] = source
        out = YuvPlanes(*(target[:, source.shape[1] :] for source, target in zip(below, out, strict=True)))
    range = item.range or display_range(item.depth)
    codes, known = levels(item.depth, item.kind, range)
    share = alpha if style == "overlay" else 1.0
    large = {shape: _enlarged(codes, known, shape) for shape in {plane.shape for plane in below}}
    for source, target, table, black in zip(below, out, _tables(colormap), _BLACK, strict=True):
        enlarged, mask = large[source.shape]
        colors = cv2.LUT(enlarged, table)
        if mask is not None:
            colors[mask == 0] = black
        cv2.addWeighted(source, 1 - share, colors, share, 0, dst=target)
    width, height = item.frame.size
    sprite = legend_sprite(width, height, range, item.kind, colormap) if bar else None
    if sprite is not None:
        _stamp(sprite, out)


def _enlarged(codes: GrayImage, known: Mask | None, shape: tuple[int, ...]) -> tuple[GrayImage, GrayImage | None]:
    """`codes` at (height, width) `shape`, and 0 where they are unknown."""
    size = shape[1], shape[0]
    large = cast(GrayImage, cv2.resize(codes, size, interpolation=cv2.INTER_LINEAR))
    if known is None:
        return large, None
    return large, cast(GrayImage, cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT))


def _stamp(sprite: Sprite, out: YuvPlanes) -> None:
    """Lays `sprite` over `out`. What is kept of the picture counts from black, and so does what is added."""
    for target, colors, black in zip(out, to_planes(sprite.colors), _BLACK, strict=True):
        step = out.y.shape[0] // target.shape[0]
        size = sprite.keep.shape[1] // step, sprite.keep.shape[0] // step
        keep, added = (cv2.resize(values, size, interpolation=cv2.INTER_AREA) for values in (sprite.keep, colors))
        rows, columns = (slice(s.start // step, s.stop // step) for s in (sprite.rows, sprite.columns))
        target[rows, columns] = np.rint(target[rows, columns] * keep + added - np.float32(black) * keep)


def to_planes(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """(..., 3) RGB, 0 to 255 -> brightness and the differences of blue and red, all of them at full size."""
    red, green, blue = (rgb[..., i].astype(np.float32) / np.float32(255) for i in (0, 1, 2))
    luma = _RED * red + _GREEN * green + _BLUE * blue
    u, v = (blue - luma) / (2 - 2 * _BLUE), (red - luma) / (2 - 2 * _RED)
    return cast(Floats, 16 + 219 * luma), cast(Floats, 128 + 224 * u), cast(Floats, 128 + 224 * v)


@cache
def _tables(colormap: str) -> tuple[GrayImage, ...]:
    """(256,) for each plane."""
    colors = lookup_table(colormap)[:, 0].astype(np.float32)
    return tuple(np.rint(plane).astype(np.uint8) for plane in to_planes(colors))
