"""The interface of all lens models, and the numerics that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-13
"""Residual at which an iteration ends, in units of the normalized picture: 1e-10 px at a focal length of 1000 px."""
MAX_RESIDUAL = 1e-12
"""Largest residual of a solution that counts as exact."""
MAX_ITERATIONS = 50
"""Limit of the steps of an iteration."""


class LensModel(ABC):
    """A lens described by its coefficients. Both methods take and return float64 arrays of any leading shape."""

    center_magnification = 1.0
    """Focal length near the axis, as a factor of the camera's fx and fy."""

    @abstractmethod
    def project(self, points: Floats) -> Floats:
        """Returns the (..., 2) places of (..., 3) points or directions; NaN where the lens does not see them."""

    @abstractmethod
    def unproject(self, places: Floats) -> Floats:
        """Returns the (..., 3) directions of length 1 that are seen at (..., 2) places; NaN beyond the lens."""


def smallest_root(polynomial: np.polynomial.Polynomial, limit: float) -> float:
    """Returns the smallest root between 0 and `limit`; `limit` where there is none."""
    numbers = polynomial.coef
    # Tiny coefficients change no root, and make the search for roots ill-conditioned.
    is_significant = np.abs(numbers) * limit ** np.arange(len(numbers)) > 1e-12
    roots = np.roots(numbers[: 1 + int(np.flatnonzero(is_significant)[-1])][::-1]).astype(complex)
    return min([limit, *(float(root.real) for root in roots if root.real > 0 and abs(root.imag) < 1e-9 * abs(root))])


def unit_directions(xy: Floats, z: Floats | float = 1.0) -> Floats:
    """Returns (..., 3) directions of length 1 through (x, y, z)."""
    x, y = np.moveaxis(xy, -1, 0)
    points = np.stack([x, y, np.broadcast_to(z, x.shape)], axis=-1)
    return np.asarray(points / np.linalg.norm(points, axis=-1, keepdims=True), np.float64)
