"""People made of capsules and lofts: walking, standing, sitting, cycling.

Everyone faces +y and stands on z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.heads import head
from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Parts, transformed
from streamdepth.training.scenes.shapes import Shape, Vector, box, ellipsoid, join, loft, section, tube

Angles = tuple[float, float]
"""Angles of the upper and the lower part of a limb, degrees forward from straight down."""


@dataclass(frozen=True, slots=True)
class Pose:
    """A pose: the angles of limbs and trunk."""

    legs: tuple[Angles, Angles]
    arms: tuple[Angles, Angles]
    lean: float = 0.0
    """Angle of the trunk, degrees forward."""
    spread: float = 6.0
    """Angle of the arms to the sides, degrees."""


def walking(rng: Rng) -> Pose:
    swing = rng.uniform(-32, 32)
    knee = rng.uniform(5, 35)
    arms = (-swing * 0.8, -swing * 0.8 + rng.uniform(5, 40)), (swing * 0.8, swing * 0.8 + rng.uniform(5, 40))
    return Pose(
        ((swing, swing - knee * (swing < 0)), (-swing, -swing - knee * (swing > 0))),
        arms,
        rng.uniform(0, 8),
    )


def standing(rng: Rng) -> Pose:
    leg = rng.uniform(-5, 5)
    arms = [choose(rng, ((0, 8), (0, 20), (20, 100), (10, 130), (70, 90), (-15, 40), (150, 165))) for _ in range(2)]
    return Pose(((leg, leg), (-leg, -leg)), (arms[0], arms[1]), rng.uniform(-3, 12), rng.uniform(4, 30))


def sitting(rng: Rng) -> Pose:
    thighs = [rng.uniform(78, 92) for _ in range(2)]
    arms = [choose(rng, ((25, 85), (40, 75), (35, 100), (20, 50))) for _ in range(2)]
    legs = tuple((t, rng.uniform(-15, 30)) for t in thighs)
    return Pose((legs[0], legs[1]), (arms[0], arms[1]), rng.uniform(-12, 15), rng.uniform(4, 20))


def cycling(rng: Rng) -> Pose:
    pedal_phase = rng.uniform(0, 1)
    return Pose(
        ((85 - 40 * pedal_phase, -10), (45 + 40 * pedal_phase, -5)), ((55, 70), (55, 70)), rng.uniform(20, 45), 8
    )


POSES = (walking, walking, standing, standing)


def person(rng: Rng, pose: Pose | None = None, height: float | None = None, seat: float | None = None) -> Parts:
    """Returns a person with the lowest foot on z = 0, or sitting with the hips at height `seat`."""
    pose = pose or choose(rng, POSES)(rng)
    height = height or (rng.normal(1.7, 0.09) if chance(rng, 0.85) else rng.uniform(0.95, 1.5))
    wide = rng.uniform(0.85, 1.3)
    skin, top, bottom, shoe = (
        materials.skin(rng),
        materials.cloth(rng),
        materials.cloth(rng),
        materials.plain(rng, palette.gray(rng, 0.05, 0.9)),
    )
    sleeve = top if chance(rng, 0.65) else skin
    hips = _leg_length(pose)
    parts = _legs(pose, wide, bottom if chance(rng, 0.85) else skin, shoe, hips)
    trunk = _trunk(rng, pose, wide, skin, top, sleeve)
    if chance(rng, 0.2):
        trunk += _bag(rng)
    parts += transformed(trunk, (0, 0, hips), (-pose.lean, 0, 0))
    if chance(rng, 0.15) and seat is None:
        parts.append((_skirt(rng, hips, wide), bottom))
    drop = 0.0 if seat is None else seat + 0.09 - hips * height
    return transformed(parts, (0, 0, drop), scale=height)


def _leg_length(pose: Pose) -> float:
    """Returns the height of the hips above the lowest foot of a person of height 1."""
    return 0.04 + max(_reach(upper, 0.245) + _reach(lower, 0.235) for upper, lower in pose.legs)


def _reach(degrees: float, length: float) -> float:
    return length * float(np.cos(np.radians(degrees)))


def _limb(start: Vector, angles: Angles, lengths: Angles, side: float = 0.0) -> np.ndarray:
    """Returns (3, 3): both ends of a limb and its joint."""
    points = [np.array(start, float)]
    for degrees, length in zip(angles, lengths, strict=True):
        a = np.radians(degrees)
        points.append(points[-1] + length * np.array([side, np.sin(a), -np.cos(a)]))
    return np.array(points)


def _legs(pose: Pose, wide: float, material: SurfaceMaterial, shoe: SurfaceMaterial, hips: float) -> Parts:
    parts: Parts = []
    for side, angles in zip((-1, 1), pose.legs, strict=True):
        line = _limb((side * 0.05 * wide, 0, hips), angles, (0.245, 0.235), side * 0.02)
        path = np.array([line[0], line[0] * 0.6 + line[1] * 0.4, line[1], line[1] * 0.6 + line[2] * 0.4, line[2]])
        widths = np.array([0.055, 0.05, 0.034, 0.032, 0.022]) * (0.6 + 0.4 * wide)
        parts.append((tube(path, widths.tolist(), 10, True), material))
        foot = ellipsoid((0.055, 0.15, 0.06), 6, 10, 0.7).transformed(line[2] + np.array((0, 0.035, -0.01)))
        parts.append((foot, shoe))
    return parts


def _trunk(
    rng: Rng, pose: Pose, wide: float, skin: SurfaceMaterial, top: SurfaceMaterial, sleeve: SurfaceMaterial
) -> Parts:
    """Returns all above the hips, which are at the origin, of a person of height 1."""
    shoulder = 0.115 * (0.7 + 0.3 * wide)
    outline = [
        (-0.03, 0.10, 0.08),
        (0.04, 0.105, 0.085),
        (0.12, 0.095, 0.075),
        (0.22, 0.115, 0.08),
        (0.285, 0.11, 0.065),
        (0.315, 0.05, 0.045),
    ]
    rings = []
    for z, half_x, half_y in outline:
        flat = section(2 * half_x * (0.55 + 0.45 * wide) * 0.85, 2 * half_y * wide, 0.75, 14)
        rings.append(np.column_stack([flat, np.full(len(flat), z)]))
    parts: Parts = [(loft(rings), top)]
    for side, angles in zip((-1, 1), pose.arms, strict=True):
        line = _limb((side * shoulder, 0, 0.285), angles, (0.165, 0.15), side * np.tan(np.radians(pose.spread)))
        parts.append((tube(line[:2], [0.036 * wide**0.5, 0.026], 8, True), top))
        parts.append((tube(line[1:], [0.026, 0.018], 8, True), sleeve))
        hand = ellipsoid((0.03, 0.045, 0.085), 7, 8).transformed(
            line[2] + (line[2] - line[1]) * 0.15, (angles[1], 0, 0)
        )
        parts.append((hand, skin))
    parts.append((tube([(0, 0, 0.29), (0, 0.008, 0.37)], [0.036, 0.03], 8), skin))
    return parts + transformed(
        head(rng, skin, detailed=False), (0, 0.01, 0.345), (rng.uniform(-15, 8), 0, rng.uniform(-40, 40)), 1 / 1.72
    )


def _skirt(rng: Rng, hips: float, wide: float) -> Shape:
    rings = []
    for z, size in ((hips + 0.06, 0.17), (hips - 0.05, 0.23), (hips - rng.uniform(0.15, 0.4), 0.33)):
        flat = section(size * wide, size * 0.8 * wide, 0.9, 14)
        rings.append(np.column_stack([flat, np.full(len(flat), z)]))
    return loft(rings)


def _bag(rng: Rng) -> Parts:
    material = materials.cloth(rng)
    if chance(rng, 0.6):
        return [(ellipsoid((0.17, 0.1, 0.24), 8, 12, 0.5).transformed((0, -0.1, 0.19)), material)]
    return [(box((0.05, 0.16, 0.14), (choose(rng, (-1, 1)) * 0.17, 0, -0.1), bevel=0.01), material)]


def cyclist(rng: Rng) -> Parts:
    """Returns a person on a bicycle 1.75 m long."""
    frame, rubber = materials.plastic(rng), materials.rubber(rng)
    parts = bicycle(frame, rubber)
    return parts + transformed(person(rng, cycling(rng), rng.uniform(1.6, 1.85), seat=0.93), (0, -0.22, 0))


def bicycle(frame: SurfaceMaterial, rubber: SurfaceMaterial) -> Parts:
    angles = np.linspace(0, 2 * np.pi, 22)
    wheels = [
        tube(np.column_stack([0 * angles, y + 0.33 * np.cos(angles), 0.35 + 0.33 * np.sin(angles)]), 0.018, 6)
        for y in (-0.52, 0.52)
    ]
    spokes = [
        tube(
            [(0, y + 0.32 * np.cos(a), 0.35 + 0.32 * np.sin(a)), (0, y - 0.32 * np.cos(a), 0.35 - 0.32 * np.sin(a))],
            0.003,
            4,
        )
        for y in (-0.52, 0.52)
        for a in np.linspace(0, np.pi, 6, endpoint=False)
    ]
    joints = {
        "rear": (0, -0.52, 0.35),
        "crank": (0, -0.05, 0.3),
        "seat": (0, -0.25, 0.85),
        "head": (0, 0.38, 0.82),
        "front": (0, 0.52, 0.35),
    }
    bars = [
        ("rear", "crank"),
        ("rear", "seat"),
        ("crank", "seat"),
        ("crank", "head"),
        ("seat", "head"),
        ("head", "front"),
    ]
    tubes = [tube([joints[a], joints[b]], 0.017, 6) for a, b in bars]
    tubes.append(tube([(-0.28, 0.36, 1.02), (-0.1, 0.42, 1.0), (0.1, 0.42, 1.0), (0.28, 0.36, 1.02)], 0.014, 6))
    tubes.append(tube([(0, 0.38, 0.8), (0, 0.42, 1.0)], 0.016, 6))
    saddle = ellipsoid((0.14, 0.27, 0.06), 6, 10).transformed((0, -0.27, 0.93))
    return [(join([*wheels, saddle]), rubber), (join([*tubes, *spokes]), frame)]
