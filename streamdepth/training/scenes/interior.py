"""The shell of a room, with windows, doors and lamps, and the account of what stands where in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from streamdepth.training.scenes import fittings, looks
from streamdepth.training.scenes.looks import Look, Rng, chance, choose
from streamdepth.training.scenes.shapes import Point, Shape, Vector, box, join, sheet
from streamdepth.training.scenes.stage import Parts, Stage, View, moved
from streamdepth.training.scenes.weather import outdoors

Hole = tuple[float, float, float, float]
"""Start and end along a wall, foot and top."""
THICK = 0.16


@dataclass(slots=True)
class Interior:
    """A room around the origin; its floor is z = 0. Walls are numbered north (+y), west, south, east."""

    stage: Stage
    width: float
    depth: float
    height: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Middle, radius and height of what stands on the floor."""
    spots: list[Point] = field(default_factory=list)
    """Places worth a close look."""
    holes: list[list[Hole]] = field(default_factory=list)

    def length(self, wall: int) -> float:
        return self.width if wall % 2 == 0 else self.depth

    def area(self) -> float:
        return self.width * self.depth

    def wall_point(self, wall: int, along: float, inward: float) -> tuple[float, float]:
        """`along` from the wall's left end as seen from inside."""
        x, y = along - self.length(wall) / 2, (self.depth if wall % 2 == 0 else self.width) / 2 - inward
        a = np.radians(90 * wall)
        return float(x * np.cos(a) - y * np.sin(a)), float(x * np.sin(a) + y * np.cos(a))

    def free(self, x: float, y: float, radius: float) -> bool:
        inside = abs(x) < self.width / 2 - radius and abs(y) < self.depth / 2 - radius
        return inside and all(np.hypot(x - a, y - b) > radius + r for a, b, r, _ in self.taken)

    def clear(self, eye: Vector) -> bool:
        """Whether a camera may be here."""
        x, y, z = eye
        inside = abs(x) < self.width / 2 - 0.15 and abs(y) < self.depth / 2 - 0.15 and 0.15 < z < self.height - 0.15
        return bool(inside and all(z > h + 0.08 or np.hypot(x - a, y - b) > r * 0.8 + 0.1 for a, b, r, h in self.taken))

    def somewhere(self, rng: Rng, margin: float) -> tuple[float, float]:
        x, y = rng.uniform(-0.5, 0.5, 2) * (max(0.2, self.width - 2 * margin), max(0.2, self.depth - 2 * margin))
        return float(x), float(y)

    def place(self, parts: Parts, at: Vector, heading: float) -> None:
        """Stands a piece on the floor."""
        low, high = extent(parts)
        a = np.radians(heading)
        middle = (low + high) / 2
        x = at[0] + middle[0] * np.cos(a) - middle[1] * np.sin(a)
        y = at[1] + middle[0] * np.sin(a) + middle[1] * np.cos(a)
        self.stage.put(parts, (at[0], at[1], 0.0), heading)
        self.taken.append((float(x), float(y), float(np.hypot(*(high - low)[:2]) / 2 * 0.75), float(high[2])))
        if high[2] > 0.25:
            self.spots.append((float(x), float(y), float(min(high[2] * 0.9, 1.2))))

    def along_wall(self, parts: Parts, wall: int, along: float, rng: Rng) -> float:
        """Puts a piece with its back to a wall, its left end at `along`; gives the length that is used up."""
        low, high = extent(parts)
        wide, deep = high[0] - low[0], high[1] - low[1]
        fits = along + wide < self.length(wall) and deep + 0.9 < (self.depth if wall % 2 == 0 else self.width)
        blocked = any(
            start < along + wide and along < end and foot < high[2] for start, end, foot, _ in self.holes[wall]
        )
        at = self.wall_point(wall, along + wide / 2, 0.02 - float(low[1]))
        if not fits or (blocked and (high[2] > 1.2 or chance(rng, 0.7))) or not self.free(*at, min(wide, deep) * 0.3):
            return 0.3
        self.place(parts, at, 90.0 * wall + 180.0 + rng.normal(0, 1.0) * chance(rng, 0.3))
        return float(wide)

    def anywhere(self, parts: Parts, heading: float, rng: Rng) -> tuple[float, float] | None:
        low, high = extent(parts)
        radius = float(np.hypot(*(high - low)[:2]) / 2)
        for _ in range(8):
            at = self.somewhere(rng, radius)
            if self.free(*at, radius * 0.9):
                self.place(parts, at, heading)
                return at
        return None

    def on_wall(self, parts: Parts, rng: Rng) -> None:
        low, high = extent(parts)
        wall, half = int(rng.integers(4)), float(high[0] - low[0]) / 2
        if self.length(wall) < 2 * half + 0.2:
            return
        along = rng.uniform(half + 0.05, self.length(wall) - half - 0.05)
        foot, top = 1.5 + low[2], 1.5 + high[2]
        if any(s < along + half and along - half < e and f < top and foot < t for s, e, f, t in self.holes[wall]):
            return
        x, y = self.wall_point(wall, along, 0.0)
        self.stage.put(parts, (x, y, rng.uniform(1.35, 1.7)), 90.0 * wall + 180.0)


