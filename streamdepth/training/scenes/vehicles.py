"""Cars, vans, trucks and buses. They face +y and stand on z = 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdepth.training.scenes import materials
from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Parts
from streamdepth.training.scenes.shapes import Shape, box, cylinder, ellipsoid, join, loft, section

Station = tuple[float, float, float, float]
"""A cross-section: share of the length from the rear, lower and upper height in m, share of the width."""


@dataclass(frozen=True, slots=True)
class Body:
    """Measures of a car's body, meters."""

    length: float
    width: float
    wheel: float
    lower: tuple[Station, ...]
    cabin: tuple[Station, ...]


HATCH = Body(
    3.9,
    1.72,
    0.3,
    (
        (0, 0.4, 0.75, 0.85),
        (0.02, 0.3, 0.95, 0.95),
        (0.2, 0.22, 0.98, 1),
        (0.7, 0.22, 0.95, 1),
        (0.93, 0.25, 0.78, 0.93),
        (1, 0.35, 0.6, 0.8),
    ),
    (
        (0.02, 0.9, 1.0, 0.8),
        (0.13, 0.9, 1.42, 0.74),
        (0.3, 0.9, 1.48, 0.74),
        (0.5, 0.9, 1.44, 0.74),
        (0.72, 0.9, 0.98, 0.86),
    ),
)
SEDAN = Body(
    4.6,
    1.8,
    0.32,
    (
        (0, 0.4, 0.8, 0.85),
        (0.02, 0.3, 0.95, 0.95),
        (0.2, 0.22, 0.97, 1),
        (0.7, 0.22, 0.95, 1),
        (0.93, 0.25, 0.78, 0.93),
        (1, 0.35, 0.6, 0.8),
    ),
    (
        (0.12, 0.9, 0.98, 0.84),
        (0.27, 0.9, 1.36, 0.73),
        (0.4, 0.9, 1.44, 0.73),
        (0.52, 0.9, 1.4, 0.73),
        (0.7, 0.9, 0.97, 0.86),
    ),
)
SUV = Body(
    4.5,
    1.86,
    0.36,
    (
        (0, 0.5, 0.95, 0.88),
        (0.02, 0.35, 1.1, 0.96),
        (0.2, 0.28, 1.1, 1),
        (0.7, 0.28, 1.08, 1),
        (0.94, 0.32, 0.98, 0.95),
        (1, 0.45, 0.8, 0.85),
    ),
    (
        (0.015, 1.0, 1.15, 0.86),
        (0.07, 1.0, 1.64, 0.78),
        (0.3, 1.0, 1.72, 0.78),
        (0.52, 1.0, 1.68, 0.78),
        (0.7, 1.0, 1.1, 0.88),
    ),
)
VAN = Body(
    5.4,
    1.98,
    0.34,
    (
        (0, 0.4, 2.25, 0.92),
        (0.01, 0.35, 2.4, 0.95),
        (0.68, 0.3, 2.4, 0.96),
        (0.72, 0.28, 1.25, 1),
        (0.95, 0.3, 1.02, 0.95),
        (1, 0.4, 0.8, 0.85),
    ),
    ((0.6, 1.1, 2.35, 0.93), (0.7, 1.1, 2.3, 0.9), (0.86, 1.0, 1.2, 0.92)),
)
PICKUP = Body(
    5.2,
    1.9,
    0.38,
    (
        (0, 0.55, 1.1, 0.95),
        (0.02, 0.4, 1.12, 1),
        (0.4, 0.36, 1.12, 1),
        (0.7, 0.36, 1.14, 1),
        (0.95, 0.4, 1.05, 0.96),
        (1, 0.5, 0.85, 0.88),
    ),
    (
        (0.36, 1.0, 1.2, 0.88),
        (0.4, 1.0, 1.76, 0.8),
        (0.54, 1.0, 1.8, 0.8),
        (0.6, 1.0, 1.75, 0.8),
        (0.72, 1.0, 1.14, 0.9),
    ),
)
CARS = (HATCH, HATCH, SEDAN, SEDAN, SUV, SUV, VAN, PICKUP)


def vehicle(rng: Rng) -> Parts:
    kind = rng.random()
    if kind < 0.82:
        return car(rng)
    return truck(rng) if kind < 0.93 else bus(rng)


