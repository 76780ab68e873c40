"""From settings to how depth is drawn."""

from __future__ import annotations

from streamdepth.config import Settings
from streamdepth.core.render_options import RenderOptions


def make_render_options(settings: Settings) -> RenderOptions:
    """Returns what every output of one run draws with."""
    video = settings.video
    return RenderOptions(settings.style, settings.colormap, video.alpha, video.legend, settings.edges)
