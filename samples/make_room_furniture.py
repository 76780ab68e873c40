"""The furniture of the room. Each function builds one piece around the origin, standing on z = 0, facing -y."""

from __future__ import annotations

import math
from random import Random

import bpy
from make_room_materials import cloth, glow, plain, wood
from make_room_shapes import Point, box, cylinder, group, lathe, sheet, soft, tube
from make_room_things import BLACK, BRASS, OAK, SPINES, WALNUT, Parts, book, book_row, flowers, fruit_bowl, mug, vase


def sofa(at: Point, turn: float) -> bpy.types.Object:
    """2.1 x 0.92 m, three seats."""
    body, legs = cloth((0.115, 0.15, 0.165)), wood(*WALNUT, axis=2)
    parts = [
        box((2.06, 0.82, 0.22), (0, 0.03, 0.24), body, bevel=0.05),
        soft((2.02, 0.26, 0.66), (0, 0.36, 0.52), body, edge=(0.3, 0.15, 0), turn=(-8, 0, 0)),
    ]
    parts += [soft((0.20, 0.88, 0.52), (side * 1.0, 0.0, 0.38), body, edge=(0.25, 0.2, 0)) for side in (-1, 1)]
    parts += [soft((0.62, 0.66, 0.20), (i * 0.61, -0.08, 0.42), body, edge=(0.35, 0.16, 0)) for i in (-1, 0, 1)]
    parts += [
        soft((0.60, 0.22, 0.46), (i * 0.61, 0.20, 0.66), body, edge=(0.5, 0.2, 0), turn=(-14, 0, 0)) for i in (-1, 0, 1)
    ]
    parts += [cylinder(0.022, 0.14, (x, y, 0), legs) for x in (-0.92, 0.92) for y in (-0.3, 0.36)]
    return group("sofa", parts, at, turn)


def sofa_cushions(at: Point, turn: float) -> bpy.types.Object:
    looks = [((0.52, 0.30, 0.05), -0.74, 20), ((0.50, 0.45, 0.38), -0.44, -8), ((0.28, 0.07, 0.04), 0.72, -18)]
    parts = [
        soft(
            (0.44, 0.15, 0.42), (x, -0.02, 0.70), cloth(color, 180), edge=(0.62, 0.32, 0), turn=(-24, tilt * 0.4, tilt)
        )
        for color, x, tilt in looks
    ]
    return group("cushions", [*parts, blanket()], at, turn)


def blanket() -> bpy.types.Object:
    """Thrown over the right arm of the sofa."""
    outline = [(0.68, 0.535), (0.84, 0.56), (0.92, 0.655), (1.02, 0.665), (1.115, 0.60), (1.13, 0.40), (1.125, 0.20)]

    def surface(u: float, v: float) -> Point:
        place = v * (len(outline) - 1)
        i = min(int(place), len(outline) - 2)
        x, z = (a + (b - a) * (place - i) for a, b in zip(outline[i], outline[i + 1], strict=True))
        ripple = 0.012 * math.sin(23 * u + 4 * v) + 0.006 * math.sin(51 * u + 2)
        return x + ripple * v, -0.34 + 0.5 * u + 0.03 * math.sin(5 * v), z + ripple * (1 - v) * 0.6

    return sheet(surface, (48, 60), cloth((0.45, 0.39, 0.30), 120, 0.35), thickness=0.012)


def bookshelf(at: Point, turn: float) -> bpy.types.Object:
    """1.0 x 0.3 x 2.0 m."""
    oak, upright = wood(*OAK), wood(*OAK, axis=2)
    random = Random(5)
    parts = [box((0.025, 0.3, 2.0), (x, 0, 1.0), upright, bevel=0.003) for x in (-0.5, 0.5)]
    parts += [box((0.98, 0.29, 0.025), (0, 0, z), oak, bevel=0.003) for z in (0.08, 0.47, 0.86, 1.23, 1.60, 1.985)]
    parts.append(box((1.0, 0.008, 1.96), (0, 0.15, 1.0), wood(*OAK, axis=2), bevel=0))
    spans = [(0.095, -0.48, 0.0), (0.485, -0.48, 0.44), (0.875, -0.1, 0.46), (1.245, -0.48, 0.15), (1.615, -0.3, 0.3)]
    for z, start, end in spans:
        parts += book_row(random, start, end, 0.0, z)
    parts += shelf_things()
    return group("bookshelf", parts, at, turn)


