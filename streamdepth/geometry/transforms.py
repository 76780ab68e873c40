"""Rigid transforms: 4x4 matrices that map points of one coordinate frame to another, meters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamdepth.geometry.arrays import Floats


def transform_from_quaternion(translation_m: Sequence[float], quaternion: Sequence[float]) -> Floats:
    """Returns the (4, 4) transform of a translation in meters and a quaternion x, y, z, w, which is normalized.

    Raises ValueError for a quaternion without length.
    """
    x, y, z, w = np.asarray(quaternion, np.float64)
    length = np.sqrt(x * x + y * y + z * z + w * w)
    if not length > 0:
        raise ValueError("a quaternion of zeros is no rotation")
    x, y, z, w = (value / length for value in (x, y, z, w))
    transform = np.eye(4)
    transform[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    transform[:3, 3] = translation_m
    return transform


def inverse_transform(transform: Floats) -> Floats:
    """Returns the inverse of a rigid (4, 4) transform."""
    inverse = np.eye(4)
    inverse[:3, :3] = transform[:3, :3].T
    inverse[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return inverse


def interpolate_transform(first: Floats, second: Floats, share: float) -> Floats:
    """Returns the rigid transform at `share` of the way between two, the rotation about one axis (slerp)."""
    import cv2

    turn = cv2.Rodrigues(first[:3, :3].T @ second[:3, :3])[0] * share
    between = np.eye(4)
    between[:3, :3] = first[:3, :3] @ cv2.Rodrigues(turn)[0]
    between[:3, 3] = (1 - share) * first[:3, 3] + share * second[:3, 3]
    return between


def quaternion_from_rotation(rotation: Floats) -> Floats:
    """Returns the (4,) quaternion x, y, z, w, with w not below 0, of a (3, 3) rotation."""
    import cv2

    turn = cv2.Rodrigues(np.asarray(rotation, np.float64))[0].ravel()
    angle = float(np.linalg.norm(turn))
    axis = turn / angle if angle > 0 else turn
    return np.append(axis * np.sin(angle / 2), np.cos(angle / 2))
