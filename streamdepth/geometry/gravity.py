"""Estimates the direction of up in a picture from its vertical lines and from the usual pitch for its depth.

Lines that are vertical in the world meet in one vanishing point of the picture (Barnard, Artificial Intelligence 1983).
Each direction of gravity on a grid gets a score: the number of line segments that point at its vanishing point, the
number of others that agree on two horizontal directions at a right angle, and the prior for such a depth map
(`pitch_prior`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.ranges import robust_range
from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.pitch_prior import prior_pitch

_MAX_SIDE_PX, _MAX_SEGMENTS = 480, 200
_MIN_LENGTH = 0.035
"""Length of the shortest segment that counts, as a share of the picture's longer side."""
_FULL_LENGTH = 0.15
"""Length of a segment of weight 1, as a share of the picture's diagonal."""
_HORIZONTAL_WEIGHT = 0.25
_PITCH_SIGMA, _ROLL_SIGMA = 12.0, 5.0
"""Spread in degrees of the pitch about its prior, and of the roll about 0."""
_COARSE_DEGREES, _FINE_DEGREES = 3.0, 0.75
_PITCH_RANGE, _MAX_ROLL = (-36.0, 78.0), 24.0
_AZIMUTH_BINS = 45


class Gravity(NamedTuple):
    """The direction away from the center of the Earth, in the camera's axes (x right, y down, z forward)."""

    up: Floats
    """(3,), of length 1."""
    sigma_degrees: float
    """Standard error of the direction, degrees."""

    @property
    def pitch_degrees(self) -> float:
        """The angle by which the camera looks down."""
        return pitch_of(self.up)

    @property
    def roll_degrees(self) -> float:
        """The angle by which the camera is turned about its optical axis, clockwise as it looks."""
        return math.degrees(math.atan2(float(self.up[0]), -float(self.up[1])))


def up_vector(pitch_degrees: Floats | float, roll_degrees: Floats | float = 0.0) -> Floats:
    """Returns (..., 3) directions of up in the axes of a camera that looks down by a pitch and is turned by a roll.

    >>> up_vector(0.0).round(3) + 0.0
    array([ 0., -1.,  0.])
    """
    pitch, roll = np.radians(pitch_degrees), np.radians(roll_degrees)
    return np.stack([np.sin(roll) * np.cos(pitch), -np.cos(roll) * np.cos(pitch), -np.sin(pitch) + 0 * roll], axis=-1)


def pitch_of(up: Floats) -> float:
    """Returns the angle in degrees by which a camera looks down, from the (3,) direction of up in its axes."""
    return math.degrees(math.asin(float(np.clip(-up[2], -1, 1))))


def estimate_gravity(image: Image, inverse: DepthMap, camera: Intrinsics) -> Gravity:
    """Returns the direction of up in a picture, with its standard error.

    Args:
        image: (H, W, 3) RGB.
        inverse: (h, w) inverse depth of the whole picture, relative or metric, NaN where unknown.
        camera: the camera of the picture at any size; its distortion is taken into account.
    """
    limits = robust_range(inverse, max_pixels=None)
    prior = prior_pitch(inverse, limits, camera) if limits and limits[1] > limits[0] else 0.0
    segments = _Segments(image, camera)
    pitch, roll = _best(segments, prior, *_grid((0.0, 0.0), None))
    pitch, roll = _best(segments, prior, *_grid((pitch, roll), _COARSE_DEGREES))
    return Gravity(up_vector(pitch, roll), _sigma_degrees(segments, pitch, roll))


def _grid(center: tuple[float, float], reach: float | None) -> tuple[Floats, Floats]:
    """Returns pitches and rolls to try: all of them, or finely within `reach` of a center."""
    if reach is None:
        pitches = np.arange(_PITCH_RANGE[0], _PITCH_RANGE[1], _COARSE_DEGREES)
        rolls = np.arange(-_MAX_ROLL, _MAX_ROLL + 1, _COARSE_DEGREES)
    else:
        offsets = np.arange(-reach, reach + 0.01, _FINE_DEGREES)
        pitches, rolls = center[0] + offsets, center[1] + offsets
    grid = np.meshgrid(pitches, rolls)
    return grid[0].ravel(), grid[1].ravel()


