"""The motion of a camera between two pictures, from optical flow and depth."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.geometry.arrays import Floats, Points

_MAX_PIXELS = 1500
_MIN_PIXELS = 50
_MIN_CONFIDENCE = 0.1
_ROUNDS = 8
_CAUCHY = 2.4


class CameraMotion(NamedTuple):
    """The motion of a camera from one picture to another: a static point p lies at rotation @ p + translation there.

    Both in the camera's axes (x right, y down, z forward).
    """

    rotation: Floats
    """(3, 3)."""
    translation: Floats
    """(3,) in the unit of the depth."""

    def apply(self, points: Points | Floats) -> Floats:
        """Returns where (..., 3) points of the first picture lie in the other one."""
        return np.asarray(points @ self.rotation.T + self.translation, np.float64)

    def undo(self, points: Points | Floats) -> Floats:
        """Returns where (..., 3) points of the other picture lie in the first one."""
        return np.asarray((points - self.translation) @ self.rotation, np.float64)


def camera_motion(flow: Floats, ray: Floats, inverse: DepthMap, confidence: DepthMap) -> CameraMotion | None:
    """Returns the motion by which a camera sees this flow of a static scene; None where too little is known.

    The flow of a small motion is linear in it (Longuet-Higgins and Prazdny, Proc. R. Soc. B 1980), so that it is
    estimated by least squares, reweighted by Cauchy's function, which suppresses moving objects.

    Args:
        flow: (h, w, 2) from each pixel to where it is in the other picture, in units of the focal length.
        ray: (h, w, 2) x / z and y / z of each pixel.
        inverse: (h, w) inverse depth of each pixel, NaN where unknown.
        confidence: (h, w) weight of each pixel.
    """
    step = max(1, round((inverse.size / _MAX_PIXELS) ** 0.5))
    some = (slice(None, None, step),) * 2
    known = np.isfinite(inverse[some]) & (confidence[some] > _MIN_CONFIDENCE)
    if known.sum() < _MIN_PIXELS:
        return None
    x, y = ray[some][known].T
    w, weight = inverse[some][known].astype(np.float64), confidence[some][known].astype(np.float64)
    zero = np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([w, zero, -w * x, -x * y, 1 + x * x, -y], axis=1),
            np.stack([zero, w, -w * y, -1 - y * y, x * y, x], axis=1),
        ]
    )
    seen = flow[some][known].T.ravel().astype(np.float64)
    robust = np.tile(weight, 2)
    for _ in range(_ROUNDS):
        weighted = rows * robust[:, None]
        motion = np.linalg.lstsq(weighted.T @ rows, weighted.T @ seen, rcond=1e-10)[0]
        error = np.hypot(*(rows @ motion - seen).reshape(2, -1))
        robust = np.tile(weight / (1 + (error / (_CAUCHY * np.median(error) + 1e-5)) ** 2), 2)
    return CameraMotion(np.asarray(cv2.Rodrigues(motion[3:])[0], np.float64), motion[:3])


def refine_camera_motion(
    motion: CameraMotion, flow: Floats, ray: Floats, inverse: DepthMap, confidence: DepthMap, rounds: int = 3
) -> CameraMotion | None:
    """Returns the motion of `camera_motion` for a flow that is too long to be linear in it.

    The points are moved, and the remaining flow gives the next correction (Gauss-Newton). The arguments are those of
    `camera_motion`, after the initial motion. None if too little is known.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        points = np.dstack([ray, np.ones(inverse.shape)]) / inverse[..., None]
    for _ in range(rounds):
        moved = motion.apply(points)
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = moved[..., :2] / moved[..., 2:]
            depth = np.where(moved[..., 2] > 0, 1 / moved[..., 2], np.nan).astype(np.float32)
        step = camera_motion(ray + flow - seen, seen, depth, confidence)
        if step is None:
            return None
        motion = CameraMotion(step.rotation @ motion.rotation, step.rotation @ motion.translation + step.translation)
    return motion
