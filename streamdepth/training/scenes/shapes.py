"""Meshes as arrays: boxes, lathed bodies, lofts, sheets. Meters; x right, y forward, z up; rotations in degrees."""

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
"""A vector, (3,) unless a docstring says otherwise."""
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

    def transformed(
        self, position: Vector = ORIGIN, euler_degrees: Vector = ORIGIN, scale: float | Point = 1.0
    ) -> Shape:
        """Returns the shape scaled, then rotated about x, y, z in this order, then moved to `position`."""
        points = (self.points * np.asarray(scale)) @ rotation(euler_degrees).T + np.asarray(position)
        return Shape(points, self.quads, self.triangles)


def rotation(euler_degrees: Vector) -> Floats:
    """Returns the (3, 3) rotation about x, then y, then z, in degrees."""
    (a, b, c), (d, e, f) = np.cos(np.radians(euler_degrees)), np.sin(np.radians(euler_degrees))
    about_x = np.array([[1, 0, 0], [0, a, -d], [0, d, a]])
    about_y = np.array([[b, 0, e], [0, 1, 0], [-e, 0, b]])
    about_z = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def join(shapes: Sequence[Shape]) -> Shape:
    """Returns one shape of several."""
    starts = np.cumsum([0] + [len(shape.points) for shape in shapes])
    return Shape(
        np.concatenate([shape.points for shape in shapes]),
        np.concatenate([shape.quads + start for shape, start in zip(shapes, starts, strict=False)]),
        np.concatenate([shape.triangles + start for shape, start in zip(shapes, starts, strict=False)]),
    )


def copies_at(shape: Shape, places: Floats, rotations: Floats | None = None, scales: Floats | None = None) -> Shape:
    """Returns a copy of `shape` at each of `places` (M, 3); `rotations` (M, 3, 3), `scales` (M,) or (M, 3)."""
    count, size = len(places), len(shape.points)
    points = np.broadcast_to(shape.points, (count, size, 3))
    if scales is not None:
        points = points * np.reshape(scales, (count, 1, -1))
    if rotations is not None:
        points = points @ rotations.transpose(0, 2, 1)
    shift = (np.arange(count) * size)[:, None, None]
    return Shape(
        (points + places[:, None]).reshape(-1, 3),
        (shape.quads + shift).reshape(-1, 4),
        (shape.triangles + shift).reshape(-1, 3),
    )


def random_rotations(rng: np.random.Generator, count: int) -> Floats:
    """Returns (count, 3, 3) uniformly random rotations."""
    quaternions = rng.normal(size=(count, 4))
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def rotations_about_z(degrees: Floats) -> Floats:
    """Returns (M, 3, 3) rotations about z."""
    return np.stack([rotation((0, 0, angle)) for angle in degrees])


def box(size: Vector, position: Vector = ORIGIN, euler_degrees: Vector = ORIGIN, bevel: float = 0) -> Shape:
    """Returns a box with the center of its foot at `position` and its edges cut off by `bevel`."""
    half = np.asarray(size) / 2
    bevel = min(bevel, 0.45 * float(min(size)))
    body = _cut_box(half, bevel) if bevel > 0 else _plain_box(half)
    return body.transformed((0, 0, half[2])).transformed(position, euler_degrees)


_CORNERS = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], float)
_SIDES = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])


def _plain_box(half: Floats) -> Shape:
    return Shape(_CORNERS * half, _SIDES)


def _cut_box(half: Floats, bevel: float) -> Shape:
    """Returns a box with cut edges: each corner becomes three points, one on each side of the box."""
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


def ring_quads(count: int, segments: int, closed: bool = True) -> Ints:
    """Returns the quads between `count` rings of `segments` points."""
    step = np.arange(segments if closed else segments - 1)
    row = np.stack([step, (step + 1) % segments, (step + 1) % segments + segments, step + segments], axis=1)
    return np.asarray((row + (np.arange(count - 1) * segments)[:, None, None]).reshape(-1, 4))


def lathe(profile: Sequence[tuple[float, float]], segments: int = 14) -> Shape:
    """Returns a profile of (radius, height) turned about z."""
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
    return Shape(points.reshape(-1, 3), ring_quads(len(radius), segments))


