"""Scenes of random bodies with random materials at all distances, to train occlusion."""

from __future__ import annotations

from functools import partial

import numpy as np

from streamdepth.training.scenes import materials, palette
from streamdepth.training.scenes.random_draws import Rng, chance
from streamdepth.training.scenes.scene import CameraView, Scene
from streamdepth.training.scenes.shapes import Shape, box, bumpy, cone, cylinder, ellipsoid, lathe, sheet, tube
from streamdepth.training.scenes.weather import outdoor_scene


def abstract(rng: Rng) -> Scene:
    scene = outdoor_scene(rng, partial(_view, distance=rng.uniform(2, 7)), night_share=0.0)
    size = 10 ** rng.uniform(0.6, 1.6)
    if chance(rng, 0.75):
        _box(rng, scene, size)
    for _ in range(int(rng.integers(25, 130))):
        scale = 10 ** rng.uniform(-1.2, 0.25) * size / 8
        material = materials.any_material(rng, scale)
        position = rng.normal(0, size * 0.28, 3) + np.array((0, 0, size * 0.3))
        euler_degrees = rng.uniform(0, 360, 3)
        if chance(rng, 0.5):
            shape = _body(rng, scale).transformed(
                (0, 0, 0), euler_degrees if chance(rng, 0.5) else (0, 0, euler_degrees[2])
            )
            position[2] = -float(shape.points[:, 2].min())
            scene.add([(shape, material)], position)
        else:
            scene.add(
                [(_body(rng, scale), material)],
                position,
                float(euler_degrees[2]),
                tilt=(float(euler_degrees[0]), float(euler_degrees[1])),
            )
    for _ in range(3):
        scene.add_light(
            "POINT",
            rng.normal(0, size * 0.3, 3) + np.array((0, 0, size * 0.5)),
            rng.uniform(1, 15) * size**2,
            palette.lamp_color(rng),
            0.2,
        )
    return scene


def _box(rng: Rng, scene: Scene, size: float) -> None:
    """Returns a floor with walls around some of its sides."""
    scene.add([(box((4 * size, 4 * size, 0.1), (0, 0, -0.1)), materials.any_material(rng, 1.0))])
    for wall in range(4):
        if chance(rng, 0.6):
            a = np.radians(90 * wall)
            distance = size * rng.uniform(0.7, 1.3)
            scene.add(
                [(box((3 * size, 0.1, 3 * size)), materials.any_material(rng, 1.0))],
                (distance * np.sin(a), distance * np.cos(a), -0.1),
                -90.0 * wall,
            )


def _body(rng: Rng, size: float) -> Shape:
    kind = int(rng.integers(10))
    if kind == 0:
        return box(size * rng.uniform(0.3, 1.5, 3), bevel=size * rng.uniform(0, 0.1))
    if kind == 1:
        return bumpy(
            ellipsoid(size * rng.uniform(0.4, 1.3, 3), 18, 26, rng.uniform(0.3, 1)), rng, rng.uniform(0, 0.6), 4
        )
    if kind == 2:
        return cylinder(size * rng.uniform(0.1, 0.6), size * rng.uniform(0.3, 2), 24)
    if kind == 3:
        return cone(size * 0.5, size * rng.uniform(0.5, 2), 24)
    if kind in (4, 5):
        count = int(rng.integers(2, 9))
        path = (
            np.cumsum(rng.normal(0, size * 0.9, (count, 3)), axis=0)
            if kind == 4
            else np.outer(np.linspace(-2, 2, 2), rng.normal(size=3)) * size
        )
        return tube(path, size * rng.uniform(0.01, 0.08), 7)
    if kind == 6:
        angles = np.linspace(0, 2 * np.pi, 36)
        return tube(
            np.column_stack([np.cos(angles), np.sin(angles), 0 * angles]) * size * 0.7, size * rng.uniform(0.02, 0.2), 9
        )
    if kind == 7:
        return box((size * rng.uniform(0.5, 3), 0.01, size * rng.uniform(0.5, 2)))
    if kind == 8:
        z = np.linspace(0, size, 10)
        radius = size * (0.3 + 0.2 * np.sin(z / size * rng.uniform(2, 9) + rng.uniform(0, 6)))
        return lathe([(0, 0), *zip(radius, z, strict=True), (0, size)], 22)
    waves = rng.uniform(2, 8, 4)
    return sheet(
        lambda u, v: (
            np.stack([2 * u - 1, 2 * v - 1, 0.2 * np.sin(waves[0] * u + waves[2]) * np.sin(waves[1] * v)], axis=-1)
            * size
        ),
        (16, 16),
    )


def _view(rng: Rng, distance: float) -> CameraView:
    angle = rng.uniform(0, 2 * np.pi)
    radius = distance * rng.uniform(0.2, 1.2)
    eye = (float(radius * np.cos(angle)), float(radius * np.sin(angle)), rng.uniform(0.2, 0.6) * distance)
    yaw = float(np.degrees(angle)) + 90 + rng.normal(0, 50)
    return CameraView(
        eye,
        yaw,
        rng.normal(-6, 14),
        rng.normal(0, 12),
        rng.uniform(40, 95),
        320,
        240,
        None if chance(rng, 0.85) else distance,
        rng.uniform(0.5, 4),
    )
