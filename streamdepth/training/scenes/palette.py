"""Random colors of things, as linear RGB."""

from __future__ import annotations

import colorsys

import numpy as np

from streamdepth.training.scenes.random_draws import Rng, chance, choose

Color = tuple[float, float, float]
"""Linear red, green and blue, 0 to 1."""


def linear_from_hsv(hue: float, saturation: float, value: float) -> Color:
    """Returns the linear RGB of an HSV color of a screen."""
    red, green, blue = (channel**2.2 for channel in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    return red, green, blue


def random_color(
    rng: Rng, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]
) -> Color:
    """Returns a random color within ranges of hue, saturation and value."""
    return linear_from_hsv(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))


def shade(color: Color, factor: float) -> Color:
    """Returns the color times `factor`, at most 1."""
    red, green, blue = (min(1.0, channel * factor) for channel in color)
    return red, green, blue


def gray(rng: Rng, low: float = 0.2, high: float = 0.9) -> Color:
    """Returns a gray, a color of hardly any saturation, whose value lies between `low` and `high`."""
    return random_color(rng, (0, 1), (0, 0.08), (low, high))


def vivid(rng: Rng) -> Color:
    """Returns a saturated color of any hue."""
    return random_color(rng, (0, 1), (0.5, 1), (0.4, 1))


def pale(rng: Rng) -> Color:
    """Returns a color of wall paint: near white, cream, or softly colored."""
    return random_color(rng, (0, 1) if chance(rng, 0.3) else (0.06, 0.16), (0.0, 0.25), (0.65, 0.97))


def earthy(rng: Rng) -> Color:
    """Returns a color of earth, stone or wood: red-brown to ochre."""
    return random_color(rng, (0.02, 0.14), (0.2, 0.65), (0.2, 0.75))


def green(rng: Rng) -> Color:
    """Returns a color of plants."""
    return random_color(rng, (0.17, 0.36), (0.35, 0.8), (0.2, 0.6))


def skin_color(rng: Rng) -> Color:
    """Returns a color of human skin."""
    return random_color(rng, (0.02, 0.08), (0.3, 0.6), (0.3, 0.95))


def clothing_color(rng: Rng) -> Color:
    """Returns a color of clothes: mostly dark, gray and blue."""
    kind = rng.random()
    if kind < 0.45:
        return gray(rng, 0.08, 0.5)
    if kind < 0.65:
        return random_color(rng, (0.55, 0.68), (0.3, 0.8), (0.15, 0.6))
    return vivid(rng) if kind < 0.85 else pale(rng)


def any_color(rng: Rng) -> Color:
    """Returns a color of any of these kinds."""
    return choose(rng, (vivid, pale, earthy, green, gray, clothing_color))(rng)


def similar_color(rng: Rng, color: Color, spread: float = 0.3) -> Color:
    """Returns a color near `color`."""
    red, green_, blue = (float(np.clip(c * rng.uniform(1 - spread, 1 + spread), 0, 1)) for c in color)
    return red, green_, blue


def lamp_color(rng: Rng, warm: float | None = None) -> Color:
    """Returns the color of a lamp's light: `warm` from 0 (bluish) to 1 (candle)."""
    warm = rng.uniform(0, 1) if warm is None else warm
    return (1.0, 0.95 - 0.4 * warm, 1.0 - 0.75 * warm) if warm > 0.3 else (0.8 + 0.6 * warm, 0.95, 1.0)
