"""Meshes as arrays: boxes, turned bodies, lofts, sheets. Metres; x right, y forward, z up; turns in degrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Point = tuple[float, float, float]
Vector: TypeAlias = Sequence[float] | Floats
"""(3,) where nothing else is said."""
ORIGIN: Point = (0.0, 0.0, 0.0)


def _no_faces(corners: int) -> Ints:
    return np.zeros((0, corners), np.int64)


@dataclass(frozen=True, slots=True)
class Shape:
    """A mesh of quads and triangles."""

    points: Floats
    """(N, 3)."""
    quads: Ints = field(default_factory=lambda: _no_faces(4))
    """(Q, 4) indices of points."""
    triangles: Ints = field(default_factory=lambda: _no_faces(3))
    """(T, 3) indices of points."""

    def moved(self, at: Vector = ORIGIN, turn: Vector = ORIGIN, scale: float | Point = 1.0) -> Shape:
        """Scaled, then turned about x, y, z in this order, then moved to `at`."""
        points = (self.points * np.asarray(scale)) @ rotation(turn).T + np.asarray(at)
        return Shape(points, self.quads, self.triangles)


def rotation(turn: Vector) -> Floats:
    """(3, 3): about x, then y, then z, degrees."""
    (a, b, c), (d, e, f) = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    about_x = np.array([[1, 0, 0], [0, a, -d], [0, d, a]])
    about_y = np.array([[b, 0, e], [0, 1, 0], [-e, 0, b]])
    about_z = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def join(shapes: Sequence[Shape]) -> Shape:
    starts = np.cumsum([0] + [len(shape.points) for shape in shapes])
    return Shape(
        np.concatenate([shape.points for shape in shapes]),
        np.concatenate([shape.quads + start for shape, start in zip(shapes, starts, strict=False)]),
        np.concatenate([shape.triangles + start for shape, start in zip(shapes, starts, strict=False)]),
    )


def scattered(shape: Shape, places: Floats, turns: Floats | None = None, scales: Floats | None = None) -> Shape:
    """A copy of `shape` at each of `places` (M, 3); `turns` (M, 3, 3) matrices, `scales` (M,) or (M, 3)."""
    count, size = len(places), len(shape.points)
    points = np.broadcast_to(shape.points, (count, size, 3))
    if scales is not None:
        points = points * np.reshape(scales, (count, 1, -1))
    if turns is not None:
        points = points @ turns.transpose(0, 2, 1)
    shift = (np.arange(count) * size)[:, None, None]
    return Shape(
        (points + places[:, None]).reshape(-1, 3),
        (shape.quads + shift).reshape(-1, 4),
        (shape.triangles + shift).reshape(-1, 3),
    )


def random_turns(rng: np.random.Generator, count: int) -> Floats:
    """(count, 3, 3) rotations, uniform over all."""
    quaternions = rng.normal(size=(count, 4))
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def headings(degrees: Floats) -> Floats:
    """(M, 3, 3) turns about z."""
    return np.stack([rotation((0, 0, angle)) for angle in degrees])


def box(size: Vector, at: Vector = ORIGIN, turn: Vector = ORIGIN, bevel: float = 0) -> Shape:
    """Its foot's centre is at `at`; edges cut off by `bevel`."""
    half = np.asarray(size) / 2
    bevel = min(bevel, 0.45 * float(min(size)))
    body = _cut_box(half, bevel) if bevel > 0 else _plain_box(half)
    return body.moved((0, 0, half[2])).moved(at, turn)


_CORNERS = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], float)
_SIDES = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])


def _plain_box(half: Floats) -> Shape:
    return Shape(_CORNERS * half, _SIDES)


def _cut_box(half: Floats, bevel: float) -> Shape:
    """Each corner becomes three points, one on each side of the box."""
    inner = half - bevel
    points = np.concatenate([_CORNERS * np.where(np.arange(3) == axis, half, inner) for axis in range(3)])
    faces = [side + 8 * axis for axis in range(3) for side in _SIDES[2 * axis : 2 * axis + 2]]
    edges = []
    for first, second in [(0, 1), (0, 2), (1, 2)]:
        along = 3 - first - second
        step = (4, 2, 1)[along]
        for corner in (c for c in range(8) if _CORNERS[c, along] < 0):
            quad = (corner + 8 * first, corner + step + 8 * first, corner + step + 8 * second, corner + 8 * second)
            edges.append(quad)
    corners = np.array([(c, c + 8, c + 16) for c in range(8)])
    return Shape(points, np.concatenate([faces, edges]).astype(np.int64), corners)


def rings(count: int, segments: int, closed: bool = True) -> Ints:
    """Quads between `count` rings of `segments` points."""
    step = np.arange(segments if closed else segments - 1)
    row = np.stack([step, (step + 1) % segments, (step + 1) % segments + segments, step + segments], axis=1)
    return np.asarray((row + (np.arange(count - 1) * segments)[:, None, None]).reshape(-1, 4))


def lathe(profile: Sequence[tuple[float, float]], segments: int = 14) -> Shape:
    """Turns a profile of (radius, height) about z."""
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    radius, height = np.maximum(np.array(profile, float), [1e-4, -np.inf]).T
    points = np.stack(
        [
            radius[:, None] * np.cos(angles),
            radius[:, None] * np.sin(angles),
            np.repeat(height[:, None], segments, axis=1),
        ],
        axis=-1,
    )
    return Shape(points.reshape(-1, 3), rings(len(radius), segments))


