"""Small things of the room: books, crockery, plants, paintings, the ball. Each stands on z = 0 and faces -y."""

from __future__ import annotations

import math
from random import Random

import bpy
from make_room_materials import Color, cloth, foliage, painting, plain, rubber_stripes, wood
from make_room_shapes import Point, box, cylinder, group, lathe, mesh, soft, tube

OAK = ((0.19, 0.10, 0.045), (0.40, 0.25, 0.13))
WALNUT = ((0.05, 0.024, 0.012), (0.15, 0.075, 0.036))
BLACK: Color = (0.012, 0.012, 0.014)
WHITE: Color = (0.72, 0.70, 0.66)
BRASS: Color = (0.55, 0.36, 0.13)
SPINES: tuple[Color, ...] = (
    (0.35, 0.04, 0.03),
    (0.03, 0.10, 0.22),
    (0.55, 0.44, 0.26),
    (0.05, 0.16, 0.09),
    (0.45, 0.18, 0.04),
    (0.62, 0.60, 0.54),
    (0.02, 0.02, 0.025),
    (0.16, 0.05, 0.14),
    (0.08, 0.22, 0.25),
    (0.60, 0.33, 0.08),
)
Parts = list[bpy.types.Object]


def book(at: Point, size: Point, color: Color, turn: Point = (0, 0, 0)) -> Parts:
    """`size`: thickness along x, depth along y, height along z; the spine looks to -y."""
    thick, deep, high = size
    cover, paper = plain(color, 0.55), plain((0.62, 0.56, 0.45), 0.9)
    parts = [
        box((thick * 0.8, deep * 0.97, high * 0.965), (0, 0.004, 0), paper, bevel=0.001),
        box((thick, 0.003, high), (0, -deep / 2, 0), cover, bevel=0.001),
        *(box((0.003, deep, high), (side * thick / 2, 0, 0), cover, bevel=0.001) for side in (-1, 1)),
        box((thick * 1.01, 0.002, high * 0.07), (0, -deep / 2 - 0.0012, high * 0.22), plain(BRASS, 0.4), bevel=0),
    ]
    return [turned(group("book", parts, at), turn)]


def turned(item: bpy.types.Object, turn: Point) -> bpy.types.Object:
    item.rotation_euler = [math.radians(angle) for angle in turn]
    return item


def book_row(random: Random, start: float, end: float, y: float, z: float) -> Parts:
    """Upright books from x = start to end, the last one leaning."""
    parts: Parts = []
    x = start
    while True:
        thick, high, deep = random.uniform(0.016, 0.05), random.uniform(0.17, 0.27), random.uniform(0.13, 0.19)
        if x + thick > end - 0.05:
            break
        parts += book((x + thick / 2, y - 0.13 + deep / 2, z + high / 2), (thick, deep, high), random.choice(SPINES))
        x += thick + 0.002
    parts += book((x + 0.045, y - 0.05, z + 0.105), (0.022, 0.15, 0.21), random.choice(SPINES), (0, -12, 0))
    return parts


def vase(at: Point, material: bpy.types.Material, scale: float = 1.0) -> bpy.types.Object:
    outer = [(0.001, 0), (0.05, 0), (0.075, 0.05), (0.08, 0.10), (0.055, 0.17), (0.03, 0.215), (0.038, 0.25)]
    inner = [(0.034, 0.25), (0.026, 0.21), (0.05, 0.15), (0.001, 0.02)]
    return lathe([(r * scale, z * scale) for r, z in outer + inner], at, material)


def mug(at: Point, color: Color, turn: float) -> bpy.types.Object:
    glaze = plain(color, 0.22)
    profile = [
        (0.001, 0),
        (0.036, 0),
        (0.041, 0.006),
        (0.042, 0.095),
        (0.039, 0.097),
        (0.037, 0.092),
        (0.036, 0.012),
        (0.001, 0.01),
    ]
    handle = tube(
        [(0.040, 0, 0.078), (0.068, 0, 0.072), (0.068, 0, 0.035), (0.040, 0, 0.024)], 0.0055, glaze, curved=True
    )
    coffee = cylinder(0.0365, 0.004, (0, 0, 0.072), plain((0.03, 0.012, 0.005), 0.15))
    return group("mug", [lathe(profile, (0, 0, 0), glaze), handle, coffee], at, turn)


def fruit_bowl(at: Point) -> bpy.types.Object:
    profile = [
        (0.001, 0),
        (0.05, 0),
        (0.055, 0.01),
        (0.11, 0.045),
        (0.145, 0.085),
        (0.139, 0.087),
        (0.10, 0.05),
        (0.001, 0.018),
    ]
    fruit: list[tuple[Point, Color]] = [
        ((-0.05, 0.02, 0.075), (0.55, 0.20, 0.01)),
        ((0.045, 0.045, 0.075), (0.42, 0.03, 0.02)),
        ((0.02, -0.055, 0.075), (0.30, 0.38, 0.03)),
        ((0.0, 0.0, 0.125), (0.56, 0.19, 0.01)),
    ]
    parts = [lathe(profile, (0, 0, 0), plain((0.62, 0.58, 0.5), 0.3))]
    parts += [soft((0.078, 0.078, 0.073), place, plain(color, 0.4), edge=(1, 1, 0)) for place, color in fruit]
    return group("fruit bowl", parts, at)


