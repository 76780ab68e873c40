"""Small objects that lie on tables, shelves and floors. They stand on z = 0, fronts to +y."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import gadgets, materials, palette
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Parts, transformed
from streamdepth.training.scenes.shapes import (
    Point,
    Shape,
    box,
    bumpy,
    cylinder,
    ellipsoid,
    join,
    lathe,
    sheet,
    tube,
)


def bottle(rng: Rng) -> Parts:
    """Returns a bottle of 0.18 to 0.34 m."""
    high, wide = rng.uniform(0.18, 0.34), rng.uniform(0.028, 0.05)
    neck = rng.uniform(0.25, 0.4) * wide + 0.004
    shoulder = high * rng.uniform(0.5, 0.75)
    profile = [(0, 0), (wide, 0), (wide, shoulder), (neck, high * 0.86), (neck, high * 0.97), (0, high * 0.97)]
    body = materials.clear_glass(rng) if chance(rng, 0.3) else materials.plastic(rng)
    parts: Parts = [(lathe(profile, 20), body)]
    parts.append((cylinder(neck * 1.2, high * 0.06, 14).transformed((0, 0, high * 0.94)), materials.plastic(rng)))
    label = lathe([(wide * 1.01, shoulder * 0.2), (wide * 1.01, shoulder * 0.85)], 20)
    return [*parts, (label, materials.printed(rng, 0.05))] if chance(rng, 0.7) else parts


def can(rng: Rng) -> Parts:
    wide, high = rng.uniform(0.026, 0.05), rng.uniform(0.06, 0.17)
    rim = lathe([(0, high), (wide * 0.9, high), (wide * 0.9, high * 1.02), (0, high * 1.01)], 20)
    return [(cylinder(wide, high, 20), materials.printed(rng, 0.06)), (rim, materials.metal(rng))]


def mug(rng: Rng) -> Parts:
    wide, high = rng.uniform(0.032, 0.048), rng.uniform(0.07, 0.12)
    profile = [
        (0, 0),
        (wide * 0.85, 0),
        (wide, high * 0.2),
        (wide, high),
        (wide * 0.92, high),
        (wide * 0.9, 0.01),
        (0, 0.01),
    ]
    material = materials.printed(rng, 0.05) if chance(rng, 0.3) else materials.plastic(rng)
    handle = [
        (wide, 0, high * 0.8),
        (wide + 0.03, 0, high * 0.75),
        (wide + 0.03, 0, high * 0.35),
        (wide, 0, high * 0.25),
    ]
    drink = cylinder(wide * 0.9, 0.003, 18).transformed((0, 0, high * 0.75))
    return [
        (join([lathe(profile, 22), tube(handle, 0.006, 7)]), material),
        (drink, materials.plain(rng, palette.earthy(rng), 0.1)),
    ]


def glass(rng: Rng) -> Parts:
    """Returns a tumbler or a stemmed glass."""
    wide, high = rng.uniform(0.03, 0.045), rng.uniform(0.09, 0.2)
    tumbler = [(0, 0), (wide * 0.8, 0), (wide, high), (wide * 0.95, high), (wide * 0.76, 0.008), (0, 0.008)]
    stemmed = [(0, 0), (wide, 0.004), (0.005, 0.01), (0.005, high * 0.45), (wide, high * 0.62), (wide * 0.85, high)]
    return [(lathe(tumbler if chance(rng, 0.6) else stemmed, 20), materials.clear_glass(rng))]


def bowl(rng: Rng) -> Parts:
    wide, high = rng.uniform(0.07, 0.16), rng.uniform(0.03, 0.09)
    profile = [
        (0, 0),
        (wide * 0.4, 0),
        (wide * 0.8, high * 0.4),
        (wide, high),
        (wide * 0.95, high),
        (wide * 0.7, high * 0.4),
        (0, 0.01),
    ]
    parts: Parts = [(lathe(profile, 24), materials.plastic(rng))]
    for _ in range(int(rng.integers(0, 6))):
        position = (*rng.uniform(-0.4, 0.4, 2) * wide, high * 0.5)
        parts += transformed(fruit(rng), position)
    return parts


def plate(rng: Rng) -> Parts:
    wide = rng.uniform(0.08, 0.15)
    return [
        (
            lathe([(0, 0), (wide * 0.6, 0), (wide, 0.02), (wide * 0.98, 0.024), (wide * 0.6, 0.006), (0, 0.006)], 26),
            materials.plastic(rng),
        )
    ]


def fruit(rng: Rng) -> Parts:
    kind, color = rng.random(), palette.random_color(rng, (-0.03, 0.33), (0.6, 1), (0.4, 0.95))
    size = rng.uniform(0.05, 0.11)
    material = materials.SurfaceMaterial(
        (color, palette.similar_color(rng, color), palette.shade(color, 0.7)), "noise", 0.06, rng.uniform(0.2, 0.6)
    )
    if kind < 0.25:
        angles = np.linspace(-0.9, 0.9, 10)
        path = np.column_stack([0.1 * np.sin(angles), 0 * angles + 0.0, 0.11 - 0.09 * np.cos(angles)])
        yellow = materials.plain(rng, palette.random_color(rng, (0.12, 0.17), (0.7, 0.95), (0.7, 0.95)), 0.5)
        return [(tube(path, [0.005, 0.014, 0.018, 0.019, 0.019, 0.019, 0.019, 0.018, 0.012, 0.004], 8), yellow)]
    shape = bumpy(ellipsoid((size, size, size * rng.uniform(0.85, 1.4)), 14, 20), rng, 0.05)
    low = float(shape.points[:, 2].min())
    picture_stem = tube([(0, 0, size * 0.4), (0.006, 0, size * 0.62)], 0.002, 5)
    return transformed([(shape, material), (picture_stem, materials.bark(rng))], (0, 0, -low), scale=1.0)


def book(rng: Rng) -> Parts:
    """Returns a book that lies."""
    wide, deep, thick = rng.uniform(0.12, 0.22), rng.uniform(0.17, 0.3), rng.uniform(0.008, 0.05)
    cover, pages = materials.printed(rng, 0.12), materials.plain(rng, palette.gray(rng, 0.8, 0.95), 0.9)
    lids = [box((wide, deep, 0.002), (0, 0, z)) for z in (0, thick)] + [box((0.002, deep, thick), (-wide / 2, 0, 0))]
    return [(join(lids), cover), (box((wide - 0.008, deep - 0.008, thick - 0.002), (0.001, 0, 0.002)), pages)]


def pile_of_books(rng: Rng) -> Parts:
    parts: Parts = []
    z = 0.0
    for _ in range(int(rng.integers(2, 8))):
        one = book(rng)
        parts += transformed(one, (*rng.normal(0, 0.012, 2), z), (0, 0, rng.normal(0, 12)))
        z += float(max(s.points[:, 2].max() for s, _ in one))
    return parts


def row_of_books(rng: Rng, length: float) -> Parts:
    """Returns upright books along x, backs to +y."""
    by_look: dict[int, list[Shape]] = {}
    covers = [
        materials.printed(rng, 0.03) if chance(rng, 0.4) else materials.plain(rng, palette.any_color(rng), 0.6)
        for _ in range(7)
    ]
    x = -length / 2
    while x < length / 2 - 0.05:
        thick, high = rng.uniform(0.012, 0.05), rng.uniform(0.16, 0.29)
        lean = rng.uniform(-9, 9) if chance(rng, 0.08) else 0.0
        one = box((thick, rng.uniform(0.12, 0.2), high), (x + thick / 2, rng.uniform(-0.02, 0.02), 0), (0, lean, 0))
        by_look.setdefault(int(rng.integers(7)), []).append(one)
        x += thick + 0.001 + (rng.uniform(0.03, 0.2) if chance(rng, 0.04) else 0)
    return [(join(shapes), covers[i]) for i, shapes in by_look.items()]


def carton(rng: Rng, size: float | None = None) -> Parts:
    """Returns a closed or an open box."""
    size = size or rng.uniform(0.08, 0.5)
    x, y, z = size * rng.uniform(0.5, 1.2, 3)
    material = materials.printed(rng, size) if chance(rng, 0.5) else materials.plain(rng, palette.earthy(rng), 0.9)
    if chance(rng, 0.65):
        return [(box((x, y, z), bevel=0.004), material)]
    thin = 0.006
    walls = [box((x, thin, z), (0, s * y / 2, 0)) for s in (-1, 1)] + [
        box((thin, y, z), (s * x / 2, 0, 0)) for s in (-1, 1)
    ]
    flaps = [
        box((thin, y, x * 0.45)).transformed((0, 0, 0), (0, s * rng.uniform(30, 120), 0)).transformed((s * x / 2, 0, z))
        for s in (-1, 1)
    ]
    return [(join([*walls, *flaps, box((x, y, thin))]), material)]


def ball(rng: Rng) -> Parts:
    size = choose(rng, (0.04, 0.065, 0.15, 0.22, 0.24))
    return [(ellipsoid((size,) * 3, 16, 24).transformed((0, 0, size / 2)), materials.any_material(rng, size))]


def toy(rng: Rng) -> Parts:
    """Returns a pile of bricks, a stuffed animal, a toy car or a robot-like figure."""
    kind = rng.random()
    if kind < 0.3:
        return [
            (
                box(
                    rng.uniform(0.02, 0.08, 3),
                    (*rng.normal(0, 0.03, 2), 0.035 * i),
                    (0, 0, rng.uniform(0, 90)),
                    bevel=0.003,
                ),
                materials.plain(rng, palette.vivid(rng), 0.4),
            )
            for i in range(6)
        ]
    if kind < 0.65:
        return teddy(rng)
    if kind < 0.8:
        body = [
            box((0.07, 0.16, 0.035), (0, 0, 0.015), bevel=0.01),
            box((0.06, 0.08, 0.03), (0, -0.01, 0.05), bevel=0.012),
        ]
        wheels = [cylinder(0.02, 0.08, 12).transformed((-0.04, y, 0.02), (0, 90, 0)) for y in (-0.05, 0.05)]
        return [(join(body), materials.plain(rng, palette.vivid(rng), 0.3)), (join(wheels), materials.rubber(rng))]
    shapes = [box((0.08, 0.05, 0.1), (0, 0, 0.07), bevel=0.006), box((0.05, 0.05, 0.05), (0, 0, 0.175), bevel=0.006)]
    shapes += [cylinder(0.014, 0.08, 10).transformed((s * 0.025, 0, 0)) for s in (-1, 1)] + [
        cylinder(0.011, 0.1, 10).transformed((s * 0.052, 0, 0.07)) for s in (-1, 1)
    ]
    return [(join(shapes), materials.any_material(rng, 0.1))]


def teddy(rng: Rng) -> Parts:
    fur, dark_material = materials.fur(rng), materials.plain(rng, (0.02, 0.02, 0.02), 0.2)
    balls: list[tuple[Point, Point]] = [
        ((0.14, 0.12, 0.17), (0, 0, 0.09)),
        ((0.12, 0.11, 0.11), (0, 0.01, 0.215)),
        ((0.05, 0.05, 0.04), (0, 0.06, 0.2)),
    ]
    for s in (-1, 1):
        balls += [
            ((0.045, 0.02, 0.045), (s * 0.045, 0, 0.27)),
            ((0.05, 0.05, 0.12), (s * 0.085, 0.02, 0.11)),
            ((0.06, 0.12, 0.06), (s * 0.05, 0.09, 0.03)),
        ]
    eyes = [ellipsoid((0.014,) * 3, 6, 8).transformed((s * 0.025, 0.062, 0.23)) for s in (-1, 1)]
    nose = ellipsoid((0.022, 0.014, 0.014), 6, 8).transformed((0, 0.085, 0.208))
    scale = rng.uniform(0.7, 2.2)
    return transformed(
        [
            (join([ellipsoid(size, 10, 14).transformed(position) for size, position in balls]), fur),
            (join([*eyes, nose]), dark_material),
        ],
        scale=scale,
    )


def basket(rng: Rng) -> Parts:
    wide, high = rng.uniform(0.1, 0.2), rng.uniform(0.2, 0.35)
    return [
        (
            lathe([(0, 0), (wide * 0.8, 0), (wide, high), (wide * 0.95, high), (wide * 0.76, 0.02), (0, 0.02)], 18),
            materials.any_material(rng, 0.2),
        )
    ]


def shoe(rng: Rng) -> Parts:
    body = bumpy(ellipsoid((0.1, 0.28, 0.12), 9, 14, 0.7), rng, 0.06).transformed((0, 0, 0.055))
    return [(body, materials.cloth(rng)), (box((0.095, 0.27, 0.025), bevel=0.008), materials.plastic(rng))]


def garment_heap(rng: Rng) -> Parts:
    size, seeds = rng.uniform(0.15, 0.4), rng.uniform(0, 6, 3)

    def surface(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        x, y = u * 2 - 1, v * 2 - 1
        bump = np.exp(-3 * (x**2 + y**2)) * (1 + 0.5 * np.sin(7 * x + seeds[0]) * np.sin(6 * y + seeds[1]))
        return np.stack([x * size, y * size + 0.04 * np.sin(6 * x + seeds[2]), 0.01 + size * 0.4 * bump], axis=-1)

    return [(sheet(surface, (18, 18)), materials.cloth(rng))]


def vase(rng: Rng) -> Parts:
    high = rng.uniform(0.12, 0.5)
    z = np.linspace(0, high, 9)
    radius = high * (0.18 + 0.12 * np.sin(z / high * rng.uniform(3, 6) + rng.uniform(0, 6)))
    return [
        (
            lathe([(0, 0), *zip(radius, z, strict=True), (radius[-1] * 0.85, high * 0.97), (0, high * 0.5)], 22),
            materials.any_material(rng, high),
        )
    ]


SMALL = (
    bottle,
    can,
    mug,
    mug,
    glass,
    bowl,
    plate,
    fruit,
    book,
    pile_of_books,
    gadgets.papers,
    gadgets.phone,
    carton,
    toy,
    gadgets.clock,
    vase,
    gadgets.pen_cup,
    gadgets.candle,
    ball,
)
DESK = (
    gadgets.monitor,
    gadgets.monitor,
    gadgets.keyboard,
    gadgets.mouse,
    gadgets.telephone,
    gadgets.papers,
    gadgets.papers,
    mug,
    gadgets.pen_cup,
    book,
    pile_of_books,
    bottle,
    gadgets.phone,
    gadgets.cable,
    gadgets.desk_lamp,
    carton,
    can,
)
FLOOR = (carton, carton, ball, shoe, gadgets.cable, garment_heap, basket, toy, pile_of_books, bottle)
