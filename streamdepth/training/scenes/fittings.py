"""Objects that hang on walls or from ceilings. On walls their middle is the origin, and the wall is y = 0."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.random_draws import Rng, choose
from streamdepth.training.scenes.scene import Parts
from streamdepth.training.scenes.shapes import box, ellipsoid, join, lathe, tube


def floor_lamp(rng: Rng) -> Parts:
    high = rng.uniform(1.3, 1.9)
    shade = lathe([(0.22, high - 0.3), (0.15, high)], 20)
    return [
        (lathe([(0, 0), (0.15, 0), (0.14, 0.02), (0.014, 0.04), (0.014, high - 0.1)], 14), materials.metal(rng)),
        (shade, materials.lamp_surface(rng, palette.lamp_color(rng, 0.7), choose(rng, (0.3, 2.0)))),
    ]


def pendant(rng: Rng) -> Parts:
    """Returns a lamp that hangs down from z = 0."""
    drop, wide = rng.uniform(0.3, 1.0), rng.uniform(0.1, 0.3)
    shade = lathe([(0.03, -drop + 0.2), (wide, -drop), (wide * 0.9, -drop), (0.02, -drop + 0.18)], 20)
    bulb = ellipsoid((0.08,) * 3, 8, 10).transformed((0, 0, -drop + 0.05))
    return [
        (join([tube([(0, 0, 0), (0, 0, -drop + 0.2)], 0.004, 5), shade]), materials.plastic(rng)),
        (bulb, materials.lamp_surface(rng, palette.lamp_color(rng), 6.0)),
    ]


def picture(rng: Rng) -> Parts:
    """Returns a framed picture on a wall at y = 0, with its middle at the origin."""
    wide, high = rng.uniform(0.2, 1.3), rng.uniform(0.2, 1.0)
    return [
        (box((wide, 0.03, high), (0, 0.015, -high / 2)), materials.furniture(rng)),
        (box((wide * 0.88, 0.004, high * 0.88), (0, 0.031, -high * 0.44)), materials.printed(rng, 0.5)),
    ]


def mirror(rng: Rng) -> Parts:
    wide, high = rng.uniform(0.3, 0.9), rng.uniform(0.5, 1.4)
    return [
        (box((wide + 0.06, 0.03, high + 0.06), (0, 0.015, -high / 2)), materials.furniture(rng)),
        (box((wide, 0.004, high), (0, 0.031, -high / 2 + 0.03)), materials.mirror(rng)),
    ]


def television(rng: Rng) -> Parts:
    wide = rng.uniform(0.7, 1.5)
    return [
        (
            box((wide, 0.05, wide * 0.57), (0, 0.03, -wide * 0.28), bevel=0.006),
            materials.plain(rng, (0.02, 0.02, 0.02), 0.3),
        ),
        (box((wide - 0.03, 0.004, wide * 0.57 - 0.03), (0, 0.056, -wide * 0.28 + 0.015)), materials.screen(rng)),
    ]


def whiteboard(rng: Rng) -> Parts:
    wide = rng.uniform(1, 2.4)
    marks = materials.SurfaceMaterial(
        ((0.85, 0.85, 0.85), palette.any_color(rng)), "letters", rng.uniform(0.04, 0.12), 0.3
    )
    return [
        (box((wide, 0.03, 1.2), (0, 0.015, -0.6)), materials.metal(rng)),
        (box((wide - 0.05, 0.004, 1.15), (0, 0.031, -0.575)), marks),
    ]


def radiator(rng: Rng) -> Parts:
    wide = rng.uniform(0.6, 1.6)
    fins = [box((0.045, 0.08, 0.55), (x, 0.08, 0.12), bevel=0.012) for x in np.arange(-wide / 2, wide / 2, 0.06)]
    return [(join(fins), materials.plain(rng, palette.gray(rng, 0.75, 0.95), 0.4))]
