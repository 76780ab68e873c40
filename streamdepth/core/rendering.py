"""Holds the function that draws depth: `DepthFrame.render` calls it, and the package's `__init__` installs it.

`core` imports no other folder, and drawing needs OpenCV, so that `core` is given its renderer from above.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamdepth.core.arrays import Image
    from streamdepth.core.render_options import RenderOptions
    from streamdepth.core.types import DepthFrame

    Renderer = Callable[[DepthFrame, RenderOptions], Image]

_installed: list[Renderer] = []


def install_renderer(renderer: Renderer) -> None:
    """Makes `renderer` the function that `DepthFrame.render` calls, in place of an earlier one."""
    _installed[:] = [renderer]


def render_depth(item: DepthFrame, options: RenderOptions) -> Image:
    """Draws `item` with the installed renderer; returns (H, W, 3) uint8 RGB, twice as wide for side-by-side."""
    (renderer,) = _installed
    return renderer(item, options)
