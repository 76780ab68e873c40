"""Objects that lie or stand on desks. They stand on z = 0, fronts to +y."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.random_draws import Rng, chance
from streamdepth.training.scenes.scene import Parts
from streamdepth.training.scenes.shapes import (
    box,
    cone,
    cylinder,
    ellipsoid,
    join,
    lathe,
    loft,
    section,
    tube,
)


def papers(rng: Rng) -> Parts:
    parts: Parts = []
    for i in range(int(rng.integers(1, 5))):
        page = box((0.21, 0.297, 0.001), (*rng.normal(0, 0.06, 2), 0.001 * i + 0.001), (0, 0, rng.normal(0, 25)))
        parts.append((page, materials.paper(rng) if chance(rng, 0.7) else materials.printed(rng, 0.15)))
    return parts


def monitor(rng: Rng) -> Parts:
    """Returns a flat screen on its foot, or a laptop."""
    if chance(rng, 0.3):
        return laptop(rng)
    wide, case = rng.uniform(0.4, 0.72), materials.plain(rng, palette.gray(rng, 0.05, 0.9), 0.4)
    high, lift = wide * rng.uniform(0.55, 0.68), rng.uniform(0.08, 0.2)
    body = [
        box((wide, 0.035, high), (0, 0, lift), bevel=0.008),
        box((0.07, 0.03, lift + 0.1), (0, -0.03, 0)),
        box((0.26, 0.18, 0.012)),
    ]
    return [
        (join(body), case),
        (box((wide - 0.03, 0.004, high - 0.03), (0, 0.0175, lift + 0.015)), materials.screen(rng)),
    ]


def laptop(rng: Rng) -> Parts:
    wide, case = rng.uniform(0.28, 0.4), materials.plain(rng, palette.gray(rng, 0.1, 0.9), 0.35, metallic=0.5)
    deep, tilt = wide * 0.68, rng.uniform(-35, -5)
    lid = box((wide, 0.008, deep), bevel=0.003).transformed((0, 0, 0), (-tilt, 0, 0)).transformed((0, -deep / 2, 0.012))
    face = (
        box((wide - 0.02, 0.002, deep - 0.02), (0, 0.005, 0.01))
        .transformed((0, 0, 0), (-tilt, 0, 0))
        .transformed((0, -deep / 2, 0.012))
    )
    keys = box((wide * 0.86, deep * 0.42, 0.003), (0, -deep * 0.12, 0.017))
    pad = box((wide * 0.3, deep * 0.25, 0.002), (0, deep * 0.28, 0.0175))
    dark_material = materials.SurfaceMaterial(
        (palette.gray(rng, 0.05, 0.2), palette.gray(rng, 0.3, 0.6)), "tiles", 0.018, 0.5
    )
    return [
        (join([box((wide, deep, 0.018), bevel=0.003), lid, pad]), case),
        (face, materials.screen(rng)),
        (keys, dark_material),
    ]


def keyboard(rng: Rng) -> Parts:
    base, cap = (
        materials.plain(rng, palette.gray(rng, 0.05, 0.9)),
        materials.plain(rng, palette.gray(rng, 0.05, 0.95)),
    )
    keys = [
        box((0.016, 0.016, 0.008), (-0.2 + 0.0195 * i, -0.045 + 0.0195 * j, 0.016))
        for i in range(22)
        for j in range(5)
        if i not in (15, 19)
    ]
    return [(box((0.45, 0.14, 0.018), bevel=0.005), base), (join(keys), cap)]


def mouse(rng: Rng) -> Parts:
    return [(ellipsoid((0.06, 0.11, 0.07), 9, 14, 0.8).transformed((0, 0, 0.005)), materials.plastic(rng))]


def phone(rng: Rng) -> Parts:
    return [
        (box((0.075, 0.155, 0.009), bevel=0.003), materials.plastic(rng)),
        (box((0.068, 0.145, 0.001), (0, 0, 0.009)), materials.screen(rng)),
    ]


def telephone(rng: Rng) -> Parts:
    material = materials.plastic(rng)
    base = loft(
        [
            np.column_stack([section(0.19 * s, 0.2 * s, 0.2, 12), np.full(12, z)])
            for s, z in ((1, 0), (1, 0.03), (0.85, 0.065))
        ]
    )
    grip = tube(
        [(-0.05, -0.1, 0.07), (-0.05, -0.06, 0.1), (-0.05, 0.06, 0.1), (-0.05, 0.1, 0.07)],
        [0.028, 0.02, 0.02, 0.028],
        10,
    )
    return [(join([base, grip]), material), (box((0.08, 0.1, 0.01), (0.04, 0, 0.062)), materials.paper(rng))]


def cable(rng: Rng) -> Parts:
    """Returns a curled cable on the floor or a table."""
    count = int(rng.integers(6, 16))
    path = np.cumsum(rng.normal(0, 0.09, (count, 2)), axis=0)
    fine = np.stack(
        [np.interp(np.linspace(0, count - 1, count * 4), np.arange(count), path[:, k]) for k in (0, 1)], axis=1
    )
    fine = (fine[:-2] + fine[1:-1] + fine[2:]) / 3
    return [
        (tube(np.column_stack([fine, np.full(len(fine), 0.006)]), rng.uniform(0.002, 0.005), 5), materials.plastic(rng))
    ]


def desk_lamp(rng: Rng) -> Parts:
    """Returns a jointed desk lamp."""
    material = materials.plain(rng, palette.any_color(rng), 0.35)
    elbow, top = (0, -0.12, 0.3), (0, 0.12, 0.46)
    head = (
        lathe([(0.02, 0.1), (0.03, 0.08), (0.075, 0)], 16).transformed(top, (-25, 0, 0)).transformed((0, 0.03, -0.08))
    )
    return [
        (
            join([cylinder(0.08, 0.02, 18), tube([(0, 0, 0.02), elbow], 0.009, 6), tube([elbow, top], 0.008, 6), head]),
            material,
        )
    ]


def clock(rng: Rng) -> Parts:
    size = rng.uniform(0.04, 0.09)
    face = cylinder(size, 0.03, 20).transformed((0, 0.015, size), (90, 0, 0))
    return [
        (face, materials.plain(rng, palette.gray(rng, 0.7, 0.95))),
        (
            lathe([(size, 0), (size * 1.1, 0.02), (size, 0.04)], 20).transformed((0, 0.02, size), (90, 0, 0)),
            materials.plastic(rng),
        ),
    ]


def pen_cup(rng: Rng) -> Parts:
    parts: Parts = [
        (lathe([(0, 0), (0.04, 0), (0.04, 0.1), (0.036, 0.1), (0.036, 0.005), (0, 0.005)], 16), materials.plastic(rng))
    ]
    for _ in range(int(rng.integers(2, 7))):
        foot, top = rng.uniform(-0.015, 0.015, 2), rng.uniform(-0.045, 0.045, 2)
        parts.append((tube([(*foot, 0.006), (*top, rng.uniform(0.13, 0.17))], 0.004, 6), materials.plastic(rng)))
    return parts


def candle(rng: Rng) -> Parts:
    return [
        (cylinder(rng.uniform(0.01, 0.04), rng.uniform(0.05, 0.2), 14), materials.plain(rng, palette.pale(rng))),
        (cone(0.006, 0.03, 6), materials.rubber(rng)),
    ]
