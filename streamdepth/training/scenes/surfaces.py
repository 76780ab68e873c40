"""What colour a surface has at a point, for the ray caster: the looks of a stage, some of them with photographs on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamdepth.training.scenes.looks import PATTERNS, Look
from streamdepth.training.scenes.tiles import PERIODS, Floats, Tiles, pattern_tiles

PHOTO = 0.5
"""Share of the looks with a pattern that wear a photograph instead."""
TINTED = 0.65
"""Share of the photographs that only shade the look's own colours."""
_COLOURS = 4


class Surfaces:
    """The looks of a stage as arrays. `photos` may be empty; `rng` chooses who wears one."""

    def __init__(self, looks: Sequence[Look], photos: Tiles | None, rng: np.random.Generator) -> None:
        self.colours = np.stack([_ramp(look) for look in looks])
        self.pattern = np.array([PATTERNS.index(look.pattern) for look in looks])
        self.period = np.array([look.scale for look in looks], np.float32)
        self.shift = np.array([look.seed for look in looks], np.float32)
        self.dirt = np.array([look.dirt for look in looks], np.float32)
        self.is_tinted = np.array([look.tinted for look in looks])
        self.glow = np.array([look.glow for look in looks], np.float32)
        self.gloss = np.array([_gloss(look) for look in looks], np.float32)
        self.patterns, self.photos = pattern_tiles(rng), photos
        wears = (rng.random(len(looks)) < PHOTO) & (self.pattern != 0) & (photos is not None)
        self.photo = np.where(wears, rng.integers(max(1, len(photos or ())), size=len(looks)), -1)
        self.is_shade = rng.random(len(looks)) < TINTED
        self.photo_size = np.clip(self.period * rng.uniform(3, 10, len(looks)), 0.3, 6).astype(np.float32)

    def albedo(
        self, look: npt.NDArray[np.int64], points: Floats, normals: Floats, pixel: Floats, tint: Floats
    ) -> Floats:
        """(N, 3) linear RGB. points and normals: (N, 3) in the thing's own frame; pixel: (N,) its side in metres."""
        places = _face(points, normals)
        scaled = places / self.period[look, None] + self.shift[look, None]
        side = pixel / self.period[look] / PERIODS
        value = self.patterns.look_up(self.pattern[look], scaled / PERIODS, side)[:, 0]
        colour = _mix(self.colours[look], value)
        if self.photos is not None:
            worn = self.photo[look] >= 0
            colour[worn] = self._photographs(look[worn], places[worn], pixel[worn], colour[worn])
        stains = self.patterns.look_up(np.full(len(look), PATTERNS.index("noise")), places / 9, pixel / 9)[:, 0]
        colour = colour * (1 - self.dirt[look] * stains**2)[:, None]
        return np.asarray(np.where(self.is_tinted[look, None], colour * tint, colour), np.float32)

    def _photographs(self, look: npt.NDArray[np.int64], places: Floats, pixel: Floats, colour: Floats) -> Floats:
        assert self.photos is not None
        size = self.photo_size[look]
        seen = self.photos.look_up(self.photo[look], places / size[:, None] + self.shift[look, None], pixel / size)
        shaded = self.colours[look].mean(1) * 3 * seen.mean(1, keepdims=True)
        return np.clip(np.where(self.is_shade[look, None], shaded, seen), 0, 1)


def _ramp(look: Look) -> Floats:
    """(4, 3): the look's colours, evenly spaced."""
    own = np.array(look.colours, np.float32)
    places = np.linspace(0, len(own) - 1, _COLOURS)
    return np.stack([np.interp(places, np.arange(len(own)), own[:, c]) for c in range(3)], 1).astype(np.float32)


def _mix(ramps: Floats, value: Floats) -> Floats:
    """(N, 3): ramps (N, 4, 3) at values (N,) from 0 to 1."""
    place = np.clip(value, 0, 1) * (_COLOURS - 1)
    low = np.minimum(place.astype(np.int64), _COLOURS - 2)
    share = (place - low)[:, None]
    rows = np.arange(len(low))
    return np.asarray(ramps[rows, low] * (1 - share) + ramps[rows, low + 1] * share, np.float32)


def _gloss(look: Look) -> float:
    """Share of light that it mirrors instead of scattering."""
    return float(np.clip(max(0.7 * look.metallic, 0.6 * look.clear, 0.25 - look.roughness), 0.0, 0.8))


def _face(points: Floats, normals: Floats) -> Floats:
    """(N, 2): level faces lie in (x, y), upright ones in (x + y, z), so that bricks lie."""
    level = np.abs(normals[:, 2:]) > 0.7
    upright = np.stack([points[:, 0] + points[:, 1], points[:, 2]], 1)
    return np.asarray(np.where(level, points[:, :2], upright), np.float32)