def _best(segments: _Segments, prior: float, pitches: Floats, rolls: Floats) -> tuple[float, float]:
    """Returns the pitch and roll of the highest score."""
    score = segments.vertical_scores(up_vector(pitches, rolls))
    usual = ((pitches - prior) / _PITCH_SIGMA) ** 2 + (rolls / _ROLL_SIGMA) ** 2
    best = int((score - usual / 2).argmax())
    return float(pitches[best]), float(rolls[best])


def _sigma_degrees(segments: _Segments, pitch: float, roll: float) -> float:
    """Returns the standard error in degrees; it is smaller the better this pitch fits than one 8 degrees off."""
    pitches = np.array([pitch, pitch - 8, pitch + 8])
    best, *others = segments.vertical_scores(up_vector(pitches, np.full(3, roll))).tolist()
    return float(2 + 8 / (1 + max(0.0, best - max(others)) / 2))


class _Segments:
    """Line segments of a picture on the plane z = 1 before the camera."""

    def __init__(self, image: Image, camera: Intrinsics) -> None:
        ends, length = _detect(image, camera)
        self._middle, direction = ends.mean(axis=1), ends[:, 1] - ends[:, 0]
        self._direction = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-12)
        ones = np.ones((len(ends), 1))
        normal = np.cross(np.hstack([ends[:, 0], ones]), np.hstack([ends[:, 1], ones]))
        self._normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        self._weight = np.minimum(length / _FULL_LENGTH, 1.5)

    def vertical_scores(self, up: Floats) -> Floats:
        """Returns (K,) weighted counts of segments that agree with K directions of up."""
        toward_x = up[:, :1] - self._middle[:, 0] * up[:, 2:]
        toward_y = up[:, 1:2] - self._middle[:, 1] * up[:, 2:]
        sine = np.abs(toward_x * self._direction[:, 1] - toward_y * self._direction[:, 0])
        sine /= np.sqrt(toward_x**2 + toward_y**2) + 1e-12
        vertical = np.exp(-0.5 * (sine / math.sin(math.radians(2.0))) ** 2) @ self._weight
        horizontal = self._horizontal_scores(up, sine > math.sin(math.radians(8.0)))
        return np.asarray(vertical + _HORIZONTAL_WEIGHT * horizontal, np.float64)

    def _horizontal_scores(self, up: Floats, is_other: Mask) -> Floats:
        """Returns (K,) weighted counts of the segments of the most common horizontal direction and across it."""
        east = np.cross(up, (0.0, 0.0, 1.0))
        north = np.cross(up, east)
        # a horizontal segment lies along normal x up; its parts along east and north by the triple product
        along_east = self._normal @ np.cross(up, east).T
        along_north = self._normal @ np.cross(up, north).T
        azimuth = np.degrees(np.arctan2(along_north, along_east * np.linalg.norm(east, axis=1))).T % 90
        bins = (azimuth * (_AZIMUTH_BINS / 90)).astype(np.int64) % _AZIMUTH_BINS
        flat = bins + _AZIMUTH_BINS * np.arange(len(up))[:, None]
        count = np.bincount(flat.ravel(), (is_other * self._weight).ravel(), _AZIMUTH_BINS * len(up))
        histogram = count.reshape(len(up), _AZIMUTH_BINS)
        return np.asarray((histogram + np.roll(histogram, 1, axis=1)).max(axis=1))


def _detect(image: Image, camera: Intrinsics) -> tuple[Floats, Floats]:
    """Returns the ends (N, 2, 2) of line segments on the plane z = 1 and their lengths as a share of the diagonal."""
    height, width = image.shape[:2]
    scale = min(1.0, _MAX_SIDE_PX / max(height, width))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size = round(width * scale), round(height * scale)
    gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA) if scale < 1 else gray
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(gray)[0]
    ends = np.zeros((0, 2, 2)) if found is None else found.reshape(-1, 2, 2).astype(np.float64)
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    longest = np.argsort(-length)[:_MAX_SEGMENTS]
    chosen = longest[length[longest] > _MIN_LENGTH * max(gray.shape)]
    resized = camera.resized(*size)
    return _undistorted(ends[chosen], resized), length[chosen] / math.hypot(*size)


def _undistorted(ends: Floats, camera: Intrinsics) -> Floats:
    """Returns px on the plane z = 1."""
    if not camera.distortion or not len(ends):
        return (ends - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    undistort = cv2.fisheye.undistortPoints if camera.is_fisheye else cv2.undistortPoints
    flat = undistort(ends.reshape(-1, 1, 2), camera.matrix, np.array(camera.distortion))
    return np.asarray(flat, np.float64).reshape(-1, 2, 2)
