"""Variations of a scene's cameras: portrait format, tilts, wider and longer lenses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from streamdepth.training.scenes.random_draws import chance
from streamdepth.training.scenes.scene import CameraView

PORTRAIT = 0.2
TILTED = 0.15
OTHER_LENS = 0.25


def vary(view: CameraView, rng: np.random.Generator) -> CameraView:
    """Makes portraits of some views, tilts some up or down, and gives some a wider or a longer lens."""
    if chance(rng, TILTED):
        view = replace(view, pitch=float(np.clip(view.pitch + rng.normal(0, 25), -85, 85)))
    if chance(rng, OTHER_LENS):
        view = replace(view, fov=angle(view.fov, math.exp(rng.uniform(-0.5, 0.35))))
    if chance(rng, PORTRAIT):
        fov = angle(view.fov, view.height / view.width)
        view = replace(view, fov=fov, width=view.height, height=view.width)
    return view


def angle(fov: float, factor: float) -> float:
    """Returns the degrees of a field of view whose flat picture is `factor` times as wide; at most 110."""
    return min(110.0, 2 * math.degrees(math.atan(factor * math.tan(math.radians(fov) / 2))))