def car(rng: Rng) -> Parts:
    body = choose(rng, CARS)
    stretch = rng.uniform(0.92, 1.08)
    paint, glass = materials.car_paint(rng), materials.dark_glass(rng)
    lower = _skin(body.lower, body, stretch, 0.35)
    cabin = _skin(body.cabin, body, stretch, 0.3)
    roof = [(share, top - 0.05, top + 0.012, wide * 1.01) for share, _, top, wide in body.cabin[1:-1]]
    parts: Parts = [(lower, paint), (cabin, glass)]
    if len(roof) > 1:
        parts.append((_skin(roof, body, stretch, 0.3), paint))
    parts += _pillars(body, stretch, paint)
    return parts + _wheels(rng, body, stretch) + _lights(rng, body, stretch) + _trim(rng, body, stretch, paint)


def _skin(stations: tuple[Station, ...] | list[Station], body: Body, stretch: float, square: float) -> Shape:
    rings = []
    for share, low, high, wide in stations:
        flat = section(wide * body.width, high - low, square, 20)
        y = (share - 0.5) * body.length * stretch
        rings.append(np.column_stack([flat[:, 0], np.full(len(flat), y), flat[:, 1] + (low + high) / 2]))
    return loft(rings)


def _pillars(body: Body, stretch: float, material: SurfaceMaterial) -> Parts:
    rear, front = body.cabin[0], body.cabin[-1]
    tops = body.cabin[1], body.cabin[-2]
    shapes = []
    for side in (-1, 1):
        for foot, top in ((rear, tops[0]), (front, tops[1])):
            ends = [
                (side * s[3] * body.width * 0.49, (s[0] - 0.5) * body.length * stretch, s[2] - 0.02)
                for s in (foot, top)
            ]
            direction = np.array(ends[1]) - np.array(ends[0])
            middle, length = np.mean(ends, axis=0), float(np.linalg.norm(direction))
            lean = float(np.degrees(np.arctan2(direction[1], direction[2])))
            shapes.append(
                box((0.05, 0.08, length), (0, 0, -length / 2)).transformed((0, 0, 0), (-lean, 0, 0)).transformed(middle)
            )
        middle = (tops[0][0] * 0.4 + tops[1][0] * 0.6 - 0.5) * body.length * stretch
        shapes.append(box((0.05, 0.09, 0.5), (side * body.width * 0.41, middle, tops[0][2] - 0.53), (0, -side * 9, 0)))
    return [(join(shapes), material)]


def _wheels(rng: Rng, body: Body, stretch: float) -> Parts:
    tyre, rim = [], []
    steer = rng.uniform(-15, 15) if chance(rng, 0.3) else 0.0
    for side in (-1, 1):
        for y, euler_degrees in ((-0.3, 0.0), (0.31, steer)):
            position = (side * (body.width / 2 - 0.1), y * body.length * stretch, body.wheel)
            tyre.append(
                cylinder(body.wheel, 0.22, 18)
                .transformed((0, 0, -0.11), (0, 0, 0))
                .transformed(position, (0, 90, euler_degrees))
            )
            rim.append(
                cylinder(body.wheel * 0.62, 0.24, 10)
                .transformed((0, 0, -0.12), (0, 0, 0))
                .transformed(position, (0, 90, euler_degrees))
            )
    return [(join(tyre), materials.rubber(rng)), (join(rim), materials.metal(rng))]


def _lights(rng: Rng, body: Body, stretch: float) -> Parts:
    front, rear = body.length * stretch / 2, -body.length * stretch / 2
    z = body.lower[-1][2] + 0.04
    lamps = [
        ellipsoid((0.34, 0.16, 0.15), 7, 10, 0.6).transformed((s * body.width * 0.34, front - 0.1, z)) for s in (-1, 1)
    ]
    tails = [
        ellipsoid((0.22, 0.12, 0.22), 7, 10, 0.5).transformed((s * body.width * 0.38, rear + 0.06, z + 0.16))
        for s in (-1, 1)
    ]
    on = chance(rng, 0.4)
    white = materials.lamp_surface(rng, (1, 0.95, 0.85), 4.0 if on else 0.0)
    red = materials.lamp_surface(rng, (0.6, 0.02, 0.02), 2.0 if on else 0.05)
    plates = [box((0.5, 0.02, 0.11), (0, y, 0.45)) for y in (front - 0.01, rear)]
    return [(join(lamps), white), (join(tails), red), (join(plates), materials.plain(rng, (0.7, 0.7, 0.65)))]


