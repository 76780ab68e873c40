"""The two ways to render a scene: Blender's path tracer, and casting rays, which is several times as fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streamdepth.training.scenes.scene import CameraView, Scene

Floats = npt.NDArray[np.float32]
PHOTOS = 200
"""Crops of photographs that a run keeps as textures."""


class SceneRenderer(Protocol):
    """A renderer of one scene."""

    def depth(self, view: CameraView) -> Floats:
        """Returns (height, width) meters along the optical axis, +inf in the sky."""

    def color(self, view: CameraView) -> Floats:
        """Returns (height, width, 3) linear RGB."""


@dataclass(frozen=True, slots=True)
class Style:
    """A renderer, the packages that it needs, and the beginning of its datasets' names."""

    prefix: str
    packages: tuple[str, ...]
    extra: str
    renderer: Callable[[Scene, np.random.Generator], SceneRenderer]


def traced(threads: int) -> Style:
    """Returns the style of Cycles: scattered light, depth of field; about a second a picture on one thread."""

    def make(scene: Scene, _: np.random.Generator) -> SceneRenderer:
        from streamdepth.training.scenes.blender import Renderer

        return Renderer(scene, threads)

    return Style("scenes", ("bpy", "OpenEXR"), "scenes", make)


def cast(threads: int, photos: Sequence[Path], seed: int) -> Style:
    """Returns the style of rays through Embree, with photographs as textures; a quarter of a second a picture.

    `photos` are pictures whose crops become textures of some surfaces.
    """
    from streamdepth.training.scenes.tiles import photo_tiles

    tiles = photo_tiles(photos, PHOTOS, np.random.default_rng(seed)) if photos else None

    def make(scene: Scene, rng: np.random.Generator) -> SceneRenderer:
        from streamdepth.training.scenes.caster import Caster

        return Caster(scene, tiles, rng, threads)

    return Style("cast", ("open3d",), "fusion", make)
