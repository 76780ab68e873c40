"""The place of a camera on a robot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from streamdepth.core.errors import ConfigError
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.transforms import transform_from_quaternion

DEFAULT_PARENT = "base_link"
"""The frame of a robot's body by REP 105."""
_BODY_FROM_OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Axes of the optical frame (x right, y down, z ahead) in those of a body (x ahead, y left, z up), REP 103."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A camera's place in the frame of the robot: meters, and degrees about fixed axes as in URDF.

    >>> Mount.parse("0.3,0,1.1,0,15,0").pitch_degrees
    15.0
    """

    x_m: float
    """Meters ahead of the parent's origin."""
    y_m: float
    """Meters to the left of it."""
    z_m: float
    """Meters above it."""
    roll_degrees: float = 0.0
    """Angle by which the camera is turned clockwise, as seen from behind it."""
    pitch_degrees: float = 0.0
    """Angle by which the camera looks down."""
    yaw_degrees: float = 0.0
    """Angle by which the camera is turned to the left."""
    parent: str = DEFAULT_PARENT
    """The frame of the robot that the place is in."""

    @staticmethod
    def parse(text: str) -> Mount:
        """Returns the mount of `x,y,z,roll,pitch,yaw`, with `@FRAME` behind it for another frame than base_link.

        Raises ConfigError with the code "bad-mount".
        """
        numbers, sign, parent = text.partition("@")
        try:
            values = [float(value) for value in numbers.split(",")]
        except ValueError:
            values = []
        if len(values) not in (3, 6) or not all(map(math.isfinite, values)) or (sign and not parent.strip()):
            raise ConfigError(
                f"'{text}' is no mount; write x,y,z,roll,pitch,yaw in meters and degrees, such as 0.3,0,1.1,0,15,0 or "
                "0.3,0,1.1,0,15,0@base_footprint",
                code="bad-mount",
            )
        x, y, z, roll, pitch, yaw = (*values, 0.0, 0.0, 0.0)[:6]
        return Mount(x, y, z, roll, pitch, yaw, parent.strip() or DEFAULT_PARENT)

    @property
    def parent_from_optical(self) -> Floats:
        """The (4, 4) transform from the camera's optical frame to the parent."""
        angles = (math.radians(a) / 2 for a in (self.roll_degrees, self.pitch_degrees, self.yaw_degrees))
        roll, pitch, yaw = (
            transform_from_quaternion((0, 0, 0), (*(math.sin(half) * axis), math.cos(half)))
            for half, axis in zip(angles, np.eye(3), strict=True)
        )
        transform: Floats = yaw @ pitch @ roll
        transform[:3, :3] = transform[:3, :3] @ _BODY_FROM_OPTICAL
        transform[:3, 3] = self.x_m, self.y_m, self.z_m
        return transform
