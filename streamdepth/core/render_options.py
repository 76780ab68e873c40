"""Options for drawing depth: plain data that sinks, the web page and programs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from streamdepth.core.zones import Zone

StereoStyle = Literal["sbs", "half-sbs", "top-bottom", "anaglyph"]
"""Layout of the pictures of two eyes: beside each other at full or half width, above each other, or for red-cyan
glasses."""
Style = Literal["overlay", "depth", "side-by-side", "sbs", "half-sbs", "top-bottom", "anaglyph"]
"""Style of a picture of depth: colors over the frame, colors alone, the frame beside the colors, or a `StereoStyle`."""
STEREO_STYLES: tuple[StereoStyle, ...] = get_args(StereoStyle)
Edges = Literal["plain", "guided"]
"""Method of enlarging depth to the frame's size: smoothly, or along the edges of the picture (guided filter)."""
DepthSize = Literal["picture", "network"]
"""Size of the depth maps in files: that of the picture, or that of the network's output, which is smaller."""


@dataclass(frozen=True, slots=True)
class StereoOptions:
    """The depth of stereo pictures. The left eye sees the frame itself, the right eye a view made from its depth.

    >>> sd.RenderOptions("sbs", stereo=sd.StereoOptions(depth_strength=0.03)).is_stereo
    True
    """

    depth_strength: float = 0.02
    """Disparity between the near and the far end of the range in the two pictures, as a share of their width."""
    convergence: float = 0.5
    """Position of the screen in the range: 0 is its far end, so that all appears before the screen, 1 its near end."""
    ipd_m: float | None = None
    """Interpupillary distance in meters, for metric depth of a known camera; it replaces `depth_strength`."""


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
    style but "depth", whose pixels are depth and nothing else. Stereo pictures have none."""
    edges: Edges = "plain"
    invert: bool = False
    """True draws near with the low end of the color map, so that near is dark and far is bright."""
    zones: tuple[Zone, ...] = ()
    """Zones that are outlined, with their nearest depth, in every style but "depth" and the stereo styles."""
    stereo: StereoOptions = StereoOptions()

    @property
    def is_stereo(self) -> bool:
        """True if the pictures of two eyes are drawn, which have no colors of depth and no legend."""
        return self.style in STEREO_STYLES

    @property
    def has_legend(self) -> bool:
        """True if a legend is drawn."""
        if self.is_stereo:
            return False
        return self.style != "depth" if self.legend is None else self.legend

    @property
    def drawn_zones(self) -> tuple[Zone, ...]:
        """The zones that are outlined in this style."""
        return () if self.style == "depth" or self.is_stereo else self.zones

    @property
    def effective_colormap(self) -> str:
        """The name of the color map to draw with, reversed where `invert` asks for it."""
        if not self.invert:
            return self.colormap
        return self.colormap.removesuffix("_r") if self.colormap.endswith("_r") else f"{self.colormap}_r"
