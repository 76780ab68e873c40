"""Buildings and street furniture, on z = 0. Fronts face +y, with their middle at the origin."""

from __future__ import annotations

import numpy as np

from streamdepth.training.scenes import materials, palette, random_draws
from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.random_draws import Rng, chance, choose
from streamdepth.training.scenes.scene import Parts, transformed
from streamdepth.training.scenes.shapes import Shape, box, cone, copies_at, cylinder, ellipsoid, join, lathe, loft, tube


def building(rng: Rng, width: float, floors: int, deep: float = 12.0) -> Parts:
    """Returns a house with rows of windows, doors or shops below, and a roof, from y = 0 back to y = -`deep`."""
    storey = rng.uniform(2.7, 3.6)
    high = floors * storey + rng.uniform(0, 1.2)
    wall, trim = (
        materials.outer_wall(rng),
        materials.plain(rng, random_draws.choose(rng, (palette.pale, palette.gray, palette.earthy))(rng), 0.7),
    )
    parts: Parts = [(box((width, deep, high), (0, -deep / 2, 0)), wall)]
    first = 1 if chance(rng, 0.65) else 0
    parts += _windows(rng, width, high, storey, first, trim)
    parts += _sides(rng, width, deep, high, storey)
    if first:
        parts += _shops(rng, width, storey, trim) if chance(rng, 0.6) else _entrance(rng, width, trim)
    if chance(rng, 0.6):
        ledges = [box((width + 0.1, 0.25, 0.18), (0, 0.02, z)) for z in ([high - 0.2] + [storey * first] * first)]
        parts.append((join(ledges), trim))
    return parts + _roof(rng, width, deep, high)


def _grid(rng: Rng, width: float, high: float, storey: float, first: int) -> np.ndarray:
    """Returns (N, 3): the middle of each window's lower edge."""
    step = rng.uniform(1.6, 3.4)
    across = np.arange(max(1, int((width - 0.8) / step)))
    x = (across - across.mean()) * step
    z = np.arange(first, max(first + 1, int(high / storey))) * storey + storey * rng.uniform(0.24, 0.34)
    return np.array([(a, 0.0, b) for a in x for b in z if b + storey * 0.5 < high])


def _windows(rng: Rng, width: float, high: float, storey: float, first: int, trim: SurfaceMaterial) -> Parts:
    places = _grid(rng, width, high, storey, first)
    if not len(places):
        return []
    wide, tall = rng.uniform(0.7, 1.5), storey * rng.uniform(0.38, 0.6)
    pane = box((wide, 0.04, tall))
    bars = [box((wide + 0.16, 0.1, 0.08), (0, 0, z)) for z in (-0.08, tall)]
    bars += [
        box((0.07, 0.08, tall), (x, 0, 0))
        for x in ((-wide / 2, 0, wide / 2) if chance(rng, 0.5) else (-wide / 2, wide / 2))
    ]
    if chance(rng, 0.5):
        bars.append(box((wide + 0.3, 0.3, 0.07), (0, 0.05, -0.12)))
    is_lit = rng.random(len(places)) < choose(rng, (0.0, 0.1, 0.5))
    parts: Parts = [(copies_at(join(bars), places), trim)]
    if (~is_lit).any():
        parts.append((copies_at(pane, places[~is_lit]), materials.dark_glass(rng)))
    if is_lit.any():
        parts.append((copies_at(pane, places[is_lit]), materials.lamp_surface(rng, palette.lamp_color(rng, 0.6), 1.0)))
    if chance(rng, 0.25):
        parts += _shutters(rng, places, wide, tall)
    if chance(rng, 0.25):
        parts += _balconies(rng, places[rng.random(len(places)) < 0.6], wide)
    return parts


def _shutters(rng: Rng, places: np.ndarray, wide: float, tall: float) -> Parts:
    leaf = [box((wide * 0.5, 0.06, tall), (s * (wide * 0.78), 0.04, 0)) for s in (-1, 1)]
    return [(copies_at(join(leaf), places), materials.plain(rng, palette.any_color(rng), 0.6))]


def _balconies(rng: Rng, places: np.ndarray, wide: float) -> Parts:
    if not len(places):
        return []
    deep, broad = rng.uniform(0.7, 1.4), wide + 0.9
    slab = box((broad, deep, 0.14), (0, deep / 2, -0.7))
    rails = [box((broad, 0.05, 0.05), (0, deep, 0.35))] + [
        box((0.05, deep, 0.05), (s * broad / 2, deep / 2, 0.35)) for s in (-1, 1)
    ]
    rails += [box((0.03, 0.03, 1.0), (x, deep, -0.6)) for x in np.linspace(-broad / 2, broad / 2, 11)]
    if chance(rng, 0.3):
        rails.append(box((broad, 0.03, 0.9), (0, deep, -0.6)))
    return [
        (copies_at(slab, places), materials.plain(rng, palette.gray(rng))),
        (copies_at(join(rails), places), materials.plastic(rng)),
    ]


