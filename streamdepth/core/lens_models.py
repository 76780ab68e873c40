"""Models of lenses: which direction is seen where in the picture, exactly in both ways.

Places are in the normalized picture: a pixel minus the principal point, divided by the focal lengths. Directions are in
the camera's axes, x right, y down, z ahead. What has no closed form is solved by Newton's method until nothing changes
in 64 bits, and a place or a direction that the model does not cover becomes NaN, never a wrong number.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_TOLERANCE = 1e-13
"""Residual at which an iteration ends, in units of the normalized picture: 1e-10 px at a focal length of 1000 px."""
_ACCEPTED = 1e-12
"""Largest residual of a solution."""
_MAX_ITERATIONS = 50
_MAX_PINHOLE_RADIUS = 100.0
"""The farthest place x / z at which a pinhole's distortion is looked into: 89.4 degrees from the axis."""


class LensModel(ABC):
    """A lens by its coefficients. Both methods take and return float64 arrays of any leading shape."""

    center_magnification = 1.0
    """Focal length near the axis, as a factor of the camera's fx and fy."""

    @abstractmethod
    def project(self, points: Floats) -> Floats:
        """Returns the (..., 2) places of (..., 3) points or directions; NaN where the lens does not see them."""

    @abstractmethod
    def unproject(self, places: Floats) -> Floats:
        """Returns the (..., 3) directions of length 1 that are seen at (..., 2) places; NaN beyond the lens."""