def _trim(rng: Rng, body: Body, stretch: float, paint: SurfaceMaterial) -> Parts:
    dark_material = materials.rubber(rng)
    y = (body.cabin[-1][0] - 0.56) * body.length * stretch
    z = body.cabin[-1][2] + 0.03
    mirrors = [
        ellipsoid((0.2, 0.14, 0.14), 6, 8, 0.7).transformed((s * (body.width / 2 + 0.06), y, z)) for s in (-1, 1)
    ]
    sill = box((body.width * 0.98, body.length * stretch * 0.85, 0.12), (0, 0, 0.2))
    grille = box((body.width * 0.6, 0.06, 0.2), (0, body.length * stretch / 2 - 0.05, 0.35))
    return [(join(mirrors), paint), (join([sill, grille]), dark_material)]


def truck(rng: Rng) -> Parts:
    """Returns a truck of 6 to 12 m: a cab, and a box, a tank or a flat bed behind it."""
    length, paint = rng.uniform(6, 12), materials.car_paint(rng)
    cab_high, load_high = rng.uniform(2.4, 3.1), rng.uniform(2.0, 2.8)
    front = length / 2
    cargo = length - 2.3
    parts: Parts = [(box((2.35, 1.9, cab_high - 0.5), (0, front - 0.95, 0.5), bevel=0.15), paint)]
    parts.append(
        (box((2.1, 0.06, cab_high * 0.32), (0, front + 0.01, cab_high * 0.58), (8, 0, 0)), materials.dark_glass(rng))
    )
    parts.append((box((2.38, 0.9, cab_high * 0.28), (0, front - 0.75, cab_high * 0.6)), materials.dark_glass(rng)))
    load = box((2.45, cargo, load_high), (0, front - 2.3 - cargo / 2, 1.0), bevel=0.03)
    if chance(rng, 0.2):
        load = cylinder(1.15, cargo, 18).transformed((0, front - 2.3, 2.1), (90, 0, 0))
    parts.append((load, materials.printed(rng, 2.0) if chance(rng, 0.5) else materials.car_paint(rng)))
    parts.append((box((1.0, length - 0.6, 0.35), (0, -0.1, 0.6)), materials.rubber(rng)))
    return parts + _big_wheels(rng, (front - 1.2, front - 3.2 - cargo * 0.6, front - 2.0 - cargo * 0.95))


def bus(rng: Rng) -> Parts:
    length, paint = rng.uniform(8, 13), materials.car_paint(rng)
    body = box((2.5, length, 2.75), (0, 0, 0.35), bevel=0.15)
    band = box((2.54, length * 0.92, 0.95), (0, 0, 1.55))
    posts = [box((2.56, 0.12, 1.0), (0, y, 1.52)) for y in np.arange(-length / 2 + 1, length / 2 - 0.5, 1.5)]
    shield = box((2.3, 0.06, 1.5), (0, length / 2, 1.1))
    glass = materials.dark_glass(rng)
    stripe = box((2.53, length * 0.96, 0.3), (0, 0, 0.8))
    parts: Parts = [
        (body, paint),
        (join([band, shield]), glass),
        (join(posts), paint),
        (stripe, materials.printed(rng, 1.5)),
    ]
    return parts + _big_wheels(rng, (length * 0.3, -length * 0.25))


def _big_wheels(rng: Rng, places: tuple[float, ...]) -> Parts:
    positions = [(side * 1.05, y, 0.48) for side in (-1, 1) for y in places]
    tyres = [cylinder(0.48, 0.3, 18).transformed((0, 0, -0.15)).transformed(p, (0, 90, 0)) for p in positions]
    rims = [cylinder(0.26, 0.32, 10).transformed((0, 0, -0.16)).transformed(p, (0, 90, 0)) for p in positions]
    return [(join(tyres), materials.rubber(rng)), (join(rims), materials.metal(rng))]
