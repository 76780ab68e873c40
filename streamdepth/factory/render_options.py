"""Makes the options of the outputs that draw depth."""

from __future__ import annotations

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.render_options import STEREO_STYLES, RenderOptions, StereoOptions
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


def check_stereo_settings(settings: Settings) -> None:
    """Raises ConfigError ("conflict") for settings of stereo pictures if the style is not a stereo style."""
    options = make_render_options(settings)
    if options.stereo != StereoOptions() and not options.is_stereo:
        raise ConfigError(
            "--depth-strength, --convergence and --ipd are for stereo pictures, and the style is "
            f"{options.style}; add --style with one of {', '.join(STEREO_STYLES)}, or leave them out",
            code="conflict",
        )
