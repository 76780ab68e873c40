"""The shell of a room with windows, doors and lamps, and the places of the objects in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from streamdepth.training.scenes import fittings, materials, palette
from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import CameraView, Parts, Scene, transformed
from streamdepth.training.scenes.shapes import Point, Shape, Vector, box, join, sheet
from streamdepth.training.scenes.weather import outdoor_scene

Opening = tuple[float, float, float, float]
"""A window or door: start and end along a wall, lower and upper edge."""
THICK = 0.16


@dataclass(slots=True)
class Interior:
    """A room around the origin with its floor at z = 0. Walls are numbered north (+y), west, south, east."""

    scene: Scene
    width: float
    depth: float
    height: float
    occupied: list[tuple[float, float, float, float]] = field(default_factory=list)
    """(x, y, radius, height) of each object on the floor."""
    points_of_interest: list[Point] = field(default_factory=list)
    """Points that a nearby camera may look at."""
    openings: list[list[Opening]] = field(default_factory=list)

    def length(self, wall: int) -> float:
        return self.width if wall % 2 == 0 else self.depth

    def area(self) -> float:
        return self.width * self.depth

    def wall_point(self, wall: int, along: float, inward: float) -> tuple[float, float]:
        """Returns the point `along` from the wall's left end, as seen from inside, and `inward` from the wall."""
        x, y = along - self.length(wall) / 2, (self.depth if wall % 2 == 0 else self.width) / 2 - inward
        a = np.radians(90 * wall)
        return float(x * np.cos(a) - y * np.sin(a)), float(x * np.sin(a) + y * np.cos(a))

    def is_free(self, x: float, y: float, radius: float) -> bool:
        """Returns True if a circle on the floor is inside the room and touches nothing."""
        inside = abs(x) < self.width / 2 - radius and abs(y) < self.depth / 2 - radius
        return inside and all(np.hypot(x - a, y - b) > radius + r for a, b, r, _ in self.occupied)

    def is_clear(self, eye: Vector) -> bool:
        """Returns True if a camera may be at `eye`."""
        x, y, z = eye
        inside = abs(x) < self.width / 2 - 0.15 and abs(y) < self.depth / 2 - 0.15 and 0.15 < z < self.height - 0.15
        return bool(
            inside and all(z > h + 0.08 or np.hypot(x - a, y - b) > r * 0.8 + 0.1 for a, b, r, h in self.occupied)
        )

    def random_floor_point(self, rng: Rng, margin: float) -> tuple[float, float]:
        """Returns a random point of the floor, `margin` from the walls."""
        x, y = rng.uniform(-0.5, 0.5, 2) * (max(0.2, self.width - 2 * margin), max(0.2, self.depth - 2 * margin))
        return float(x), float(y)

    def place(self, parts: Parts, position: Vector, heading: float) -> None:
        """Places a piece on the floor."""
        low, high = extent(parts)
        a = np.radians(heading)
        middle = (low + high) / 2
        x = position[0] + middle[0] * np.cos(a) - middle[1] * np.sin(a)
        y = position[1] + middle[0] * np.sin(a) + middle[1] * np.cos(a)
        self.scene.add(parts, (position[0], position[1], 0.0), heading)
        self.occupied.append((float(x), float(y), float(np.hypot(*(high - low)[:2]) / 2 * 0.75), float(high[2])))
        if high[2] > 0.25:
            self.points_of_interest.append((float(x), float(y), float(min(high[2] * 0.9, 1.2))))

    def along_wall(self, parts: Parts, wall: int, along: float, rng: Rng) -> float:
        """Places a piece with its back to a wall and its left end at `along`; returns the length that is used up."""
        low, high = extent(parts)
        wide, deep = high[0] - low[0], high[1] - low[1]
        fits = along + wide < self.length(wall) and deep + 0.9 < (self.depth if wall % 2 == 0 else self.width)
        blocked = any(
            start < along + wide and along < end and foot < high[2] for start, end, foot, _ in self.openings[wall]
        )
        position = self.wall_point(wall, along + wide / 2, 0.02 - float(low[1]))
        if (
            not fits
            or (blocked and (high[2] > 1.2 or chance(rng, 0.7)))
            or not self.is_free(*position, min(wide, deep) * 0.3)
        ):
            return 0.3
        self.place(parts, position, 90.0 * wall + 180.0 + rng.normal(0, 1.0) * chance(rng, 0.3))
        return float(wide)

    def anywhere(self, parts: Parts, heading: float, rng: Rng) -> tuple[float, float] | None:
        low, high = extent(parts)
        radius = float(np.hypot(*(high - low)[:2]) / 2)
        for _ in range(8):
            position = self.random_floor_point(rng, radius)
            if self.is_free(*position, radius * 0.9):
                self.place(parts, position, heading)
                return position
        return None

    def on_wall(self, parts: Parts, rng: Rng) -> None:
        low, high = extent(parts)
        wall, half = int(rng.integers(4)), float(high[0] - low[0]) / 2
        if self.length(wall) < 2 * half + 0.2:
            return
        along = rng.uniform(half + 0.05, self.length(wall) - half - 0.05)
        foot, top = 1.5 + low[2], 1.5 + high[2]
        if any(s < along + half and along - half < e and f < top and foot < t for s, e, f, t in self.openings[wall]):
            return
        x, y = self.wall_point(wall, along, 0.0)
        self.scene.add(parts, (x, y, rng.uniform(1.35, 1.7)), 90.0 * wall + 180.0)


