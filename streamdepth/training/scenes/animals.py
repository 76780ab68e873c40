"""Four-legged animals and birds, made of lofts and capsules. They face +y and stand on z = 0."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Parts, transformed
from streamdepth.training.scenes.shapes import ellipsoid, join, loft, section, tube

BUILDS = ((0.3, 0.45, 0.5), (0.3, 0.5, 0.6), (0.6, 0.9, 0.65), (1.1, 1.5, 0.7), (1.5, 2.2, 0.75), (1.0, 1.4, 0.5))
"""Height of the back, length of the trunk, share of the legs: cat, small dog, dog, sheep or deer, horse or cow."""


def quadruped(rng: Rng) -> Parts:
    high, length, legs = choose(rng, BUILDS)
    high, length = high * rng.uniform(0.85, 1.15), length * rng.uniform(0.85, 1.15)
    fur = materials.fur(rng)
    belly, girth = high * legs, high * (1 - legs)
    rings = []
    for share, width, lift in (
        (-0.5, 0.35, 0.1),
        (-0.42, 0.85, 0),
        (-0.1, 0.95, -0.05),
        (0.25, 1.05, 0),
        (0.45, 0.8, 0.1),
        (0.52, 0.4, 0.2),
    ):
        flat = section(girth * width * 0.8, girth * width, 0.85, 14)
        rings.append(
            np.column_stack([flat[:, 0], np.full(14, share * length), flat[:, 1] + belly + girth * (0.5 + lift)])
        )
    parts: Parts = [(loft(rings), fur)]
    thick = girth * 0.2
    for y in (-0.36, 0.36):
        for s in (-1, 1):
            step = rng.normal(0, 0.1) * high
            path = [
                (s * girth * 0.28, y * length, belly + girth * 0.3),
                (s * girth * 0.27, y * length + step * 0.5 - 0.03 * high, belly * 0.5),
                (s * girth * 0.27, y * length + step, thick * 0.3),
            ]
            parts.append((tube(path, [thick, thick * 0.55, thick * 0.45], 8), fur))
    tail = [
        (0, -length * 0.5, high * 0.95),
        (0, -length * 0.68, high * rng.uniform(0.6, 1.2)),
        (0, -length * 0.8, high * rng.uniform(0.4, 1.5)),
    ]
    parts.append((tube(tail, [girth * 0.09, girth * 0.08, girth * 0.03], 6), fur))
    return parts + _head(rng, high, length, girth, fur)


def _head(rng: Rng, high: float, length: float, girth: float, fur: materials.SurfaceMaterial) -> Parts:
    neck_length, lift = length * rng.uniform(0.12, 0.22), high * rng.uniform(-0.25, 0.4)
    start, top = np.array([0, length * 0.45, high * 0.92]), np.array([0, length * 0.55 + neck_length, high + lift])
    dark_material = materials.plain(rng, (0.02, 0.015, 0.01), 0.3)
    size = girth * 0.55
    shapes = [
        tube([start, top], [girth * 0.3, size * 0.32], 9),
        ellipsoid((size * 0.8, size, size * 0.85), 9, 12).transformed(top),
    ]
    muzzle = top + np.array((0, size * 0.6, -size * 0.15))
    shapes.append(ellipsoid((size * 0.45, size * 0.8, size * 0.42), 8, 10).transformed(muzzle))
    shapes += [
        ellipsoid((size * 0.16, size * 0.08, size * 0.6), 6, 8).transformed(
            top + np.array((s * size * 0.3, -size * 0.1, size * 0.45)), (0, s * rng.uniform(5, 60), 0)
        )
        for s in (-1, 1)
    ]
    points = [
        ellipsoid((size * 0.11,) * 3, 6, 8).transformed(top + np.array((s * size * 0.32, size * 0.33, size * 0.12)))
        for s in (-1, 1)
    ]
    points.append(ellipsoid((size * 0.2,) * 3, 6, 8).transformed(muzzle + np.array((0, size * 0.36, size * 0.06))))
    parts: Parts = [(join(shapes), fur), (join(points), dark_material)]
    if high > 1 and chance(rng, 0.4):
        horns = [
            tube(
                [
                    top + np.array((s * size * 0.2, 0, size * 0.3)),
                    top + np.array((s * size * 0.6, 0, size * 0.7)),
                    top + np.array((s * size * 0.5, 0.05, size * 1.1)),
                ],
                [0.03, 0.02, 0.005],
                6,
            )
            for s in (-1, 1)
        ]
        parts.append((join(horns), materials.bark(rng)))
    return parts


def bird(rng: Rng) -> Parts:
    """Returns a bird of 0.15 to 0.5 m."""
    size, fur = rng.uniform(0.15, 0.5), materials.fur(rng)
    body = ellipsoid((size * 0.5, size, size * 0.5), 9, 12).transformed((0, 0, size * 0.6), (20, 0, 0))
    head = ellipsoid((size * 0.3,) * 3, 8, 10).transformed((0, size * 0.5, size * 0.95))
    legs = [tube([(s * size * 0.1, 0, 0), (s * size * 0.1, 0, size * 0.45)], size * 0.02, 5) for s in (-1, 1)]
    beak = tube([(0, size * 0.62, size * 0.95), (0, size * 0.85, size * 0.92)], [size * 0.05, size * 0.005], 6)
    return [(join([body, head]), fur), (join([*legs, beak]), materials.plain(rng, palette.earthy(rng)))]


def animal(rng: Rng) -> Parts:
    return quadruped(rng) if chance(rng, 0.85) else transformed(bird(rng))
