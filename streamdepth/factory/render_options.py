"""Makes the options of all that draws."""

from __future__ import annotations

from streamdepth.config import Settings
from streamdepth.core.render_options import RenderOptions, StereoOptions
from streamdepth.factory.zones import make_zones
from streamdepth.geometry.lengths import parse_length_m


def make_render_options(settings: Settings) -> RenderOptions:
    """Returns the options that every output of one run draws with. Raises ConfigError ("bad-length") for `ipd`."""
    render = settings.render
    colormap, invert = render.colormap, render.invert
    zones = make_zones(settings)
    ipd_m = None if render.ipd is None else parse_length_m(render.ipd)
    stereo = StereoOptions(render.depth_strength, render.convergence, ipd_m)
    return RenderOptions(render.style, colormap, render.alpha, render.legend, render.edges, invert, zones, stereo)
