"""From depth to pictures for people: pure functions without files and windows.

Near is bright, for both kinds of depth: relative depth is coloured as it is, metric depth from far to near.
"""

from __future__ import annotations

import difflib
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.core.resize import fill_edges
from streamdepth.core.types import DepthFrame, DepthKind, DepthMap, GrayImage, Image, Style

if TYPE_CHECKING:
    from PIL import ImageFont

Range = tuple[float, float]
STYLES: tuple[Style, ...] = get_args(Style)

_SMALLEST_LEGEND_PX = 160
"""A picture narrower or lower than this has no room for readable words."""


def display_range(depth: DepthMap) -> Range:
    """(low, high) of one picture without a stabilizer: the 1st and 99th percentile of its finite values."""
    finite = depth[np.isfinite(depth)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (1, 99))
    return float(low), float(high)


@cache
def colormap_names() -> tuple[str, ...]:
    """The continuous colour maps that can be asked for by name; each also exists reversed, as NAME_r."""
    from cmap import Catalog

    catalog, categories = Catalog(), {"sequential", "diverging", "miscellaneous"}
    items = [catalog[key] for key in catalog.unique_keys()]
    smooth = (item for item in items if item.category in categories and item.interpolation in (True, "linear"))
    short = {item.name.split(":")[-1].lower() for item in smooth}
    return tuple(sorted(name for name in short if not re.search(r"_\d+$|_discrete|\s", name)))


@cache
def lookup_table(colormap: str) -> npt.NDArray[np.uint8]:
    """(256, 1, 3) uint8 RGB of a named colour map. Raises ConfigError, with the nearest names, for an unknown one."""
    from cmap import Colormap

    try:
        colors = Colormap(colormap).lut(256)
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(_unknown_colormap(colormap)) from error
    table: npt.NDArray[np.uint8] = np.rint(np.asarray(colors)[:, None, :3] * 255).astype(np.uint8)
    table.setflags(write=False)
    return table


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
    """Colours for a depth map: near takes the high end of the colour map, unknown (NaN) is black.

    Args:
        depth: (h, w) float32.
        kind: metric depth is turned round, so that near is bright for both kinds.
        range: (low, high) in the unit of `depth`; what lies outside takes the colour of the end. None: of this picture.
        colormap: a name of `colormap_names()`, or NAME_r.
        size: (width, height) of the result in px; None: that of `depth`.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        ConfigError: unknown colour map.
    """
    table = lookup_table(colormap)
    codes, known = levels(depth, kind, range or display_range(depth))
    size = size or (depth.shape[1], depth.shape[0])
    # 8-bit codes are enlarged rather than floats: at most one of 256 colours apart, in half the time
    colors = cv2.applyColorMap(cv2.resize(codes, size, interpolation=cv2.INTER_LINEAR), table)
    if known is not None:
        mask = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
        colors = cv2.copyTo(colors, mask)
    return cast(Image, colors)


def levels(depth: DepthMap, kind: DepthKind, range: Range) -> tuple[GrayImage, npt.NDArray[np.bool_] | None]:
    """(h, w) 0 (far) to 255 (near), and which of them are known; None when all are."""
    codes = _brightness(depth, kind, range)
    known = ~np.isnan(codes)
    if known.all():
        return cast(GrayImage, cv2.convertScaleAbs(codes)), None
    return cast(GrayImage, cv2.convertScaleAbs(fill_edges(codes, known))), known


def _brightness(depth: DepthMap, kind: DepthKind, range: Range) -> DepthMap:
    """0 (far) to 255 (near), NaN = unknown."""
    low, high = range
    span = max(high - low, 1e-12)
    dark, scale = (high, -255 / span) if kind is DepthKind.METRIC else (low, 255 / span)
    return cast(DepthMap, np.clip((depth - np.float32(dark)) * np.float32(scale), 0, 255))


def overlay(image: Image, colors: Image, alpha: float = 0.6) -> Image:
    """`colours` laid over `image`: both (H, W, 3) uint8, and so is the result.

    `alpha`: 0 shows the image only, 1 the colours only.
    """
    return cast(Image, cv2.addWeighted(image, 1 - alpha, colors, alpha, 0))


def side_by_side(image: Image, colors: Image) -> Image:
    """(H, 2W, 3): the picture on the left, its depth on the right."""
    return cast(Image, cv2.hconcat([image, colors]))


def drawn_size(size: tuple[int, int], style: Style) -> tuple[int, int]:
    """(width, height) in px of what `render` makes of a picture of `size`."""
    width, height = size
    return (2 * width if style == "side-by-side" else width), height