def _sides(rng: Rng, width: float, deep: float, high: float, storey: float) -> Parts:
    """Returns the windows on both gable ends."""
    places = _grid(rng, deep, high, storey, 1)
    if not len(places) or chance(rng, 0.3):
        return []
    pane = copies_at(box((0.9, 0.05, 1.3)), places)
    ends = [pane.transformed((0, 0, 0), (0, 0, s * 90)).transformed((-s * width / 2, -deep / 2, 0)) for s in (-1, 1)]
    return [(join(ends), materials.dark_glass(rng))]


def _shops(rng: Rng, width: float, storey: float, trim: SurfaceMaterial) -> Parts:
    count = max(1, int(width / rng.uniform(3.5, 6)))
    unit = width / count
    parts: Parts = []
    for i in range(count):
        x = (i - (count - 1) / 2) * unit
        glow = rng.uniform(0.2, 1.5) if chance(rng, 0.4) else 0.0
        pane = materials.lamp_surface(rng, palette.lamp_color(rng), glow) if glow else materials.dark_glass(rng)
        parts.append((box((unit * 0.8, 0.06, storey * 0.65), (x, 0, 0.35)), pane))
        parts.append((box((unit * 0.86, 0.12, 0.35), (x, 0, 0)), trim))
        parts.append((box((unit * 0.9, 0.16, storey * 0.18), (x, 0, storey * 0.76)), materials.printed(rng, 0.8)))
        parts.append((box((0.95, 0.1, 2.1), (x + unit * 0.2, 0.03, 0)), materials.furniture(rng)))
        if chance(rng, 0.35):
            awning = box((unit * 0.88, 1.5, 0.04), (0, 0.75, 0)).transformed((0, 0, 0), (-rng.uniform(12, 35), 0, 0))
            parts.append((awning.transformed((x, 0.05, storey * 0.78)), materials.cloth(rng, palette.vivid(rng))))
        if chance(rng, 0.2):
            parts.append((box((0.08, 0.8, 0.7), (x - unit * 0.4, 0.5, storey * 0.8)), materials.printed(rng, 0.4)))
    return parts


def _entrance(rng: Rng, width: float, trim: SurfaceMaterial) -> Parts:
    x = rng.uniform(-0.35, 0.35) * width
    parts: Parts = [
        (box((1.1, 0.1, 2.2), (x, 0.02, 0.3)), materials.furniture(rng)),
        (box((1.4, 0.14, 2.45), (x, 0, 0.2)), trim),
    ]
    parts.append(
        (join([box((1.6, 0.4 * i, 0.1), (x, 0.2 * i, 0.3 - 0.1 * i)) for i in (1, 2, 3)]), materials.paving(rng))
    )
    panes = [
        box((1.1, 0.05, 1.3), (a, 0, 1.1)) for a in np.arange(-width / 2 + 1.2, width / 2 - 1, 2.4) if abs(a - x) > 1.5
    ]
    return parts + ([(join(panes), materials.dark_glass(rng))] if panes else [])


def _roof(rng: Rng, width: float, deep: float, high: float) -> Parts:
    color = palette.random_color(rng, (0.0, 0.08), (0.1, 0.7), (0.2, 0.6))
    material = materials.SurfaceMaterial(
        (color, palette.similar_color(rng, color), palette.shade(color, 0.5)), "bricks", 0.4, 0.9, bump=0.02
    )
    if chance(rng, 0.5):
        rim = [box((width + 0.2, 0.3, 0.5), (0, 0, high)), box((width + 0.2, 0.3, 0.5), (0, -deep, high))]
        boxes = [
            box(rng.uniform(0.6, 2, 3), (*rng.uniform(-0.3, 0.3, 1) * width, -deep * rng.uniform(0.2, 0.7), high))
            for _ in range(3)
        ]
        return [(join(rim), material), (join(boxes), materials.plain(rng, palette.gray(rng)))]
    roof_height = rng.uniform(0.25, 0.8) * min(width, deep) / 2
    if chance(rng, 0.6):
        return [(_gable(width + 0.5, deep + 0.8, roof_height).transformed((0, -deep / 2, high)), material)]
    return [(_gable(deep + 0.5, width + 0.8, roof_height).transformed((0, -deep / 2, high), (0, 0, 90)), material)]


