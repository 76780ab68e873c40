"""Materials of surfaces: colors, a pattern and its size, gloss. Colors are linear RGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamdepth.training.scenes.palette import (
    Color,
    any_color,
    clothing_color,
    earthy,
    gray,
    green,
    pale,
    random_color,
    shade,
    similar_color,
    skin_color,
    vivid,
)
from streamdepth.training.scenes.random_draws import Rng, chance, choose

_FLAT = ("plain", "noise", "cells", "turf", "bricks", "tiles", "checks", "stripes", "waves", "grain", "speckle")
PATTERNS: tuple[str, ...] = (*_FLAT, "patches", "letters", "dots", "gradient")


@dataclass(frozen=True, slots=True)
class SurfaceMaterial:
    """The material of a surface, before any renderer."""

    colors: tuple[Color, ...]
    """The pattern's colors, at least one."""
    pattern: str = "plain"
    scale: float = 1.0
    """Meters of one period of the pattern."""
    roughness: float = 0.6
    metallic: float = 0.0
    bump: float = 0.0
    """Apparent height of the pattern in meters."""
    clear: float = 0.0
    """Transparency: share of light that goes straight through, 0 to 1."""
    glow: float = 0.0
    """Emitted radiance in units of the colors."""
    tinted: bool = False
    """True if the color is multiplied by the tint of the placed model."""
    dirt: float = 0.2
    """Strength of large dark stains, 0 to 1."""
    seed: float = 0.0
    """Random offset of the pattern."""


def _material(
    rng: Rng, colors: Sequence[Color], pattern: str, scale: float, **settings: float | bool
) -> SurfaceMaterial:
    return replace(SurfaceMaterial(tuple(colors), pattern, scale, seed=rng.uniform(0, 100)), **settings)  # type: ignore[arg-type]  # settings of different types


def plain(rng: Rng, color: Color, roughness: float = 0.5, **settings: float | bool) -> SurfaceMaterial:
    return _material(rng, [color], "plain", 1.0, roughness=roughness, **settings)


def any_material(rng: Rng, size: float = 1.0) -> SurfaceMaterial:
    """Returns any pattern in any colors for an object of about `size` meters."""
    colors = [any_color(rng) for _ in range(int(rng.integers(2, 5)))]
    settings = {"roughness": rng.uniform(0.1, 1), "metallic": float(chance(rng, 0.12)), "dirt": rng.uniform(0, 0.6)}
    bump = size * rng.uniform(0, 0.02) if chance(rng, 0.4) else 0.0
    return _material(rng, colors, choose(rng, PATTERNS), size * 10 ** rng.uniform(-1.4, 0), bump=bump, **settings)


def inner_wall(rng: Rng) -> SurfaceMaterial:
    """Returns the material of an inner wall: paint or wallpaper."""
    color = pale(rng) if chance(rng, 0.8) else any_color(rng)
    if chance(rng, 0.75):
        return _material(rng, [color, shade(color, 0.93)], "noise", 0.6, roughness=0.8, dirt=rng.uniform(0, 0.25))
    other, pattern = similar_color(rng, color, 0.5), choose(rng, ("stripes", "cells", "waves", "dots", "checks"))
    return _material(rng, [color, other], pattern, rng.uniform(0.08, 0.5), roughness=0.8)


def outer_wall(rng: Rng) -> SurfaceMaterial:
    kind = rng.random()
    color = choose(rng, (pale, earthy, gray))(rng)
    if kind < 0.35:
        color = random_color(rng, (0.0, 0.09), (0.2, 0.7), (0.3, 0.75))
        colors = [color, similar_color(rng, color), gray(rng, 0.4, 0.8)]
        return _material(rng, colors, "bricks", rng.uniform(0.2, 0.4), roughness=0.9, bump=0.01, dirt=0.4)
    if kind < 0.45:
        colors = [color, similar_color(rng, color, 0.1), shade(color, 0.5)]
        return _material(rng, colors, choose(rng, ("tiles", "bricks")), rng.uniform(0.5, 1.6), dirt=0.4, bump=0.01)
    if kind < 0.55:
        return _material(rng, [color, shade(color, 0.7)], "stripes", rng.uniform(0.1, 0.3), bump=0.02)
    return _material(
        rng, [color, shade(color, 0.85)], "noise", 0.8, roughness=0.9, dirt=rng.uniform(0.1, 0.6), bump=0.004
    )


