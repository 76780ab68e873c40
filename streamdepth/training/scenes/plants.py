"""Trees, bushes, grass, flowers, stones. Everything grows from z = 0."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Parts
from streamdepth.training.scenes.shapes import (
    Floats,
    Shape,
    bumpy,
    cone,
    copies_at,
    cylinder,
    ellipsoid,
    join,
    lathe,
    random_rotations,
    rotations_about_z,
    tube,
)

BLADE = Shape(np.array([(-0.5, 0, 0), (0.5, 0, 0), (0.35, 0.25, 0.6), (-0.2, 0.6, 1.0)]), np.array([[0, 1, 2, 3]]))
"""A bent leaf of about 1 x 1."""


def leaves(rng: Rng, centers: Floats, radius: float, count: int, size: float) -> Shape:
    """Returns `count` leaves in balls of `radius` around `centers` (M, 3), more of them near the balls' surface."""
    offsets = rng.normal(size=(count, 3))
    offsets *= (radius * rng.uniform(0.2, 1, (count, 1)) ** 0.5) / np.linalg.norm(offsets, axis=1, keepdims=True)
    places = centers[rng.integers(len(centers), size=count)] + offsets * (1, 1, 0.8)
    return copies_at(BLADE, places, random_rotations(rng, count), size * rng.uniform(0.6, 1.3, count))


def tree(rng: Rng, material: SurfaceMaterial | None = None, trunk: SurfaceMaterial | None = None) -> Parts:
    kind = rng.random()
    material, trunk = material or materials.leaf(rng), trunk or materials.bark(rng)
    if kind < 0.18:
        return conifer(rng, material, trunk)
    if kind < 0.28:
        return bare_tree(rng, trunk)
    return leafy_tree(rng, material, trunk)


def leafy_tree(rng: Rng, material: SurfaceMaterial, trunk: SurfaceMaterial) -> Parts:
    """Returns a leafy tree of 4 to 14 m."""
    height = rng.uniform(4, 14)
    stem, bole = height * rng.uniform(0.2, 0.45), height * rng.uniform(0.012, 0.028)
    crown_radius = height * rng.uniform(0.15, 0.35)
    count = int(rng.integers(5, 12))
    centers = np.column_stack([rng.normal(0, crown_radius * 0.55, (count, 2)), rng.uniform(stem, height * 0.92, count)])
    lean = rng.normal(0, 0.3, 2)
    parts: Parts = [
        (
            tube([(0, 0, -0.1), (*lean * 0.4, stem * 0.5), (*lean, height * 0.7)], [bole * 1.3, bole, bole * 0.4]),
            trunk,
        )
    ]
    branches = [
        tube([(*lean * 0.7, stem * rng.uniform(0.7, 1.1)), tuple(c)], [bole * 0.5, bole * 0.15], 5) for c in centers
    ]
    parts.append((join(branches), trunk))
    size = rng.uniform(0.12, 0.28) * (height / 8) ** 0.5
    parts.append((leaves(rng, centers, crown_radius * 0.62, int(rng.integers(1600, 3200)), size), material))
    if chance(rng, 0.6):
        cores = [bumpy(ellipsoid((crown_radius * 0.9,) * 3, 7, 9), rng, 0.3).transformed(c) for c in centers]
        parts.append((join(cores), material))
    return parts


def conifer(rng: Rng, material: SurfaceMaterial, trunk: SurfaceMaterial) -> Parts:
    """Returns a conifer of 4 to 16 m: drooping twigs in a cone around a core."""
    height, width = rng.uniform(4, 16), rng.uniform(0.14, 0.26)
    count = int(rng.integers(1500, 2600))
    share, angle = rng.uniform(0, 1, count) ** 1.6, rng.uniform(0, 2 * np.pi, count)
    layers = choose(rng, (9.0, 14.0, 22.0))
    share = np.clip((np.floor(share * layers) + rng.normal(0.5, 0.2, count)) / layers, 0, 1)
    crown_radius = (1 - share) * width * height * rng.uniform(0.3, 1, count) ** 0.5
    places = np.column_stack(
        [
            crown_radius * np.cos(angle),
            crown_radius * np.sin(angle),
            height * (0.1 + 0.88 * share) - 0.25 * crown_radius,
        ]
    )
    rotations = rotations_about_z(np.degrees(angle) - 90 + rng.normal(0, 25, count))
    twigs = copies_at(
        BLADE.transformed((0, -0.5, 0), (-75, 0, 0)), places, rotations, height * rng.uniform(0.05, 0.09, count)
    )
    core = cone(width * height * 0.55, height * 0.8, 9).transformed((0, 0, height * 0.16))
    return [(cylinder(height * 0.015, height * 0.9, 7), trunk), (twigs, material), (core, material)]


def bare_tree(rng: Rng, trunk: SurfaceMaterial) -> Parts:
    """Returns a tree with three orders of branches without leaves."""
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


