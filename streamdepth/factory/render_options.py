"""From settings to how depth is drawn."""

from __future__ import annotations

from typing import TypedDict

from streamdepth.config import Settings
from streamdepth.core.types import Edges, Style


class Look(TypedDict):
    """What every sink that draws takes."""

    style: Style
    colormap: str
    alpha: float
    legend: bool
    edges: Edges


def look_of(settings: Settings) -> Look:
    """The same for everything that one run draws."""
    return {
        "style": settings.style,
        "colormap": settings.colormap,
        "alpha": settings.video.alpha,
        "legend": settings.video.legend,
        "edges": settings.edges,
    }
