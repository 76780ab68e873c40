"""The two ways to render a stage: Blender's path tracer, and casting rays, several times as fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streamdepth.training.scenes.stage import Stage, View

Floats = npt.NDArray[np.float32]
PHOTOS = 200
"""Crops of photographs that a run keeps as textures."""


class SceneRenderer(Protocol):
    """Makes pictures of one stage."""

    def depth(self, view: View) -> Floats:
        """(height, width) metres along the optical axis, +inf in the sky."""

    def colour(self, view: View) -> Floats:
        """(height, width, 3) linear RGB."""


@dataclass(frozen=True, slots=True)
class Style:
    """A renderer, the packages that it needs, and the beginning of its data sets' names."""

    prefix: str
    packages: tuple[str, ...]
    extra: str
    renderer: Callable[[Stage, np.random.Generator], SceneRenderer]


def traced(threads: int) -> Style:
    """By Cycles: light that is scattered many times, blur by depth of field; about a second each on one thread."""

    def make(stage: Stage, _: np.random.Generator) -> SceneRenderer:
        from streamdepth.training.scenes.blender import Renderer

        return Renderer(stage, threads)

    return Style("scenes", ("bpy", "OpenEXR"), "scenes", make)


def cast(threads: int, photos: Sequence[Path], seed: int) -> Style:
    """By rays through Embree, photographs as textures; a quarter of a second each on one thread.

    photos: pictures whose crops some of the surfaces wear.
    """
    from streamdepth.training.scenes.tiles import photo_tiles

    tiles = photo_tiles(photos, PHOTOS, np.random.default_rng(seed)) if photos else None

    def make(stage: Stage, rng: np.random.Generator) -> SceneRenderer:
        from streamdepth.training.scenes.caster import Caster

        return Caster(stage, tiles, rng, threads)

    return Style("cast", ("open3d",), "fusion", make)
