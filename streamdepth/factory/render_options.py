"""Makes the options of all that draws."""

from __future__ import annotations

from streamdepth.config import Settings
from streamdepth.core.render_options import RenderOptions
from streamdepth.factory.zones import make_zones


def make_render_options(settings: Settings) -> RenderOptions:
    """Returns the options that every output of one run draws with."""
    render = settings.render
    colormap, invert = render.colormap, render.invert
    zones = make_zones(settings)
    return RenderOptions(render.style, colormap, render.alpha, render.legend, render.edges, invert, zones)
