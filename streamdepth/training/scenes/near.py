"""Close views: people before a webcam, things on tables, hands, products before a plain background."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from streamdepth.training.scenes import furniture, gadgets, heads, looks, plants, room, things
from streamdepth.training.scenes.interior import Interior, shell
from streamdepth.training.scenes.looks import Rng, chance, choose
from streamdepth.training.scenes.shapes import Point, sheet
from streamdepth.training.scenes.stage import Stage, View, look_at, moved
from streamdepth.training.scenes.weather import outdoors


@dataclass(slots=True)
class Subject:
    """Something to look at: its middle, where its front points to, and from how far."""

    at: Point
    heading: float
    reach: tuple[float, float]
    swing: float
    """How far from its front a camera may stand, degrees."""
    rise: tuple[float, float]
    """The camera's angle above it, degrees."""


@dataclass(slots=True)
class Subjects:
    all: list[Subject] = field(default_factory=list)


def near(rng: Rng) -> Stage:
    kind = rng.random()
    if kind < 0.5:
        return _people(rng)
    return _table(rng) if kind < 0.85 else _product(rng)


def _inside(rng: Rng) -> Interior:
    kind = choose(rng, ("office", "living", "bed", "kitchen"))
    return shell(rng, room.size_of(rng, kind))


def _people(rng: Rng) -> Stage:
    """Before a webcam or a phone, in a room."""
    inside, subjects = _inside(rng), Subjects()
    for _ in range(3):
        x, y = inside.somewhere(rng, 0.9)
        heading, lift = rng.uniform(0, 360), rng.uniform(0.68, 1.0)
        if not inside.free(x, y, 0.5):
            continue
        inside.stage.put(heads.bust(rng), (x, y, lift), heading)
        inside.taken.append((x, y, 0.9, 2.0))
        subjects.all.append(Subject((x, y, lift + 0.55), heading, (0.42, 1.3), 28, (-18, 14)))
        if chance(rng, 0.35):
            inside.stage.put(furniture.soft_back(rng), (x, y, 0.0), heading)
    room.furnish(rng, inside, choose(rng, ("office", "living", "bed", "kitchen")))
    a = np.radians(rng.uniform(0, 360))
    x, y, z = choose(rng, subjects.all).at if subjects.all else (0.0, 0.0, 1.3)
    if inside.stage.dark > 0.3 and chance(rng, 0.6):
        inside.stage.light("AREA", (x + np.cos(a), y + np.sin(a), z + 0.5), rng.uniform(2, 15), looks.whitish(rng), 0.4)
    if not subjects.all:
        inside.stage.propose = partial(room.view, inside=inside)
        return inside.stage
    inside.stage.propose = partial(_view, subjects=subjects.all, sharp=0.75)
    return inside.stage


def _table(rng: Rng) -> Stage:
    """Things on tables in a room."""
    inside, subjects = _inside(rng), Subjects()
    for _ in range(2):
        width, depth, height = rng.uniform(0.8, 1.8), rng.uniform(0.6, 0.9), choose(rng, (0.45, 0.74, 0.75))
        at = inside.anywhere(furniture.table(rng, width, depth, height), 0.0, rng)
        if at is None:
            continue
        for _ in range(int(rng.integers(5, 18))):
            dx, dy = rng.uniform(-0.4, 0.4, 2) * (width, depth)
            maker = choose(rng, (*things.SMALL, *things.SMALL, gadgets.laptop, gadgets.keyboard, plants.flower))
            place = (at[0] + dx, at[1] + dy, height)
            inside.stage.put(maker(rng), place, rng.uniform(0, 360))
            subjects.all.append(Subject((place[0], place[1], height + 0.06), 0.0, (0.22, 0.95), 180, (5, 70)))
        if chance(rng, 0.4):
            hand = heads.hand_parts(rng, looks.skin(rng), (0, 0, 0), (rng.uniform(40, 100), 0, rng.uniform(0, 360)))
            inside.stage.put(hand, (at[0], at[1], height + rng.uniform(0.03, 0.2)))
    room.furnish(rng, inside, choose(rng, ("office", "living", "kitchen")))
    inside.stage.propose = (
        partial(_view, subjects=subjects.all, sharp=0.6) if subjects.all else partial(room.view, inside=inside)
    )
    return inside.stage


def _product(rng: Rng) -> Stage:
    """A few things on a sweep of paper or on the ground outdoors."""
    stage, subjects = outdoors(rng, partial(_view, subjects=[], sharp=1.0), night_share=0.0), Subjects()
    curve = rng.uniform(0.6, 3.0)

    def sweep(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        lift = np.maximum(v - 0.6, 0) * 8
        return np.stack([12 * u - 6, 6 * v - 3.2 - lift * 0.2 * (lift > 0), lift**2 / 8 * curve], axis=-1)

    ground = (
        looks.plain(rng, looks.any_color(rng), 0.8)
        if chance(rng, 0.5)
        else choose(rng, (looks.anything, looks.carpet, looks.furniture, looks.soil))(rng)
    )
    stage.put([(sheet(sweep, (2, 40)), ground)])
    scale = rng.uniform(0.8, 2.5)
    for _ in range(int(rng.integers(1, 9))):
        x, y = rng.normal(0, 0.14 * scale, 2)
        if chance(rng, 0.12):
            parts = moved(heads.head(rng, looks.skin(rng)), (0, 0, 0.02))
        else:
            parts = choose(
                rng,
                (
                    *things.SMALL,
                    things.teddy,
                    things.bottle,
                    things.shoe,
                    gadgets.telephone,
                    plants.flower,
                    plants.potted_plant,
                ),
            )(rng)
        stage.put(parts, (x, y, 0.0), rng.uniform(0, 360), scale if chance(rng, 0.3) else 1.0)
        subjects.all.append(Subject((x, y, 0.07), 180.0, (0.2, 1.2), 60, (5, 60)))
    stage.propose, stage.clearance = partial(_view, subjects=subjects.all, sharp=0.6), 0.12
    return stage


def _view(rng: Rng, subjects: list[Subject], sharp: float) -> View:
    subject = choose(rng, subjects)
    reach = rng.uniform(*subject.reach)
    angle = np.radians(
        subject.heading + 90 + rng.normal(0, subject.swing / 2) if subject.swing < 90 else rng.uniform(0, 360)
    )
    rise = np.radians(rng.uniform(*subject.rise))
    x, y, z = subject.at
    level = reach * np.cos(rise)
    eye = (float(x + level * np.cos(angle)), float(y + level * np.sin(angle)), float(z + reach * np.sin(rise)))
    yaw, pitch = look_at(eye, subject.at)
    fov = rng.uniform(50, 80) if chance(rng, 0.85) else rng.uniform(28, 50)
    roll = rng.normal(0, 3) if chance(rng, 0.75) else rng.normal(0, 15)
    focus = None if chance(rng, sharp) else reach
    width, height = choose(rng, ((320, 240), (320, 240), (384, 216)))
    return View(
        eye, yaw + rng.normal(0, 6), pitch + rng.normal(0, 5), roll, fov, width, height, focus, rng.uniform(0.7, 4.0)
    )
