"""Textures for the ray caster: patterns of one value and crops of photographs, as pyramids of square tiles.

Each tile is `SIZE` px and repeats: a pattern by itself, a photograph by mirroring. A pyramid holds its means over ever
larger squares (Williams, "Pyramidal Parametrics", SIGGRAPH 1983), so that far surfaces do not shimmer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import SourceOpenError
from streamdepth.training.scenes.materials import PATTERNS

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.floating]
SIZE = 128
PERIODS = 4
"""Repetitions of a pattern along one side of its tile."""
LEVELS = 6


class Tiles:
    """Pyramids of tiles; a level is (T, SIZE >> level, SIZE >> level, C) float32."""

    def __init__(self, tiles: Sequence[Floats]) -> None:
        first = np.stack(tiles).astype(np.float32)
        self.levels = [first]
        for _ in range(LEVELS - 1):
            last = self.levels[-1]
            four = last[:, ::2, ::2] + last[:, 1::2, ::2] + last[:, ::2, 1::2] + last[:, 1::2, 1::2]
            self.levels.append(np.asarray(four / 4, np.float32))

    def __len__(self) -> int:
        return len(self.levels[0])

    def look_up(self, tile: npt.NDArray[np.int64], places: Numbers, footprint: Numbers) -> Floats:
        """Returns (N, C) of tiles (N,) at places (N, 2), interpolated where a tile is enlarged.

        Places and footprint, (N,), the side of a pixel, are in sides of a tile.
        """
        level = np.clip(np.log2(np.maximum(footprint * SIZE, 1.0)), 0, LEVELS - 1).astype(int)
        found = np.empty((len(tile), self.levels[0].shape[-1]), np.float32)
        for i, tiles in enumerate(self.levels):
            here = level == i
            read = _between if i == 0 else _nearest
            found[here] = read(tiles, tile[here], places[here] * tiles.shape[1])
        return found


def _nearest(tiles: Floats, tile: npt.NDArray[np.int64], texels: Numbers) -> Floats:
    column, row = (np.floor(texels).astype(np.int64) % tiles.shape[1]).T
    return np.asarray(tiles[tile, row, column])


def _between(tiles: Floats, tile: npt.NDArray[np.int64], texels: Numbers) -> Floats:
    """Returns values interpolated between four texels."""
    corner = np.floor(texels - 0.5)
    x, y = (texels - 0.5 - corner).astype(np.float32).T[:, :, None]
    a, b, c, d = (_nearest(tiles, tile, corner + shift) for shift in ((0, 0), (1, 0), (0, 1), (1, 1)))
    return np.asarray((a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y)


def pattern_tiles(rng: np.random.Generator) -> Tiles:
    """Returns one tile of values from 0 to 1 for each of `PATTERNS`, in their order; plain ones are 0."""
    return Tiles([_pattern(name, rng)[..., None] for name in PATTERNS])


def photo_tiles(pictures: Sequence[Path], count: int, rng: np.random.Generator) -> Tiles:
    """Returns square crops of photographs in linear RGB of mean about 1/3, mirrored so that they repeat.

    Raises SourceOpenError for a file that is not a picture.
    """
    return Tiles([_photo(pictures[int(rng.integers(len(pictures)))], rng) for _ in range(count)])


def _photo(path: Path, rng: np.random.Generator) -> Floats:
    read = cv2.imread(str(path))
    if read is None:
        raise SourceOpenError(f"'{path}' is no picture, or damaged", code="undecodable")
    picture = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
    side = int(min(picture.shape[:2]) * rng.uniform(0.25, 0.9))
    top, left = (int(rng.integers(length - side + 1)) for length in picture.shape[:2])
    half = cv2.resize(picture[top : top + side, left : left + side], (SIZE // 2,) * 2, interpolation=cv2.INTER_AREA)
    linear = (half / np.float32(255)) ** 2.2
    linear = linear / max(float(linear.mean()), 0.02) / 3
    doubled = np.concatenate([linear, linear[:, ::-1]], 1)
    return np.concatenate([doubled, doubled[::-1]]).astype(np.float32)


def _pattern(name: str, rng: np.random.Generator) -> Floats:
    """Returns (SIZE, SIZE) values from 0 to 1."""
    across, up = np.meshgrid(*[np.arange(SIZE) * (PERIODS / SIZE)] * 2)
    u, v = across % 1, up % 1
    clouds = fractal(rng, 1.6)
    match name:
        case "noise":
            value = clouds
        case "cells":
            value = _cells(rng, 40)
        case "turf":
            value = 0.5 * clouds + 0.5 * fractal(rng, 0.4)
        case "bricks":
            value = _bricks(across, up * 2, rng)
        case "tiles":
            value = np.where((u < 0.04) | (v < 0.04), 1.0, 0.3 * clouds)
        case "checks":
            value = (across.astype(int) + up.astype(int)) % 2
        case "stripes":
            value = u
        case "waves":
            value = 0.5 + 0.5 * np.sin(2 * np.pi * (across + 1.5 * clouds))
        case "grain":
            value = fractal(rng, 1.2, stretch=12)
        case "speckle":
            value = fractal(rng, 0.2)
        case "patches":
            value = np.where(fractal(rng, 2.2) > 0.5, _cells(rng, 24), clouds)
        case "letters":
            value = (v > 0.45) & (fractal(rng, 0.6) > 0.52)
        case "dots":
            value = np.hypot(u - 0.5, v - 0.5) < 0.3
        case "gradient":
            value = 1 - np.abs(2 * v - 1)
        case _:
            value = np.zeros_like(u)
    return np.asarray(value, np.float32)


def fractal(rng: np.random.Generator, power: float, stretch: float = 1.0) -> Floats:
    """Returns (SIZE, SIZE) noise from 0 to 1 that repeats, of amplitudes that fall with this power of the frequency."""
    rows, columns = np.meshgrid(np.fft.fftfreq(SIZE), np.fft.rfftfreq(SIZE), indexing="ij")
    frequency = np.hypot(rows * stretch, columns) + 1.0 / SIZE
    spectrum = np.fft.rfft2(rng.normal(size=(SIZE, SIZE))) / frequency**power
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (SIZE, SIZE))
    low, high = np.quantile(noise, (0.02, 0.98))
    return np.asarray(np.clip((noise - low) / (high - low), 0, 1), np.float32)


def _cells(rng: np.random.Generator, count: int) -> Floats:
    """Returns (SIZE, SIZE): each pixel has the value of the nearest of `count` points, around the borders too."""
    points, own = rng.random((count, 2)) * SIZE, rng.random(count).astype(np.float32)
    places = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1)[:, :, None]
    apart = np.abs(places - points)
    distance = np.hypot(*np.moveaxis(np.minimum(apart, SIZE - apart), -1, 0))
    return np.asarray(own[distance.argmin(-1)])


def _bricks(across: Numbers, up: Numbers, rng: np.random.Generator) -> Floats:
    """Returns rows half a brick apart, each brick of its own value, joints 1."""
    row = up.astype(int)
    place = across + 0.5 * (row % 2)
    own = 0.6 * rng.random((2 * PERIODS + 1, PERIODS + 1))
    joint = (place % 1 < 0.05) | (up % 1 < 0.1)
    return np.where(joint, 1.0, own[row, place.astype(int) % PERIODS]).astype(np.float32)