def asphalt(rng: Rng) -> SurfaceMaterial:
    value = rng.uniform(0.2, 0.6)
    colors = [gray(rng, value, value + 0.05), gray(rng, value * 0.7, value * 0.8), gray(rng, value, value * 1.25)]
    wet = chance(rng, 0.15)
    roughness = rng.uniform(0.08, 0.3) if wet else rng.uniform(0.7, 1)
    return _material(rng, colors, "speckle", rng.uniform(0.02, 0.06), roughness=roughness, dirt=rng.uniform(0.3, 0.8))


def paving(rng: Rng) -> SurfaceMaterial:
    color = choose(rng, (gray, earthy))(rng)
    colors = [color, similar_color(rng, color, 0.15), shade(color, 0.55)]
    pattern = choose(rng, ("tiles", "bricks", "bricks", "speckle", "noise"))
    return _material(rng, colors, pattern, rng.uniform(0.15, 0.8), roughness=0.9, bump=0.006, dirt=0.5)


def floor(rng: Rng) -> SurfaceMaterial:
    kind = rng.random()
    if kind < 0.35:
        return wood(rng, rng.uniform(0.08, 0.2))
    if kind < 0.6:
        color = choose(rng, (gray, pale, earthy))(rng)
        colors = [color, similar_color(rng, color, 0.12), shade(color, 0.6)]
        return _material(rng, colors, "tiles", rng.uniform(0.2, 0.8), roughness=rng.uniform(0.1, 0.7), dirt=0.3)
    if kind < 0.7:
        return _material(rng, [gray(rng), gray(rng)], "checks", rng.uniform(0.2, 0.6), roughness=rng.uniform(0.1, 0.8))
    if kind < 0.9:
        return carpet(rng)
    return _material(rng, [gray(rng), gray(rng)], "noise", 1.5, roughness=rng.uniform(0.2, 0.9))


def carpet(rng: Rng) -> SurfaceMaterial:
    color = choose(rng, (clothing_color, earthy, gray))(rng)
    colors = [color, similar_color(rng, color, 0.5), any_color(rng)]
    pattern = choose(rng, ("speckle", "speckle", "noise", "waves", "cells", "checks", "stripes", "dots"))
    scale = rng.uniform(0.01, 0.05) if pattern == "speckle" else rng.uniform(0.05, 0.6)
    return _material(rng, colors, pattern, scale, roughness=1.0, bump=0.004)


def wood(rng: Rng, scale: float = 0.1) -> SurfaceMaterial:
    color = random_color(rng, (0.05, 0.1), (0.25, 0.75), (0.2, 0.85))
    roughness = rng.uniform(0.2, 0.8)
    return _material(rng, [shade(color, 0.5), color, shade(color, 1.15)], "grain", scale, roughness=roughness)


def furniture(rng: Rng) -> SurfaceMaterial:
    kind = rng.random()
    if kind < 0.5:
        return wood(rng)
    return plain(rng, pale(rng) if kind < 0.8 else any_color(rng), rng.uniform(0.2, 0.8))


def cloth(rng: Rng, color: Color | None = None) -> SurfaceMaterial:
    color = color or clothing_color(rng)
    kind = rng.random()
    if kind < 0.55:
        return _material(rng, [color, shade(color, 0.7)], "noise", 0.15, roughness=0.95, bump=0.01)
    pattern = choose(rng, ("stripes", "checks", "dots", "speckle", "cells", "patches", "waves"))
    colors = [color, any_color(rng), similar_color(rng, color)]
    return _material(rng, colors, pattern, rng.uniform(0.02, 0.2), roughness=0.95, bump=0.003)


def skin(rng: Rng) -> SurfaceMaterial:
    color = skin_color(rng)
    return _material(
        rng, [color, similar_color(rng, color, 0.12)], "noise", 0.05, roughness=rng.uniform(0.35, 0.6), dirt=0.1
    )


def hair(rng: Rng) -> SurfaceMaterial:
    color = random_color(rng, (0.03, 0.11), (0.2, 0.7), (0.05, 0.6)) if chance(rng, 0.85) else gray(rng)
    return _material(rng, [color, shade(color, 0.5)], "waves", 0.02, roughness=0.5, bump=0.004)


def plastic(rng: Rng) -> SurfaceMaterial:
    return plain(rng, choose(rng, (vivid, gray, pale))(rng), rng.uniform(0.15, 0.6), dirt=0.05)


def metal(rng: Rng) -> SurfaceMaterial:
    color = gray(rng, 0.5, 0.95) if chance(rng, 0.8) else random_color(rng, (0.04, 0.13), (0.3, 0.7), (0.6, 0.95))
    return plain(rng, color, rng.uniform(0.1, 0.55), metallic=1.0)


def car_paint(rng: Rng) -> SurfaceMaterial:
    color = gray(rng, 0.05, 0.98) if chance(rng, 0.6) else vivid(rng)
    return plain(rng, color, rng.uniform(0.12, 0.35), dirt=rng.uniform(0, 0.3), metallic=0.3 * rng.random())


