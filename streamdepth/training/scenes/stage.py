"""What a scene is made of, before any renderer sees it: things with looks, lamps, a sky, and places for a camera."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from streamdepth.training.scenes.looks import Color, Look
from streamdepth.training.scenes.shapes import ORIGIN, Floats, Point, Shape, Vector, rotation

Parts = list[tuple[Shape, Look]]
WHITE: Color = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A thing that may stand at many places; all its places share one mesh."""

    parts: Parts


@dataclass(frozen=True, slots=True)
class Item:
    """A model in its place."""

    model: Model
    at: Point
    turn: Point
    """Degrees about x, y, z."""
    scale: float
    tint: Color
    """Multiplies the colours of looks that are `tinted`."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """A light. `kind` as Blender names it: SUN, POINT, SPOT or AREA; it shines along its own -z."""

    kind: str
    at: Point
    turn: Point
    power: float
    """W; for the sun W/m2."""
    color: Color
    size: float
    """Metres; for the sun its diameter in degrees."""


@dataclass(frozen=True, slots=True)
class Sky:
    """A gradient from the horizon to the zenith, with clouds."""

    zenith: Color
    horizon: Color
    clouds: float = 0.0
    """Share of the sky that they cover, 0 to 1."""
    cloud_color: Color = (0.9, 0.9, 0.9)
    strength: float = 1.0
    seed: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """A camera: pinhole, square pixels."""

    eye: Point
    yaw: float
    """Degrees from +y towards -x."""
    pitch: float
    """Degrees above the horizon."""
    roll: float
    fov: float
    """Horizontal, degrees."""
    width: int
    height: int
    focus: float | None = None
    """Metres to the plane in focus; None: everything is sharp."""
    f_number: float = 2.0

    def axes(self) -> Floats:
        """(3, 3): right, up and backward as columns."""
        forward_up = rotation((0, 0, self.yaw)) @ rotation((90 + self.pitch, 0, 0))
        return np.asarray(forward_up @ rotation((0, 0, self.roll)))


@dataclass(slots=True)
class Stage:
    """A scene under construction."""

    sky: Sky
    propose: Callable[[np.random.Generator], View]
    """Draws a view; it may turn out to be useless."""
    items: list[Item] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    haze: float = 0.0
    """Extinction of fog, 1/m."""
    haze_color: Color = (0.7, 0.7, 0.7)
    ambient: Color | None = None
    """Light from all sides where it is not the sky's: indoors."""
    ambient_reach: float = 6.0
    """Metres within which things take ambient light from each other."""
    clearance: float = 0.2
    """Metres that most of a picture keeps from the camera."""
    dark: float = 0.0
    """How little light there is for the camera, 0 = day to 1 = night: it makes noise."""

    def put(
        self,
        model: Model | Parts,
        at: Vector = ORIGIN,
        heading: float = 0.0,
        scale: float = 1.0,
        tint: Color = WHITE,
        tilt: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Stands a thing at `at`, turned by `heading` degrees about z and tilted about x and y."""
        model = model if isinstance(model, Model) else Model(model)
        x, y, z = (float(value) for value in at)
        self.items.append(Item(model, (x, y, z), (tilt[0], tilt[1], heading), scale, tint))

    def light(self, kind: str, at: Vector, power: float, color: Color = WHITE, size: float = 0.1) -> None:
        self.lamps.append(Lamp(kind, (float(at[0]), float(at[1]), float(at[2])), ORIGIN, power, color, size))

    def sun(self, elevation: float, azimuth: float, power: float, color: Color, size: float = 0.6) -> None:
        """`elevation`, `azimuth` (from +y towards -x): where it stands, degrees."""
        self.lamps.append(Lamp("SUN", ORIGIN, (90.0 - elevation, 0.0, azimuth + 180.0), power, color, size))


def look_at(eye: Vector, target: Vector) -> tuple[float, float]:
    """Yaw and pitch in degrees from `eye` to `target`."""
    x, y, z = (b - a for a, b in zip(eye, target, strict=True))
    return math.degrees(math.atan2(-x, y)), math.degrees(math.atan2(z, math.hypot(x, y)))


def moved(parts: Parts, at: Vector = ORIGIN, turn: Vector = ORIGIN, scale: float = 1.0) -> Parts:
    return [(shape.moved(at, turn, scale), look) for shape, look in parts]
