"""Colors for depth maps: color maps by name, the range that they span, and the lookup itself.

Near is bright for both kinds of depth: relative depth is colored as it is, metric depth from far to near.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, GrayImage, Image, Mask
from streamdepth.core.errors import ConfigError
from streamdepth.core.ranges import robust_range
from streamdepth.core.resize import fill_edges
from streamdepth.core.types import DepthKind

Range = tuple[float, float]
"""(low, high), in the unit of the depth."""

COMMON_COLORMAPS = ("inferno", "magma", "viridis", "turbo", "spectral", "gray")
"""Color maps that the page and the window offer."""


def display_range(depth: DepthMap) -> Range:
    """Returns the 1st and 99th percentile of the finite values; (0, 1) where there are none.

    It suits single pictures. In a video it would flicker: there a stabilizer sets `DepthFrame.range`.
    """
    return robust_range(depth, (0.01, 0.99), max_pixels=None) or (0.0, 1.0)


@cache
def colormap_names() -> tuple[str, ...]:
    """Returns the names of all continuous color maps; each also exists reversed, as NAME_r."""
    from cmap import Catalog

    catalog, categories = Catalog(), {"sequential", "diverging", "miscellaneous"}
    items = [catalog[key] for key in catalog.unique_keys()]
    smooth = (item for item in items if item.category in categories and item.interpolation in (True, "linear"))
    short = {item.name.split(":")[-1].lower() for item in smooth}
    return tuple(sorted(name for name in short if not re.search(r"_\d+$|_discrete|\s", name)))


@cache
def lookup_table(colormap: str) -> npt.NDArray[np.uint8]:
    """Returns the 256 colors of a named color map, (256, 1, 3) uint8 RGB, read-only.

    Raises:
        ConfigError: the name is unknown (code "unknown-colormap"); the message has the nearest names.
    """
    from cmap import Colormap

    try:
        colors = Colormap(colormap).lut(256)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(_unknown_colormap(colormap), code="unknown-colormap") from error
    table: npt.NDArray[np.uint8] = np.rint(np.asarray(colors)[:, None, :3] * 255).astype(np.uint8)
    table.setflags(write=False)
    return table


def hex_colors(colormap: str) -> list[str]:
    """Returns the 256 colors of a named color map as #rrggbb, far first. Raises ConfigError as `lookup_table` does."""
    return ["#" + bytes(color[0]).hex() for color in lookup_table(colormap)]


def _unknown_colormap(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), colormap_names(), n=3, cutoff=0.5)
    tip = f"did you mean {', '.join(near)}?" if near else "try inferno, turbo, spectral, magma, viridis or gray"
    return f"unknown colormap {name!r}; {tip}"


def colorize(
    depth: DepthMap,
    kind: DepthKind,
    range: Range | None = None,
    colormap: str = "inferno",
    *,
    size: tuple[int, int] | None = None,
) -> Image:
    """Colors a depth map: near takes the high end of the color map, unknown depth (NaN) is black.

        picture = colorize(depth, DepthKind.METRIC, (0.5, 8.0), "turbo")

    Args:
        depth: (h, w) float32.
        kind: metric depth is inverted, so that near is bright for both kinds.
        range: (low, high) in the unit of `depth`; values outside take the color of that end. None: `display_range`.
        colormap: a name of `colormap_names()`, or NAME_r.
        size: (width, height) of the result in px; None: that of `depth`.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        ConfigError: the color map is unknown.
    """
    table = lookup_table(colormap)
    nearness, known = quantize_nearness(depth, kind, range or display_range(depth))
    size = size or (depth.shape[1], depth.shape[0])
    # Colors are looked up before they are enlarged, since there are far fewer of them then.
    colors = cv2.resize(cv2.applyColorMap(nearness, table), size, interpolation=cv2.INTER_LINEAR)
    if known is not None:
        mask = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
        colors = cv2.copyTo(colors, mask)
    return cast(Image, colors)


def quantize_nearness(depth: DepthMap, kind: DepthKind, range: Range) -> tuple[GrayImage, Mask | None]:
    """Returns how near each pixel is, in 8 bits, and where depth is known.

    Returns:
        (h, w) uint8 from 0 (far end of `range`) to 255 (near end), with unknown pixels filled from their neighbors,
        and the (h, w) mask of known pixels; None in place of the mask where all are known.
    """
    nearness = _nearness(depth, kind, range)
    known = ~np.isnan(nearness)
    if known.all():
        return cast(GrayImage, cv2.convertScaleAbs(nearness)), None
    return cast(GrayImage, cv2.convertScaleAbs(fill_edges(nearness, known))), known


def _nearness(depth: DepthMap, kind: DepthKind, range: Range) -> DepthMap:
    """Returns (h, w) float32 from 0 (far) to 255 (near), NaN = unknown."""
    low, high = range
    span = max(high - low, 1e-12)
    farthest, scale = (high, -255 / span) if kind is DepthKind.METRIC else (low, 255 / span)
    return cast(DepthMap, np.clip((depth - np.float32(farthest)) * np.float32(scale), 0, 255))
