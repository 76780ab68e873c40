"""`yuv.render_yuv` for pictures and depth on a GPU: overlay, depth or both side by side, as NV12.

Importing this module loads torch.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.core.device_picture import DevicePicture
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.render.colors import Range, display_range
from streamdepth.render.legend import legend_labels
from streamdepth.render.yuv import legend_layers, yuv_lookup_tables

_BLACK = (16, 128, 128)
"""Y, U and V of black."""


def can_render_on_device(item: DepthFrame, options: RenderOptions) -> bool:
    """True if `render_on_device` supports these options; otherwise the item is drawn on the CPU."""
    return (
        item.frame.device_picture is not None
        and item.frame.valid is None
        and options.edges == "plain"
        and not options.is_stereo
        and not options.drawn_zones
    )


def render_on_device(item: DepthFrame, options: RenderOptions) -> DevicePicture:
    """Draws what `overlay.render` does for an item that `can_render_on_device` accepts.

    Returns:
        The picture at the frame's size in BT.709 and limited range, on the frame's device; of twice its width for the
        style "side-by-side".
    """
    found = item.frame.device_picture
    assert found is not None
    picture, drawn_range = found.as_bt709(), item.range or display_range(item.depth)
    codes, known = _nearness_codes(_depth_on(item, picture.y.device), item.kind, drawn_range)
    alpha = options.alpha if options.style == "overlay" else 1.0
    tables = _tables(options.effective_colormap, picture.y.device)
    drawn = DevicePicture(
        _blend(picture.y[..., None], codes, known, tables[:, :1], _BLACK[:1], alpha)[..., 0],
        _blend(picture.uv, codes, known, tables[:, 1:], _BLACK[1:], alpha),
    )
    if options.has_legend:
        labels = legend_labels(drawn_range, item.kind)
        _draw_legend(drawn, _legend(*item.frame.size, labels, options.effective_colormap, picture.y.device))
    if options.style != "side-by-side":
        return drawn
    return DevicePicture(torch.cat([picture.y, drawn.y], 1), torch.cat([picture.uv, drawn.uv], 1))


def _depth_on(item: DepthFrame, device: torch.device) -> Tensor:
    depth = item.device_depth
    return (torch.tensor(item.depth) if depth is None else depth.tensor).to(device)


def _nearness_codes(depth: Tensor, kind: DepthKind, range: Range) -> tuple[Tensor, Tensor]:
    """Returns what `colors.quantize_nearness` does: (h, w) floats from 0 (far) to 255 (near), and the known pixels."""
    low, high = range
    span = max(high - low, 1e-12)
    farthest, scale = (high, -255 / span) if kind is DepthKind.METRIC else (low, 255 / span)
    nearness = ((depth - farthest) * scale).clamp(0, 255)
    known = ~nearness.isnan()
    filled = torch.where(known, nearness, _mean_of_neighbors(nearness.nan_to_num(nan=0.0), known))
    return filled.round(), known


def _mean_of_neighbors(values: Tensor, known: Tensor) -> Tensor:
    """Returns the mean of the known values among the 3x3 around each value, (h, w); 0 where none is known."""
    both = torch.stack([values, known.float()])[None]
    total, share = F.avg_pool2d(F.pad(both, (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0].unbind()
    return total / share.clamp(min=1e-3)


def _blend(source: Tensor, codes: Tensor, known: Tensor, table: Tensor, black: tuple[int, ...], alpha: float) -> Tensor:
    """Blends the colors of codes, enlarged to (H, W), over `source` (H, W, C) uint8; unknown depth is black.

    `table` is (256, C), the values of each code.
    """
    size = (source.shape[0], source.shape[1])
    small = table[codes.long()].permute(2, 0, 1)[None]
    large = F.interpolate(small, size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).round()
    mask = F.interpolate(known[None, None].float(), size, mode="nearest-exact")[0, 0, :, :, None] > 0
    colors = torch.where(mask, large, table.new_tensor(black))
    return (source.float() * (1 - alpha) + colors * alpha).round_().clamp_(0, 255).byte()


@lru_cache(maxsize=16)
def _tables(colormap: str, device: torch.device) -> Tensor:
    """Returns Y, U and V of each of 256 codes, (256, 3) float32."""
    return torch.stack([torch.tensor(table) for table in yuv_lookup_tables(colormap)], 1).float().to(device)


class _LegendPart(NamedTuple):
    """The legend in one plane: its place, and by what (h, w, C) pixels are multiplied and what is added then."""

    rows: slice
    columns: slice
    transparency: Tensor
    added: Tensor


@lru_cache(maxsize=16)
def _legend(
    width: int, height: int, labels: tuple[str, ...], colormap: str, device: torch.device
) -> tuple[_LegendPart, ...]:
    """Returns the legend for luma and for chroma; empty if there is no room for it."""
    layers = legend_layers(width, height, labels, colormap)
    parts = []
    for group in (layers[:1], layers[1:]):
        if group:
            transparency, added = (
                torch.stack([torch.tensor(values) for values in planes], -1).to(device)
                for planes in zip(*((layer.transparency, layer.added) for layer in group), strict=True)
            )
            parts.append(_LegendPart(group[0].rows, group[0].columns, transparency, added))
    return tuple(parts)


def _draw_legend(picture: DevicePicture, parts: tuple[_LegendPart, ...]) -> None:
    """Draws the legend into a picture in place."""
    for plane, part in zip((picture.y[..., None], picture.uv), parts, strict=False):  # none where there is no room
        corner = plane[part.rows, part.columns]
        corner.copy_((corner.float() * part.transparency + part.added).round_().clamp_(0, 255).byte())
