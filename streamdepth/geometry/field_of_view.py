"""Guesses a camera's horizontal field of view from vanishing points in pictures of built places.

Most straight edges that people build lie along three directions a right angle apart (Coughlan and Yuille, ICCV 1999).
Their vanishing points fit together only for the true focal length. Each focal length gets a score: the share of line
segments that point at the best three such vanishing points that random triples of segments suggest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.projection import ASSUMED_FOV

FIELDS_OF_VIEW = np.arange(30.0, 121.0, 3.0)
"""Degrees that are tried."""
_MAX_SIDE_PX, _MAX_SEGMENTS, _MIN_SEGMENTS = 480, 150, 12
_MIN_LENGTH, _FULL_LENGTH = 0.04, 0.15
"""Length of the shortest segment that counts, as a share of the longer side; length for weight 1, of the diagonal."""
_TRIPLES = 250
_SIGMA_DEGREES = 1.5
_LEAST_GAIN = 0.025
"""Share of segments by which the best score must exceed the median one."""


class FieldOfViewGuess(NamedTuple):
    """A guessed field of view."""

    degrees: float
    """Horizontal."""
    is_measured: bool
    """False if the pictures do not determine it; then `degrees` is that of common cameras."""

    def notice(self, name: str) -> str:
        """Returns the notice about this guess for the pictures `name`."""
        reason = "by vanishing points" if self.is_measured else "that of common cameras, for its lines do not tell it"
        return (
            f"{name}: the horizontal field of view is taken as {self.degrees:.0f} degrees, {reason}; "
            "--fov or --camera-info tells it"
        )


def guess_field_of_view(pictures: Iterable[Image]) -> FieldOfViewGuess:
    """Returns the horizontal field of view of the camera of some (H, W, 3) RGB pictures, about eight different ones.

    The lens is assumed to have no distortion and its axis in the middle of the picture.
    """
    rng = np.random.default_rng(0)
    scores = [score for image in pictures if (score := _scores(image, rng)) is not None]
    if not scores:
        return FieldOfViewGuess(ASSUMED_FOV, False)
    mean = np.mean(scores, axis=0)
    best = int(mean.argmax())
    if mean[best] - np.median(mean) < _LEAST_GAIN or best in (0, len(mean) - 1):
        return FieldOfViewGuess(ASSUMED_FOV, False)
    return FieldOfViewGuess(_peak(mean, best), True)


def _peak(scores: Floats, best: int) -> float:
    """Returns the degrees at the top of the parabola through the best score and its neighbors."""
    before, top, after = scores[best - 1 : best + 2]
    bend = before - 2 * top + after
    step = FIELDS_OF_VIEW[1] - FIELDS_OF_VIEW[0]
    return float(FIELDS_OF_VIEW[best] + (step * (before - after) / (2 * bend) if bend < 0 else 0.0))


def _scores(image: Image, rng: np.random.Generator) -> Floats | None:
    """Returns the score of each of FIELDS_OF_VIEW; None for a picture with too few lines."""
    ends, weight, width = _segments(image)
    if len(ends) < _MIN_SEGMENTS:
        return None
    chance = weight / weight.sum()
    triples = rng.choice(len(ends), (_TRIPLES, 3), p=chance)
    triples = triples[triples[:, 0] != triples[:, 1]]  # a segment alone has no vanishing point
    focals = width / 2 / np.tan(np.radians(FIELDS_OF_VIEW) / 2)
    return np.array([_agreement(ends / focal, triples, chance) for focal in focals])


def _segments(image: Image) -> tuple[Floats, Floats, int]:
    """Returns the ends (N, 2, 2) of line segments in px from the middle, their weights, and the picture's width."""
    height, width = image.shape[:2]
    scale = min(1.0, _MAX_SIDE_PX / max(height, width))
    size = round(width * scale), round(height * scale)
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(gray)[0]
    ends = np.zeros((0, 2, 2)) if found is None else found.reshape(-1, 2, 2).astype(np.float64)
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    longest = np.argsort(-length)[:_MAX_SEGMENTS]
    chosen = longest[length[longest] > _MIN_LENGTH * max(size)]
    middle = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    return ends[chosen] - middle, np.minimum(length[chosen] / math.hypot(*size) / _FULL_LENGTH, 1.5), size[0]


def _agreement(ends: Floats, triples: np.ndarray, share: Floats) -> float:
    """Returns the share of segments that agree with the best of the triples, each of which suggests three directions.

    The first two segments of a triple meet in one vanishing point, and the third one points at another.
    """
    rays = np.concatenate([ends, np.ones((len(ends), 2, 1))], axis=2)
    normals = np.cross(rays[:, 0], rays[:, 1])
    first = _unit(np.cross(normals[triples[:, 0]], normals[triples[:, 1]]))
    second = _unit(np.cross(first, normals[triples[:, 2]]))
    directions = np.stack([first, second, np.cross(first, second)], axis=1)[..., None]
    x, y = ends.mean(axis=1).T
    along_x, along_y = _unit(ends[:, 1] - ends[:, 0]).T
    to_x, to_y = directions[:, :, 0] - x * directions[:, :, 2], directions[:, :, 1] - y * directions[:, :, 2]
    sine = (to_x * along_y - to_y * along_x) / np.sqrt(to_x**2 + to_y**2 + 1e-12)
    fit = np.exp(-0.5 * (sine / math.sin(math.radians(_SIGMA_DEGREES))) ** 2)
    return float((fit.max(axis=1) @ share).max())


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-12), np.float64)