def shelf_things() -> Parts:
    basket = cloth((0.33, 0.21, 0.10), 60, 0.5)
    parts = [
        box((0.36, 0.24, 0.24), (0.26, -0.01, 0.215), basket, bevel=0.03),
        vase((-0.3, -0.02, 0.875), plain((0.10, 0.20, 0.22), 0.2), 0.9),
        vase((0.34, -0.02, 1.245), plain((0.60, 0.52, 0.42), 0.5), 0.6),
        lathe(
            [(0.0, 0), (0.07, 0.012), (0.095, 0.07), (0.07, 0.13), (0.001, 0.14)],
            (-0.39, -0.02, 1.615),
            plain(BRASS, 0.25, 1),
        ),
    ]
    return [
        *parts,
        *book((0.36, -0.01, 2.012), (0.2, 0.15, 0.03), SPINES[1]),
        *book((0.35, -0.01, 2.04), (0.18, 0.14, 0.025), SPINES[4]),
    ]


def coffee_table(at: Point, turn: float) -> bpy.types.Object:
    """1.1 x 0.6 x 0.42 m, a shelf below, laid with books, mugs and a bowl."""
    oak, leg = wood(*WALNUT), wood(*WALNUT, axis=2)
    parts = [box((1.1, 0.6, 0.035), (0, 0, 0.4), oak, bevel=0.012), box((0.96, 0.46, 0.018), (0, 0, 0.15), oak)]
    parts += [tube([(x, y, 0), (x * 0.94, y * 0.9, 0.39)], 0.019, leg) for x in (-0.49, 0.49) for y in (-0.25, 0.25)]
    parts += [mug((0.12, -0.17, 0.418), (0.10, 0.26, 0.30), 200), mug((0.38, 0.1, 0.418), (0.62, 0.58, 0.5), 40)]
    parts += [fruit_bowl((-0.05, 0.10, 0.418)), vase((-0.42, 0.16, 0.418), plain((0.5, 0.22, 0.10), 0.45), 0.8)]
    stack = [((0.26, 0.19, 0.03), 0), ((0.23, 0.17, 0.025), 8), ((0.2, 0.14, 0.02), -14)]
    z = 0.418
    for i, ((wide, deep, high), angle) in enumerate(stack):
        parts += [
            box(
                (wide, deep, high),
                (-0.36, -0.12, z + high / 2),
                plain(SPINES[3 * i], 0.5),
                bevel=0.003,
                turn=(0, 0, angle),
            )
        ]
        z += high + 0.001
    parts += [
        box(
            (0.28, 0.21, 0.008),
            (0.2 + 0.02 * i, 0.0, 0.164 + 0.009 * i),
            plain(SPINES[i + 2]),
            bevel=0.001,
            turn=(0, 0, 9 * i),
        )
        for i in range(4)
    ]
    return group("coffee table", parts, at, turn)


def chair(at: Point, turn: float) -> bpy.types.Object:
    """A spindle-back chair with thin splayed legs; seat at 0.45 m."""
    oak, seat = wood(*OAK, axis=2), wood(*OAK, axis=1)
    parts = [soft((0.44, 0.43, 0.045), (0, 0, 0.45), seat, edge=(0.4, 0.35, 0))]
    parts += [
        tube([(x * 1.25, y * 1.3, 0), (x * 0.9, y * 0.9, 0.44)], 0.0145, oak)
        for x in (-0.17, 0.17)
        for y in (-0.17, 0.17)
    ]
    parts += [tube([(-0.195, y, 0.2), (0.195, y, 0.2)], 0.009, oak) for y in (-0.2, 0.2)]
    parts += [tube([(x, 0.18, 0.46), (x * 1.15, 0.26, 0.86)], 0.0075, oak) for x in (-0.11, -0.055, 0.0, 0.055, 0.11)]
    parts += [tube([(x, 0.175, 0.46), (x * 1.15, 0.26, 0.87)], 0.013, oak) for x in (-0.18, 0.18)]
    parts.append(tube([(-0.225, 0.235, 0.87), (0, 0.285, 0.89), (0.225, 0.235, 0.87)], 0.024, oak, curved=True))
    return group("chair", parts, at, turn)


