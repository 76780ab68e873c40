"""The pinhole with radial, tangential, thin prism and tilt coefficients (Brown, 1966; Conrady, 1919), as in OpenCV."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from streamdepth.core.lens_base import (
    MAX_ITERATIONS,
    MAX_RESIDUAL,
    TOLERANCE,
    Floats,
    LensModel,
    smallest_root,
    unit_directions,
)

_MAX_PINHOLE_RADIUS = 100.0
"""The farthest place x / z at which a pinhole's distortion is looked into: 89.4 degrees from the axis."""


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
        return math.sqrt(min(smallest_root(slope, limit), smallest_root(lower, limit)))

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
        return unit_directions(self.unproject_plane(places))

    def unproject_plane(self, places: Floats) -> Floats:
        """Returns the (..., 2) places x / z, y / z before the distortion."""
        wanted: Floats = (
            places if self._tilt is None else _map_plane(np.asarray(np.linalg.inv(self._tilt), np.float64), places)
        )
        flat = np.ascontiguousarray(wanted, np.float64).reshape(-1, 2)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x, y, residual = self._newton(flat, *self._first_guess(flat))
            _, _, xx, xy, yx, yy = self._distort(x, y)
            is_exact = residual <= MAX_RESIDUAL * np.maximum(1.0, np.abs(flat).max(axis=1, initial=0.0))
            is_covered = (x * x + y * y <= self._max_radius**2) & (xx * yy - xy * yx > 0)
        x, y = (np.where(is_exact & is_covered, values, np.nan) for values in (x, y))
        return np.stack([x, y], axis=-1).reshape(places.shape)

    def _newton(self, wanted: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """Returns x and y whose distorted places are `wanted`, (N, 2), and the residuals, by damped Newton steps."""
        at_x, at_y, xx, xy, yx, yy = self._distort(x, y)
        residual, damping = np.maximum(np.abs(wanted[:, 0] - at_x), np.abs(wanted[:, 1] - at_y)), np.ones_like(x)
        for _ in range(MAX_ITERATIONS):
            if not (residual > TOLERANCE).any():
                break
            off_x, off_y, scale = wanted[:, 0] - at_x, wanted[:, 1] - at_y, damping / (xx * yy - xy * yx)
            new_x, new_y = x + scale * (yy * off_x - xy * off_y), y + scale * (xx * off_y - yx * off_x)
            found = self._distort(new_x, new_y)
            new_residual = np.maximum(np.abs(wanted[:, 0] - found[0]), np.abs(wanted[:, 1] - found[1]))
            is_nearer = (new_residual < residual) & (found[2] * found[5] - found[3] * found[4] > 0)
            damping = np.where(is_nearer, 1.0, damping / 2)
            if not (is_nearer & (residual > TOLERANCE)).any() and damping.min(initial=1.0) < 1e-6:
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