def _gable(length: float, span: float, roof_height: float) -> Shape:
    """Returns a gable roof whose ridge runs along x."""
    outline = np.array([(0, -span / 2, 0), (0, span / 2, 0), (0, 0.05, roof_height), (0, -0.05, roof_height)])
    return loft([outline - (length / 2, 0, 0), outline + np.array((length / 2, 0, 0))])


def cottage(rng: Rng) -> Parts:
    return building(rng, rng.uniform(7, 14), int(rng.integers(1, 3)), rng.uniform(6, 10))


def lamp_post(rng: Rng) -> Parts:
    high, arm_length = rng.uniform(4, 9), rng.uniform(0.3, 2)
    metal = materials.plain(rng, palette.gray(rng, 0.1, 0.7), 0.5, metallic=0.5)
    arm = [(0, 0, high * 0.9), (0, arm_length * 0.4, high * 0.99), (0, arm_length, high)]
    head = ellipsoid((0.3, 0.7, 0.18), 7, 10, 0.6).transformed((0, arm_length + 0.2, high))
    parts: Parts = [(join([lathe([(0.13, 0), (0.12, 1), (0.07, 1.1), (0.05, high)], 10), tube(arm, 0.04, 6)]), metal)]
    return [*parts, (head, materials.lamp_surface(rng, (1.0, 0.85, 0.6), 3.0))]


def pole(rng: Rng) -> Parts:
    """Returns a pole for wires, 7 to 10 m high, with cross-arms."""
    high = rng.uniform(7, 10)
    arms = [box((rng.uniform(1, 2.4), 0.1, 0.12), (0, 0, high - 0.4 - 0.7 * i)) for i in range(int(rng.integers(1, 3)))]
    return [
        (
            join([cylinder(0.13, high, 9), *arms]),
            materials.bark(rng) if chance(rng, 0.6) else materials.plain(rng, palette.gray(rng)),
        )
    ]


def wire(
    start: tuple[float, float, float], end: tuple[float, float, float], sag: float, material: SurfaceMaterial
) -> Parts:
    t = np.linspace(0, 1, 14)[:, None]
    line = np.array(start) * (1 - t) + np.array(end) * t - np.array([0, 0, 1]) * 4 * sag * t * (1 - t)
    return [(tube(line, 0.018, 4), material)]


def sign(rng: Rng) -> Parts:
    """Returns a road sign on its post; it faces +y."""
    high, metal = rng.uniform(1.8, 2.8), materials.metal(rng)
    face = materials.printed(rng, 0.25)
    if chance(rng, 0.5):
        disc = cylinder(rng.uniform(0.25, 0.4), 0.03, choose(rng, (3, 4, 8, 20))).transformed(
            (0, 0.05, high), (-90, 0, 0)
        )
    else:
        disc = box((rng.uniform(0.4, 1.4), 0.04, rng.uniform(0.3, 0.9)), (0, 0.05, high - 0.2))
    return [(cylinder(0.035, high + 0.4, 8), metal), (disc, face)]


def traffic_light(rng: Rng) -> Parts:
    darkness, high = materials.plain(rng, palette.gray(rng, 0.05, 0.25)), rng.uniform(2.6, 3.4)
    case = box((0.32, 0.28, 0.95), (0, 0.1, high), bevel=0.03)
    parts: Parts = [(cylinder(0.06, high + 0.9, 9), darkness), (case, darkness)]
    on = int(rng.integers(3))
    for i, color in enumerate(((0.9, 0.03, 0.02), (0.9, 0.5, 0.02), (0.02, 0.8, 0.2))):
        lens = ellipsoid((0.22, 0.08, 0.22), 6, 10).transformed((0, 0.25, high + 0.78 - 0.3 * i))
        parts.append(
            (lens, materials.lamp_surface(rng, color if i == on else palette.shade(color, 0.15), 3.0 * (i == on)))
        )
    return parts


def trash_bin(rng: Rng) -> Parts:
    if chance(rng, 0.5):
        return [(lathe([(0, 0), (0.22, 0), (0.27, 0.8), (0.24, 0.95), (0, 1.0)], 12), materials.plastic(rng))]
    body = box((0.58, 0.65, 0.95), (0, 0, 0.06), bevel=0.04)
    return [
        (body, materials.plastic(rng)),
        (box((0.62, 0.72, 0.08), (0, 0.02, 1.0), (4, 0, 0)), materials.plastic(rng)),
    ]