def extent(parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lower and the upper corner of the parts' bounding box."""
    points = np.concatenate([shape.points for shape, _ in parts])
    return points.min(axis=0), points.max(axis=0)


def empty_room(rng: Rng, size: tuple[float, float, float]) -> Interior:
    """Returns a room with floor, ceiling, walls with windows and doors, and its lights."""
    width, depth, height = size
    scene = outdoor_scene(rng, _no_view, night_share=0.3)
    inside = Interior(scene, width, depth, height, openings=[[], [], [], []])
    scene.haze = 0.0
    inner_wall, trim = materials.inner_wall(rng), materials.plain(rng, palette.gray(rng, 0.7, 0.95), 0.4)
    scene.add([(box((width + 0.4, depth + 0.4, 0.1), (0, 0, -0.1)), materials.floor(rng))])
    scene.add([(box((width + 0.4, depth + 0.4, 0.1), (0, 0, height)), materials.plain(rng, palette.pale(rng), 0.9))])
    for wall in range(4):
        _openings(rng, inside, wall)
        other = materials.outer_wall(rng) if chance(rng, 0.08) else materials.inner_wall(rng)
        parts = _wall(rng, inside, wall, other if chance(rng, 0.2) else inner_wall, trim)
        x, y = inside.wall_point(wall, inside.length(wall) / 2, 0.0)
        scene.add(parts, (x, y, 0.0), 90.0 * wall + 180.0)
    if chance(rng, 0.25) and min(width, depth) > 3:
        _partition(rng, inside, inner_wall)
    _outside(rng, scene)
    _lamps(rng, inside)
    return inside


def _no_view(rng: Rng) -> CameraView:
    raise RuntimeError("a room needs a view")


def _openings(rng: Rng, inside: Interior, wall: int) -> None:
    along = 0.3
    while along < inside.length(wall) - 1.2:
        kind, wide = rng.random(), rng.uniform(0.8, 2.2)
        end = min(along + wide, inside.length(wall) - 0.25)
        if kind < 0.22:
            inside.openings[wall].append((along, end, rng.uniform(0.3, 1.0), rng.uniform(1.9, inside.height - 0.15)))
        elif kind < 0.32:
            inside.openings[wall].append((along, along + 0.9, 0.0, 2.05))
        along += wide + rng.uniform(0.2, 1.5)


def _wall(rng: Rng, inside: Interior, wall: int, material: SurfaceMaterial, trim: SurfaceMaterial) -> Parts:
    """Returns a wall that faces +y from y = 0; x runs from its right end to the left."""
    length, height = inside.length(wall), inside.height
    blocks: list[Shape] = []
    cursor = -THICK
    parts: Parts = []

    def block(start: float, end: float, foot: float, top: float) -> None:
        if end > start and top > foot:
            blocks.append(box((end - start, THICK, top - foot), (length / 2 - (start + end) / 2, -THICK / 2, foot)))

    for hole in inside.openings[wall]:
        start, end, foot, top = hole
        block(cursor, start, 0, height)
        block(start, end, 0, foot)
        block(start, end, top, height)
        cursor = end
        fill = _door(rng, end - start, top, trim) if foot == 0 else _window(rng, end - start, top - foot, trim)
        parts += transformed(fill, (length / 2 - (start + end) / 2, 0, foot))
    block(cursor, length + THICK, 0, height)
    parts.append((join(blocks), material))
    skirting = box((length, 0.03, 0.09), (0, 0.005, 0))
    return [*parts, (skirting, trim)] if chance(rng, 0.6) and not inside.openings[wall] else parts


def _door(rng: Rng, wide: float, high: float, trim: SurfaceMaterial) -> Parts:
    leaf = materials.furniture(rng)
    frame = [box((0.07, THICK + 0.04, high), (s * wide / 2, -THICK / 2, 0)) for s in (-1, 1)] + [
        box((wide, THICK + 0.04, 0.07), (0, -THICK / 2, high - 0.07))
    ]
    open_by = rng.uniform(20, 100) if chance(rng, 0.35) else 0.0
    door = join([box((wide, 0.045, high - 0.05), (wide / 2, 0, 0)), box((0.13, 0.12, 0.025), (wide - 0.1, 0, 1.02))])
    panels = [box((wide * 0.6, 0.06, high * 0.36), (wide / 2, 0, high * f)) for f in (0.08, 0.53)]
    euler_degrees = (0.0, 0.0, -open_by)
    parts: Parts = [
        (join(frame), trim),
        (door.transformed((0, 0, 0), euler_degrees).transformed((-wide / 2, -0.05, 0)), leaf),
    ]
    if chance(rng, 0.5):
        parts.append((join(panels).transformed((0, 0, 0), euler_degrees).transformed((-wide / 2, -0.05, 0)), leaf))
    return parts + (_beyond(rng, wide, high) if open_by else [])


def _beyond(rng: Rng, wide: float, high: float) -> Parts:
    """Returns the end of a passage, which is visible through an open door."""
    deep, high = rng.uniform(1.2, 4.0), high + 0.35
    middle = -THICK - deep / 2
    sides = [box((0.06, deep, high), (s * (wide / 2 + 0.5), middle, 0)) for s in (-1, 1)]
    sides += [box((wide + 1, 0.06, high), (0, -THICK - deep, 0)), box((wide + 1, deep, 0.06), (0, middle, high))]
    return [
        (join(sides), materials.inner_wall(rng)),
        (box((wide + 1, deep, 0.05), (0, middle, -0.05)), materials.floor(rng)),
    ]


def _window(rng: Rng, wide: float, high: float, trim: SurfaceMaterial) -> Parts:
    xs = np.linspace(-wide / 2, wide / 2, int(rng.integers(2, 5)))
    zs = np.linspace(0, high - 0.05, int(rng.integers(2, 4)))
    bars = [box((0.05, 0.06, high), (x, -0.1, 0)) for x in xs] + [box((wide, 0.06, 0.05), (0, -0.1, z)) for z in zs]
    parts: Parts = [(join([*bars, box((wide + 0.1, 0.22, 0.03), (0, 0.0, -0.03))]), trim)]
    parts.append((box((wide, 0.006, high), (0, -0.1, 0)), materials.clear_glass(rng)))
    kind = rng.random()
    if kind < 0.35:
        parts += _curtains(rng, wide, high)
    elif kind < 0.55:
        slats = np.arange(high * rng.uniform(0, 0.7), high, 0.05)
        parts.append(
            (
                join([box((wide, 0.04, 0.003), (0, -0.03, z), (rng.uniform(20, 60), 0, 0)) for z in slats]),
                materials.plain(rng, palette.pale(rng)),
            )
        )
    if chance(rng, 0.4):
        parts += transformed(fittings.radiator(rng), (0, 0.0, -0.75 if high < 1.6 else 0.0))
    return parts


def _curtains(rng: Rng, wide: float, high: float) -> Parts:
    material, share = materials.cloth(rng, palette.any_color(rng)), rng.uniform(0.15, 0.5)
    drop = rng.uniform(0.05, 0.6)

    def side(sign: int) -> Shape:
        def surface(u: np.ndarray, v: np.ndarray) -> np.ndarray:
            x = sign * (wide / 2 + 0.15 - u * wide * share)
            return np.stack([x, 0.1 + 0.035 * np.sin(u * share * wide * 40), high + 0.1 - v * (high + drop)], axis=-1)

        return sheet(surface, (40, 3))

    rod = box((wide + 0.5, 0.025, 0.025), (0, 0.1, high + 0.1))
    return [(join([side(-1), side(1)]), material), (rod, materials.metal(rng))]


def _partition(rng: Rng, inside: Interior, material: SurfaceMaterial) -> None:
    """Adds a wall that reaches into the room and makes an L or an alcove."""
    length = rng.uniform(0.3, 0.55) * inside.width
    y = rng.uniform(-0.25, 0.25) * inside.depth
    x = choose(rng, (-1, 1)) * (inside.width - length) / 2
    inside.scene.add([(box((length, 0.12, inside.height)), material)], (x, y, 0.0))
    for step in np.arange(-length / 2, length / 2 + 0.1, 0.3):
        inside.occupied.append((x + float(step), y, 0.18, inside.height))


def _outside(rng: Rng, scene: Scene) -> None:
    """Adds the view through the windows."""
    drop = choose(rng, (0.3, 3.5, 9.0))
    ground = sheet(lambda u, v: np.stack([600 * u - 300, 600 * v - 300, 0 * u - drop], axis=-1), (1, 1))
    scene.add([(ground, materials.grass(rng) if chance(rng, 0.5) else materials.asphalt(rng))])
    for _ in range(14):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(25, 90)
        size = (rng.uniform(5, 20), rng.uniform(5, 20), rng.uniform(4, 25))
        material = materials.outer_wall(rng) if chance(rng, 0.6) else materials.leaf(rng)
        scene.add(
            [(box(size, bevel=1.0), material)],
            (distance * np.cos(angle), distance * np.sin(angle), -drop),
            rng.uniform(0, 90),
        )


def _lamps(rng: Rng, inside: Interior) -> None:
    """Adds light: by day from the windows and from all sides, in the evening from lamps alone."""
    scene = inside.scene
    night = scene.darkness > 0.5
    scene.darkness = rng.uniform(0.3, 0.9) if night else rng.uniform(0, 0.5) if chance(rng, 0.3) else 0.0
    warm = rng.uniform(0, 1)
    level = rng.uniform(0.03, 0.5) if night else rng.uniform(0.2, 1.2)
    scene.ambient, scene.ambient_reach = (
        palette.shade(palette.lamp_color(rng, warm if night else 0.3), level),
        rng.uniform(0.8, 2.5),
    )
    count = int(np.clip(inside.area() / 10, 1, 5)) if night or chance(rng, 0.6) else 0
    for _ in range(count):
        x, y = inside.random_floor_point(rng, 0.6)
        color, power = palette.lamp_color(rng, warm), rng.uniform(15, 80)
        if chance(rng, 0.5):
            scene.add([(box((0.6, 0.6, 0.03)), materials.lamp_surface(rng, color, 5.0))], (x, y, inside.height - 0.03))
            scene.add_light("AREA", (x, y, inside.height - 0.05), power, color, 0.6)
        else:
            scene.add(fittings.pendant(rng), (x, y, inside.height))
            scene.add_light("POINT", (x, y, inside.height - rng.uniform(0.5, 1.1)), power, color, 0.08)
    if night and chance(rng, 0.5):
        scene.add_light(
            "POINT",
            (*inside.random_floor_point(rng, 0.4), rng.uniform(0.6, 1.4)),
            rng.uniform(10, 50),
            palette.lamp_color(rng, 0.8),
            0.1,
        )
