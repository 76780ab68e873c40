"""Scenes of open country: hills, woods, meadows, water, paths, animals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from streamdepth.training.scenes import animals, buildings, materials, palette, people, plants
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import CameraView, Parts, Scene, SharedModel, look_at
from streamdepth.training.scenes.shapes import Floats, Point, Shape, cylinder, sheet
from streamdepth.training.scenes.weather import outdoor_scene


@dataclass(frozen=True, slots=True)
class Terrain:
    """Hills as a sum of waves."""

    directions: Floats
    """(W, 2) in 1/m."""
    heights: Floats
    phases: Floats
    water: float
    """Height of the water; below all hills where there is none."""

    def height(self, x: Floats | float, y: Floats | float) -> Floats:
        place = np.stack(np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float)), axis=-1)
        waves = np.sin(place @ self.directions.T + self.phases) - np.sin(self.phases)
        far = 1 + np.maximum(np.linalg.norm(place, axis=-1) - 100, 0) / 80
        return np.asarray((waves @ self.heights) * far)

    def point(self, x: float, y: float) -> Point:
        return float(x), float(y), float(self.height(x, y))


def nature(rng: Rng) -> Scene:
    land = _land(rng)
    subjects: list[Point] = []
    scene = outdoor_scene(rng, lambda random: CameraView((0, 0, 1.6), 0, 0, 0, 60, 320, 240), night_share=0.03)
    scene.clearance = 0.35
    _ground(rng, scene, land)
    _plants(rng, scene, land, subjects)
    _creatures(rng, scene, land, subjects)
    if chance(rng, 0.15):
        scene.add(buildings.cottage(rng), land.point(*rng.uniform(-50, 50, 2)), rng.uniform(0, 360))
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(-25, 25, 2)
        model = SharedModel(buildings.fence(rng, 3.0))
        angle = rng.uniform(0, 2 * np.pi)
        for step in np.arange(-30, 30, 3.0):
            position = land.point(x + step * np.cos(angle), y + step * np.sin(angle))
            scene.add(model, position, float(np.degrees(angle)))
    scene.propose_view = partial(_view, land=land, subjects=subjects)
    return scene


def _land(rng: Rng) -> Terrain:
    lengths = np.array([140.0, 60.0, 24.0, 9.0, 4.0])
    angles = rng.uniform(0, 2 * np.pi, 5)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (2 * np.pi / lengths)[:, None]
    heights = (
        lengths
        * np.array([0.05, 0.035, 0.02, 0.012, 0.01])
        * rng.uniform(0, 1.4, 5)
        * choose(rng, (0.15, 0.5, 1.0, 1.5))
    )
    water = -0.15 * float(heights.sum()) - 0.1 if chance(rng, 0.3) else -1e3
    return Terrain(directions, heights, rng.uniform(0, 6.3, 5), water)


def _patch(land: Terrain, size: float, cells: int) -> Shape:
    """Returns a grid that is finer near the middle."""

    def surface(u: Floats, v: Floats) -> Floats:
        x, y = ((2 * t - 1) * np.abs(2 * t - 1) ** 1.2 * size for t in (u, v))
        return np.stack([x, y, land.height(x, y)], axis=-1)

    return sheet(surface, (cells, cells))


def _ground(rng: Rng, scene: Scene, land: Terrain) -> None:
    ground = choose(rng, (materials.grass, materials.grass, materials.grass, materials.soil, materials.rock))(rng)
    if chance(rng, 0.1):
        ground = materials.SurfaceMaterial(
            (palette.gray(rng, 0.85, 0.98), palette.gray(rng, 0.75, 0.9)), "turf", 2.0, 0.8, bump=0.05
        )
    scene.add([(_patch(land, 450, 130), ground)])
    if land.water > -100:
        lake = sheet(lambda u, v: np.stack([900 * u - 450, 900 * v - 450, 0 * u + land.water], axis=-1), (1, 1))
        scene.add(
            [
                (
                    lake,
                    materials.SurfaceMaterial(
                        (palette.random_color(rng, (0.4, 0.62), (0.1, 0.6), (0.1, 0.4)),) * 2,
                        "waves",
                        1.5,
                        0.06,
                        bump=0.03,
                    ),
                )
            ]
        )
    if chance(rng, 0.5):
        bend, half = rng.normal(0, 0.01), rng.uniform(0.4, 1.5)

        def path(u: Floats, v: Floats) -> Floats:
            y = 200 * v - 100
            x = bend * y**2 / 2 + 3 * np.sin(y / 20) - 1.5 + (2 * u - 1) * half
            return np.stack([x, y, land.height(x, y) + 0.03], axis=-1)

        scene.add([(sheet(path, (3, 220)), materials.soil(rng) if chance(rng, 0.7) else materials.paving(rng))])


def _scatter(
    rng: Rng, scene: Scene, land: Terrain, models: list[SharedModel], count: int, distance: float, power: float = 1.0
) -> list[Point]:
    places = []
    for _ in range(count):
        angle, radius = rng.uniform(0, 2 * np.pi), distance * rng.random() ** power + 0.5
        position = land.point(radius * np.cos(angle), radius * np.sin(angle))
        if position[2] > land.water:
            scene.add(
                choose(rng, models),
                position,
                rng.uniform(0, 360),
                rng.uniform(0.6, 1.35),
                palette.shade((1, 1, 1), rng.uniform(0.55, 1)),
            )
            places.append(position)
    return places


def _plants(rng: Rng, scene: Scene, land: Terrain, subjects: list[Point]) -> None:
    trees = [SharedModel(plants.tree(rng)) for _ in range(4)]
    _scatter(
        rng, scene, land, trees, int(rng.integers(5, 260)), choose(rng, (35.0, 90.0, 180.0)), rng.uniform(0.4, 0.9)
    )
    bushes = [SharedModel(plants.bush(rng)) for _ in range(3)]
    subjects += _scatter(rng, scene, land, bushes, int(rng.integers(0, 60)), 60.0)[:6]
    stones = [SharedModel(plants.stone(rng, 10 ** rng.uniform(-1, 0.3))) for _ in range(4)]
    subjects += _scatter(rng, scene, land, stones, int(rng.integers(0, 80)), 40.0, 1.3)[:6]
    if chance(rng, 0.6):
        height = rng.uniform(0.06, 0.6)
        tufts = [SharedModel(plants.grass_patch(rng, 1.6, 1100, height)) for _ in range(3)]
        _scatter(rng, scene, land, tufts, int(rng.integers(60, 260)), 16.0, 0.7)
    if chance(rng, 0.6):
        flowers = [SharedModel(plants.flower(rng)) for _ in range(3)]
        subjects += _scatter(rng, scene, land, flowers, int(rng.integers(20, 150)), 10.0)[:20]
    logs = int(rng.integers(0, 4))
    for _ in range(logs):
        x, y = rng.uniform(-15, 15, 2)
        scene.add(_log(rng), land.point(x, y), rng.uniform(0, 360))


def _log(rng: Rng) -> Parts:
    radius, length = rng.uniform(0.1, 0.35), rng.uniform(1, 6)
    return [
        (cylinder(radius, length, 12).transformed((0, -length / 2, radius * 0.9), (-90, 0, 0)), materials.bark(rng))
    ]


def _creatures(rng: Rng, scene: Scene, land: Terrain, subjects: list[Point]) -> None:
    makers = [SharedModel(animals.animal(rng)) for _ in range(3)] + [SharedModel(people.person(rng)) for _ in range(3)]
    for _ in range(int(rng.integers(2, 16))):
        x, y = rng.normal(0, 9, 2)
        position = land.point(x, y)
        if position[2] > land.water:
            scene.add(choose(rng, makers), position, rng.uniform(0, 360), rng.uniform(0.85, 1.1))
            subjects.append((position[0], position[1], position[2] + 0.5))


def _view(rng: Rng, land: Terrain, subjects: list[Point]) -> CameraView:
    """Returns a view from eye height into the country, or at something near."""
    fov = rng.uniform(45, 80)
    width, height = choose(rng, ((320, 240), (320, 240), (384, 216)))
    if subjects and chance(rng, 0.55):
        target = choose(rng, subjects)
        angle, distance = rng.uniform(0, 2 * np.pi), 10 ** rng.uniform(-0.1, 0.9)
        x, y = target[0] + distance * np.cos(angle), target[1] + distance * np.sin(angle)
        eye = (
            float(x),
            float(y),
            max(float(land.height(x, y)), land.water) + min(1.7, rng.uniform(0.15, 0.5) * distance + 0.15),
        )
        yaw, pitch = look_at(eye, (target[0], target[1], target[2] + 0.15))
        focus = distance if chance(rng, 0.25) else None
        return CameraView(
            eye,
            yaw + rng.normal(0, 9),
            pitch + rng.normal(0, 6),
            rng.normal(0, 4),
            fov,
            width,
            height,
            focus,
            rng.uniform(0.5, 3),
        )
    x, y = rng.uniform(-25, 25, 2)
    up = rng.uniform(1.2, 1.9) if chance(rng, 0.8) else rng.uniform(3, 12)
    eye = (float(x), float(y), max(float(land.height(x, y)), land.water) + up)
    pitch = rng.normal(-5, 8) if up < 2 else rng.uniform(-50, -10)
    return CameraView(eye, rng.uniform(-180, 180), pitch, rng.normal(0, 3), fov, width, height)