def cylinder(radius: float, height: float, segments: int = 14) -> Shape:
    """Stands on the origin."""
    return lathe([(0, 0), (radius, 0), (radius, height), (0, height)], segments)


def cone(radius: float, height: float, segments: int = 12) -> Shape:
    return lathe([(0, 0), (radius, 0), (0, height)], segments)


def ellipsoid(size: Vector, rows: int = 10, columns: int = 16, square: float = 1.0) -> Shape:
    """Centred on the origin; `size` are its diameters; `square` from 1 (ellipsoid) towards 0 (box)."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    longitude = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    x = _power(np.cos(latitude), square) * _power(np.cos(longitude), square)
    y = _power(np.cos(latitude), square) * _power(np.sin(longitude), square)
    z = _power(np.sin(latitude), square) * np.ones(columns)
    return Shape(np.stack([x, y, z], axis=-1).reshape(-1, 3) * np.asarray(size) / 2, rings(rows, columns))


def _power(value: Floats, exponent: float) -> Floats:
    return np.asarray(np.sign(value) * np.abs(value) ** exponent)


def lumpy(shape: Shape, rng: np.random.Generator, amount: float, waves: float = 2.5) -> Shape:
    """Pushed in and out along its radius by at most `amount` of it, in smooth waves."""
    size = np.ptp(shape.points, axis=0).max() + 1e-9
    directions = rng.normal(size=(6, 3)) * waves * 2 / size
    bulge = np.sin(shape.points @ directions.T + rng.uniform(0, 6.3, 6)).mean(axis=1)
    return Shape(shape.points * (1 + amount * bulge[:, None]), shape.quads, shape.triangles)


def tube(
    path: Sequence[Vector] | Floats,
    radius: float | Sequence[float],
    segments: int = 8,
    round_ends: bool = False,
) -> Shape:
    """A bar along `path`; `radius` one for all or one for each point."""
    line = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radius, float), len(line))
    side, up = _frames(line)
    rows = np.concatenate([[0], np.arange(len(line)), [len(line) - 1]])
    ends, widths = line[rows], np.concatenate([[1e-5], radii, [1e-5]])
    if round_ends:
        first, last = _cap(line[0] - line[1], radii[0]), _cap(line[-1] - line[-2], radii[-1])[::-1]
        rows = np.concatenate([[0] * 3, np.arange(len(line)), [len(line) - 1] * 3])
        ends = np.concatenate([line[0] + first[:, 1:], line, line[-1] + last[:, 1:]])
        widths = np.concatenate([first[:, 0], radii, last[:, 0]])
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    around = side[rows][:, None] * np.cos(angles)[:, None] + up[rows][:, None] * np.sin(angles)[:, None]
    points = ends[:, None] + around * widths[:, None, None]
    return Shape(points.reshape(-1, 3), rings(len(ends), segments))


def _cap(outward: Floats, radius: float) -> Floats:
    """(3, 4): width and shift of the rings of half a ball, its pole first."""
    outward = outward / (np.linalg.norm(outward) + 1e-12)
    return np.array([(radius * c + 1e-5, *(outward * radius * s)) for c, s in ((0.0, 1.0), (0.6, 0.8), (0.88, 0.47))])


def _frames(line: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors across the line at each of its points."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    mean = along.mean(axis=0)
    helper = np.eye(3)[int(np.argmin(np.abs(mean)))]
    side = np.cross(along, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-12
    return side, np.cross(along, side)


def loft(sections: Sequence[Floats]) -> Shape:
    """A skin over closed cross-sections (S, 3) with the same number of points; the ends are closed."""
    first, last = sections[0], sections[-1]
    all_sections = [np.broadcast_to(first.mean(axis=0), first.shape), *sections]
    all_sections.append(np.broadcast_to(last.mean(axis=0), last.shape))
    return Shape(np.concatenate(all_sections), rings(len(all_sections), len(first)))


def section(width: float, height: float, square: float = 0.4, points: int = 16) -> Floats:
    """(points, 2): a rounded rectangle around the origin."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False) + np.pi / points
    outline = np.stack([_power(np.cos(angles), square), _power(np.sin(angles), square)], axis=1)
    return np.asarray(outline / np.abs(outline).max(axis=0) * (width / 2, height / 2))


def sheet(surface: Callable[[Floats, Floats], Floats], cells: tuple[int, int]) -> Shape:
    """A surface over (u, v) in [0, 1] x [0, 1]; `surface` gives (..., 3)."""
    u, v = np.meshgrid(np.linspace(0, 1, cells[0] + 1), np.linspace(0, 1, cells[1] + 1), indexing="ij")
    return Shape(surface(u, v).reshape(-1, 3), rings(cells[0] + 1, cells[1] + 1, closed=False))


def rectangle(width: float, height: float) -> Shape:
    """Upright, facing -y; its foot's middle is at the origin."""
    x, z = np.array([-1, 1, 1, -1]) * width / 2, np.array([0, 0, 1, 1]) * height
    return Shape(np.stack([x, 0 * x, z], axis=1), np.array([[0, 1, 2, 3]]))


def prism(outline: Sequence[tuple[float, float]], depth: float) -> Shape:
    """A convex outline in x, z, from y = 0 to y = `depth`."""
    flat = np.array([(x, 0.0, z) for x, z in outline])
    return loft([flat, flat + np.array((0, depth, 0))])
