"""Lens models: exact conversion between directions in space and places in the picture.

Places are in the normalized picture: a pixel minus the principal point, divided by the focal lengths. Directions are in
the camera's axes, x right, y down, z ahead. Equations without a closed form are solved by Newton's method until nothing
changes in 64 bits. A place or a direction that the model does not cover becomes NaN, never a wrong number.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from streamdepth.core.brown_conrady import BrownConradyLens
from streamdepth.core.lens_base import (
    MAX_ITERATIONS,
    MAX_RESIDUAL,
    TOLERANCE,
    Floats,
    LensModel,
    smallest_root,
    unit_directions,
)


class RadialAngleLens(LensModel):
    """A lens whose distance in the picture depends on the angle from the axis alone."""

    max_angle = math.pi
    """The largest angle in radians that the model covers."""

    @abstractmethod
    def radius_of_angle(self, angle: Floats) -> Floats:
        """Returns distances from the center of the normalized picture."""

    @abstractmethod
    def angle_of_radius(self, radius: Floats) -> Floats:
        """Returns angles from the axis in radians, NaN where there is none."""

    def project(self, points: Floats) -> Floats:
        x, y, z = np.moveaxis(points, -1, 0)
        across = np.hypot(x, y)
        with np.errstate(divide="ignore", invalid="ignore"):
            angle = np.arctan2(across, z)
            radius = np.where(angle <= self.max_angle, self.radius_of_angle(angle), np.nan)
            factor = np.where(across > 0, radius / across, np.where(z > 0, 0.0, np.nan))
        return np.stack([x * factor, y * factor], axis=-1)

    def unproject(self, places: Floats) -> Floats:
        x, y = np.moveaxis(places, -1, 0)
        radius = np.hypot(x, y)
        with np.errstate(divide="ignore", invalid="ignore"):
            angle = self.angle_of_radius(radius)
            factor = np.where(radius > 0, np.sin(angle) / radius, 0.0)
        return np.stack([x * factor, y * factor, np.cos(angle)], axis=-1)


class EquidistantLens(RadialAngleLens):
    """Kannala & Brandt's model with four coefficients (TPAMI 2006), OpenCV's fisheye, ROS's `equidistant`."""

    def __init__(self, coefficients: Sequence[float]) -> None:
        self._k = [*coefficients, *[0.0] * 4][:4]
        k1, k2, k3, k4 = self._k
        slope = np.polynomial.Polynomial([1.0, 3 * k1, 5 * k2, 7 * k3, 9 * k4])
        self.max_angle = math.sqrt(smallest_root(slope, math.pi**2))
        angles = np.linspace(0, self.max_angle, 2048)
        self._table = angles, self.radius_of_angle(angles)

    def radius_of_angle(self, angle: Floats) -> Floats:
        k1, k2, k3, k4 = self._k
        s = angle * angle
        return angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4))))

    def angle_of_radius(self, radius: Floats) -> Floats:
        k1, k2, k3, k4 = self._k
        angle = np.interp(radius, self._table[1], self._table[0])
        for _ in range(MAX_ITERATIONS):
            s = angle * angle
            off = radius - self.radius_of_angle(angle)
            if not (np.abs(off)[radius <= self._table[1][-1]] > TOLERANCE).any():
                break
            with np.errstate(divide="ignore", invalid="ignore"):
                step = off / (1 + s * (3 * k1 + s * (5 * k2 + s * (7 * k3 + s * 9 * k4))))
            angle = np.clip(angle + np.nan_to_num(step), 0, self.max_angle)
        is_exact = np.abs(radius - self.radius_of_angle(angle)) <= MAX_RESIDUAL * np.maximum(1.0, radius)
        return np.where(is_exact, angle, np.nan)


class FieldOfViewLens(RadialAngleLens):
    """The one-parameter model of Devernay & Faugeras (2001), `fov` in Kalibr and ATAN in PTAM."""

    max_angle = math.pi / 2

    def __init__(self, coefficients: Sequence[float]) -> None:
        (self._omega,) = coefficients
        self.center_magnification = 2 * math.tan(self._omega / 2) / self._omega if self._omega else 1.0

    def radius_of_angle(self, angle: Floats) -> Floats:
        if not self._omega:
            return np.tan(angle)
        return np.arctan(2 * np.tan(angle) * math.tan(self._omega / 2)) / self._omega

    def angle_of_radius(self, radius: Floats) -> Floats:
        if not self._omega:
            return np.arctan(radius)
        turned = radius * self._omega
        with np.errstate(invalid="ignore"):
            angle = np.arctan(np.tan(turned) / (2 * math.tan(self._omega / 2)))
        return np.where(turned < math.pi / 2, angle, np.nan)