def legend(picture: Image, range: Range, kind: DepthKind, colormap: str = "inferno") -> Image:
    """A copy of `picture` with a bar in its lower left corner: metres for metric depth, words for relative depth.

    A picture below 160 px in either direction comes back as it is: there is no room for readable words.
    """
    found = legend_sprite(picture.shape[1], picture.shape[0], range, kind, colormap)
    if found is None:
        return picture
    picture = picture.copy()
    box = picture[found.rows, found.columns]
    box[:] = box * found.keep[..., None] + found.colors
    return picture


class Sprite(NamedTuple):
    """What is laid over a part of a picture, whose sides and place are even."""

    rows: slice
    columns: slice
    colors: npt.NDArray[np.float32]
    """(h, w, 3) RGB, 0 to 255, to be added."""
    keep: npt.NDArray[np.float32]
    """(h, w): the share of the picture below that stays."""


def legend_sprite(width: int, height: int, range: Range, kind: DepthKind, colormap: str) -> Sprite | None:
    """The legend of a picture of so many px; None where there is no room for readable words."""
    unit = min(width, height)
    if unit < _SMALLEST_LEGEND_PX:
        return None
    text_px, margin = max(11, unit // 32), max(4, unit // 80 * 2)
    size = max(120, unit // 4 * 2), 2 * text_px + 2
    top = (height - margin - size[1]) // 2 * 2
    colors, keep = _bar(tuple(legend_words(range, kind)), text_px, size, colormap)
    return Sprite(slice(top, top + size[1]), slice(margin, margin + size[0]), colors, keep)


@lru_cache(maxsize=16)
def _bar(
    words: tuple[str, ...], text_px: int, size: tuple[int, int], colormap: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """`colours` and `keep` of a Sprite: words over a bar of colours, on a darkened ground; size: (width, height)."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    width, height = size
    drawn = Pillow.new("L", size)
    draw, font = ImageDraw.Draw(drawn), _font(text_px)
    pad = text_px // 3
    for i, word in enumerate(words):
        place = pad + (width - 2 * pad) * i / (len(words) - 1)
        anchor = "l" if i == 0 else "r" if i == len(words) - 1 else "m"
        draw.text((place, text_px * 0.65), word, fill=255, font=font, anchor=anchor + "m")
    white = np.asarray(drawn, np.float32)
    colors, keep = np.repeat(white[..., None], 3, axis=2), (1 - white / np.float32(255)) / np.float32(3)
    ramp = np.linspace(255, 0, width - 2 * pad).astype(np.uint8)
    bar = slice(text_px + 2, height - pad), slice(pad, width - pad)
    colors[bar], keep[bar] = lookup_table(colormap)[ramp, 0], 0
    return colors, keep


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size_px)


def mark_stale(picture: Image, seconds: float, *, is_kept: bool) -> Image:
    """What to show when nothing newer than `picture` (H, W, 3) came for so long: words on it, gray and dark.

    is_kept: on black instead of the picture, when False.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) // 2
    drawn = Pillow.fromarray(cv2.cvtColor(gray if is_kept else np.zeros_like(gray), cv2.COLOR_GRAY2RGB))
    height, width = gray.shape
    text_px = max(11, min(width, height) // 12)
    words = f"no picture for {seconds:.0f} s"
    ImageDraw.Draw(drawn).text((width / 2, height / 2), words, fill="white", font=_font(text_px), anchor="mm")
    return np.array(drawn)


def legend_words(range: Range, kind: DepthKind) -> list[str]:
    """What stands along the bar from near to far; only metric depth has numbers."""
    if kind is DepthKind.RELATIVE:
        return ["near", "far"]
    low, high = range
    return [f"{value:.{2 if value < 1 else 1 if value < 20 else 0}f} m" for value in (low, (low + high) / 2, high)]


def check_look(style: str, colormap: str, alpha: float) -> None:
    """Raises ConfigError unless the three can be rendered."""
    if style not in STYLES:
        raise ConfigError(f"unknown style {style!r}; one of {', '.join(STYLES)}")
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha lies between 0 (picture only) and 1 (depth only), not {alpha}")
    lookup_table(colormap)


def render(
    item: DepthFrame, *, style: Style = "overlay", colormap: str = "inferno", alpha: float = 0.6, bar: bool = True
) -> Image:
    """One item as people see it: (H, W, 3), or (H, 2W, 3) side by side; `bar` adds the legend."""
    image = item.frame.image
    range = item.range or display_range(item.depth)
    size = (image.shape[1], image.shape[0])
    picture = colorize(item.depth, item.kind, range, colormap, size=size)
    if style == "overlay":
        picture = overlay(image, picture, alpha)
    if bar:
        picture = legend(picture, range, item.kind, colormap)
    return side_by_side(image, picture) if style == "side-by-side" else picture