def flowers(at: Point) -> Parts:
    random = Random(11)
    x, y, z = at
    green, parts = foliage((0.07, 0.19, 0.05)), []
    for i in range(9):
        angle, reach, high = i * 2.4, random.uniform(0.04, 0.15), random.uniform(0.14, 0.27)
        tip = (x + reach * math.cos(angle), y + reach * math.sin(angle), z + high)
        parts.append(
            tube(
                [(x, y, z - 0.05), (x + (tip[0] - x) * 0.3, y + (tip[1] - y) * 0.3, z + high * 0.55), tip],
                0.0025,
                green,
                curved=True,
            )
        )
        color = ((0.62, 0.45, 0.05), (0.66, 0.60, 0.50), (0.50, 0.07, 0.12))[i % 3]
        parts.append(soft((0.06, 0.06, 0.045), tip, plain(color, 0.8), edge=(0.9, 0.9, 0)))
        parts.append(
            leaf(
                (tip[0] - 0.01, tip[1], z + high * 0.5), 0.10, green, (random.uniform(-40, 10), 0, math.degrees(angle))
            )
        )
    return parts


def leaf(at: Point, length: float, material: bpy.types.Material, turn: Point) -> bpy.types.Object:
    """A bent blade that grows along +y from `at`."""
    rows = 9
    points: list[Point] = []
    for i in range(rows):
        t = i / (rows - 1)
        half = length * 0.3 * math.sin(math.pi * t**0.8) + 0.001
        droop = -0.45 * length * t * t
        points += [
            (-half, t * length, droop + 0.25 * half),
            (0, t * length, droop),
            (half, t * length, droop + 0.25 * half),
        ]
    faces = [(3 * i + j, 3 * i + j + 1, 3 * i + j + 4, 3 * i + j + 3) for i in range(rows - 1) for j in (0, 1)]
    return mesh("leaf", points, faces, material, at, turn)


def potted_plant(at: Point, seed: int, height: float = 1.35) -> bpy.types.Object:
    """A rubber tree: three stems with big leaves in a woven pot."""
    random = Random(seed)
    pot = [(0.001, 0), (0.13, 0), (0.15, 0.02), (0.18, 0.32), (0.17, 0.325), (0.165, 0.27), (0.001, 0.265)]
    parts = [
        lathe(pot, (0, 0, 0), cloth((0.50, 0.40, 0.28), 70, 0.5)),
        cylinder(0.165, 0.02, (0, 0, 0.262), plain((0.03, 0.018, 0.01), 0.95)),
    ]
    bark, green = plain((0.13, 0.085, 0.05), 0.9), foliage((0.035, 0.12, 0.035))
    for i in range(3):
        angle, lean, tall = i * 2.1 + 0.4, random.uniform(0.06, 0.17), height * random.uniform(0.72, 1.0)
        foot, top = (0.04 * math.cos(angle), 0.04 * math.sin(angle)), (lean * math.cos(angle), lean * math.sin(angle))
        parts.append(
            tube([(*foot, 0.26), (top[0] * 0.3, top[1] * 0.3, tall * 0.6), (*top, tall)], 0.011, bark, curved=True)
        )
        for k in range(13):
            t = 0.35 + 0.65 * k / 12
            turn = (random.uniform(5, 50) + 25 * (t > 0.95), random.uniform(-12, 12), k * 137.5 + i * 40)
            parts.append(leaf((top[0] * t**2, top[1] * t**2, 0.02 + tall * t), random.uniform(0.19, 0.30), green, turn))
    return group("plant", parts, at)


def picture(
    at: Point, turn: float, size: tuple[float, float], number: int, colors: tuple[Color, ...]
) -> bpy.types.Object:
    """A framed painting, its back on the wall."""
    wide, high = size
    frame, mat = wood(*WALNUT), plain((0.70, 0.68, 0.63), 0.9)
    bars = [box((wide, 0.025, 0.025), (0, -0.0125, side * (high - 0.025) / 2), frame, bevel=0.003) for side in (-1, 1)]
    bars += [box((0.025, 0.025, high), (side * (wide - 0.025) / 2, -0.0125, 0), frame, bevel=0.003) for side in (-1, 1)]
    inside = [
        box((wide - 0.04, 0.008, high - 0.04), (0, -0.006, 0), mat, bevel=0),
        box((wide - 0.18, 0.004, high - 0.18), (0, -0.0105, 0), painting(number, colors), bevel=0),
    ]
    return group("picture", bars + inside, at, turn)


def ball(radius: float) -> bpy.types.Object:
    return soft((2 * radius,) * 3, (0, 0, 0), rubber_stripes(), edge=(1, 1, 0))