class BrownConradyLens(LensModel):
    """A pinhole with radial, tangential, thin prism and tilt coefficients, in OpenCV's order: 4, 5, 8, 12 or 14.

    Beyond the first radius at which the radial polynomial turns back, the model has no meaning and is NaN.
    """

    def __init__(self, coefficients: Sequence[float]) -> None:
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, tilt_x, tilt_y = [*coefficients, *[0.0] * 14][:14]
        self._upper, self._lower = (1.0, k1, k2, k3), (1.0, k4, k5, k6)
        self._tangential, self._prism = (p1, p2), (s1, s2, s3, s4)
        self._tilt = _tilt_matrix(tilt_x, tilt_y) if tilt_x or tilt_y else None
        self._max_radius = self._first_turning_radius()
        radius = np.tan(np.linspace(0, math.atan(0.99 * self._max_radius), 2048))
        self._radii = radius, radius * self._gain(radius**2)[0]

    def _first_turning_radius(self) -> float:
        upper, lower = np.polynomial.Polynomial(self._upper), np.polynomial.Polynomial(self._lower)
        twice = np.polynomial.Polynomial([0.0, 2.0])  # d(r gain(r^2)) / dr = gain + 2 r^2 gain'
        slope = upper * lower + twice * (upper.deriv() * lower - upper * lower.deriv())
        limit = _MAX_PINHOLE_RADIUS**2
        return math.sqrt(min(_smallest_root(slope, limit), _smallest_root(lower, limit)))

    def _gain(self, square: Floats) -> tuple[Floats, Floats]:
        """Returns the radial factor and its derivative by the squared radius."""
        (a0, a1, a2, a3), (b0, b1, b2, b3) = self._upper, self._lower
        upper, lower = (
            a0 + square * (a1 + square * (a2 + square * a3)),
            b0 + square * (b1 + square * (b2 + square * b3)),
        )
        upper_slope, lower_slope = (
            c1 + square * (2 * c2 + 3 * square * c3) for _, c1, c2, c3 in (self._upper, self._lower)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return upper / lower, (upper_slope * lower - upper * lower_slope) / lower**2

    def _distort(self, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Returns the distorted x and y, and their derivatives by x and y: xx, xy, yx, yy. The tilt is left out."""
        (p1, p2), (s1, s2, s3, s4) = self._tangential, self._prism
        square = x * x + y * y
        gain, slope = self._gain(square)
        prism_x, prism_y = s1 + 2 * square * s2, s3 + 2 * square * s4
        at_x = x * gain + 2 * p1 * x * y + p2 * (square + 2 * x * x) + square * (s1 + square * s2)
        at_y = y * gain + p1 * (square + 2 * y * y) + 2 * p2 * x * y + square * (s3 + square * s4)
        xx = gain + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x + 2 * x * prism_x
        xy = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y + 2 * y * prism_x
        yx = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y + 2 * x * prism_y
        yy = gain + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x + 2 * y * prism_y
        return at_x, at_y, xx, xy, yx, yy

    def project(self, points: Floats) -> Floats:
        x, y, z = np.moveaxis(points, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            is_seen = z > 0
            return self.project_plane(np.where(is_seen, x / z, np.nan), np.where(is_seen, y / z, np.nan))

    def project_plane(self, x: Floats, y: Floats) -> Floats:
        """Returns the (..., 2) places of points (x, y, 1)."""
        with np.errstate(invalid="ignore", over="ignore"):
            at_x, at_y, xx, xy, yx, yy = self._distort(x, y)
            is_covered = (x * x + y * y <= self._max_radius**2) & (xx * yy - xy * yx > 0)
        places = np.asarray(np.stack([at_x, at_y], axis=-1), np.float64)
        if self._tilt is not None:
            places = _map_plane(self._tilt, places)
        places[~is_covered] = np.nan
        return places

    def unproject(self, places: Floats) -> Floats:
        return _unit(self.unproject_plane(places))

    def unproject_plane(self, places: Floats) -> Floats:
        """Returns the (..., 2) places x / z, y / z before the distortion."""
        wanted: Floats = (
            places if self._tilt is None else _map_plane(np.asarray(np.linalg.inv(self._tilt), np.float64), places)
        )
        flat = np.ascontiguousarray(wanted, np.float64).reshape(-1, 2)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x, y, residual = self._newton(flat, *self._first_guess(flat))
            _, _, xx, xy, yx, yy = self._distort(x, y)
            is_exact = residual <= _ACCEPTED * np.maximum(1.0, np.abs(flat).max(axis=1, initial=0.0))
            is_covered = (x * x + y * y <= self._max_radius**2) & (xx * yy - xy * yx > 0)
        x, y = (np.where(is_exact & is_covered, values, np.nan) for values in (x, y))
        return np.stack([x, y], axis=-1).reshape(places.shape)

    def _newton(self, wanted: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """Returns x and y that are distorted to (N, 2) `wanted`, and the residuals; steps that lead away are halved."""
        at_x, at_y, xx, xy, yx, yy = self._distort(x, y)
        residual, damping = np.maximum(np.abs(wanted[:, 0] - at_x), np.abs(wanted[:, 1] - at_y)), np.ones_like(x)
        for _ in range(_MAX_ITERATIONS):
            if not (residual > _TOLERANCE).any():
                break
            off_x, off_y, scale = wanted[:, 0] - at_x, wanted[:, 1] - at_y, damping / (xx * yy - xy * yx)
            new_x, new_y = x + scale * (yy * off_x - xy * off_y), y + scale * (xx * off_y - yx * off_x)
            found = self._distort(new_x, new_y)
            new_residual = np.maximum(np.abs(wanted[:, 0] - found[0]), np.abs(wanted[:, 1] - found[1]))
            is_nearer = (new_residual < residual) & (found[2] * found[5] - found[3] * found[4] > 0)
            damping = np.where(is_nearer, 1.0, damping / 2)
            if not (is_nearer & (residual > _TOLERANCE)).any() and damping.min(initial=1.0) < 1e-6:
                break
            x, y, residual = (
                np.where(is_nearer, new, old) for new, old in ((new_x, x), (new_y, y), (new_residual, residual))
            )
            at_x, at_y, xx, xy, yx, yy = (
                np.where(is_nearer, new, old) for new, old in zip(found, (at_x, at_y, xx, xy, yx, yy), strict=True)
            )
        return x, y, residual

    def _first_guess(self, places: Floats) -> tuple[Floats, Floats]:
        """Returns x and y by the radial distortion alone, looked up in a table."""
        radius, distorted = self._radii
        seen = np.hypot(places[:, 0], places[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(seen > 1e-12, np.interp(seen, distorted, radius) / np.maximum(seen, 1e-12), 1.0)
        return places[:, 0] * factor, places[:, 1] * factor


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
        self.max_angle = math.sqrt(_smallest_root(slope, math.pi**2))
        angles = np.linspace(0, self.max_angle, 2048)
        self._table = angles, self.radius_of_angle(angles)

    def radius_of_angle(self, angle: Floats) -> Floats:
        k1, k2, k3, k4 = self._k
        s = angle * angle
        return angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4))))

    def angle_of_radius(self, radius: Floats) -> Floats:
        k1, k2, k3, k4 = self._k
        angle = np.interp(radius, self._table[1], self._table[0])
        for _ in range(_MAX_ITERATIONS):
            s = angle * angle
            off = radius - self.radius_of_angle(angle)
            if not (np.abs(off)[radius <= self._table[1][-1]] > _TOLERANCE).any():
                break
            with np.errstate(divide="ignore", invalid="ignore"):
                step = off / (1 + s * (3 * k1 + s * (5 * k2 + s * (7 * k3 + s * 9 * k4))))
            angle = np.clip(angle + np.nan_to_num(step), 0, self.max_angle)
        is_exact = np.abs(radius - self.radius_of_angle(angle)) <= _ACCEPTED * np.maximum(1.0, radius)
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
        return _unit(np.stack([x, y], axis=-1), z)


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


def _smallest_root(polynomial: np.polynomial.Polynomial, limit: float) -> float:
    """Returns the smallest root between 0 and `limit`; `limit` where there is none."""
    numbers = polynomial.coef
    is_felt = np.abs(numbers) * limit ** np.arange(len(numbers)) > 1e-12  # tiny ones only make it ill-conditioned
    roots = np.roots(numbers[: 1 + int(np.flatnonzero(is_felt)[-1])][::-1]).astype(complex)
    return min([limit, *(float(root.real) for root in roots if root.real > 0 and abs(root.imag) < 1e-9 * abs(root))])


def _unit(xy: Floats, z: Floats | float = 1.0) -> Floats:
    """Returns (..., 3) directions of length 1 through (x, y, z)."""
    x, y = np.moveaxis(xy, -1, 0)
    points = np.stack([x, y, np.broadcast_to(z, x.shape)], axis=-1)
    return np.asarray(points / np.linalg.norm(points, axis=-1, keepdims=True), np.float64)


def _tilt_matrix(tilt_x: float, tilt_y: float) -> Floats:
    """Returns the (3, 3) homography of a tilted sensor (Scheimpflug), as OpenCV defines it."""
    (sin_x, cos_x), (sin_y, cos_y) = ((math.sin(a), math.cos(a)) for a in (tilt_x, tilt_y))
    around_x = np.array([[1, 0, 0], [0, cos_x, sin_x], [0, -sin_x, cos_x]])
    around_y = np.array([[cos_y, 0, -sin_y], [0, 1, 0], [sin_y, 0, cos_y]])
    turn = around_y @ around_x
    return np.asarray(
        np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]]) @ turn, np.float64
    )


def _map_plane(homography: Floats, places: Floats) -> Floats:
    x, y = np.moveaxis(places, -1, 0)
    mapped = np.stack([x, y, np.ones_like(x)], axis=-1) @ homography.T
    return np.asarray(mapped[..., :2] / mapped[..., 2:], np.float64)
