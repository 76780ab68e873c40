"""Options for drawing depth: plain data that sinks, the web page and programs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from streamdepth.core.zones import Zone

Style = Literal["overlay", "depth", "side-by-side"]
"""Style of a picture of depth: colors over the frame, colors alone, or the frame beside the colors."""
Edges = Literal["plain", "guided"]
"""Method of enlarging depth to the frame's size: smoothly, or along the edges of the picture (guided filter)."""
DepthSize = Literal["picture", "network"]
"""Size of the depth maps in files: that of the picture, or that of the network's output, which is smaller."""


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """Options of one picture of depth. `streamdepth.render` checks the values where they are used first.

    >>> RenderOptions(style="depth", colormap="turbo", invert=True).effective_colormap
    'turbo_r'
    """

    style: Style = "overlay"
    colormap: str = "inferno"
    """A continuous color map by name, also reversed as NAME_r; near takes its high end."""
    alpha: float = 0.6
    """Opacity of the colors over the frame in an overlay, from 0 (the frame only) to 1 (the colors only)."""
    legend: bool | None = None
    """True draws a bar with meters (metric depth) or the words near and far (relative depth); None draws it in every
    style but "depth", whose pixels are depth and nothing else."""
    edges: Edges = "plain"
    invert: bool = False
    """True draws near with the low end of the color map, so that near is dark and far is bright."""
    zones: tuple[Zone, ...] = ()
    """Zones that are outlined, with their nearest depth, in every style but "depth"."""

    @property
    def has_legend(self) -> bool:
        """True if a legend is drawn."""
        return self.style != "depth" if self.legend is None else self.legend

    @property
    def drawn_zones(self) -> tuple[Zone, ...]:
        """The zones that are outlined in this style."""
        return () if self.style == "depth" else self.zones

    @property
    def effective_colormap(self) -> str:
        """The name of the color map to draw with, reversed where `invert` asks for it."""
        if not self.invert:
            return self.colormap
        return self.colormap.removesuffix("_r") if self.colormap.endswith("_r") else f"{self.colormap}_r"
