"""The depth map that a file of depth holds: at the picture's size or the network's, with or without flying pixels."""

from __future__ import annotations

from typing import get_args

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.render_options import DepthSize, Edges
from streamdepth.core.types import DepthFrame
from streamdepth.geometry.flying_pixels import without_flying_pixels
from streamdepth.render.upsampling import upsample

DEPTH_SIZES: tuple[DepthSize, ...] = get_args(DepthSize)


def check_depth_size(size: str) -> None:
    """Raises ConfigError (code "unknown-depth-size") unless `size` is one of DEPTH_SIZES."""
    if size not in DEPTH_SIZES:
        raise ConfigError(f"unknown depth size {size!r}; one of {', '.join(DEPTH_SIZES)}", code="unknown-depth-size")


def depth_to_store(
    item: DepthFrame, size: DepthSize = "picture", edges: Edges = "plain", *, drop_flying: bool = False
) -> DepthMap:
    """Returns the depth of a frame as a file holds it, float32: (H, W) of the picture, or (h, w) of the network.

    Args:
        item: a frame with its depth.
        size: picture or network.
        edges: how depth gets the picture's size.
        drop_flying: makes metric depth on a jump between near and far unknown.
    """
    if drop_flying:
        item = without_flying_pixels(item)
    return item.depth if size == "network" else upsample(item, edges).at_frame_size()