def extent(parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    points = np.concatenate([shape.points for shape, _ in parts])
    return points.min(axis=0), points.max(axis=0)


def shell(rng: Rng, size: tuple[float, float, float]) -> Interior:
    """Floor, ceiling and walls with windows and doors, and the light."""
    width, depth, height = size
    stage = outdoors(rng, _no_view, night_share=0.3)
    inside = Interior(stage, width, depth, height, holes=[[], [], [], []])
    stage.haze = 0.0
    paint, trim = looks.paint(rng), looks.plain(rng, looks.gray(rng, 0.7, 0.95), 0.4)
    stage.put([(box((width + 0.4, depth + 0.4, 0.1), (0, 0, -0.1)), looks.floor(rng))])
    stage.put([(box((width + 0.4, depth + 0.4, 0.1), (0, 0, height)), looks.plain(rng, looks.pale(rng), 0.9))])
    for wall in range(4):
        _openings(rng, inside, wall)
        other = looks.outer_wall(rng) if chance(rng, 0.08) else looks.paint(rng)
        parts = _wall(rng, inside, wall, other if chance(rng, 0.2) else paint, trim)
        x, y = inside.wall_point(wall, inside.length(wall) / 2, 0.0)
        stage.put(parts, (x, y, 0.0), 90.0 * wall + 180.0)
    if chance(rng, 0.25) and min(width, depth) > 3:
        _partition(rng, inside, paint)
    _outside(rng, stage)
    _lamps(rng, inside)
    return inside


def _no_view(rng: Rng) -> View:
    raise RuntimeError("a room needs a view")


def _openings(rng: Rng, inside: Interior, wall: int) -> None:
    along = 0.3
    while along < inside.length(wall) - 1.2:
        kind, wide = rng.random(), rng.uniform(0.8, 2.2)
        end = min(along + wide, inside.length(wall) - 0.25)
        if kind < 0.22:
            inside.holes[wall].append((along, end, rng.uniform(0.3, 1.0), rng.uniform(1.9, inside.height - 0.15)))
        elif kind < 0.32:
            inside.holes[wall].append((along, along + 0.9, 0.0, 2.05))
        along += wide + rng.uniform(0.2, 1.5)


def _wall(rng: Rng, inside: Interior, wall: int, look: Look, trim: Look) -> Parts:
    """Faces +y from y = 0; x runs from the right end to the left, as the wall is turned."""
    length, height = inside.length(wall), inside.height
    blocks: list[Shape] = []
    cursor = -THICK
    parts: Parts = []

    def block(start: float, end: float, foot: float, top: float) -> None:
        if end > start and top > foot:
            blocks.append(box((end - start, THICK, top - foot), (length / 2 - (start + end) / 2, -THICK / 2, foot)))

    for hole in inside.holes[wall]:
        start, end, foot, top = hole
        block(cursor, start, 0, height)
        block(start, end, 0, foot)
        block(start, end, top, height)
        cursor = end
        fill = _door(rng, end - start, top, trim) if foot == 0 else _window(rng, end - start, top - foot, trim)
        parts += moved(fill, (length / 2 - (start + end) / 2, 0, foot))
    block(cursor, length + THICK, 0, height)
    parts.append((join(blocks), look))
    skirting = box((length, 0.03, 0.09), (0, 0.005, 0))
    return [*parts, (skirting, trim)] if chance(rng, 0.6) and not inside.holes[wall] else parts


def _door(rng: Rng, wide: float, high: float, trim: Look) -> Parts:
    leaf = looks.furniture(rng)
    frame = [box((0.07, THICK + 0.04, high), (s * wide / 2, -THICK / 2, 0)) for s in (-1, 1)] + [
        box((wide, THICK + 0.04, 0.07), (0, -THICK / 2, high - 0.07))
    ]
    open_by = rng.uniform(20, 100) if chance(rng, 0.35) else 0.0
    door = join([box((wide, 0.045, high - 0.05), (wide / 2, 0, 0)), box((0.13, 0.12, 0.025), (wide - 0.1, 0, 1.02))])
    panels = [box((wide * 0.6, 0.06, high * 0.36), (wide / 2, 0, high * f)) for f in (0.08, 0.53)]
    turn = (0.0, 0.0, -open_by)
    parts: Parts = [(join(frame), trim), (door.moved((0, 0, 0), turn).moved((-wide / 2, -0.05, 0)), leaf)]
    if chance(rng, 0.5):
        parts.append((join(panels).moved((0, 0, 0), turn).moved((-wide / 2, -0.05, 0)), leaf))
    return parts + (_beyond(rng, wide, high) if open_by else [])


def _beyond(rng: Rng, wide: float, high: float) -> Parts:
    """What an open door shows: the end of a passage."""
    deep, high = rng.uniform(1.2, 4.0), high + 0.35
    middle = -THICK - deep / 2
    sides = [box((0.06, deep, high), (s * (wide / 2 + 0.5), middle, 0)) for s in (-1, 1)]
    sides += [box((wide + 1, 0.06, high), (0, -THICK - deep, 0)), box((wide + 1, deep, 0.06), (0, middle, high))]
    return [(join(sides), looks.paint(rng)), (box((wide + 1, deep, 0.05), (0, middle, -0.05)), looks.floor(rng))]


def _window(rng: Rng, wide: float, high: float, trim: Look) -> Parts:
    xs = np.linspace(-wide / 2, wide / 2, int(rng.integers(2, 5)))
    zs = np.linspace(0, high - 0.05, int(rng.integers(2, 4)))
    bars = [box((0.05, 0.06, high), (x, -0.1, 0)) for x in xs] + [box((wide, 0.06, 0.05), (0, -0.1, z)) for z in zs]
    parts: Parts = [(join([*bars, box((wide + 0.1, 0.22, 0.03), (0, 0.0, -0.03))]), trim)]
    parts.append((box((wide, 0.006, high), (0, -0.1, 0)), looks.clear_glass(rng)))
    kind = rng.random()
    if kind < 0.35:
        parts += _curtains(rng, wide, high)
    elif kind < 0.55:
        slats = np.arange(high * rng.uniform(0, 0.7), high, 0.05)
        parts.append(
            (
                join([box((wide, 0.04, 0.003), (0, -0.03, z), (rng.uniform(20, 60), 0, 0)) for z in slats]),
                looks.plain(rng, looks.pale(rng)),
            )
        )
    if chance(rng, 0.4):
        parts += moved(fittings.radiator(rng), (0, 0.0, -0.75 if high < 1.6 else 0.0))
    return parts


def _curtains(rng: Rng, wide: float, high: float) -> Parts:
    look, share = looks.cloth(rng, looks.any_color(rng)), rng.uniform(0.15, 0.5)
    drop = rng.uniform(0.05, 0.6)

    def side(sign: int) -> Shape:
        def surface(u: np.ndarray, v: np.ndarray) -> np.ndarray:
            x = sign * (wide / 2 + 0.15 - u * wide * share)
            return np.stack([x, 0.1 + 0.035 * np.sin(u * share * wide * 40), high + 0.1 - v * (high + drop)], axis=-1)

        return sheet(surface, (40, 3))

    rod = box((wide + 0.5, 0.025, 0.025), (0, 0.1, high + 0.1))
    return [(join([side(-1), side(1)]), look), (rod, looks.metal(rng))]


def _partition(rng: Rng, inside: Interior, look: Look) -> None:
    """A wall that reaches into the room: an L, an alcove."""
    length = rng.uniform(0.3, 0.55) * inside.width
    y = rng.uniform(-0.25, 0.25) * inside.depth
    x = choose(rng, (-1, 1)) * (inside.width - length) / 2
    inside.stage.put([(box((length, 0.12, inside.height)), look)], (x, y, 0.0))
    for step in np.arange(-length / 2, length / 2 + 0.1, 0.3):
        inside.taken.append((x + float(step), y, 0.18, inside.height))


def _outside(rng: Rng, stage: Stage) -> None:
    """What windows show."""
    drop = choose(rng, (0.3, 3.5, 9.0))
    ground = sheet(lambda u, v: np.stack([600 * u - 300, 600 * v - 300, 0 * u - drop], axis=-1), (1, 1))
    stage.put([(ground, looks.grass(rng) if chance(rng, 0.5) else looks.asphalt(rng))])
    for _ in range(14):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(25, 90)
        size = (rng.uniform(5, 20), rng.uniform(5, 20), rng.uniform(4, 25))
        look = looks.outer_wall(rng) if chance(rng, 0.6) else looks.leaf(rng)
        stage.put(
            [(box(size, bevel=1.0), look)], (reach * np.cos(angle), reach * np.sin(angle), -drop), rng.uniform(0, 90)
        )


def _lamps(rng: Rng, inside: Interior) -> None:
    """By day light comes from the windows and from all sides; in the evening from lamps alone."""
    stage = inside.stage
    night = stage.dark > 0.5
    stage.dark = rng.uniform(0.3, 0.9) if night else rng.uniform(0, 0.5) if chance(rng, 0.3) else 0.0
    warm = rng.uniform(0, 1)
    level = rng.uniform(0.03, 0.5) if night else rng.uniform(0.2, 1.2)
    stage.ambient, stage.ambient_reach = (
        looks.shade(looks.whitish(rng, warm if night else 0.3), level),
        rng.uniform(0.8, 2.5),
    )
    count = int(np.clip(inside.area() / 10, 1, 5)) if night or chance(rng, 0.6) else 0
    for _ in range(count):
        x, y = inside.somewhere(rng, 0.6)
        color, power = looks.whitish(rng, warm), rng.uniform(15, 80)
        if chance(rng, 0.5):
            stage.put([(box((0.6, 0.6, 0.03)), looks.lit(rng, color, 5.0))], (x, y, inside.height - 0.03))
            stage.light("AREA", (x, y, inside.height - 0.05), power, color, 0.6)
        else:
            stage.put(fittings.pendant(rng), (x, y, inside.height))
            stage.light("POINT", (x, y, inside.height - rng.uniform(0.5, 1.1)), power, color, 0.08)
    if night and chance(rng, 0.5):
        stage.light(
            "POINT",
            (*inside.somewhere(rng, 0.4), rng.uniform(0.6, 1.4)),
            rng.uniform(10, 50),
            looks.whitish(rng, 0.8),
            0.1,
        )