def dining_table(at: Point, turn: float) -> bpy.types.Object:
    """1.5 x 0.85 x 0.75 m, laid."""
    oak, leg = wood(*OAK), wood(*OAK, axis=2)
    parts = [box((1.5, 0.85, 0.032), (0, 0, 0.734), oak, bevel=0.01), box((1.26, 0.62, 0.07), (0, 0, 0.683), oak)]
    parts += [tube([(x * 1.04, y * 1.04, 0), (x, y, 0.72)], 0.027, leg) for x in (-0.64, 0.64) for y in (-0.33, 0.33)]
    parts += [
        sheet(
            lambda u, v: (-0.2 + 0.4 * u, -0.43 + 0.86 * v, 0.752 + 0.001 * math.sin(40 * v)),
            (4, 60),
            cloth((0.42, 0.36, 0.28), 200),
        )
    ]
    parts += [vase((0, 0.02, 0.752), plain((0.62, 0.6, 0.56), 0.3), 1.0), *flowers((0, 0.02, 0.95))]
    parts += [mug((-0.42, -0.2, 0.75), (0.5, 0.12, 0.05), 120), mug((0.5, 0.2, 0.75), (0.62, 0.58, 0.5), 320)]
    plate = [(0.001, 0), (0.07, 0), (0.075, 0.006), (0.12, 0.016), (0.118, 0.02), (0.07, 0.01), (0.001, 0.009)]
    parts += [lathe(plate, (x, y, 0.75), plain((0.66, 0.65, 0.62), 0.2)) for x, y in ((-0.45, 0.12), (0.42, -0.2))]
    return group("dining table", parts, at, turn)


def floor_lamp(at: Point, strength: float) -> bpy.types.Object:
    """1.6 m high; the shade glows by `strength`."""
    metal = plain(BLACK, 0.35, 1.0)
    shade_profile = [(0.21, 1.30), (0.15, 1.60), (0.147, 1.60), (0.207, 1.30)]
    parts = [cylinder(0.14, 0.02, (0, 0, 0), metal), tube([(0, 0, 0.01), (0, 0, 1.5)], 0.011, metal)]
    parts.append(
        lathe(
            shade_profile, (0, 0, 0), glow((1.0, 0.78, 0.52), strength) if strength else cloth((0.62, 0.52, 0.38), 300)
        )
    )
    return group("floor lamp", parts, at)


def pendant(at: Point, strength: float) -> bpy.types.Object:
    """A metal bell; `at` is where its cord meets the ceiling, the bell hangs 0.95 m below."""
    bell = [(0.03, -0.70), (0.06, -0.72), (0.17, -0.84), (0.20, -0.95), (0.196, -0.95), (0.165, -0.845), (0.001, -0.74)]
    bulb = soft((0.09, 0.09, 0.11), (0, 0, -0.87), glow((1.0, 0.72, 0.42), strength), edge=(1, 1, 0))
    parts = [
        lathe(bell, (0, 0, 0), plain((0.03, 0.055, 0.05), 0.3, 0.3)),
        tube([(0, 0, 0), (0, 0, -0.72)], 0.004, plain(BLACK)),
        bulb,
    ]
    return group("pendant", [*parts, cylinder(0.05, 0.02, (0, 0, -0.02), plain(BLACK))], at)


def sideboard(at: Point, turn: float) -> bpy.types.Object:
    """1.7 x 0.42 x 0.62 m with three doors and a television on it."""
    front, dark = wood(*WALNUT), plain(BLACK, 0.25)
    parts = [box((1.7, 0.42, 0.46), (0, 0, 0.38), front, bevel=0.008)]
    parts += [box((0.545, 0.018, 0.42), (i * 0.556, -0.214, 0.38), front, bevel=0.004) for i in (-1, 0, 1)]
    parts += [
        tube([(i * 0.556 + 0.2, -0.235, 0.36), (i * 0.556 + 0.2, -0.235, 0.46)], 0.006, plain(BRASS, 0.3, 1))
        for i in (-1, 0, 1)
    ]
    parts += [
        tube([(x, y, 0), (x * 0.96, y * 0.8, 0.16)], 0.015, plain(BLACK)) for x in (-0.76, 0.76) for y in (-0.16, 0.16)
    ]
    parts += [
        box((1.16, 0.035, 0.66), (0.1, 0.04, 0.97), dark, bevel=0.006),
        box((1.13, 0.004, 0.63), (0.1, 0.021, 0.97), plain((0.006, 0.007, 0.009), 0.08), bevel=0),
    ]
    parts += [
        box((0.4, 0.2, 0.015), (0.1, 0.04, 0.618), dark),
        vase((-0.68, 0, 0.61), plain((0.30, 0.10, 0.06), 0.35), 1.3),
    ]
    return group("sideboard", parts, at, turn)
