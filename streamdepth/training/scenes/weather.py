"""Skies, suns and haze."""

from __future__ import annotations

from collections.abc import Callable

from streamdepth.training.scenes import looks
from streamdepth.training.scenes.looks import Rng, chance
from streamdepth.training.scenes.stage import Sky, Stage, View

Propose = Callable[[Rng], View]


def outdoors(rng: Rng, propose: Propose, night_share: float = 0.08) -> Stage:
    """An empty stage under a sky: sun, overcast, dusk, or a night whose lamps are still to be hung."""
    kind = rng.random()
    if kind < night_share:
        stage = _night(rng, propose)
    elif kind < night_share + 0.13:
        stage = _dusk(rng, propose)
    elif kind < night_share + 0.42:
        stage = _overcast(rng, propose)
    else:
        stage = _sunny(rng, propose)
    if chance(rng, 0.2):
        stage.haze = 10 ** rng.uniform(-3, -1.5)
    elif chance(rng, 0.6):
        stage.haze = 10 ** rng.uniform(-4, -3)
    level = stage.sky.strength
    red, green, blue = stage.sky.horizon
    stage.haze_color = (red * level, green * level, blue * level)
    return stage


def _sunny(rng: Rng, propose: Propose) -> Stage:
    zenith = looks.between(rng, (0.56, 0.63), (0.4, 0.85), (0.45, 0.9))
    horizon = looks.between(rng, (0.53, 0.62), (0.03, 0.35), (0.75, 1.0))
    clouds = rng.uniform(0.2, 0.9) if chance(rng, 0.7) else 0.0
    stage = Stage(Sky(zenith, horizon, clouds, (1, 1, 1), rng.uniform(0.6, 1.2), rng.uniform(0, 100)), propose)
    warm = rng.uniform(0, 0.4)
    stage.sun(rng.uniform(15, 70), rng.uniform(0, 360), rng.uniform(2, 5), (1, 1 - 0.25 * warm, 1 - 0.6 * warm))
    return stage


def _overcast(rng: Rng, propose: Propose) -> Stage:
    value = rng.uniform(0.6, 0.95)
    horizon, zenith = (
        looks.gray(rng, value, value + 0.05),
        looks.between(rng, (0.55, 0.63), (0, 0.15), (value - 0.1, value)),
    )
    clouds = rng.uniform(0.6, 1.0) if chance(rng, 0.6) else 0.0
    stage = Stage(Sky(zenith, horizon, clouds, horizon, 1.0, rng.uniform(0, 100)), propose)
    stage.sun(rng.uniform(30, 80), rng.uniform(0, 360), rng.uniform(0.0, 0.8), (1, 1, 1), 25.0)
    return stage


def _dusk(rng: Rng, propose: Propose) -> Stage:
    horizon = looks.between(rng, (0.0, 0.11), (0.15, 0.6), (0.6, 1.0))
    zenith = looks.between(rng, (0.58, 0.75), (0.3, 0.7), (0.25, 0.6))
    cloud = looks.between(rng, (-0.05, 0.1), (0.1, 0.5), (0.4, 0.95))
    stage = Stage(Sky(zenith, horizon, rng.uniform(0, 0.9), cloud, rng.uniform(0.3, 0.8), rng.uniform(0, 100)), propose)
    stage.sun(rng.uniform(3, 14), rng.uniform(0, 360), rng.uniform(0.8, 3), (1.0, 0.62, 0.35))
    stage.dark = rng.uniform(0.1, 0.45)
    return stage


def _night(rng: Rng, propose: Propose) -> Stage:
    zenith, horizon = (
        looks.between(rng, (0.58, 0.7), (0.3, 0.9), (0.1, 0.3)),
        looks.between(rng, (0, 1), (0, 0.25), (0.2, 0.4)),
    )
    stage = Stage(Sky(zenith, horizon, strength=rng.uniform(0.1, 0.6)), propose)
    stage.dark = rng.uniform(0.6, 1.0)
    return stage
