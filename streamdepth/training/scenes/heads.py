"""Detailed heads, hands, and people from the chest up, as a webcam sees them. They face +y."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.random_draws import Rng, chance
from streamdepth.training.scenes.scene import Parts, transformed
from streamdepth.training.scenes.shapes import Shape, Vector, bumpy, ellipsoid, join, loft, section, tube


def head(rng: Rng, skin: SurfaceMaterial, detailed: bool = True) -> Parts:
    """Returns a head about 0.24 m high, its chin near z = 0; `detailed` adds ears, eyes, glasses and the like."""
    rows = (18, 24) if detailed else (9, 12)
    face = bumpy(ellipsoid((0.155, 0.195, 0.235), *rows, square=0.92), rng, 0.06)
    jaw = 1 - 0.28 * np.clip(-face.points[:, 2:] / 0.117, 0, 1) ** 1.5
    face = Shape(face.points * np.hstack([jaw, 0.5 + 0.5 * jaw, np.ones_like(jaw)]), face.quads, face.triangles)
    parts: Parts = [(face.transformed((0, 0, 0.117)), skin)]
    nose = ellipsoid((0.03, 0.05, 0.055), 7, 8).transformed((0, 0.097, 0.105), (-12, 0, 0))
    parts.append((nose, skin))
    if chance(rng, 0.88):
        parts += _hair(rng, detailed)
    return parts + (_face(rng, skin) if detailed else [])


def _hair(rng: Rng, detailed: bool) -> Parts:
    material = materials.hair(rng) if chance(rng, 0.8) else materials.cloth(rng)
    rows = (14, 24) if detailed else (8, 12)
    cap = ellipsoid((0.172, 0.215, 0.235), *rows)
    cap = bumpy(cap, rng, 0.08, 4) if detailed else cap
    parts: Parts = [(cap.transformed((0, -0.022, 0.137), (rng.uniform(8, 22), 0, 0)), material)]
    if chance(rng, 0.35):
        length = rng.uniform(0.12, 0.4)
        back = ellipsoid((0.19, 0.1, length), 9, 12, 0.8)
        parts.append((back.transformed((0, -0.07, 0.2 - length / 2)), material))
    return parts


def _face(rng: Rng, skin: SurfaceMaterial) -> Parts:
    white, dark_material = (
        materials.plain(rng, (0.75, 0.72, 0.7), 0.2),
        materials.plain(rng, palette.earthy(rng), 0.2),
    )
    lips = materials.plain(
        rng, palette.shade(palette.random_color(rng, (-0.03, 0.02), (0.4, 0.7), (0.4, 0.8)), 0.8), 0.4
    )
    brow = materials.hair(rng)
    parts: Parts = [
        (ellipsoid((0.05, 0.02, 0.016 + 0.02 * chance(rng, 0.2)), 6, 10).transformed((0, 0.078, 0.055)), lips)
    ]
    for side in (-1, 1):
        parts.append((ellipsoid((0.03, 0.018, 0.014), 7, 10).transformed((side * 0.033, 0.083, 0.132)), white))
        parts.append((ellipsoid((0.012, 0.008, 0.012), 6, 8).transformed((side * 0.033, 0.09, 0.132)), dark_material))
        parts.append(
            (ellipsoid((0.045, 0.014, 0.009), 5, 8).transformed((side * 0.035, 0.088, 0.152), (0, side * 8, 0)), brow)
        )
        parts.append(
            (ellipsoid((0.02, 0.04, 0.062), 7, 10).transformed((side * 0.08, -0.005, 0.115), (0, 0, side * 20)), skin)
        )
    if chance(rng, 0.3):
        parts += _glasses(rng)
    if chance(rng, 0.2):
        parts += _headphones(rng)
    if chance(rng, 0.2):
        parts.append(
            (
                bumpy(ellipsoid((0.13, 0.1, 0.1), 10, 14), rng, 0.15, 5).transformed((0, 0.045, 0.03)),
                materials.hair(rng),
            )
        )
    return parts


def _glasses(rng: Rng) -> Parts:
    frame = materials.plastic(rng)
    angles = np.linspace(0, 2 * np.pi, 14)
    rims = [
        tube(
            np.column_stack([s * 0.034 + 0.024 * np.cos(angles), 0 * angles + 0.103, 0.13 + 0.02 * np.sin(angles)]),
            0.002,
            5,
        )
        for s in (-1, 1)
    ]
    bars = [tube([(s * 0.06, 0.1, 0.135), (s * 0.082, -0.02, 0.135)], 0.002, 5) for s in (-1, 1)]
    return [(join([*rims, *bars, tube([(-0.01, 0.103, 0.134), (0.01, 0.103, 0.134)], 0.002, 5)]), frame)]


def _headphones(rng: Rng) -> Parts:
    material = materials.plastic(rng)
    angles = np.linspace(0, np.pi, 14)
    band = tube(np.column_stack([0.1 * np.cos(angles), 0 * angles, 0.12 + 0.15 * np.sin(angles)]), 0.01, 6)
    cups = [ellipsoid((0.05, 0.08, 0.09), 8, 12, 0.7).transformed((s * 0.095, 0, 0.12)) for s in (-1, 1)]
    return [(join([band, *cups]), material)]


def bust(rng: Rng) -> Parts:
    """Returns somebody who sits, detailed from the chest up: waist at z = 0, seat at -0.25 m, crown at 0.72 m."""
    skin, top = materials.skin(rng), materials.cloth(rng)
    wide = rng.uniform(0.85, 1.25)
    outline = [
        (-0.25, 0.17, 0.12),
        (0, 0.155, 0.11),
        (0.2, 0.175, 0.125),
        (0.33, 0.195, 0.11),
        (0.385, 0.19, 0.09),
        (0.42, 0.15, 0.075),
        (0.45, 0.09, 0.065),
        (0.475, 0.062, 0.06),
    ]
    rings = []
    for z, half_x, half_y in outline:
        flat = section(2 * half_x * wide, 2 * half_y * wide, 0.75, 28)
        rings.append(np.column_stack([flat, np.full(len(flat), z)]))
    parts: Parts = [(loft(rings), top), (tube([(0, -0.01, 0.42), (0, 0.01, 0.55)], [0.068, 0.058], 16), skin)]
    for side in (-1, 1):
        raised = chance(rng, 0.2)
        elbow = np.array([side * 0.27 * wide, 0.12, 0.12]) + rng.normal(0, 0.03, 3)
        hand = np.array([side * rng.uniform(0.05, 0.35), 0.3, 0.45 if raised else 0.0]) + rng.normal(0, 0.06, 3)
        parts.append((tube([(side * 0.175 * wide, 0, 0.36), elbow], [0.07, 0.052], 14, True), top))
        parts.append((tube([elbow, hand], [0.05, 0.034], 12, True), top if chance(rng, 0.6) else skin))
        parts += hand_parts(rng, skin, hand, (rng.uniform(40, 100), 0, rng.uniform(-40, 40)))
    legs = [
        tube([(s * 0.09, 0, -0.17), (s * 0.14, 0.45, -0.17), (s * 0.14, 0.5, -0.6)], 0.075, 12, True) for s in (-1, 1)
    ]
    parts.append((join(legs), materials.cloth(rng)))
    euler_degrees = (rng.normal(0, 10), rng.normal(0, 8), rng.normal(0, 22))
    return parts + transformed(head(rng, skin), (0, 0.015, 0.475), euler_degrees, rng.uniform(0.92, 1.08))


def hand_parts(rng: Rng, skin: SurfaceMaterial, position: Vector, euler_degrees: Vector) -> Parts:
    """Returns a palm and five fingers along +z."""
    parts: Parts = [(ellipsoid((0.085, 0.035, 0.1), 9, 12, 0.8).transformed((0, 0, 0.05)), skin)]
    bend = rng.uniform(0, 0.06)
    for i in range(4):
        x, length = -0.032 + 0.021 * i, (0.065, 0.078, 0.073, 0.055)[i]
        path = [(x, 0, 0.09), (x * 1.1, bend * 0.3, 0.09 + length * 0.6), (x * 1.15, bend, 0.09 + length)]
        parts.append((tube(path, [0.0105, 0.0095, 0.008], 8, True), skin))
    parts.append(
        (tube([(0.035, 0, 0.03), (0.06, 0.01, 0.065), (0.066, 0.015, 0.09)], [0.013, 0.011, 0.009], 8, True), skin)
    )
    return transformed(parts, position, euler_degrees)