def bush(rng: Rng, material: SurfaceMaterial | None = None) -> Parts:
    """Returns a bush 0.4 to 1.8 m wide."""
    material = material or materials.leaf(rng)
    size = rng.uniform(0.4, 1.8)
    centers = np.column_stack([rng.normal(0, size * 0.2, (5, 2)), rng.uniform(0.25, 0.6, 5) * size])
    core = bumpy(ellipsoid((size * 0.8, size * 0.8, size * 0.8), 8, 10), rng, 0.3).transformed((0, 0, size * 0.35))
    return [(core, material), (leaves(rng, centers, size * 0.36, 1300, size * 0.065), material)]


def hedge(rng: Rng, length: float) -> Parts:
    """Returns a hedge along x."""
    material = materials.leaf(rng)
    high, thick = rng.uniform(0.6, 2.2), rng.uniform(0.4, 0.9)
    core = ellipsoid((length, thick, high), 8, 14, 0.15).transformed((0, 0, high / 2))
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
    return [
        (core, material),
        (copies_at(BLADE, places, random_rotations(rng, count), rng.uniform(0.05, 0.13, count)), material),
    ]


def grass_patch(rng: Rng, size: float, count: int = 900, height: float = 0.2) -> Parts:
    """Returns thin blades on a square."""
    blade = Shape(
        np.array([(-0.016, 0, 0), (0.016, 0, 0), (0.011, 0.12, 0.6), (0, 0.4, 1.0)]), np.array([[0, 1, 2, 3]])
    )
    places = np.column_stack([rng.uniform(-size / 2, size / 2, (count, 2)), np.full(count, -0.01)])
    rotations = random_rotations(rng, count) * 0 + np.eye(3)
    angles = rng.uniform(0, 2 * np.pi, count)
    rotations[:, 0, 0] = rotations[:, 1, 1] = np.cos(angles)
    rotations[:, 0, 1], rotations[:, 1, 0] = -np.sin(angles), np.sin(angles)
    return [(copies_at(blade, places, rotations, height * rng.uniform(0.4, 1.3, count)), materials.leaf(rng))]


def flower(rng: Rng) -> Parts:
    """Returns a flower of 0.15 to 0.6 m."""
    height, petals = rng.uniform(0.15, 0.6), int(rng.integers(5, 12))
    color, stem = materials.plain(rng, palette.vivid(rng), 0.7), materials.leaf(rng)
    top = np.array([*rng.normal(0, height * 0.12, 2), height])
    size = rng.uniform(0.02, 0.06)
    ring = [
        ellipsoid((size * 0.7, size * 1.5, size * 0.25), 5, 8)
        .transformed((0, size, 0))
        .transformed((0, 0, 0), (25, 0, a))
        .transformed(top)
        for a in np.arange(petals) * 360 / petals
    ]
    heart = ellipsoid((size, size, size * 0.7), 6, 9).transformed(top)
    parts: Parts = [
        (tube([(0, 0, 0), tuple(top * (0.3, 0.3, 0.6)), tuple(top)], 0.004, 5), stem),
        (join(ring), color),
    ]
    parts.append((heart, materials.plain(rng, palette.earthy(rng), 0.9)))
    blades = copies_at(
        BLADE,
        np.column_stack([np.zeros((3, 2)), rng.uniform(0.2, 0.7, 3) * height]),
        random_rotations(rng, 3),
        np.full(3, height * 0.25),
    )
    return [*parts, (blades, stem)]


def potted_plant(rng: Rng) -> Parts:
    """Returns a plant in a pot, 0.25 to 1.7 m."""
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
    material, stem = materials.leaf(rng), materials.bark(rng)
    parts: Parts = [
        (
            pot,
            materials.plain(
                rng, choose(rng, (palette.earthy, palette.pale, palette.vivid))(rng), rng.uniform(0.2, 0.9)
            ),
        )
    ]
    tips = np.column_stack([rng.normal(0, height * 0.13, (7, 2)), rng.uniform(0.45, 1, 7) * height])
    parts.append(
        (join([tube([(0, 0, wide * 1.4), tuple(tip)], [0.008 + wide * 0.04, 0.004], 5) for tip in tips]), stem)
    )
    parts.append(
        (leaves(rng, tips, height * 0.18, int(rng.integers(40, 220)), height * rng.uniform(0.07, 0.2)), material)
    )
    return parts


def stone(rng: Rng, size: float) -> Parts:
    """Returns a stone, half sunk into the ground."""
    shape = bumpy(ellipsoid(size * rng.uniform(0.6, 1.3, 3), 9, 12, rng.uniform(0.7, 1)), rng, 0.45)
    shape = bumpy(shape, rng, 0.2, 6)
    return [(shape.transformed((0, 0, size * 0.15), (0, 0, rng.uniform(0, 360))), materials.rock(rng))]
