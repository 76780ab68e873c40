"""Trees, bushes, grass, flowers, stones. Everything grows from z = 0."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import looks
from streamdepth.training.scenes.looks import Look, Rng, chance, choose
from streamdepth.training.scenes.shapes import (
    Floats,
    Shape,
    cone,
    cylinder,
    ellipsoid,
    headings,
    join,
    lathe,
    lumpy,
    random_turns,
    scattered,
    tube,
)
from streamdepth.training.scenes.stage import Parts

BLADE = Shape(np.array([(-0.5, 0, 0), (0.5, 0, 0), (0.35, 0.25, 0.6), (-0.2, 0.6, 1.0)]), np.array([[0, 1, 2, 3]]))
"""A bent leaf of about 1 x 1."""


def leaves(rng: Rng, centres: Floats, radius: float, count: int, size: float) -> Shape:
    """`count` leaves in balls of `radius` around `centres` (M, 3), more of them near the balls' skin."""
    offsets = rng.normal(size=(count, 3))
    offsets *= (radius * rng.uniform(0.2, 1, (count, 1)) ** 0.5) / np.linalg.norm(offsets, axis=1, keepdims=True)
    places = centres[rng.integers(len(centres), size=count)] + offsets * (1, 1, 0.8)
    return scattered(BLADE, places, random_turns(rng, count), size * rng.uniform(0.6, 1.3, count))


def tree(rng: Rng, look: Look | None = None, trunk: Look | None = None) -> Parts:
    kind = rng.random()
    look, trunk = look or looks.leaf(rng), trunk or looks.bark(rng)
    if kind < 0.18:
        return conifer(rng, look, trunk)
    if kind < 0.28:
        return bare_tree(rng, trunk)
    return leafy_tree(rng, look, trunk)


def leafy_tree(rng: Rng, look: Look, trunk: Look) -> Parts:
    """4 to 14 m."""
    height = rng.uniform(4, 14)
    stem, bole = height * rng.uniform(0.2, 0.45), height * rng.uniform(0.012, 0.028)
    reach = height * rng.uniform(0.15, 0.35)
    count = int(rng.integers(5, 12))
    centres = np.column_stack([rng.normal(0, reach * 0.55, (count, 2)), rng.uniform(stem, height * 0.92, count)])
    lean = rng.normal(0, 0.3, 2)
    parts: Parts = [
        (tube([(0, 0, -0.1), (*lean * 0.4, stem * 0.5), (*lean, height * 0.7)], [bole * 1.3, bole, bole * 0.4]), trunk)
    ]
    branches = [
        tube([(*lean * 0.7, stem * rng.uniform(0.7, 1.1)), tuple(c)], [bole * 0.5, bole * 0.15], 5) for c in centres
    ]
    parts.append((join(branches), trunk))
    size = rng.uniform(0.12, 0.28) * (height / 8) ** 0.5
    parts.append((leaves(rng, centres, reach * 0.62, int(rng.integers(1600, 3200)), size), look))
    if chance(rng, 0.6):
        cores = [lumpy(ellipsoid((reach * 0.9,) * 3, 7, 9), rng, 0.3).moved(c) for c in centres]
        parts.append((join(cores), look))
    return parts


def conifer(rng: Rng, look: Look, trunk: Look) -> Parts:
    """4 to 16 m: drooping twigs in a cone around a core."""
    height, width = rng.uniform(4, 16), rng.uniform(0.14, 0.26)
    count = int(rng.integers(1500, 2600))
    share, angle = rng.uniform(0, 1, count) ** 1.6, rng.uniform(0, 2 * np.pi, count)
    layers = choose(rng, (9.0, 14.0, 22.0))
    share = np.clip((np.floor(share * layers) + rng.normal(0.5, 0.2, count)) / layers, 0, 1)
    reach = (1 - share) * width * height * rng.uniform(0.3, 1, count) ** 0.5
    places = np.column_stack(
        [reach * np.cos(angle), reach * np.sin(angle), height * (0.1 + 0.88 * share) - 0.25 * reach]
    )
    turns = headings(np.degrees(angle) - 90 + rng.normal(0, 25, count))
    twigs = scattered(BLADE.moved((0, -0.5, 0), (-75, 0, 0)), places, turns, height * rng.uniform(0.05, 0.09, count))
    core = cone(width * height * 0.55, height * 0.8, 9).moved((0, 0, height * 0.16))
    return [(cylinder(height * 0.015, height * 0.9, 7), trunk), (twigs, look), (core, look)]


def bare_tree(rng: Rng, trunk: Look) -> Parts:
    """Three orders of branches without leaves."""
    height = rng.uniform(4, 11)
    shapes = [tube([(0, 0, -0.1), (0, 0, height * 0.55)], [height * 0.022, height * 0.012], 7)]
    tips = [(np.array([0.0, 0.0, height * f]), height * 0.4) for f in rng.uniform(0.3, 0.55, 6)]
    for order in range(3):
        grown = []
        for start, length in tips:
            direction = rng.normal(size=3) * (1, 1, 0.5) + (0, 0, 0.6)
            end = start + direction / np.linalg.norm(direction) * length
            width = height * 0.009 / 2**order
            shapes.append(
                tube(
                    [start, (start + end) / 2 + rng.normal(0, length * 0.05, 3), end],
                    [width, width * 0.8, width * 0.4],
                    4,
                )
            )
            grown += [(start + (end - start) * f, length * 0.55) for f in rng.uniform(0.4, 1, 3)]
        tips = grown
    return [(join(shapes), trunk)]


