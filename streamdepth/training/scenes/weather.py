"""Skies, suns and haze."""

from __future__ import annotations

from collections.abc import Callable

from streamdepth.training.scenes import palette
from streamdepth.training.scenes.random_draws import Rng, chance
from streamdepth.training.scenes.scene import CameraView, Scene, Sky

Propose = Callable[[Rng], CameraView]


def outdoor_scene(rng: Rng, propose_view: Propose, night_share: float = 0.08) -> Scene:
    """Returns an empty scene under a sky: sun, overcast, dusk, or night without any lamps yet."""
    kind = rng.random()
    if kind < night_share:
        scene = _night(rng, propose_view)
    elif kind < night_share + 0.13:
        scene = _dusk(rng, propose_view)
    elif kind < night_share + 0.42:
        scene = _overcast(rng, propose_view)
    else:
        scene = _sunny(rng, propose_view)
    if chance(rng, 0.2):
        scene.haze = 10 ** rng.uniform(-3, -1.5)
    elif chance(rng, 0.6):
        scene.haze = 10 ** rng.uniform(-4, -3)
    level = scene.sky.strength
    red, green, blue = scene.sky.horizon
    scene.haze_color = (red * level, green * level, blue * level)
    return scene


def _sunny(rng: Rng, propose_view: Propose) -> Scene:
    zenith = palette.random_color(rng, (0.56, 0.63), (0.4, 0.85), (0.45, 0.9))
    horizon = palette.random_color(rng, (0.53, 0.62), (0.03, 0.35), (0.75, 1.0))
    clouds = rng.uniform(0.2, 0.9) if chance(rng, 0.7) else 0.0
    scene = Scene(Sky(zenith, horizon, clouds, (1, 1, 1), rng.uniform(0.6, 1.2), rng.uniform(0, 100)), propose_view)
    warm = rng.uniform(0, 0.4)
    scene.add_sun(rng.uniform(15, 70), rng.uniform(0, 360), rng.uniform(2, 5), (1, 1 - 0.25 * warm, 1 - 0.6 * warm))
    return scene


def _overcast(rng: Rng, propose_view: Propose) -> Scene:
    value = rng.uniform(0.6, 0.95)
    horizon, zenith = (
        palette.gray(rng, value, value + 0.05),
        palette.random_color(rng, (0.55, 0.63), (0, 0.15), (value - 0.1, value)),
    )
    clouds = rng.uniform(0.6, 1.0) if chance(rng, 0.6) else 0.0
    scene = Scene(Sky(zenith, horizon, clouds, horizon, 1.0, rng.uniform(0, 100)), propose_view)
    scene.add_sun(rng.uniform(30, 80), rng.uniform(0, 360), rng.uniform(0.0, 0.8), (1, 1, 1), 25.0)
    return scene


def _dusk(rng: Rng, propose_view: Propose) -> Scene:
    horizon = palette.random_color(rng, (0.0, 0.11), (0.15, 0.6), (0.6, 1.0))
    zenith = palette.random_color(rng, (0.58, 0.75), (0.3, 0.7), (0.25, 0.6))
    cloud = palette.random_color(rng, (-0.05, 0.1), (0.1, 0.5), (0.4, 0.95))
    scene = Scene(
        Sky(zenith, horizon, rng.uniform(0, 0.9), cloud, rng.uniform(0.3, 0.8), rng.uniform(0, 100)), propose_view
    )
    scene.add_sun(rng.uniform(3, 14), rng.uniform(0, 360), rng.uniform(0.8, 3), (1.0, 0.62, 0.35))
    scene.darkness = rng.uniform(0.1, 0.45)
    return scene


def _night(rng: Rng, propose_view: Propose) -> Scene:
    zenith, horizon = (
        palette.random_color(rng, (0.58, 0.7), (0.3, 0.9), (0.1, 0.3)),
        palette.random_color(rng, (0, 1), (0, 0.25), (0.2, 0.4)),
    )
    scene = Scene(Sky(zenith, horizon, strength=rng.uniform(0.1, 0.6)), propose_view)
    scene.darkness = rng.uniform(0.6, 1.0)
    return scene