def dark_glass(rng: Rng) -> SurfaceMaterial:
    """Returns the material of a pane seen from its bright side, which mirrors."""
    return plain(rng, gray(rng, 0.05, 0.3), 0.05, dirt=0.05)


def clear_glass(rng: Rng) -> SurfaceMaterial:
    return plain(rng, random_color(rng, (0.3, 0.6), (0, 0.15), (0.8, 1)), 0.03, clear=rng.uniform(0.75, 0.92))


def mirror(rng: Rng) -> SurfaceMaterial:
    return plain(rng, gray(rng, 0.85, 0.95), 0.02, metallic=1.0, dirt=0.0)


def rubber(rng: Rng) -> SurfaceMaterial:
    return plain(rng, gray(rng, 0.08, 0.2), 0.8)


def screen(rng: Rng) -> SurfaceMaterial:
    """Returns the material of a display, lit or dark."""
    if chance(rng, 0.3):
        return plain(rng, gray(rng, 0.02, 0.1), 0.15, dirt=0.0)
    colors = [any_color(rng) for _ in range(3)]
    pattern = choose(rng, ("letters", "patches", "letters", "gradient", "cells"))
    return _material(rng, colors, pattern, rng.uniform(0.01, 0.3), roughness=0.2, glow=rng.uniform(0.4, 2.5), dirt=0.0)


def printed(rng: Rng, scale: float = 0.1) -> SurfaceMaterial:
    """Returns the material of a picture, a poster, a label or a cover."""
    colors = [any_color(rng) for _ in range(int(rng.integers(3, 5)))]
    pattern = choose(rng, ("patches", "patches", "letters", "gradient", "cells", "waves", "noise"))
    return _material(rng, colors, pattern, scale * rng.uniform(0.3, 1.5), roughness=rng.uniform(0.1, 0.9), dirt=0.05)


def paper(rng: Rng) -> SurfaceMaterial:
    colors = [gray(rng, 0.85, 0.98), gray(rng, 0.1, 0.4)]
    return _material(rng, colors, choose(rng, ("letters", "letters", "plain")), rng.uniform(0.004, 0.012), dirt=0.0)


def leaf(rng: Rng) -> SurfaceMaterial:
    autumn = chance(rng, 0.15)
    color = random_color(rng, (0.02, 0.14), (0.6, 0.9), (0.4, 0.8)) if autumn else green(rng)
    return _material(
        rng,
        [shade(color, 0.45), color, shade(color, 1.4)],
        "noise",
        rng.uniform(0.1, 0.5),
        roughness=0.6,
        tinted=True,
    )


def bark(rng: Rng) -> SurfaceMaterial:
    color = random_color(rng, (0.04, 0.1), (0.1, 0.45), (0.2, 0.6))
    return _material(rng, [shade(color, 0.5), color], "grain", 0.08, roughness=0.95, bump=0.03)


def grass(rng: Rng) -> SurfaceMaterial:
    color = random_color(rng, (0.13, 0.3), (0.3, 0.7), (0.3, 0.6))
    return _material(
        rng, [shade(color, 0.6), color, earthy(rng)], "turf", rng.uniform(0.3, 2), roughness=1.0, bump=0.05
    )


def soil(rng: Rng) -> SurfaceMaterial:
    color = random_color(rng, (0.05, 0.12), (0.1, 0.5), (0.25, 0.75))
    return _material(
        rng, [color, shade(color, 0.7), gray(rng)], "turf", rng.uniform(0.3, 1.5), roughness=1.0, bump=0.04
    )


def rock(rng: Rng) -> SurfaceMaterial:
    color = choose(rng, (gray, earthy))(rng)
    return _material(
        rng,
        [shade(color, 0.6), color, similar_color(rng, color)],
        "turf",
        rng.uniform(0.2, 1.0),
        roughness=0.95,
        bump=0.03,
        dirt=0.5,
    )


def fur(rng: Rng) -> SurfaceMaterial:
    color = random_color(rng, (0.03, 0.12), (0.05, 0.6), (0.08, 0.9))
    pattern = choose(rng, ("noise", "noise", "cells", "waves"))
    return _material(
        rng,
        [color, similar_color(rng, color, 0.5), gray(rng)],
        pattern,
        rng.uniform(0.05, 0.4),
        roughness=1.0,
        bump=0.01,
    )


def lamp_surface(rng: Rng, color: Color, glow: float) -> SurfaceMaterial:
    """Returns the material of a lamp's own surface."""
    return plain(rng, color, 0.7, glow=glow, dirt=0.0)