def bush(rng: Rng, look: Look | None = None) -> Parts:
    """0.4 to 1.8 m wide."""
    look = look or looks.leaf(rng)
    size = rng.uniform(0.4, 1.8)
    centres = np.column_stack([rng.normal(0, size * 0.2, (5, 2)), rng.uniform(0.25, 0.6, 5) * size])
    core = lumpy(ellipsoid((size * 0.8, size * 0.8, size * 0.8), 8, 10), rng, 0.3).moved((0, 0, size * 0.35))
    return [(core, look), (leaves(rng, centres, size * 0.36, 1300, size * 0.065), look)]


def hedge(rng: Rng, length: float) -> Parts:
    """Along x."""
    look = looks.leaf(rng)
    high, thick = rng.uniform(0.6, 2.2), rng.uniform(0.4, 0.9)
    core = ellipsoid((length, thick, high), 8, 14, 0.15).moved((0, 0, high / 2))
    count = int(min(1800, 260 * length))
    places = np.column_stack(
        [
            rng.uniform(-length / 2, length / 2, count),
            rng.uniform(-0.5, 0.5, count) * thick,
            rng.uniform(0, high, count),
        ]
    )
    side = rng.random(count) < 0.7
    places[side, 1] = np.sign(places[side, 1]) * thick / 2
    places[~side, 2] = high
    return [(core, look), (scattered(BLADE, places, random_turns(rng, count), rng.uniform(0.05, 0.13, count)), look)]


def grass_patch(rng: Rng, size: float, count: int = 900, height: float = 0.2) -> Parts:
    """Thin blades on a square."""
    blade = Shape(
        np.array([(-0.016, 0, 0), (0.016, 0, 0), (0.011, 0.12, 0.6), (0, 0.4, 1.0)]), np.array([[0, 1, 2, 3]])
    )
    places = np.column_stack([rng.uniform(-size / 2, size / 2, (count, 2)), np.full(count, -0.01)])
    turns = random_turns(rng, count) * 0 + np.eye(3)
    angles = rng.uniform(0, 2 * np.pi, count)
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
    turns[:, 0, 1], turns[:, 1, 0] = -np.sin(angles), np.sin(angles)
    return [(scattered(blade, places, turns, height * rng.uniform(0.4, 1.3, count)), looks.leaf(rng))]


def flower(rng: Rng) -> Parts:
    """0.15 to 0.6 m."""
    height, petals = rng.uniform(0.15, 0.6), int(rng.integers(5, 12))
    color, stem = looks.plain(rng, looks.vivid(rng), 0.7), looks.leaf(rng)
    top = np.array([*rng.normal(0, height * 0.12, 2), height])
    size = rng.uniform(0.02, 0.06)
    ring = [
        ellipsoid((size * 0.7, size * 1.5, size * 0.25), 5, 8)
        .moved((0, size, 0))
        .moved((0, 0, 0), (25, 0, a))
        .moved(top)
        for a in np.arange(petals) * 360 / petals
    ]
    heart = ellipsoid((size, size, size * 0.7), 6, 9).moved(top)
    parts: Parts = [(tube([(0, 0, 0), tuple(top * (0.3, 0.3, 0.6)), tuple(top)], 0.004, 5), stem), (join(ring), color)]
    parts.append((heart, looks.plain(rng, looks.earthy(rng), 0.9)))
    blades = scattered(
        BLADE,
        np.column_stack([np.zeros((3, 2)), rng.uniform(0.2, 0.7, 3) * height]),
        random_turns(rng, 3),
        np.full(3, height * 0.25),
    )
    return [*parts, (blades, stem)]


def potted_plant(rng: Rng) -> Parts:
    """0.25 to 1.7 m, in a pot."""
    height = rng.uniform(0.25, 1.7)
    wide = height * rng.uniform(0.12, 0.2) + 0.03
    pot = lathe(
        [
            (0, 0),
            (wide * 0.7, 0),
            (wide, wide * 1.6),
            (wide * 0.9, wide * 1.6),
            (wide * 0.85, wide * 1.4),
            (0, wide * 1.4),
        ],
        18,
    )
    look, stem = looks.leaf(rng), looks.bark(rng)
    parts: Parts = [
        (pot, looks.plain(rng, choose(rng, (looks.earthy, looks.pale, looks.vivid))(rng), rng.uniform(0.2, 0.9)))
    ]
    tips = np.column_stack([rng.normal(0, height * 0.13, (7, 2)), rng.uniform(0.45, 1, 7) * height])
    parts.append(
        (join([tube([(0, 0, wide * 1.4), tuple(tip)], [0.008 + wide * 0.04, 0.004], 5) for tip in tips]), stem)
    )
    parts.append((leaves(rng, tips, height * 0.18, int(rng.integers(40, 220)), height * rng.uniform(0.07, 0.2)), look))
    return parts


def stone(rng: Rng, size: float) -> Parts:
    """Half sunk into the ground."""
    shape = lumpy(ellipsoid(size * rng.uniform(0.6, 1.3, 3), 9, 12, rng.uniform(0.7, 1)), rng, 0.45)
    shape = lumpy(shape, rng, 0.2, 6)
    return [(shape.moved((0, 0, size * 0.15), (0, 0, rng.uniform(0, 360))), looks.rock(rng))]
