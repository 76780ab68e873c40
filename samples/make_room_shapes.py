"""Meshes of the room: boxes, turned and soft bodies, tubes and sheets. Meters; every object keeps scale 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import bpy

Point = tuple[float, float, float]
Faces = Sequence[Sequence[int]]
SHARP_DEGREES = 40.0


def add_object(
    name: str, data: bpy.types.ID | None, at: Point = (0, 0, 0), turn: Point = (0, 0, 0)
) -> bpy.types.Object:
    """Links a new object; `turn` is XYZ Euler in degrees."""
    item = bpy.data.objects.new(name, data)
    item.location = at
    item.rotation_euler = [math.radians(angle) for angle in turn]
    bpy.context.scene.collection.objects.link(item)
    return item


def mesh(
    name: str,
    points: Sequence[Point],
    faces: Faces,
    material: bpy.types.Material,
    at: Point = (0, 0, 0),
    turn: Point = (0, 0, 0),
) -> bpy.types.Object:
    data = bpy.data.meshes.new(name)
    data.from_pydata(points, [], faces)
    data.materials.append(material)
    data.shade_smooth()
    data.set_sharp_from_angle(angle=math.radians(SHARP_DEGREES))
    return add_object(name, data, at, turn)


def group(name: str, parts: Sequence[bpy.types.Object], at: Point, turn: float = 0) -> bpy.types.Object:
    """Puts a piece of furniture, built around the origin, in its place; `turn` about Z in degrees."""
    parent = add_object(name, None, at, (0, 0, turn))
    for part in parts:
        part.parent = parent
    return parent


def box(
    size: Point, at: Point, material: bpy.types.Material, *, bevel: float = 0.006, turn: Point = (0, 0, 0)
) -> bpy.types.Object:
    """A box centered on `at` with rounded edges."""
    x, y, z = (side / 2 for side in size)
    points = [(i * x, j * y, k * z) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    item = mesh("box", points, faces, material, at, turn)
    if bevel:
        rounding = item.modifiers.new("rounding", "BEVEL")
        rounding.width = min(bevel, 0.45 * min(size))
        rounding.segments = 3
        rounding.harden_normals = True
    return item


def rings(count: int, segments: int) -> list[tuple[int, int, int, int]]:
    """Faces between `count` closed rings of `segments` points."""
    return [
        (r * segments + s, r * segments + t, (r + 1) * segments + t, (r + 1) * segments + s)
        for r in range(count - 1)
        for s, t in ((s, (s + 1) % segments) for s in range(segments))
    ]


def lathe(
    profile: Sequence[tuple[float, float]],
    at: Point,
    material: bpy.types.Material,
    *,
    turn: Point = (0, 0, 0),
    segments: int = 40,
) -> bpy.types.Object:
    """Turns a profile of (radius, height) about Z."""
    angles = [2 * math.pi * s / segments for s in range(segments)]
    points = [(r * math.cos(a), r * math.sin(a), z) for r, z in profile for a in angles]
    return mesh("lathe", points, rings(len(profile), segments), material, at, turn)


def cylinder(
    radius: float, height: float, at: Point, material: bpy.types.Material, turn: Point = (0, 0, 0)
) -> bpy.types.Object:
    """Stands on `at`."""
    edge = min(0.004, radius / 4)
    profile = [
        (1e-4, 0),
        (radius - edge, 0),
        (radius, edge),
        (radius, height - edge),
        (radius - edge, height),
        (1e-4, height),
    ]
    return lathe(profile, at, material, turn=turn)


def power(value: float, exponent: float) -> float:
    return math.copysign(abs(value) ** exponent, value)


def soft(
    size: Point, at: Point, material: bpy.types.Material, *, edge: Point = (0.5, 0.4, 0), turn: Point = (0, 0, 0)
) -> bpy.types.Object:
    """A cushion: a superellipsoid with exponents `edge` (vertical, horizontal; 1 = ellipsoid, towards 0 = box)."""
    rows, columns = 28, 56
    a, b, c = (side / 2 for side in size)
    latitudes = [math.pi * (i / (rows - 1) - 0.5) * 0.9999 for i in range(rows)]
    longitudes = [2 * math.pi * j / columns for j in range(columns)]
    points = [
        (
            a * power(math.cos(v), edge[0]) * power(math.cos(u), edge[1]),
            b * power(math.cos(v), edge[0]) * power(math.sin(u), edge[1]),
            c * power(math.sin(v), edge[0]),
        )
        for v in latitudes
        for u in longitudes
    ]
    return mesh("soft", points, rings(rows, columns), material, at, turn)


def tube(
    points: Sequence[Point], radius: float, material: bpy.types.Material, *, curved: bool = False
) -> bpy.types.Object:
    """A round bar along `points`, through them in a smooth curve where `curved`."""
    curve = bpy.data.curves.new("tube", "CURVE")
    curve.dimensions = "3D"
    curve.bevel_depth, curve.bevel_resolution, curve.use_fill_caps = radius, 4, True
    spline = curve.splines.new("BEZIER")
    spline.bezier_points.add(len(points) - 1)
    for knot, point in zip(spline.bezier_points, points, strict=True):
        knot.co = point
        knot.handle_left_type = knot.handle_right_type = "AUTO" if curved else "VECTOR"
    curve.materials.append(material)
    return add_object("tube", curve)


def sheet(
    surface: Callable[[float, float], Point],
    cells: tuple[int, int],
    material: bpy.types.Material,
    *,
    thickness: float = 0.0,
) -> bpy.types.Object:
    """A surface over (u, v) in [0, 1] x [0, 1], `cells` in each direction."""
    across, along = cells
    points = [surface(i / across, j / along) for i in range(across + 1) for j in range(along + 1)]
    row = along + 1
    faces = [
        (i * row + j, (i + 1) * row + j, (i + 1) * row + j + 1, i * row + j + 1)
        for i in range(across)
        for j in range(along)
    ]
    item = mesh("sheet", points, faces, material)
    if thickness:
        item.modifiers.new("thickness", "SOLIDIFY").thickness = thickness
    return item
