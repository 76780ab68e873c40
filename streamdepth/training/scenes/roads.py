"""Roads: their course, the ground beside them, and their markings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Scene
from streamdepth.training.scenes.shapes import Floats, Shape, sheet

REACH = 170.0
"""Meters of road before and behind the middle."""


@dataclass(frozen=True, slots=True)
class Road:
    """A road along y with a constant bend and gentle hills."""

    bend: float
    """Curvature in 1/m, positive to the left."""
    hill: float
    """Height of the waves in meters."""
    phase: float
    half: float
    """Half the width of its lanes together."""
    verge: float
    """Width of a pavement or shoulder."""
    kerb: float

    def point(self, along: float | Floats, aside: float | Floats, up: float | Floats = 0.0) -> Floats:
        """Returns (..., 3) points; `aside` is to the right."""
        along, aside = np.broadcast_arrays(np.asarray(along, float), np.asarray(aside, float))
        angle = self.bend * along
        x = -self.bend * along**2 / 2 + aside * np.cos(angle)
        y = along + aside * np.sin(angle) * np.sign(1)
        return np.stack([x, y, self.height(along) + up], axis=-1)

    def height(self, along: Floats) -> Floats:
        return np.asarray(self.hill * (np.sin(along / 55 + self.phase) - np.sin(self.phase)))

    def heading(self, along: float) -> float:
        return float(np.degrees(self.bend * along))


def strip(road: Road, inner: tuple[float, float], outer: tuple[float, float], cells: int = 48) -> Shape:
    """Returns ground between two lines along the road, each given as (aside, up)."""

    def surface(u: Floats, v: Floats) -> Floats:
        along = (2 * v - 1) * REACH * 1.6
        aside = inner[0] + u * (outer[0] - inner[0])
        return road.point(along, aside, inner[1] + u * (outer[1] - inner[1]))

    return sheet(surface, (1, cells))


def ground(rng: Rng, scene: Scene, road: Road, kind: str) -> None:
    half, kerb, edge = road.half, road.kerb, road.half + road.verge
    asphalt, pavement = materials.asphalt(rng), materials.paving(rng)
    soil = {"city": materials.paving, "parking": materials.grass}.get(
        kind, choose(rng, (materials.grass, materials.grass, materials.soil))
    )(rng)
    if kind == "country" and chance(rng, 0.15):
        asphalt = materials.soil(rng)
    verge = soil if kind == "country" else pavement if kind != "highway" else asphalt
    parts = [(strip(road, (-half, 0), (half, 0)), asphalt)]
    for side in (-1, 1):
        lines = [
            (side * half, 0.0),
            (side * half, kerb),
            (side * edge, kerb + 0.02),
            (side * (edge + 60), kerb),
            (side * 420, kerb),
        ]
        for (first, second), material in zip(pairwise(lines), (pavement, verge, soil, soil), strict=True):
            ends = (first, second) if side > 0 else (second, first)
            parts.append((strip(road, *ends), material))
    scene.add(parts)


def _line(road: Road, aside: float, wide: float, starts: Floats, length: float) -> list[Shape]:
    def dash(start: float) -> Shape:
        return sheet(
            lambda u, v: road.point(start + v * length, aside + (u - 0.5) * wide, 0.006), (1, max(1, int(length / 8)))
        )

    return [dash(float(start)) for start in starts]


def markings(rng: Rng, scene: Scene, road: Road, kind: str) -> None:
    if chance(rng, 0.15):
        return
    color = palette.gray(rng, 0.7, 0.95) if chance(rng, 0.85) else (0.75, 0.5, 0.05)
    white = materials.plain(rng, color, 0.7, dirt=rng.uniform(0.1, 0.6))
    dash, gap = rng.uniform(2, 6), rng.uniform(3, 9)
    starts = np.arange(-REACH, REACH, dash + gap)
    lanes = max(2, round(2 * road.half / 3.4))
    shapes: list[Shape] = []
    for lane in range(1, lanes):
        shapes += _line(road, -road.half + lane * 2 * road.half / lanes, 0.14, starts, dash)
    if kind in ("country", "highway") or chance(rng, 0.4):
        for side in (-1, 1):
            shapes += _line(road, side * (road.half - 0.35), 0.14, np.array([-REACH]), 2 * REACH)
    if kind == "city" and chance(rng, 0.6):
        position = rng.uniform(-30, 40)
        bars = np.arange(-road.half + 0.5, road.half - 0.3, 1.0)
        shapes += [s for bar in bars for s in _line(road, float(bar), 0.5, np.array([position]), 3.2)]
    scene.add([(shape, white) for shape in shapes])