class OmnidirectionalLens(LensModel):
    """Mei & Rives' model (ICRA 2007), `omni` in Kalibr, MEI in camodocal: xi, then k1, k2, p1, p2 of the distortion."""

    def __init__(self, coefficients: Sequence[float]) -> None:
        self._xi, self._lens = coefficients[0], BrownConradyLens(coefficients[1:])
        self.center_magnification = 1 / (1 + self._xi)

    def project(self, points: Floats) -> Floats:
        x, y, z = np.moveaxis(points, -1, 0)
        length = np.sqrt(x * x + y * y + z * z)
        below = z + self._xi * length
        is_seen = (below > 0) & ((self._xi * z + length > 0) if self._xi > 1 else True)  # one point for each place
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = (np.where(is_seen, part / below, np.nan) for part in (x, y))
        return self._lens.project_plane(x, y)

    def unproject(self, places: Floats) -> Floats:
        x, y = np.moveaxis(self._lens.unproject_plane(places), -1, 0)
        square = x * x + y * y
        with np.errstate(invalid="ignore"):
            lift = (self._xi + np.sqrt(1 + (1 - self._xi**2) * square)) / (square + 1)
        return np.stack([lift * x, lift * y, lift - self._xi], axis=-1)


class DoubleSphereLens(LensModel):
    """The model of Usenko, Demmel & Cremers (3DV 2018), `ds` in Kalibr and Basalt: xi, alpha."""

    def __init__(self, coefficients: Sequence[float]) -> None:
        self._xi, self._alpha = coefficients
        self.center_magnification = 1 / (1 + self._xi)

    def project(self, points: Floats) -> Floats:
        xi, alpha = self._xi, self._alpha
        x, y, z = np.moveaxis(points, -1, 0)
        first = np.sqrt(x * x + y * y + z * z)
        second = np.sqrt(x * x + y * y + (xi * first + z) ** 2)
        below = alpha * second + (1 - alpha) * (xi * first + z)
        w1 = alpha / (1 - alpha) if alpha <= 0.5 else (1 - alpha) / alpha
        is_seen = (z > -(w1 + xi) / math.sqrt(2 * w1 * xi + xi**2 + 1) * first) & (below > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([np.where(is_seen, part / below, np.nan) for part in (x, y)], axis=-1)

    def unproject(self, places: Floats) -> Floats:
        xi, alpha = self._xi, self._alpha
        x, y = np.moveaxis(places, -1, 0)
        square = x * x + y * y
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (1 - alpha**2 * square) / (alpha * np.sqrt(1 - (2 * alpha - 1) * square) + 1 - alpha)
            lift = (z * xi + np.sqrt(z * z + (1 - xi**2) * square)) / (z * z + square)
        return np.stack([lift * x, lift * y, lift * z - xi], axis=-1)


class ExtendedUnifiedLens(LensModel):
    """The model of Khomutenko, Garcia & Martinet (RA-L 2016), `eucm` in Kalibr: alpha, beta."""

    def __init__(self, coefficients: Sequence[float]) -> None:
        self._alpha, self._beta = coefficients

    def project(self, points: Floats) -> Floats:
        alpha = self._alpha
        x, y, z = np.moveaxis(points, -1, 0)
        length = np.sqrt(self._beta * (x * x + y * y) + z * z)
        below = alpha * length + (1 - alpha) * z
        w = alpha / (1 - alpha) if alpha <= 0.5 else (1 - alpha) / alpha
        is_seen = (z > -w * length) & (below > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([np.where(is_seen, part / below, np.nan) for part in (x, y)], axis=-1)

    def unproject(self, places: Floats) -> Floats:
        alpha, beta = self._alpha, self._beta
        x, y = np.moveaxis(places, -1, 0)
        square = x * x + y * y
        with np.errstate(divide="ignore", invalid="ignore"):
            root = np.sqrt(1 - (2 * alpha - 1) * beta * square)
            z = (1 - beta * alpha**2 * square) / (alpha * root + 1 - alpha)
        return unit_directions(np.stack([x, y], axis=-1), z)


LENS_MODELS: dict[str, tuple[Callable[[Sequence[float]], LensModel], tuple[int, ...]]] = {
    "plumb_bob": (BrownConradyLens, (4, 5)),
    "rational_polynomial": (BrownConradyLens, (8, 12, 14)),
    "equidistant": (EquidistantLens, (4,)),
    "fov": (FieldOfViewLens, (1,)),
    "omnidirectional": (OmnidirectionalLens, (1, 5)),
    "double_sphere": (DoubleSphereLens, (2,)),
    "extended_unified": (ExtendedUnifiedLens, (2,)),
}
"""Name of a distortion model, ROS's where ROS has one -> its class, and how many coefficients it may have."""


@lru_cache(maxsize=64)
def lens_model(name: str, coefficients: tuple[float, ...]) -> LensModel:
    """Returns the lens of a model's name and coefficients; without coefficients a pinhole."""
    return LENS_MODELS[name][0](coefficients) if coefficients else BrownConradyLens(())
