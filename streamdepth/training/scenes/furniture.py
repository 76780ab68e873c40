"""Furniture. Fronts face +y; everything stands on z = 0 with its back near y = -depth / 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from streamdepth.training.scenes import gadgets, materials, palette, small_objects
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Parts, transformed
from streamdepth.training.scenes.shapes import Shape, box, bumpy, cylinder, ellipsoid, join, lathe, tube

Maker = Callable[[Rng], Parts]


def soft(
    size: tuple[float, float, float],
    position: tuple[float, float, float],
    square: float = 0.4,
    euler_degrees: tuple[float, float, float] = (0, 0, 0),
) -> Shape:
    return ellipsoid(size, 10, 18, square).transformed(position, euler_degrees)


def laid(rng: Rng, makers: Sequence[Maker], count: int, width: float, depth: float, height: float) -> Parts:
    """Returns small objects beside each other on a top of `width` x `depth`."""
    parts: Parts = []
    occupied: list[np.ndarray] = []
    for _ in range(count * 3):
        position = rng.uniform(-0.5, 0.5, 2) * (width - 0.15, depth - 0.12)
        if len(occupied) >= count or any(np.linalg.norm(position - other) < 0.13 for other in occupied):
            continue
        occupied.append(position)
        parts += transformed(choose(rng, makers)(rng), (*position, height), (0, 0, rng.normal(0, 40)))
    return parts


def table(rng: Rng, width: float | None = None, depth: float | None = None, height: float | None = None) -> Parts:
    width, depth = width or rng.uniform(0.6, 2.2), depth or rng.uniform(0.5, 1.0)
    height = height or choose(rng, (0.42, 0.74, 0.74, 0.76))
    material, thick = materials.furniture(rng), rng.uniform(0.02, 0.05)
    if chance(rng, 0.25):
        radius = min(width, depth) / 2 + 0.1
        top = cylinder(radius, thick, 30).transformed((0, 0, height - thick))
        leg = lathe([(0, 0), (radius * 0.6, 0), (radius * 0.55, 0.03), (0.04, 0.06), (0.04, height - thick)], 20)
    else:
        top = box((width, depth, thick), (0, 0, height - thick), bevel=0.006)
        leg_positions = [(i * (width / 2 - 0.05), j * (depth / 2 - 0.05), 0) for i in (-1, 1) for j in (-1, 1)]
        leg = join([box((0.05, 0.05, height - thick), p) for p in leg_positions])
    top_look = (
        materials.clear_glass(rng) if chance(rng, 0.1) else materials.furniture(rng) if chance(rng, 0.3) else material
    )
    return [(top, top_look), (leg, material if chance(rng, 0.6) else materials.metal(rng))]


def laid_table(rng: Rng) -> Parts:
    width, depth, height = rng.uniform(0.7, 2.0), rng.uniform(0.6, 1.0), choose(rng, (0.42, 0.74, 0.75))
    return table(rng, width, depth, height) + laid(
        rng, small_objects.SMALL, int(rng.integers(1, 12)), width * 0.8, depth * 0.8, height
    )


def desk(rng: Rng) -> Parts:
    """Returns a desk with a screen, a keyboard and many objects; its user looks towards -y."""
    width, depth, height = rng.uniform(1.1, 2.0), rng.uniform(0.6, 0.9), rng.uniform(0.7, 0.77)
    parts = table(rng, width, depth, height)
    if chance(rng, 0.6):
        drawers = box((0.4, depth - 0.06, height - 0.06), (width / 2 - 0.22, 0, 0))
        parts.append((drawers, materials.furniture(rng)))
        handles = [box((0.12, 0.02, 0.015), (width / 2 - 0.22, depth / 2 - 0.02, z)) for z in (0.15, 0.37, 0.58)]
        parts.append((join(handles), materials.metal(rng)))
    for i in range(int(rng.integers(1, 4))):
        x = (0.0, -0.45, 0.45)[i] + rng.normal(0, 0.1)
        parts += transformed(
            gadgets.monitor(rng),
            (x * width / 1.6, -depth * 0.25, height),
            (0, 0, rng.normal(0, 8) + 25 * (i == 1) - 25 * (i == 2)),
        )
    parts += transformed(gadgets.keyboard(rng), (rng.normal(0, 0.08), depth * 0.25, height), (0, 0, rng.normal(0, 6)))
    parts += transformed(gadgets.mouse(rng), (0.32, depth * 0.25, height))
    return parts + laid(rng, small_objects.DESK[2:], int(rng.integers(3, 14)), width, depth, height)


def chair(rng: Rng) -> Parts:
    """Returns a chair with four legs, or a swivelling office chair."""
    seat, cover, frame = rng.uniform(0.43, 0.5), materials.cloth(rng), materials.furniture(rng)
    if chance(rng, 0.4):
        return _office_chair(rng, seat)
    back = rng.uniform(0.35, 0.55)
    top = box((0.42, 0.42, 0.04), (0, 0, seat - 0.04), bevel=0.012)
    legs = [
        tube([(i * 0.19, j * 0.19, 0), (i * 0.17, j * 0.17, seat - 0.03)], 0.017, 6) for i in (-1, 1) for j in (-1, 1)
    ]
    posts = [tube([(s * 0.18, -0.19, seat - 0.03), (s * 0.18, -0.24, seat + back)], 0.015, 6) for s in (-1, 1)]
    slats = [box((0.38, 0.02, 0.06), (0, -0.2 - 0.05 * f, seat + back * f - 0.06)) for f in (0.45, 0.72, 1.0)]
    if chance(rng, 0.4):
        slats = [box((0.4, 0.025, back * 0.7), (0, -0.23, seat + back * 0.3), bevel=0.01)]
    return [
        (join(legs + posts), frame),
        (top, cover if chance(rng, 0.5) else frame),
        (join(slats), cover if chance(rng, 0.4) else frame),
    ]


def _office_chair(rng: Rng, seat: float) -> Parts:
    cover, dark_material = materials.cloth(rng), materials.plain(rng, palette.gray(rng, 0.05, 0.5), 0.5)
    spokes = [tube([(0, 0, 0.12), (0.3 * np.cos(a), 0.3 * np.sin(a), 0.06)], 0.022, 6) for a in np.arange(5) * 1.2566]
    rolls = [
        ellipsoid((0.06, 0.06, 0.06), 6, 8).transformed((0.3 * np.cos(a), 0.3 * np.sin(a), 0.03))
        for a in np.arange(5) * 1.2566
    ]
    arms = [
        tube([(s * 0.24, -0.05, seat), (s * 0.28, -0.05, seat + 0.2), (s * 0.28, 0.18, seat + 0.2)], 0.02, 6)
        for s in (-1, 1)
    ]
    high = rng.uniform(0.4, 0.7)
    cushions = [
        soft((0.5, 0.48, 0.1), (0, 0, seat - 0.03)),
        soft((0.46, 0.1, high), (0, -0.25, seat + 0.15 + high / 2), 0.5, (8, 0, 0)),
    ]
    post = [
        cylinder(0.03, seat - 0.1, 8).transformed((0, 0, 0.08)),
        box((0.06, 0.04, 0.35), (0, -0.22, seat - 0.08), (12, 0, 0)),
    ]
    return [(join(cushions), cover), (join(spokes + rolls + post + (arms if chance(rng, 0.6) else [])), dark_material)]


def sofa(rng: Rng) -> Parts:
    """Returns a sofa with one to three seats."""
    seats = int(rng.integers(1, 4))
    width, cover = seats * 0.62, materials.cloth(rng)
    shapes = [
        *(box((0.06, 0.06, 0.12), (i * width / 2, j * 0.33, 0)) for i in (-1, 1) for j in (-1, 1)),
        box((width + 0.3, 0.85, 0.25), (0, 0, 0.1), bevel=0.05),
        soft((width + 0.25, 0.25, 0.7), (0, -0.33, 0.5), 0.3),
    ]
    shapes += [soft((0.2, 0.88, 0.55), (s * (width / 2 + 0.08), 0, 0.36), 0.35) for s in (-1, 1)]
    shapes += [soft((0.62, 0.66, 0.18), ((i - (seats - 1) / 2) * 0.62, 0.06, 0.41), 0.35) for i in range(seats)]
    shapes += [
        soft((0.6, 0.2, 0.45), ((i - (seats - 1) / 2) * 0.62, -0.2, 0.66), 0.45, (14, 0, 0)) for i in range(seats)
    ]
    parts: Parts = [(join(shapes), cover)]
    for _ in range(int(rng.integers(0, 4))):
        position = (rng.uniform(-0.5, 0.5) * width, -0.05, 0.68)
        parts.append(
            (
                soft((0.44, 0.15, 0.42), position, 0.6, (rng.uniform(10, 30), rng.normal(0, 15), rng.normal(0, 15))),
                materials.cloth(rng),
            )
        )
    return parts


def bed(rng: Rng) -> Parts:
    width, high = choose(rng, (0.95, 1.4, 1.8)), rng.uniform(0.3, 0.55)
    frame, linen = materials.furniture(rng), materials.cloth(rng, palette.pale(rng))
    parts: Parts = [
        (box((width, 2.05, high * 0.6), bevel=0.02), frame),
        (box((width + 0.06, 0.06, rng.uniform(0.7, 1.3)), (0, -1.04, 0)), frame),
    ]
    parts.append((soft((width, 2.0, 0.35), (0, 0, high * 0.6 + 0.08), 0.2), materials.cloth(rng, palette.pale(rng))))
    parts.append(
        (
            bumpy(soft((width + 0.1, 1.5, 0.4), (0, 0, 0), 0.3), rng, 0.06, 5).transformed(
                (0, 0.25, high * 0.6 + 0.14)
            ),
            materials.cloth(rng),
        )
    )
    for s in (-1, 1) if width > 1 else (0,):
        parts.append(
            (soft((0.6, 0.4, 0.16), (s * width / 4, -0.72, high * 0.6 + 0.3), 0.6, (15, 0, rng.normal(0, 8))), linen)
        )
    return parts


def shelf(rng: Rng, width: float | None = None) -> Parts:
    """Returns a shelf with books, boxes and other objects."""
    width, high, deep = width or rng.uniform(0.6, 1.6), rng.uniform(0.9, 2.2), rng.uniform(0.25, 0.4)
    material, thick = materials.furniture(rng), 0.022
    count = max(2, int(high / rng.uniform(0.3, 0.42)))
    boards = [box((width, deep, thick), (0, 0, z)) for z in np.linspace(0.04, high - thick, count + 1)]
    boards += [box((thick, deep, high), (s * width / 2, 0, 0)) for s in (-1, 1)]
    parts: Parts = [(join(boards), material)]
    if chance(rng, 0.6):
        parts.append((box((width, 0.01, high), (0, -deep / 2, 0)), material))
    for z in np.linspace(0.04, high - thick, count + 1) + thick:
        kind = rng.random()
        if kind < 0.55:
            length = width * rng.uniform(0.4, 0.97)
            parts += transformed(
                small_objects.row_of_books(rng, length), ((width - length) * rng.uniform(-0.45, 0.45), 0.02, z)
            )
        elif kind < 0.9:
            parts += laid(rng, small_objects.SMALL, int(rng.integers(1, 5)), width, 0.2, z)
    return parts


def cupboard(rng: Rng) -> Parts:
    """Returns a cupboard with doors or drawers and something on top."""
    width, high, deep = rng.uniform(0.5, 1.8), choose(rng, (0.7, 0.85, 1.2, 2.0, 2.1)), rng.uniform(0.35, 0.6)
    material, front = materials.furniture(rng), materials.furniture(rng)
    columns, rows = max(1, round(width / 0.5)), 1 if high > 1.5 else int(rng.integers(1, 5))
    w, h = width / columns, (high - 0.1) / rows
    cells = [((i - (columns - 1) / 2) * w, 0.06 + j * h) for i in range(columns) for j in range(rows)]
    doors = [box((w - 0.012, 0.02, h - 0.012), (x, deep / 2, z)) for x, z in cells]
    knobs = [
        ellipsoid((0.03, 0.05, 0.03), 6, 8).transformed(
            (x + (w * 0.38 if rows == 1 else 0), deep / 2 + 0.03, z + h / 2)
        )
        for x, z in cells
    ]
    parts: Parts = [
        (box((width, deep, high), bevel=0.004), material),
        (join(doors), front if chance(rng, 0.3) else material),
        (join(knobs), materials.metal(rng)),
    ]
    return parts + (laid(rng, small_objects.SMALL, int(rng.integers(0, 6)), width, deep, high) if high < 1.4 else [])


def kitchen(rng: Rng) -> Parts:
    """Returns a kitchen row of 2 to 4 m with worktop, sink, hob, wall units and objects."""
    width, front = rng.uniform(2, 4), materials.furniture(rng)
    count = int(width / 0.6)
    x = (np.arange(count) - (count - 1) / 2) * 0.6
    doors = [box((0.585, 0.02, 0.7), (a, 0.29, 0.12)) for a in x] + [
        box((0.585, 0.02, 0.62), (a, -0.1, 1.5)) for a in x
    ]
    grips = [box((0.2, 0.03, 0.015), (a, 0.32, 0.75)) for a in x]
    body = [box((count * 0.6, 0.56, 0.87)), box((count * 0.6, 0.35, 0.65), (0, -0.28, 1.48))]
    top = box((count * 0.6 + 0.02, 0.62, 0.04), (0, 0.01, 0.87))
    hob = [box((0.56, 0.5, 0.006), (x[0], 0, 0.91)), box((0.55, 0.02, 0.5), (x[0], 0.3, 0.2))]
    tap = tube([(x[-1], -0.2, 0.91), (x[-1], -0.2, 1.18), (x[-1], -0.08, 1.22), (x[-1], -0.02, 1.14)], 0.012, 8)
    sink = box((0.5, 0.4, 0.004), (x[-1], 0.02, 0.91))
    tiles = box((count * 0.6, 0.01, 0.6), (0, -0.285, 0.9))
    parts: Parts = [
        (join(body), front),
        (join(doors), front),
        (join([*grips, tap, sink]), materials.metal(rng)),
        (join(hob), materials.dark_glass(rng)),
    ]
    parts += [
        (top, materials.furniture(rng)),
        (
            tiles,
            materials.SurfaceMaterial((palette.pale(rng), palette.pale(rng), palette.gray(rng)), "tiles", 0.12, 0.2),
        ),
    ]
    return parts + laid(rng, small_objects.SMALL, int(rng.integers(3, 12)), width * 0.8, 0.45, 0.91)


def rack(rng: Rng) -> Parts:
    """Returns bare metal shelves or a clothes rack."""
    metal = materials.metal(rng)
    if chance(rng, 0.4):
        bars = [tube([(s * 0.5, 0, 0), (s * 0.5, 0, 1.6)], 0.015, 6) for s in (-1, 1)] + [
            tube([(-0.55, 0, 1.6), (0.55, 0, 1.6)], 0.015, 6)
        ]
        parts: Parts = [(join(bars), metal)]
        for x in np.arange(-0.42, 0.43, 0.1):
            parts.append((soft((0.06, 0.42, rng.uniform(0.6, 1.1)), (x, 0, 1.0), 0.6), materials.cloth(rng)))
        return parts
    posts = [tube([(i * 0.5, j * 0.2, 0), (i * 0.5, j * 0.2, 1.8)], 0.015, 6) for i in (-1, 1) for j in (-1, 1)]
    boards = [box((1.0, 0.42, 0.03), (0, 0, z)) for z in (0.1, 0.65, 1.2, 1.75)]
    parts = [(join(posts + boards), metal)]
    for z in (0.13, 0.68, 1.23):
        for x in (-0.3, 0.05, 0.32):
            parts += transformed(small_objects.carton(rng, rng.uniform(0.2, 0.38)), (x, 0, z), (0, 0, rng.normal(0, 8)))
    return parts


def soft_back(rng: Rng) -> Parts:
    """Returns the high back of a chair, to stand behind somebody who sits."""
    high = rng.uniform(1.0, 1.35)
    return [(soft((0.5, 0.1, high - 0.5), (0, -0.24, (high + 0.5) / 2), 0.5, (5, 0, 0)), materials.cloth(rng))]
