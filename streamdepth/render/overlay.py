"""One frame with its depth, drawn as an RGB picture: overlay, depth alone, both side by side, or for two eyes."""

from __future__ import annotations

import difflib
from typing import cast, get_args

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.render_options import RenderOptions, Style
from streamdepth.core.types import DepthFrame
from streamdepth.render.colors import colorize, display_range, lookup_table
from streamdepth.render.disparity import check_stereo_options
from streamdepth.render.legend import default_font, draw_legend
from streamdepth.render.stereo import render_stereo
from streamdepth.render.upsampling import check_edges, upsample
from streamdepth.render.zones import draw_zones

STYLES: tuple[Style, ...] = get_args(Style)


def check_render_options(options: RenderOptions) -> None:
    """Checks all options before anything is drawn.

    Raises:
        ConfigError: with the code "unknown-style", "unknown-colormap", "unknown-edges", "bad-alpha" or "bad-stereo".
    """
    if options.style not in STYLES:
        near = difflib.get_close_matches(str(options.style), STYLES, n=1)
        tip = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"unknown style {options.style!r}; {tip}one of {', '.join(STYLES)}", code="unknown-style")
    if not 0 <= options.alpha <= 1:
        raise ConfigError(
            f"alpha lies between 0 (picture only) and 1 (depth only), not {options.alpha}", code="bad-alpha"
        )
    check_stereo_options(options.stereo)
    check_edges(options.edges)
    lookup_table(options.effective_colormap)


def render(item: DepthFrame, options: RenderOptions = RenderOptions()) -> Image:
    """Draws one frame with its depth.

        picture = render(depth_frame, RenderOptions(style="side-by-side"))

    Returns:
        (H, W, 3) uint8 RGB at the frame's size; (H, 2W, 3) for the styles "side-by-side" and "sbs", (2H, W, 3) for
        "top-bottom".

    Raises:
        ConfigError: an option is wrong, as `check_render_options` says, or a stereo picture is not possible, as
            `disparity_of` says.
    """
    check_render_options(options)
    if options.is_stereo:
        return render_stereo(item, options)
    original, image, item = item, item.frame.image, upsample(item, options.edges)
    range = item.range or display_range(item.depth)
    colormap = options.effective_colormap
    picture = colorize(item.depth, item.kind, range, colormap, size=(image.shape[1], image.shape[0]))
    if item.frame.valid is not None:
        picture = cast(Image, cv2.copyTo(picture, item.frame.valid.view(np.uint8)))
    if options.style == "overlay":
        picture = blend(image, picture, options.alpha)
    if options.has_legend:
        picture = draw_legend(picture, range, item.kind, colormap)
    if options.drawn_zones:
        picture = draw_zones(picture, original, options.drawn_zones)
    return side_by_side(image, picture) if options.style == "side-by-side" else picture


def rendered_size(size: tuple[int, int], style: Style) -> tuple[int, int]:
    """Returns (width, height) in px of what `render` draws for a picture of `size` (width, height)."""
    width, height = size
    return width * (2 if style in ("side-by-side", "sbs") else 1), height * (2 if style == "top-bottom" else 1)


def blend(image: Image, colors: Image, alpha: float = 0.6) -> Image:
    """Blends `colors` over `image`, both (H, W, 3) uint8; `alpha` 0 shows the image only, 1 the colors only."""
    return cast(Image, cv2.addWeighted(image, 1 - alpha, colors, alpha, 0))


def side_by_side(image: Image, colors: Image) -> Image:
    """Returns (H, 2W, 3): the picture on the left, its depth on the right."""
    return cast(Image, cv2.hconcat([image, colors]))


def draw_stalled(picture: Image, seconds: float, *, show_picture: bool) -> Image:
    """Draws what a viewer shows while a camera is lost: "no picture for N s" over the darkened gray last picture.

    Args:
        picture: (H, W, 3) uint8 RGB, the last one that was shown.
        seconds: how long ago that was.
        show_picture: False draws the text on black instead.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) // 2
    canvas = Pillow.fromarray(cv2.cvtColor(gray if show_picture else np.zeros_like(gray), cv2.COLOR_GRAY2RGB))
    height, width = gray.shape
    font = default_font(max(11, min(width, height) // 12))
    text = f"no picture for {seconds:.0f} s"
    ImageDraw.Draw(canvas).text((width / 2, height / 2), text, fill="white", font=font, anchor="mm")
    return np.array(canvas)
