"""The color of a surface at a point, for the ray caster: a scene's materials, some with photographs on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamdepth.training.scenes.materials import PATTERNS, SurfaceMaterial
from streamdepth.training.scenes.tiles import PERIODS, Floats, Tiles, pattern_tiles

PHOTO = 0.5
"""Share of the materials with a pattern that get a photograph instead."""
TINTED = 0.65
"""Share of the photographs that only shade the material's own colors."""
_COLORS = 4


class Surfaces:
    """The materials of a scene as arrays; `rng` chooses those that get a photograph in place of their pattern."""

    def __init__(self, materials: Sequence[SurfaceMaterial], photos: Tiles | None, rng: np.random.Generator) -> None:
        self.colors = np.stack([_ramp(material) for material in materials])
        self.pattern = np.array([PATTERNS.index(material.pattern) for material in materials])
        self.period = np.array([material.scale for material in materials], np.float32)
        self.shift = np.array([material.seed for material in materials], np.float32)
        self.dirt = np.array([material.dirt for material in materials], np.float32)
        self.is_tinted = np.array([material.tinted for material in materials])
        self.glow = np.array([material.glow for material in materials], np.float32)
        self.gloss = np.array([_gloss(material) for material in materials], np.float32)
        self.patterns, self.photos = pattern_tiles(rng), photos
        wears = (rng.random(len(materials)) < PHOTO) & (self.pattern != 0) & (photos is not None)
        self.photo = np.where(wears, rng.integers(max(1, len(photos or ())), size=len(materials)), -1)
        self.is_shade = rng.random(len(materials)) < TINTED
        self.photo_size = np.clip(self.period * rng.uniform(3, 10, len(materials)), 0.3, 6).astype(np.float32)

    def albedo(
        self, material: npt.NDArray[np.int64], points: Floats, normals: Floats, pixel: Floats, tint: Floats
    ) -> Floats:
        """Returns (N, 3) linear RGB of (N, 3) points and normals in the model's own frame.

        pixel: (N,) the side of a pixel in meters; tint: (N, 3).
        """
        places = _face(points, normals)
        scaled = places / self.period[material, None] + self.shift[material, None]
        side = pixel / self.period[material] / PERIODS
        value = self.patterns.look_up(self.pattern[material], scaled / PERIODS, side)[:, 0]
        color = _mix(self.colors[material], value)
        if self.photos is not None:
            worn = self.photo[material] >= 0
            color[worn] = self._photographs(material[worn], places[worn], pixel[worn], color[worn])
        stains = self.patterns.look_up(np.full(len(material), PATTERNS.index("noise")), places / 9, pixel / 9)[:, 0]
        color = color * (1 - self.dirt[material] * stains**2)[:, None]
        return np.asarray(np.where(self.is_tinted[material, None], color * tint, color), np.float32)

    def _photographs(self, material: npt.NDArray[np.int64], places: Floats, pixel: Floats, color: Floats) -> Floats:
        assert self.photos is not None
        size = self.photo_size[material]
        seen = self.photos.look_up(
            self.photo[material], places / size[:, None] + self.shift[material, None], pixel / size
        )
        shaded = self.colors[material].mean(1) * 3 * seen.mean(1, keepdims=True)
        return np.clip(np.where(self.is_shade[material, None], shaded, seen), 0, 1)


def _ramp(material: SurfaceMaterial) -> Floats:
    """Returns (4, 3): the colors of a material, evenly spaced."""
    own = np.array(material.colors, np.float32)
    places = np.linspace(0, len(own) - 1, _COLORS)
    return np.stack([np.interp(places, np.arange(len(own)), own[:, c]) for c in range(3)], 1).astype(np.float32)


def _mix(ramps: Floats, value: Floats) -> Floats:
    """Returns (N, 3): ramps (N, 4, 3) at values (N,) from 0 to 1."""
    place = np.clip(value, 0, 1) * (_COLORS - 1)
    low = np.minimum(place.astype(np.int64), _COLORS - 2)
    share = (place - low)[:, None]
    rows = np.arange(len(low))
    return np.asarray(ramps[rows, low] * (1 - share) + ramps[rows, low + 1] * share, np.float32)


def _gloss(material: SurfaceMaterial) -> float:
    """Returns the share of light that the material reflects like a mirror."""
    return float(np.clip(max(0.7 * material.metallic, 0.6 * material.clear, 0.25 - material.roughness), 0.0, 0.8))


def _face(points: Floats, normals: Floats) -> Floats:
    """Returns (N, 2) places: level faces lie in (x, y), upright ones in (x + y, z), so that bricks lie."""
    level = np.abs(normals[:, 2:]) > 0.7
    upright = np.stack([points[:, 0] + points[:, 1], points[:, 2]], 1)
    return np.asarray(np.where(level, points[:, :2], upright), np.float32)
