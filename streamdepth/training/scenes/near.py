"""Close views: people before a webcam, objects on tables, hands, products before a plain background."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from streamdepth.training.scenes import furniture, gadgets, heads, materials, palette, plants, room, small_objects
from streamdepth.training.scenes.interior import Interior, empty_room
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import CameraView, Scene, look_at, transformed
from streamdepth.training.scenes.shapes import Point, sheet
from streamdepth.training.scenes.weather import outdoor_scene


@dataclass(slots=True)
class Subject:
    """Something to look at: its middle, the direction of its front, and the camera's distance."""

    position: Point
    heading: float
    distances: tuple[float, float]
    max_yaw: float
    """Largest angle of the camera from its front, degrees."""
    pitch_range: tuple[float, float]
    """Smallest and largest elevation of the camera, degrees."""


@dataclass(slots=True)
class Subjects:
    """The subjects of a scene."""

    all: list[Subject] = field(default_factory=list)


def near(rng: Rng) -> Scene:
    kind = rng.random()
    if kind < 0.5:
        return _people(rng)
    return _table(rng) if kind < 0.85 else _product(rng)


def _inside(rng: Rng) -> Interior:
    kind = choose(rng, ("office", "living", "bed", "kitchen"))
    return empty_room(rng, room.size_of(rng, kind))


def _people(rng: Rng) -> Scene:
    """Returns people before a webcam or a phone, in a room."""
    inside, subjects = _inside(rng), Subjects()
    for _ in range(3):
        x, y = inside.random_floor_point(rng, 0.9)
        heading, lift = rng.uniform(0, 360), rng.uniform(0.68, 1.0)
        if not inside.is_free(x, y, 0.5):
            continue
        inside.scene.add(heads.bust(rng), (x, y, lift), heading)
        inside.occupied.append((x, y, 0.9, 2.0))
        subjects.all.append(Subject((x, y, lift + 0.55), heading, (0.42, 1.3), 28, (-18, 14)))
        if chance(rng, 0.35):
            inside.scene.add(furniture.soft_back(rng), (x, y, 0.0), heading)
    room.furnish(rng, inside, choose(rng, ("office", "living", "bed", "kitchen")))
    a = np.radians(rng.uniform(0, 360))
    x, y, z = choose(rng, subjects.all).position if subjects.all else (0.0, 0.0, 1.3)
    if inside.scene.darkness > 0.3 and chance(rng, 0.6):
        inside.scene.add_light(
            "AREA", (x + np.cos(a), y + np.sin(a), z + 0.5), rng.uniform(2, 15), palette.lamp_color(rng), 0.4
        )
    if not subjects.all:
        inside.scene.propose_view = partial(room.view, inside=inside)
        return inside.scene
    inside.scene.propose_view = partial(_view, subjects=subjects.all, sharp=0.75)
    return inside.scene


def _table(rng: Rng) -> Scene:
    """Returns objects on tables in a room."""
    inside, subjects = _inside(rng), Subjects()
    for _ in range(2):
        width, depth, height = rng.uniform(0.8, 1.8), rng.uniform(0.6, 0.9), choose(rng, (0.45, 0.74, 0.75))
        position = inside.anywhere(furniture.table(rng, width, depth, height), 0.0, rng)
        if position is None:
            continue
        for _ in range(int(rng.integers(5, 18))):
            dx, dy = rng.uniform(-0.4, 0.4, 2) * (width, depth)
            maker = choose(
                rng, (*small_objects.SMALL, *small_objects.SMALL, gadgets.laptop, gadgets.keyboard, plants.flower)
            )
            place = (position[0] + dx, position[1] + dy, height)
            inside.scene.add(maker(rng), place, rng.uniform(0, 360))
            subjects.all.append(Subject((place[0], place[1], height + 0.06), 0.0, (0.22, 0.95), 180, (5, 70)))
        if chance(rng, 0.4):
            hand = heads.hand_parts(rng, materials.skin(rng), (0, 0, 0), (rng.uniform(40, 100), 0, rng.uniform(0, 360)))
            inside.scene.add(hand, (position[0], position[1], height + rng.uniform(0.03, 0.2)))
    room.furnish(rng, inside, choose(rng, ("office", "living", "kitchen")))
    inside.scene.propose_view = (
        partial(_view, subjects=subjects.all, sharp=0.6) if subjects.all else partial(room.view, inside=inside)
    )
    return inside.scene


def _product(rng: Rng) -> Scene:
    """Returns a few objects on a sweep of paper, or on the ground outdoors."""
    scene, subjects = outdoor_scene(rng, partial(_view, subjects=[], sharp=1.0), night_share=0.0), Subjects()
    curve = rng.uniform(0.6, 3.0)

    def sweep(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        lift = np.maximum(v - 0.6, 0) * 8
        return np.stack([12 * u - 6, 6 * v - 3.2 - lift * 0.2 * (lift > 0), lift**2 / 8 * curve], axis=-1)

    ground = (
        materials.plain(rng, palette.any_color(rng), 0.8)
        if chance(rng, 0.5)
        else choose(rng, (materials.any_material, materials.carpet, materials.furniture, materials.soil))(rng)
    )
    scene.add([(sheet(sweep, (2, 40)), ground)])
    scale = rng.uniform(0.8, 2.5)
    for _ in range(int(rng.integers(1, 9))):
        x, y = rng.normal(0, 0.14 * scale, 2)
        if chance(rng, 0.12):
            parts = transformed(heads.head(rng, materials.skin(rng)), (0, 0, 0.02))
        else:
            parts = choose(
                rng,
                (
                    *small_objects.SMALL,
                    small_objects.teddy,
                    small_objects.bottle,
                    small_objects.shoe,
                    gadgets.telephone,
                    plants.flower,
                    plants.potted_plant,
                ),
            )(rng)
        scene.add(parts, (x, y, 0.0), rng.uniform(0, 360), scale if chance(rng, 0.3) else 1.0)
        subjects.all.append(Subject((x, y, 0.07), 180.0, (0.2, 1.2), 60, (5, 60)))
    scene.propose_view, scene.clearance = partial(_view, subjects=subjects.all, sharp=0.6), 0.12
    return scene


def _view(rng: Rng, subjects: list[Subject], sharp: float) -> CameraView:
    subject = choose(rng, subjects)
    distances = rng.uniform(*subject.distances)
    angle = np.radians(
        subject.heading + 90 + rng.normal(0, subject.max_yaw / 2) if subject.max_yaw < 90 else rng.uniform(0, 360)
    )
    pitch_range = np.radians(rng.uniform(*subject.pitch_range))
    x, y, z = subject.position
    level = distances * np.cos(pitch_range)
    eye = (
        float(x + level * np.cos(angle)),
        float(y + level * np.sin(angle)),
        float(z + distances * np.sin(pitch_range)),
    )
    yaw, pitch = look_at(eye, subject.position)
    fov = rng.uniform(50, 80) if chance(rng, 0.85) else rng.uniform(28, 50)
    roll = rng.normal(0, 3) if chance(rng, 0.75) else rng.normal(0, 15)
    focus = None if chance(rng, sharp) else distances
    width, height = choose(rng, ((320, 240), (320, 240), (384, 216)))
    return CameraView(
        eye, yaw + rng.normal(0, 6), pitch + rng.normal(0, 5), roll, fov, width, height, focus, rng.uniform(0.7, 4.0)
    )
