"""`overlay.render` in YUV 4:2:0: no conversion of color spaces, and half as many bytes to blend.

Blending and the conversion from RGB to YUV are linear, so that the results differ only by rounding. The conversion is
ITU-R BT.709, section 3, in limited range.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import GrayImage, Mask
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, YuvPlanes
from streamdepth.render.colors import display_range, lookup_table, quantize_nearness
from streamdepth.render.legend import legend_labels, legend_patch
from streamdepth.render.upsampling import upsample

Floats = npt.NDArray[np.float32]

_BLACK = 16, 128, 128
"""Y, U and V of black."""
_SUBSAMPLING = 1, 2, 2
"""Pixels of the picture for each of Y, U and V, along each axis."""
_RED_WEIGHT, _GREEN_WEIGHT, _BLUE_WEIGHT = 0.2126, 0.7152, 0.0722
"""Shares of the three primaries in luma (BT.709)."""


def render_yuv(item: DepthFrame, out: YuvPlanes, options: RenderOptions) -> None:
    """Fills `out` with what `overlay.render` draws for `item` in a style that is not stereo.

    Args:
        item: a frame with `yuv_planes` and with even sides.
        out: writable planes of the frame's size; of twice its width for the style "side-by-side".
    """
    background = item.frame.yuv_planes
    assert background is not None
    item = upsample(item, options.edges)
    if options.style == "side-by-side":
        for source, target in zip(background, out, strict=True):
            target[:, : source.shape[1]] = source
        out = YuvPlanes(*(target[:, source.shape[1] :] for source, target in zip(background, out, strict=True)))
    range = item.range or display_range(item.depth)
    nearness, known = quantize_nearness(item.depth, item.kind, range)
    alpha = options.alpha if options.style == "overlay" else 1.0
    valid = item.frame.valid
    masks = {shape: enlarged_mask(known, valid, shape) for shape in {plane.shape for plane in background}}
    tables = yuv_lookup_tables(options.effective_colormap)
    for source, target, table, black in zip(background, out, tables, _BLACK, strict=True):
        # Colors are looked up before they are enlarged, since there are ten times fewer of them then.
        colors = cv2.resize(cv2.LUT(nearness, table), source.shape[::-1], interpolation=cv2.INTER_LINEAR)
        if (mask := masks[source.shape]) is not None:
            colors[mask == 0] = black
        cv2.addWeighted(source, 1 - alpha, colors, alpha, 0, dst=target)
    if options.has_legend:
        labels = legend_labels(range, item.kind)
        layers = legend_layers(*item.frame.size, labels, options.effective_colormap)
        for target, layer in zip(out, layers, strict=False):  # there are none where there is no room
            corner = target[layer.rows, layer.columns]
            corner[:] = np.rint(corner * layer.transparency + layer.added)


def enlarged_mask(known: Mask | None, valid: Mask | None, shape: tuple[int, ...]) -> GrayImage | None:
    """Returns a map of `shape` (height, width): 1 where depth is known and valid, else 0; None if all are 1."""
    masks = [mask.view(np.uint8) for mask in (known, valid) if mask is not None]
    if not masks:
        return None
    resized = [cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for mask in masks]
    return cast(GrayImage, np.minimum.reduce(resized))


class LegendLayer(NamedTuple):
    """The legend in one plane: its place, and by what the plane is multiplied and what is added then, (h, w) each."""

    rows: slice
    columns: slice
    transparency: Floats
    added: Floats


@lru_cache(maxsize=16)
def legend_layers(width: int, height: int, labels: tuple[str, ...], colormap: str) -> tuple[LegendLayer, ...]:
    """Returns the legend for Y, U and V of a picture of this size; empty if there is no room for it.

    YUV's black is not zero: the remaining part of the picture and the added part are both measured from black.
    """
    patch = legend_patch(width, height, labels, colormap)
    if patch is None:
        return ()
    layers = []
    for colors, black, subsampling in zip(rgb_to_yuv(patch.colors), _BLACK, _SUBSAMPLING, strict=True):
        size = patch.transparency.shape[1] // subsampling, patch.transparency.shape[0] // subsampling
        transparency, added = (
            cast(Floats, cv2.resize(values, size, interpolation=cv2.INTER_AREA))
            for values in (patch.transparency, colors)
        )
        rows, columns = (slice(s.start // subsampling, s.stop // subsampling) for s in (patch.rows, patch.columns))
        layers.append(LegendLayer(rows, columns, transparency, added - np.float32(black) * transparency))
    return tuple(layers)


def rgb_to_yuv(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """Converts (..., 3) RGB from 0 to 255 to Y, U and V (BT.709, limited range), each (...) at full size."""
    red, green, blue = (rgb[..., i].astype(np.float32) / np.float32(255) for i in (0, 1, 2))
    luma = _RED_WEIGHT * red + _GREEN_WEIGHT * green + _BLUE_WEIGHT * blue
    u, v = (blue - luma) / (2 - 2 * _BLUE_WEIGHT), (red - luma) / (2 - 2 * _RED_WEIGHT)
    return cast(Floats, 16 + 219 * luma), cast(Floats, 128 + 224 * u), cast(Floats, 128 + 224 * v)


@cache
def yuv_lookup_tables(colormap: str) -> tuple[GrayImage, ...]:
    """Returns one table of 256 values for each of Y, U and V."""
    colors = lookup_table(colormap)[:, 0].astype(np.float32)
    return tuple(np.rint(plane).astype(np.uint8) for plane in rgb_to_yuv(colors))
