"""`overlay.render` for pictures of 10 bits: depth colors over SDR or HDR, without tone mapping the picture.

Colors of depth are sRGB. In HDR their white is reference white, 203 cd/m2 (ITU-R BT.2408): they are made linear,
brought to the video's primaries, scaled to that white, and coded by the video's curve, PQ or HLG. In SDR they keep
their codes. Both are blended as codes, as in 8 bits: the share `alpha` of the color's code and the rest of the
picture's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.deep_color import BT2020, PQ, DeepColor, DeepPlanes, Plane16
from streamdepth.core.render_options import RenderOptions, Style
from streamdepth.core.types import DepthFrame
from streamdepth.render.colors import Range, display_range, lookup_table, quantize_nearness
from streamdepth.render.legend import legend_labels, legend_patch
from streamdepth.render.upsampling import upsample
from streamdepth.render.yuv import enlarged_mask
from streamdepth.utils.hdr_curves import REFERENCE_WHITE_NITS, nits_to_hlg, nits_to_pq

Floats = npt.NDArray[np.float32]

DEEP_STYLES: tuple[Style, ...] = ("overlay", "depth", "side-by-side")
"""Styles that `render_deep` draws."""
_BLACK = 64, 512, 512
"""Y, U and V of black."""
_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""Linear RGB of BT.709 to that of BT.2020 (ITU-R BT.2087)."""
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Matrix by H.273 -> shares of red and blue in luma."""


def render_deep(item: DepthFrame, options: RenderOptions, color: DeepColor) -> DeepPlanes:
    """Draws one frame with its depth in 10 bits.

    A frame whose own 10 bits are not known any more is drawn from its 8 bits, which become HDR as depth colors do.

    Args:
        item: a frame with even sides.
        options: how depth is drawn; the style is overlay, depth or side-by-side.
        color: the colors of the result.

    Returns:
        Planes of the frame's size; of twice its width for side-by-side.
    """
    background = item.frame.deep_planes or planes_from_rgb(item.frame.image, color)
    item = upsample(item, options.edges)
    range = item.range or display_range(item.depth)
    nearness, known = quantize_nearness(item.depth, item.kind, range)
    alpha = np.float32(options.alpha if options.style == "overlay" else 1.0)
    drawn: list[Floats] = []
    for source, table, black in zip(background, _tables(options.effective_colormap, color), _BLACK, strict=True):
        colors = cv2.resize(table[nearness], source.shape[::-1], interpolation=cv2.INTER_LINEAR)
        mask = enlarged_mask(known, item.frame.valid, source.shape)
        if mask is not None:
            colors[mask == 0] = black
        drawn.append(source * (1 - alpha) + colors * alpha)
    if options.has_legend:
        _draw_legend(drawn, item, range, options, color)
    planes = [np.rint(plane).astype(np.uint16) for plane in drawn]
    if options.style == "side-by-side":
        planes = [np.hstack(pair) for pair in zip(background, planes, strict=True)]
    return DeepPlanes(*planes)


def _draw_legend(drawn: list[Floats], item: DepthFrame, range: Range, options: RenderOptions, color: DeepColor) -> None:
    patch = legend_patch(*item.frame.size, legend_labels(range, item.kind), options.effective_colormap)
    if patch is None:
        return
    colors = signal_from_rgb(np.clip(patch.colors, 0, 255) / 255, color)
    for plane, signal, black, step in zip(drawn, colors, _BLACK, (1, 2, 2), strict=True):
        size = patch.transparency.shape[1] // step, patch.transparency.shape[0] // step
        transparency = cv2.resize(patch.transparency, size, interpolation=cv2.INTER_AREA)
        added = cv2.resize(signal - np.float32(black), size, interpolation=cv2.INTER_AREA)
        rows, columns = (slice(s.start // step, s.stop // step) for s in (patch.rows, patch.columns))
        plane[rows, columns] = (plane[rows, columns] - black) * transparency + added + black


def signal_from_rgb(rgb: npt.NDArray[np.floating], color: DeepColor) -> tuple[Floats, Floats, Floats]:
    """Converts (..., 3) sRGB from 0 to 1 to the 10-bit Y, U and V of a video with these colors, each (...)."""
    codes = np.asarray(rgb, np.float64)
    if color.is_hdr:
        linear = np.where(codes <= 0.04045, codes / 12.92, np.power((codes + 0.055) / 1.055, 2.4))
        linear = linear @ _TO_BT2020.T if color.primaries == BT2020 else linear
        nits = REFERENCE_WHITE_NITS * linear
        codes = nits_to_pq(nits) if color.transfer == PQ else nits_to_hlg(nits)
    red_weight, blue_weight = _LUMA_WEIGHTS.get(color.matrix, _LUMA_WEIGHTS[1])
    red, green, blue = (codes[..., i] for i in (0, 1, 2))
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    u, v = (blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)
    y, u, v = 64 + 876 * luma, 512 + 896 * u, 512 + 896 * v
    return y.astype(np.float32), u.astype(np.float32), v.astype(np.float32)


def planes_from_rgb(image: Image, color: DeepColor) -> DeepPlanes:
    """Converts a picture of 8 bits, (H, W, 3) sRGB with even sides, to planes with these colors."""
    y, u, v = signal_from_rgb(image.astype(np.float32) / 255, color)
    size = image.shape[1] // 2, image.shape[0] // 2
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (u, v)]
    return DeepPlanes(*(cast(Plane16, np.rint(plane).astype(np.uint16)) for plane in (y, *small)))


@lru_cache(maxsize=8)
def _tables(colormap: str, color: DeepColor) -> tuple[Floats, Floats, Floats]:
    """Returns one table of 256 values for each of Y, U and V."""
    return signal_from_rgb(lookup_table(colormap)[:, 0] / 255, color)
