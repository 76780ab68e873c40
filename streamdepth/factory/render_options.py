"""Makes the options of all that draws."""

from __future__ import annotations

from streamdepth.config import Settings
from streamdepth.core.render_options import RenderOptions


def make_render_options(settings: Settings) -> RenderOptions:
    """Returns the options that every output of one run draws with."""
    render = settings.render
    return RenderOptions(render.style, render.colormap, render.alpha, render.legend, render.edges, render.invert)