def bench(rng: Rng) -> Parts:
    slats = [box((1.7, 0.1, 0.035), (0, y, 0.44)) for y in (-0.18, -0.06, 0.06, 0.18)]
    slats += [box((1.7, 0.03, 0.1), (0, -0.26 - 0.03 * i, 0.58 + 0.14 * i)) for i in range(3)]
    feet = [box((0.06, 0.45, 0.44), (x, 0, 0)) for x in (-0.7, 0.7)] + [
        box((0.06, 0.05, 0.5), (x, -0.27, 0.44)) for x in (-0.7, 0.7)
    ]
    return [(join(slats), materials.wood(rng)), (join(feet), materials.plain(rng, palette.gray(rng, 0.05, 0.4)))]


def bollard(rng: Rng) -> Parts:
    return [(lathe([(0, 0), (0.08, 0), (0.08, 0.85), (0.05, 0.95), (0, 0.97)], 10), materials.plastic(rng))]


def traffic_cone(rng: Rng) -> Parts:
    orange = materials.SurfaceMaterial(((0.8, 0.12, 0.02), (0.8, 0.8, 0.8)), "stripes", 0.3, 0.6, seed=2.0)
    return [(cone(0.15, 0.7).transformed((0, 0, 0.03)), orange), (box((0.4, 0.4, 0.04)), materials.rubber(rng))]


def fence(rng: Rng, length: float) -> Parts:
    """Returns a fence along x: pickets, rails, wire mesh or a wall."""
    kind, high = rng.random(), rng.uniform(0.8, 2.0)
    if kind < 0.25:
        return [
            (box((length, 0.25, high)), materials.outer_wall(rng)),
            (box((length, 0.35, 0.08), (0, 0, high)), materials.paving(rng)),
        ]
    posts = [box((0.09, 0.09, high + 0.1), (x, 0, 0)) for x in np.arange(-length / 2, length / 2 + 0.1, 2.0)]
    if kind < 0.6:
        bars = [
            box((0.09, 0.025, high), (x, 0.05, 0.05))
            for x in np.arange(-length / 2, length / 2, rng.uniform(0.12, 0.22))
        ]
        bars += [box((length, 0.04, 0.08), (0, 0, z)) for z in (high * 0.2, high * 0.8)]
        return [(join(posts + bars), materials.furniture(rng))]
    if kind < 0.8:
        bars = [tube([(x, 0, 0.05), (x, 0, high)], 0.011, 4) for x in np.arange(-length / 2, length / 2, 0.13)]
        bars += [box((length, 0.03, 0.04), (0, 0, z)) for z in (0.1, high - 0.1)]
        return [(join(posts + bars), materials.plain(rng, palette.gray(rng, 0.05, 0.6)))]
    rails = [box((length, 0.04, 0.11), (0, 0.04, z)) for z in np.linspace(0.3, high - 0.1, 3)]
    return [(join(posts + rails), materials.wood(rng))]


def guard_rail(rng: Rng, length: float) -> Parts:
    """Returns a guard rail along x."""
    rails = [box((length, 0.05, 0.13), (0, 0.08, z)) for z in (0.5, 0.68)]
    posts = [box((0.08, 0.14, 0.75), (x, 0, 0)) for x in np.arange(-length / 2, length / 2, 2.0)]
    return [(join(rails + posts), materials.plain(rng, palette.gray(rng, 0.4, 0.8), 0.45, metallic=0.7))]


def gantry(rng: Rng, span: float) -> Parts:
    """Returns a bridge of signs over a road along y."""
    posts = [box((0.4, 0.4, 6.2), (s * span / 2, 0, 0)) for s in (-1, 1)] + [box((span, 0.5, 0.5), (0, 0, 6))]
    boards = [box((span * 0.28, 0.1, 2.2), (x * span, 0.3, 5.2)) for x in (-0.25, 0.22)]
    return [
        (join(posts), materials.plain(rng, palette.gray(rng))),
        *transformed([(join(boards), materials.printed(rng, 1.0))], (0, -0.6, 0)),
    ]


def bridge(rng: Rng, span: float) -> Parts:
    """Returns a bridge over a road along y."""
    deck = box((span + 20, rng.uniform(4, 9), 1.2), (0, 0, 5.2))
    return [(join([deck, *(box((1, 3, 5.2), (s * span / 2, 0, 0)) for s in (-1, 1))]), materials.outer_wall(rng))]
