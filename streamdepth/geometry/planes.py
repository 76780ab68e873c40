"""Planes in space, fitted to points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamdepth.geometry.arrays import Floats, Points


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The points with normal . point + offset = 0, in the camera's axes (x right, y down, z forward), in meters.

    >>> floor = sd.Plane(normal=np.array([0.0, -1.0, 0.0]), offset=1.2, rms_m=0.01, share=0.4)
    >>> round(float(floor.heights(np.array([0.0, 0.2, 3.0]))), 3)
    1.0
    """

    normal: Floats
    """(3,) of length 1, towards the camera's side."""
    offset: float
    """The camera's distance from the plane, meters."""
    rms_m: float
    """Root mean square distance from the plane of the points it was fitted to, meters."""
    share: float
    """Share of all points that it was fitted to, 0 to 1."""

    def heights(self, points: Points) -> Points:
        """Returns the (...) distances of (..., 3) points from the plane in meters, positive on the camera's side."""
        return np.asarray(points @ self.normal + self.offset, np.float32)


def refine_plane(plane: Plane, points: npt.ArrayLike, tolerance_m: float = 0.02) -> Plane:
    """Returns the least-squares plane through the points within `tolerance_m` of `plane`, or `plane` if they are few.

    Args:
        plane: a first estimate.
        points: (..., 3); points that are not finite do not count.
        tolerance_m: distance from the plane up to which a point lies on it.
    """
    known = np.asarray(points, np.float64).reshape(-1, 3)
    known = known[np.isfinite(known).all(axis=1)]
    inliers = known[np.abs(known @ plane.normal + plane.offset) < tolerance_m]
    return _least_squares(known, inliers, tolerance_m) if len(inliers) >= 3 else plane


def _least_squares(points: Floats, inliers: Floats, tolerance_m: float) -> Plane:
    """Returns the plane through the inliers, which are chosen again among `points` after each of three fits."""
    for _ in range(3):
        center = inliers.mean(axis=0)
        normal = np.linalg.eigh(np.cov((inliers - center).T))[1][:, 0]
        near = np.abs((points - center) @ normal) < tolerance_m
        if near.sum() < 3:
            break
        inliers = points[near]
    offset = -float(center @ normal)
    if offset < 0:
        normal, offset = -normal, -offset
    rms = float(np.sqrt((((inliers - center) @ normal) ** 2).mean()))
    return Plane(normal, offset, rms, len(inliers) / len(points))
