"""The state of a window on the screen, and the keys that change it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamdepth.core.arrays import Image
from streamdepth.core.render_options import RenderOptions, Style
from streamdepth.core.types import DepthFrame
from streamdepth.render.colors import COMMON_COLORMAPS
from streamdepth.render.overlay import render

WINDOW_KEYS = {
    "1 2 3 4 5": "picture, overlay, depth, both side by side, anaglyph",
    "c": "next colors",
    "i": "swap the colors of near and far",
    "+ -": "stronger or weaker overlay",
    "l": "legend",
    "p": "pause the picture; the stream and its recordings go on",
    "s": "snapshot: picture, view and depth as files",
    "f": "frames per second",
    "h": "this list",
    "q": "end (also Esc)",
}
"""Keys of a window, and what each does."""

_STYLES: dict[str, Style] = {"2": "overlay", "3": "depth", "4": "side-by-side", "5": "anaglyph"}
_ALPHA_STEP = 0.1


@dataclass(slots=True)
class WindowView:
    """The state of a window that its keys change, apart from snapshots and the end."""

    options: RenderOptions
    shows_depth: bool = True
    """False shows the picture of the source alone."""
    is_paused: bool = False
    shows_fps: bool = False
    shows_help: bool = False

    def press(self, key: str) -> bool:
        """Takes a key of WINDOW_KEYS; returns False, and changes nothing, for any other key."""
        options = self.options
        match key:
            case "1":
                self.shows_depth = False
            case "2" | "3" | "4" | "5":
                self.shows_depth, self.options = True, replace(options, style=_STYLES[key])
            case "c":
                self.options = replace(options, colormap=_next_colormap(options.colormap))
            case "i":
                self.options = replace(options, invert=not options.invert)
            case "+" | "=" | "-":  # + is = without shift
                alpha = options.alpha + (-_ALPHA_STEP if key == "-" else _ALPHA_STEP)
                self.options = replace(options, alpha=round(min(1.0, max(0.0, alpha)), 2))
            case "l":
                self.options = replace(options, legend=not options.has_legend)
            case "p":
                self.is_paused = not self.is_paused
            case "f":
                self.shows_fps = not self.shows_fps
            case "h":
                self.shows_help = not self.shows_help
            case _:
                return False
        return True

    def draw(self, item: DepthFrame) -> Image:
        """Draws a frame as the window shows it, without captions."""
        return render(item, self.options) if self.shows_depth else item.frame.image


def _next_colormap(name: str) -> str:
    """Returns the common color map after `name`; the first one after any other."""
    following = COMMON_COLORMAPS.index(name) + 1 if name in COMMON_COLORMAPS else 0
    return COMMON_COLORMAPS[following % len(COMMON_COLORMAPS)]
