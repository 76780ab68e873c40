"""The description of a scene before rendering: models with materials, lamps, a sky, and camera views."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from streamdepth.training.scenes.materials import SurfaceMaterial
from streamdepth.training.scenes.palette import Color
from streamdepth.training.scenes.shapes import ORIGIN, Floats, Point, Shape, Vector, rotation

Parts = list[tuple[Shape, SurfaceMaterial]]
WHITE: Color = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class SharedModel:
    """A model that may stand at many places, which share one mesh."""

    parts: Parts


@dataclass(frozen=True, slots=True)
class PlacedModel:
    """A model at a place."""

    model: SharedModel
    position: Point
    euler_degrees: Point
    """Degrees about x, y, z."""
    scale: float
    tint: Color
    """Multiplies the colors of tinted materials."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """A light of one of Blender's kinds: SUN, POINT, SPOT or AREA. It shines along its own -z."""

    kind: str
    position: Point
    euler_degrees: Point
    power: float
    """Watts; for the sun W/m2."""
    color: Color
    size: float
    """Meters; for the sun its diameter in degrees."""


@dataclass(frozen=True, slots=True)
class Sky:
    """A gradient from the horizon to the zenith, with clouds."""

    zenith: Color
    horizon: Color
    clouds: float = 0.0
    """Share of the sky that clouds cover, 0 to 1."""
    cloud_color: Color = (0.9, 0.9, 0.9)
    strength: float = 1.0
    seed: float = 0.0


@dataclass(frozen=True, slots=True)
class CameraView:
    """A pinhole camera with square pixels."""

    eye: Point
    yaw: float
    """Degrees from +y towards -x."""
    pitch: float
    """Degrees above the horizon."""
    roll: float
    fov: float
    """Horizontal field of view, degrees."""
    width: int
    height: int
    focus: float | None = None
    """Meters to the plane in focus; None: everything is sharp."""
    f_number: float = 2.0

    def axes(self) -> Floats:
        """Returns (3, 3): right, up and backward as columns."""
        forward_up = rotation((0, 0, self.yaw)) @ rotation((90 + self.pitch, 0, 0))
        return np.asarray(forward_up @ rotation((0, 0, self.roll)))


@dataclass(slots=True)
class Scene:
    """The description of a scene."""

    sky: Sky
    propose_view: Callable[[np.random.Generator], CameraView]
    """Returns a random view, which may turn out to be useless."""
    items: list[PlacedModel] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    haze: float = 0.0
    """Extinction of fog, 1/m."""
    haze_color: Color = (0.7, 0.7, 0.7)
    ambient: Color | None = None
    """Light from all sides indoors; None: the sky's."""
    ambient_reach: float = 6.0
    """Meters within which objects shade each other from ambient light."""
    clearance: float = 0.2
    """Smallest distance from the camera of most of a picture, meters."""
    darkness: float = 0.0
    """Lack of light for the camera, which makes noise: 0 by day to 1 at night."""

    def add(
        self,
        model: SharedModel | Parts,
        position: Vector = ORIGIN,
        heading: float = 0.0,
        scale: float = 1.0,
        tint: Color = WHITE,
        tilt: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Adds a model at `position`, turned by `heading` degrees about z and tilted about x and y."""
        model = model if isinstance(model, SharedModel) else SharedModel(model)
        x, y, z = (float(value) for value in position)
        self.items.append(PlacedModel(model, (x, y, z), (tilt[0], tilt[1], heading), scale, tint))

    def add_light(self, kind: str, position: Vector, power: float, color: Color = WHITE, size: float = 0.1) -> None:
        """Adds a lamp that shines downwards."""
        self.lamps.append(
            Lamp(kind, (float(position[0]), float(position[1]), float(position[2])), ORIGIN, power, color, size)
        )

    def add_sun(self, elevation: float, azimuth: float, power: float, color: Color, size: float = 0.6) -> None:
        """Adds a sun at `elevation` and `azimuth` (from +y towards -x), in degrees."""
        self.lamps.append(Lamp("SUN", ORIGIN, (90.0 - elevation, 0.0, azimuth + 180.0), power, color, size))


def look_at(eye: Vector, target: Vector) -> tuple[float, float]:
    """Returns yaw and pitch in degrees from `eye` to `target`."""
    x, y, z = (b - a for a, b in zip(eye, target, strict=True))
    return math.degrees(math.atan2(-x, y)), math.degrees(math.atan2(z, math.hypot(x, y)))


def transformed(parts: Parts, position: Vector = ORIGIN, euler_degrees: Vector = ORIGIN, scale: float = 1.0) -> Parts:
    """Returns the parts scaled, rotated and moved, as `Shape.transformed` does."""
    return [(shape.transformed(position, euler_degrees, scale), material) for shape, material in parts]
