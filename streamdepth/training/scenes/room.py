"""Rooms of all kinds, full of objects, seen by a hand-held camera."""

from __future__ import annotations

from functools import partial

import numpy as np

from streamdepth.training.scenes import fittings, furniture, materials, people, plants, small_objects
from streamdepth.training.scenes.interior import Interior, empty_room
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import CameraView, Parts, Scene, look_at
from streamdepth.training.scenes.shapes import box

KINDS = {
    "office": (
        furniture.desk,
        furniture.desk,
        furniture.shelf,
        furniture.cupboard,
        furniture.chair,
        plants.potted_plant,
        furniture.rack,
    ),
    "living": (
        furniture.sofa,
        furniture.sofa,
        furniture.shelf,
        furniture.cupboard,
        fittings.floor_lamp,
        plants.potted_plant,
        furniture.laid_table,
    ),
    "bed": (
        furniture.bed,
        furniture.cupboard,
        furniture.shelf,
        furniture.desk,
        furniture.chair,
        furniture.rack,
        fittings.floor_lamp,
    ),
    "kitchen": (furniture.kitchen, furniture.cupboard, furniture.laid_table, furniture.chair, furniture.shelf),
    "store": (furniture.rack, furniture.rack, furniture.shelf, furniture.cupboard, small_objects.carton),
    "lab": (furniture.desk, furniture.rack, furniture.laid_table, furniture.desk, furniture.cupboard, furniture.chair),
    "corridor": (furniture.cupboard, plants.potted_plant, furniture.chair, small_objects.basket),
}
ON_WALLS = (
    fittings.picture,
    fittings.picture,
    fittings.picture,
    fittings.mirror,
    fittings.television,
    fittings.whiteboard,
)
LOWEST_CEILING_M = 2.2
"""Doors of 2.05 m, and windows that end at 1.9 m or higher, must fit below it."""


def room(rng: Rng) -> Scene:
    kind = choose(rng, ("office", "office", "office", "living", "living", "bed", "kitchen", "lab", "store", "corridor"))
    inside = empty_room(rng, size_of(rng, kind))
    furnish(rng, inside, kind)
    inside.scene.propose_view = partial(view, inside=inside)
    return inside.scene


def size_of(rng: Rng, kind: str) -> tuple[float, float, float]:
    """Returns width, depth and height of a room in meters."""
    high = max(LOWEST_CEILING_M, rng.normal(2.6, 0.2))
    if kind == "corridor":
        return rng.uniform(1.4, 2.6), rng.uniform(7, 18), high
    large = chance(rng, 0.15)
    low, top = (8.0, 15.0) if large else (2.4, 6.5)
    return rng.uniform(low, top), rng.uniform(low, top), high + large * rng.uniform(0, 1.5)


def furnish(rng: Rng, inside: Interior, kind: str) -> None:
    """Adds objects along the walls, in the middle, on the walls and on the floor, and people."""
    makers = KINDS[kind]
    fill = rng.uniform(0.5, 1.0)
    for wall in range(4):
        along = 0.1
        while along < inside.length(wall) - 0.5:
            if chance(rng, fill):
                along += inside.along_wall(choose(rng, makers)(rng), wall, along, rng) + rng.uniform(0.02, 0.5)
            else:
                along += rng.uniform(0.3, 1.2)
    for _ in range(int(rng.integers(1, 3 + int(inside.area() / 8)))):
        _group(rng, inside, kind)
    for _ in range(int(rng.integers(1, 10))):
        inside.on_wall(choose(rng, ON_WALLS)(rng), rng)
    _floor(rng, inside)
    for _ in range(int(rng.integers(0, 4)) if chance(rng, 0.6) else 0):
        inside.anywhere(people.person(rng), rng.uniform(0, 360), rng)


def _group(rng: Rng, inside: Interior, kind: str) -> None:
    """Adds a table with chairs around it, some of them occupied."""
    at_desk = kind in ("office", "lab", "bed")
    center = inside.anywhere(
        (furniture.desk if at_desk else furniture.laid_table)(rng),
        choose(rng, (0, 90, 180, 270)) + rng.normal(0, 4),
        rng,
    )
    if center is None:
        return
    for angle in rng.permutation([0, 90, 180, 270])[: int(rng.integers(1, 5))]:
        a = np.radians(angle)
        position = np.array(center[:2]) + rng.uniform(0.75, 1.1) * np.array([np.sin(a), -np.cos(a)])
        heading = angle + rng.normal(0, 25)
        if inside.is_free(float(position[0]), float(position[1]), 0.25):
            inside.place(furniture.chair(rng), position, heading)
            if chance(rng, 0.25):
                sitter = people.person(rng, people.sitting(rng), rng.uniform(1.5, 1.9), seat=0.48)
                inside.place(sitter, position, heading)


def _floor(rng: Rng, inside: Interior) -> None:
    if chance(rng, 0.4):
        wide, deep = rng.uniform(1, inside.width * 0.8), rng.uniform(1, inside.depth * 0.8)
        rug: Parts = [(box((wide, deep, 0.012)), materials.carpet(rng))]
        inside.scene.add(rug, (*rng.normal(0, 0.3, 2), 0.0), rng.normal(0, 6))
    for _ in range(int(rng.integers(0, 12))):
        inside.anywhere(choose(rng, small_objects.FLOOR)(rng), rng.uniform(0, 360), rng)


def view(rng: Rng, inside: Interior) -> CameraView:
    """Returns a hand-held view across the room, or close to a piece of furniture."""
    close = chance(rng, 0.45) and bool(inside.points_of_interest)
    for _ in range(30):
        target = _target(rng, inside, close)
        distance = rng.uniform(0.45, 1.7) if close else rng.uniform(1.5, 12)
        angle = rng.uniform(0, 2 * np.pi)
        up = target[2] + rng.uniform(0.05, 0.8) if close else rng.uniform(0.5, 2.0)
        eye = (float(target[0] + distance * np.cos(angle)), float(target[1] + distance * np.sin(angle)), float(up))
        if inside.is_clear(eye):
            break
    else:
        eye = (*inside.random_floor_point(rng, 0.3), rng.uniform(1.0, 1.8))
    yaw, pitch = look_at(eye, target)
    spread = 8 if close else 12
    roll = rng.normal(0, 12) if chance(rng, 0.4) else rng.normal(0, 3)
    fov = rng.uniform(52, 72) if chance(rng, 0.75) else rng.uniform(72, 100)
    width, height = (320, 240) if chance(rng, 0.85) else (384, 216)
    return CameraView(
        eye,
        yaw + rng.normal(0, spread),
        pitch + rng.normal(0, spread),
        float(np.clip(roll, -32, 32)),
        fov,
        width,
        height,
    )


def _target(rng: Rng, inside: Interior, close: bool) -> tuple[float, float, float]:
    if close:
        return choose(rng, inside.points_of_interest)
    x, y = inside.random_floor_point(rng, 0.05)
    return x, y, rng.uniform(0.2, 1.6)
