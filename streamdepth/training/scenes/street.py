"""Streets, country roads, highways and car parks."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np

from streamdepth.training.scenes import buildings, materials, palette, people, plants, vehicles
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.roads import REACH, Road, ground, markings
from streamdepth.training.scenes.scene import CameraView, Scene, SharedModel
from streamdepth.training.scenes.shapes import Floats, box, sheet
from streamdepth.training.scenes.weather import outdoor_scene


def street(rng: Rng) -> Scene:
    kind = choose(rng, ("city", "city", "city", "suburb", "suburb", "country", "highway", "parking"))
    wide = {"highway": (7, 13), "country": (2.7, 4), "parking": (9, 20)}.get(kind, (2.8, 7.5))
    bend = rng.normal(0, 0.0012) if chance(rng, 0.6) else 0.0
    hill = rng.uniform(0, 2.5) if chance(rng, 0.35) else 0.0
    kerb = rng.uniform(0.08, 0.17) if kind in ("city", "suburb") else 0.0
    road = Road(bend, hill, rng.uniform(0, 6), rng.uniform(*wide), rng.uniform(1.4, 5), kerb)
    scene = outdoor_scene(rng, partial(_view, road=road, kind=kind))
    scene.clearance = 0.9
    ground(rng, scene, road, kind)
    markings(rng, scene, road, kind)
    {"city": _city, "suburb": _suburb, "country": _country, "highway": _highway, "parking": _parking}[kind](
        rng, scene, road
    )
    _traffic(rng, scene, road, kind)
    _walkers(rng, scene, road, kind)
    if scene.darkness > 0.3:
        _lamps(rng, scene, road)
    return scene


def _row(
    rng: Rng,
    scene: Scene,
    road: Road,
    models: list[SharedModel],
    widths: list[float],
    side: int,
    aside: float,
    gap: float,
) -> None:
    """Adds buildings side by side with their fronts to the road, with a gap or a side street now and then."""
    along = -REACH + rng.uniform(0, 10)
    setback = rng.uniform(0, 1.5) if chance(rng, 0.3) else 0.0
    while along < REACH:
        i = int(rng.integers(len(models)))
        along += widths[i] / 2
        position = road.point(along, side * (aside + setback * rng.random()), road.kerb)
        scene.add(models[i], position, road.heading(along) + 90 * side, tint=palette.any_color(rng))
        along += widths[i] / 2 + gap * rng.random() + (rng.uniform(5, 14) if chance(rng, 0.12) else 0)


def _city(rng: Rng, scene: Scene, road: Road) -> None:
    edge = road.half + road.verge
    floors = int(rng.integers(2, 8))
    sizes = [rng.uniform(7, 24) for _ in range(6)]
    models = [SharedModel(buildings.building(rng, w, max(1, floors + int(rng.integers(-2, 3))))) for w in sizes]
    for side in (-1, 1):
        _row(rng, scene, road, models, sizes, side, edge, choose(rng, (0.0, 0.0, 3.0)))
    _roadside(rng, scene, road, trees=rng.uniform(8, 30) if chance(rng, 0.55) else 0)


def _suburb(rng: Rng, scene: Scene, road: Road) -> None:
    edge = road.half + road.verge
    models = [SharedModel(buildings.cottage(rng)) for _ in range(4)]
    hedges = [SharedModel(plants.hedge(rng, 6.0)) for _ in range(2)] + [
        SharedModel(buildings.fence(rng, 6.0)) for _ in range(2)
    ]
    garden = [SharedModel(make(rng)) for make in (plants.bush, plants.bush, plants.tree, plants.tree)]
    for side in (-1, 1):
        _row(rng, scene, road, models, [13.0] * 4, side, edge + rng.uniform(3, 10), 9.0)
        _row(rng, scene, road, hedges, [6.0] * 4, side, edge + 0.4, choose(rng, (0.0, 1.0, 10.0)))
        for _ in range(26):
            position = road.point(rng.uniform(-REACH, REACH), side * (edge + rng.uniform(1, 3)), road.kerb)
            scene.add(choose(rng, garden), position, rng.uniform(0, 360), rng.uniform(0.5, 1.0))
    _roadside(rng, scene, road, trees=rng.uniform(10, 30) if chance(rng, 0.6) else 0)


def _roadside(rng: Rng, scene: Scene, road: Road, trees: float) -> None:
    """Adds street furniture: trees every `trees` m, lamps, signs, bins, benches, wires."""
    line = road.half + min(0.7, road.verge / 2)
    if trees:
        models = [SharedModel(plants.tree(rng)) for _ in range(2)]
        for along in np.arange(-REACH, REACH, trees):
            for side in (-1, 1):
                position = road.point(along + rng.normal(0, 1), side * (line + 0.3), road.kerb)
                scene.add(
                    choose(rng, models),
                    position,
                    rng.uniform(0, 360),
                    rng.uniform(0.7, 1.1),
                    palette.shade((1, 1, 1), rng.uniform(0.6, 1)),
                )
    lamp, step = SharedModel(buildings.lamp_post(rng)), rng.uniform(18, 40)
    for along in np.arange(-REACH, REACH, step):
        side = choose(rng, (-1, 1))
        scene.add(lamp, road.point(along, side * line, road.kerb), road.heading(along) + 90 * side)
    makers = (
        buildings.sign,
        buildings.sign,
        buildings.trash_bin,
        buildings.bench,
        buildings.bollard,
        buildings.traffic_cone,
        buildings.traffic_light,
        plants.bush,
    )
    models = [SharedModel(choose(rng, makers)(rng)) for _ in range(7)]
    for _ in range(int(rng.integers(10, 45))):
        along, side = rng.uniform(-60, 60), choose(rng, (-1, 1))
        position = road.point(along, side * (road.half + rng.uniform(0.3, road.verge - 0.3)), road.kerb)
        scene.add(choose(rng, models), position, road.heading(along) + choose(rng, (0, 90 * side, 180)))
    if chance(rng, 0.4):
        _wires(rng, scene, road, choose(rng, (-1, 1)) * (road.half + road.verge * 0.8))


def _wires(rng: Rng, scene: Scene, road: Road, aside: float) -> None:
    model, material, step = SharedModel(buildings.pole(rng)), materials.rubber(rng), rng.uniform(25, 45)
    stops = np.arange(-REACH, REACH, step)
    for along in stops:
        scene.add(model, road.point(along, aside, road.kerb), road.heading(along))
    for first, second in pairwise(stops):
        for shift in (-0.4, 0.4):
            ends = [tuple(road.point(a, aside + shift, 6.6)) for a in (first, second)]
            scene.add(buildings.wire(ends[0], ends[1], rng.uniform(0.3, 1.0), material))


def _country(rng: Rng, scene: Scene, road: Road) -> None:
    _scatter_green(rng, scene, road, road.half + road.verge + 1, int(rng.integers(40, 220)))
    _far_hills(rng, scene)
    if chance(rng, 0.5):
        model = SharedModel(buildings.guard_rail(rng, 4.0) if chance(rng, 0.6) else buildings.fence(rng, 4.0))
        side = choose(rng, (-1, 1))
        for along in np.arange(-REACH, REACH, 4.0):
            scene.add(model, road.point(along, side * (road.half + 0.8)), road.heading(along) + 90)
    if chance(rng, 0.5):
        _wires(rng, scene, road, choose(rng, (-1, 1)) * (road.half + 3))
    for _ in range(int(rng.integers(0, 7))):
        side = choose(rng, (-1, 1))
        scene.add(
            buildings.cottage(rng), road.point(rng.uniform(-120, 160), side * rng.uniform(15, 60)), rng.uniform(0, 360)
        )


def _highway(rng: Rng, scene: Scene, road: Road) -> None:
    model = SharedModel(buildings.guard_rail(rng, 4.0))
    sides = [-road.half - 0.5, road.half + 0.5] + ([0.0] if chance(rng, 0.6) else [])
    for aside in sides:
        for along in np.arange(-REACH, REACH, 4.0):
            scene.add(model, road.point(along, aside), road.heading(along) + 90)
    if chance(rng, 0.3):
        barrier = SharedModel([(box((4.0, 0.15, rng.uniform(2, 4))), materials.outer_wall(rng))])
        for along in np.arange(-REACH, REACH, 4.0):
            scene.add(barrier, road.point(along, road.half + road.verge), road.heading(along) + 90)
    if chance(rng, 0.5):
        scene.add(buildings.gantry(rng, 2 * road.half + 2), road.point(rng.uniform(15, 90), 0))
    if chance(rng, 0.3):
        scene.add(buildings.bridge(rng, 2 * road.half + 3), road.point(rng.uniform(40, 130), 0))
    _scatter_green(rng, scene, road, road.half + road.verge + 2, int(rng.integers(40, 200)))
    _far_hills(rng, scene)


def _scatter_green(rng: Rng, scene: Scene, road: Road, edge: float, count: int) -> None:
    models = [SharedModel(plants.tree(rng)) for _ in range(3)] + [SharedModel(plants.bush(rng)) for _ in range(2)]
    models.append(SharedModel(plants.grass_patch(rng, 3.0, 700, rng.uniform(0.2, 0.7))))
    far = choose(rng, (20.0, 60.0, 150.0))
    for _ in range(count):
        position = road.point(rng.uniform(-REACH, REACH), choose(rng, (-1, 1)) * (edge + far * rng.random() ** 2))
        scene.add(
            choose(rng, models),
            position,
            rng.uniform(0, 360),
            rng.uniform(0.6, 1.4),
            palette.shade((1, 1, 1), rng.uniform(0.5, 1)),
        )


def _far_hills(rng: Rng, scene: Scene) -> None:
    if chance(rng, 0.4):
        return
    material = choose(rng, (materials.grass, materials.rock, materials.leaf))(rng)
    seeds = rng.uniform(0, 6, 4)
    high = rng.uniform(10, 90)

    def surface(u: Floats, v: Floats) -> Floats:
        angle, radius = u * 2 * np.pi, 300 + 200 * v
        waves = np.sin(angle * 3 + seeds[0]) + 0.6 * np.sin(angle * 7 + seeds[1]) + 0.3 * np.sin(angle * 17 + seeds[2])
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), high * v * (1.2 + 0.5 * waves) - 5], axis=-1)

    scene.add([(sheet(surface, (120, 6)), material)])


def _parking(rng: Rng, scene: Scene, road: Road) -> None:
    models = [SharedModel(vehicles.car(rng)) for _ in range(6)]
    rows = np.arange(-road.half + 3, road.half - 2, 8.5)
    for aside in rows:
        for along in np.arange(-40, 60, 2.7):
            if chance(rng, 0.6):
                heading = road.heading(along) + choose(rng, (90, -90)) + rng.normal(0, 2)
                scene.add(choose(rng, models), road.point(along, aside), heading)
    sizes = [rng.uniform(15, 40) for _ in range(3)]
    blocks = [SharedModel(buildings.building(rng, w, int(rng.integers(1, 5)))) for w in sizes]
    for side in (-1, 1):
        _row(rng, scene, road, blocks, sizes, side, road.half + road.verge + rng.uniform(2, 25), 15.0)
    _roadside(rng, scene, road, trees=15 if chance(rng, 0.5) else 0)


def _traffic(rng: Rng, scene: Scene, road: Road, kind: str) -> None:
    if kind == "parking":
        return
    models = [SharedModel(vehicles.vehicle(rng)) for _ in range(6)]
    lanes = [a * road.half for a in ((-0.75, -0.25, 0.25, 0.75) if road.half > 6 else (-0.5, 0.5))]
    ride = 1 if chance(rng, 0.7) else -1
    for _ in range(int(rng.integers(0, 22))):
        aside = choose(rng, lanes)
        along = rng.uniform(-130, 150)
        heading = road.heading(along) + (
            0 if aside * ride > 0 or (kind == "highway" and len(lanes) > 2 and chance(rng, 0.2)) else 180
        )
        scene.add(choose(rng, models), road.point(along, aside + rng.normal(0, 0.2)), heading + rng.normal(0, 1))
    if kind in ("city", "suburb"):
        _parked(rng, scene, road)
    for _ in range(int(rng.integers(0, 5)) if kind != "highway" else 0):
        side = choose(rng, (-1, 1))
        along = rng.uniform(-40, 60)
        scene.add(
            people.cyclist(rng),
            road.point(along, side * (road.half - 0.7)),
            road.heading(along) + (0 if side * ride > 0 else 180),
        )


def _parked(rng: Rng, scene: Scene, road: Road) -> None:
    models = [SharedModel(vehicles.car(rng)) for _ in range(6)]
    for side in (-1, 1):
        share, on_kerb = choose(rng, (0.0, 0.3, 0.7, 0.95)), chance(rng, 0.2)
        for along in np.arange(-REACH, REACH, rng.uniform(5.6, 7)):
            if chance(rng, share):
                aside = side * (road.half - (0.1 if on_kerb else 1.15) + rng.normal(0, 0.1))
                heading = road.heading(along) + choose(rng, (0, 180)) + rng.normal(0, 1.5)
                scene.add(choose(rng, models), road.point(along, aside, road.kerb * on_kerb), heading)


def _walkers(rng: Rng, scene: Scene, road: Road, kind: str) -> None:
    if kind == "highway":
        return
    models = [SharedModel(people.person(rng)) for _ in range(7)]
    for _ in range(int(rng.integers(2, 10 if kind == "country" else 50))):
        along, side = rng.normal(5, 30), choose(rng, (-1, 1))
        on_road = chance(rng, 0.15)
        aside = (
            rng.uniform(-1, 1) * road.half
            if on_road
            else side * (road.half + rng.uniform(0.4, max(0.5, road.verge - 0.4)))
        )
        heading = (
            rng.uniform(0, 360) if chance(rng, 0.4) else road.heading(along) + choose(rng, (0, 180)) + rng.normal(0, 12)
        )
        scene.add(
            choose(rng, models), road.point(along, aside, 0 if on_road else road.kerb), heading, rng.uniform(0.93, 1.05)
        )


def _lamps(rng: Rng, scene: Scene, road: Road) -> None:
    color = palette.lamp_color(rng, rng.uniform(0.3, 0.9))
    for along in np.arange(-60, 90, rng.uniform(16, 26)):
        side = choose(rng, (-1, 1))
        scene.add_light(
            "POINT",
            road.point(along, side * (road.half - 0.8), rng.uniform(4.5, 8)),
            rng.uniform(250, 900),
            color,
            0.3,
        )


def _view(rng: Rng, road: Road, kind: str) -> CameraView:
    """Returns a view of a dash-cam, of somebody on foot, or of a camera on a pole."""
    style = rng.random()
    along = rng.uniform(-50, 50)
    width, height = (384, 192) if chance(rng, 0.36) else (320, 240)
    fov = rng.uniform(62, 100) if width == 384 else rng.uniform(45, 85)
    if style < 0.55:
        aside, up = choose(rng, (-0.5, 0.5, 0.3, -0.3)) * road.half, rng.uniform(1.2, 1.8)
        yaw = rng.normal(0, 7) if chance(rng, 0.7) else rng.uniform(-30, 30)
        pitch, roll = rng.normal(-2, 2.5), rng.normal(0, 1)
    elif style < 0.87:
        aside, up = (
            choose(rng, (-1, 1)) * (road.half + rng.uniform(0.4, max(0.5, road.verge - 0.3))),
            rng.uniform(1.2, 1.8),
        )
        yaw, pitch, roll = rng.uniform(-180, 180), rng.normal(-4, 9), rng.normal(0, 5)
    else:
        aside, up = choose(rng, (-1, 1)) * (road.half + rng.uniform(0.2, max(0.3, road.verge - 0.5))), rng.uniform(3, 8)
        yaw, pitch, roll = rng.uniform(-180, 180), rng.uniform(-45, -12), rng.normal(0, 2)
    x, y, z = road.point(along, aside, up)
    slope = np.degrees(np.arctan2(road.height(np.array(along + 3.0)) - road.height(np.array(along)), 3.0))
    return CameraView(
        (float(x), float(y), float(z)),
        road.heading(along) + yaw,
        pitch + float(slope) * np.cos(np.radians(yaw)),
        roll,
        fov,
        width,
        height,
    )