def cylinder(radius: float, height: float, segments: int = 14) -> Shape:
    """Returns a cylinder that stands on the origin."""
    return lathe([(0, 0), (radius, 0), (radius, height), (0, height)], segments)


def cone(radius: float, height: float, segments: int = 12) -> Shape:
    return lathe([(0, 0), (radius, 0), (0, height)], segments)


def ellipsoid(size: Vector, rows: int = 10, columns: int = 16, square: float = 1.0) -> Shape:
    """Returns an ellipsoid at the origin with diameters `size`; `square` goes from 1 (ellipsoid) towards 0 (box)."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    longitude = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    x = _power(np.cos(latitude), square) * _power(np.cos(longitude), square)
    y = _power(np.cos(latitude), square) * _power(np.sin(longitude), square)
    z = _power(np.sin(latitude), square) * np.ones(columns)
    return Shape(np.stack([x, y, z], axis=-1).reshape(-1, 3) * np.asarray(size) / 2, ring_quads(rows, columns))


def _power(value: Floats, exponent: float) -> Floats:
    return np.asarray(np.sign(value) * np.abs(value) ** exponent)


def bumpy(shape: Shape, rng: np.random.Generator, amount: float, waves: float = 2.5) -> Shape:
    """Returns the shape with its radius changed in smooth waves, by at most the share `amount`."""
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
    """Returns a bar along `path`; `radius` is one for all points or one for each."""
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
    return Shape(points.reshape(-1, 3), ring_quads(len(ends), segments))


def _cap(outward: Floats, radius: float) -> Floats:
    """Returns (3, 4): width and shift of the rings of a half ball, its pole first."""
    outward = outward / (np.linalg.norm(outward) + 1e-12)
    return np.array([(radius * c + 1e-5, *(outward * radius * s)) for c, s in ((0.0, 1.0), (0.6, 0.8), (0.88, 0.47))])


def _frames(line: Floats) -> tuple[Floats, Floats]:
    """Returns two unit vectors across the line at each of its points."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    mean = along.mean(axis=0)
    helper = np.eye(3)[int(np.argmin(np.abs(mean)))]
    side = np.cross(along, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-12
    return side, np.cross(along, side)


def loft(sections: Sequence[Floats]) -> Shape:
    """Returns the skin over closed cross-sections (S, 3) of equally many points; its ends are closed."""
    first, last = sections[0], sections[-1]
    all_sections = [np.broadcast_to(first.mean(axis=0), first.shape), *sections]
    all_sections.append(np.broadcast_to(last.mean(axis=0), last.shape))
    return Shape(np.concatenate(all_sections), ring_quads(len(all_sections), len(first)))


def section(width: float, height: float, square: float = 0.4, points: int = 16) -> Floats:
    """Returns (points, 2): a rounded rectangle around the origin."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False) + np.pi / points
    outline = np.stack([_power(np.cos(angles), square), _power(np.sin(angles), square)], axis=1)
    return np.asarray(outline / np.abs(outline).max(axis=0) * (width / 2, height / 2))


def sheet(surface: Callable[[Floats, Floats], Floats], cells: tuple[int, int]) -> Shape:
    """Returns a surface over (u, v) in [0, 1] x [0, 1]; `surface` maps them to (..., 3)."""
    u, v = np.meshgrid(np.linspace(0, 1, cells[0] + 1), np.linspace(0, 1, cells[1] + 1), indexing="ij")
    return Shape(surface(u, v).reshape(-1, 3), ring_quads(cells[0] + 1, cells[1] + 1, closed=False))


def rectangle(width: float, height: float) -> Shape:
    """Returns an upright rectangle that faces -y, with the middle of its foot at the origin."""
    x, z = np.array([-1, 1, 1, -1]) * width / 2, np.array([0, 0, 1, 1]) * height
    return Shape(np.stack([x, 0 * x, z], axis=1), np.array([[0, 1, 2, 3]]))


def prism(outline: Sequence[tuple[float, float]], depth: float) -> Shape:
    """Returns a prism of a convex outline in x and z, from y = 0 to y = `depth`."""
    flat = np.array([(x, 0.0, z) for x, z in outline])
    return loft([flat, flat + np.array((0, depth, 0))])
