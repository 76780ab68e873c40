"""Finds the floor in relative depth if the direction of up is known.

On a level floor 1 / z is `cosine` / height, where `cosine` = -up . ray, and relative depth is a line of it:
x = slope * cosine + horizon. So a floor is a line with two unknowns, not a plane with three. In a small model's depth
the line of a wall, a counter or a bed fits equally well. Two facts distinguish a floor: nothing is farther away than
the floor in the same direction, and the picture's farthest point is usually two to six times as far as its nearest,
which roughly determines `horizon`. From such features `floor_classifier` estimates the probability that a line is a
floor.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.floor_classifier import SampledFloor, far_to_near_ratio, floor_features, floor_probability
from streamdepth.geometry.pitch_prior import pitch_features
from streamdepth.geometry.projection import rays

_TOLERANCE = 0.03
"""Distance from the line up to which a pixel lies on the floor, as a share of the picture's range of inverse depth."""
_RATIO, _RATIO_LOG_SIGMA = 2.9, 0.6
"""Median of the ratio of a picture's farthest to its nearest distance where a floor is seen, and the standard deviation
of its logarithm."""
_BELOW_WEIGHT, _RATIO_WEIGHT = 4.0, 0.03
"""Costs, in shares of the pixels, of pixels that lie farther away than the floor, and of an unusual ratio."""
_SLOPE_WEIGHT = 0.7
"""Weight of the line's own slope against that of the usual ratio; the mean is that of logarithms."""
_EVEN_SHARE = 0.1
"""Largest distance of pixels from their line, as a share of the tolerance, at which their own slope counts as exact."""
_SAMPLED_PIXELS, _LINE_PIXELS, _LINES = 8000, 1500, 600
_HIGHEST_ROW = 0.3
"""The floor is searched for below this share of the picture's height."""
_MIN_COSINE = 0.02
_MIN_SHARE = 0.05
"""Smallest share of the lower half of the picture that a floor fills."""
MIN_PROBABILITY = 0.65
"""Least probability of a floor that is accepted."""


class LevelFloor(NamedTuple):
    """A level floor in inverse depth x of any unit."""

    cosine: float
    """Height of the camera over the floor / depth along z of the floor: the median over its pixels."""
    x: float
    """Inverse depth there."""
    slope: float
    """Change of x per unit of `cosine`, estimated from the floor and from the usual ratio of far to near."""
    residual: float
    """Median distance of the floor's pixels from its line, in the unit of x."""
    pixels: int
    """Number of pixels on the floor, of those that were sampled."""
    share: float
    """Share of the picture that the floor's pixels take."""
    probability: float
    """Probability that this is a floor, 0 to 1."""
    features: Floats
    """The features on which the probability rests, see `floor_classifier`."""


def find_level_floor(
    inverse: DepthMap, camera: Intrinsics, up: Floats, limits: tuple[float, float]
) -> LevelFloor | None:
    """Returns the most likely floor, even if it is unlikely; None if no pixels below the horizon lie on a line.

    Args:
        inverse: (h, w) inverse depth, relative or metric, NaN where unknown.
        camera: the camera of the whole picture.
        up: (3,) direction of up in the camera's axes.
        limits: (far, near) of the inverse depth.
    """
    step = max(1, round(math.sqrt(inverse.size / _SAMPLED_PIXELS)))
    far, near = limits
    ray = rays(camera, inverse.shape[1], inverse.shape[0])
    x = (inverse[::step, ::step].astype(np.float64) - far) / (near - far)
    cosine = -(ray[::step, ::step] @ up[:2] + up[2])
    rows = np.arange(len(x))[:, None] / len(x)
    is_candidate = np.isfinite(x) & np.isfinite(cosine) & (cosine > _MIN_COSINE) & (rows >= _HIGHEST_ROW)
    if is_candidate.sum() < 60:
        return None
    line = _best_line(x[is_candidate], cosine[is_candidate])
    if line is None:
        return None
    slope, horizon = line
    distance = np.where(is_candidate, x - slope * cosine - horizon, np.nan)
    is_floor = np.abs(np.nan_to_num(distance, nan=np.inf)) < _TOLERANCE
    if is_floor[len(x) // 2 :].mean() < _MIN_SHARE:
        return None
    center, center_x = float(np.median(cosine[is_floor])), float(np.median(x[is_floor]))
    sampled = SampledFloor(x, cosine, is_candidate, is_floor, distance / _TOLERANCE, horizon)
    features = floor_features(sampled, up, pitch_features(inverse, limits, camera))
    return LevelFloor(
        cosine=center,
        x=center_x * (near - far) + far,
        slope=_likely_slope(slope, x[is_floor], cosine[is_floor]) * (near - far),
        residual=float(np.median(np.abs(distance[is_floor]))) * (near - far),
        pixels=int(is_floor.sum()),
        share=float(is_floor.mean()),
        probability=floor_probability(features),
        features=features,
    )


def _likely_slope(slope: float, x: Floats, cosine: Floats) -> float:
    """Returns the slope of a floor from its line and the usual ratio, or from its pixels alone if they are exact."""
    center, center_x = float(np.median(cosine)), float(np.median(x))
    usual = (1 + (_RATIO - 1) * center_x) / (center * (_RATIO - 1))
    mean = _SLOPE_WEIGHT * math.log(slope) + (1 - _SLOPE_WEIGHT) * math.log(max(usual, 1e-6))
    on_line = np.ones(len(x), np.bool_)
    for _ in range(4):  # walls end on the floor: the pixels beside it are left out step by step
        exact, horizon = np.polyfit(cosine[on_line], x[on_line], 1)
        distance = np.abs(x - exact * cosine - horizon)
        error = float(np.median(distance))
        on_line = distance <= max(1.5 * error, 1e-6)
    evenness = float(np.clip(1.5 - error / (_EVEN_SHARE * _TOLERANCE), 0, 1)) if exact > 0 else 0.0
    return math.exp((1 - evenness) * mean + evenness * math.log(max(float(exact), 1e-9)))


def _best_line(x: Floats, cosine: Floats) -> tuple[float, float] | None:
    """Returns (slope, horizon) of the best of many lines through two pixels, or through one with the usual ratio."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(x), min(len(x), _LINE_PIXELS), replace=False)
    x, cosine = x[chosen], cosine[chosen]
    first, second = rng.integers(0, len(x), (2, _LINES))
    usual = -1 / np.maximum(np.exp(rng.normal(math.log(_RATIO), _RATIO_LOG_SIGMA, _LINES)) - 1, 0.05)
    run = cosine[second] - cosine[first]
    is_apart = np.abs(run) > 0.08
    through_two = (x[second] - x[first])[is_apart] / run[is_apart]
    slope = np.concatenate([(x[first] - usual) / cosine[first], through_two])
    horizon = np.concatenate([usual, x[first][is_apart] - through_two * cosine[first][is_apart]])
    is_possible = (slope > 0.05) & (horizon < 0.15) & (horizon > -4)
    slope, horizon = slope[is_possible], horizon[is_possible]
    if not len(slope):
        return None
    distance = x.astype(np.float32) - np.outer(slope, cosine).astype(np.float32) - horizon[:, None].astype(np.float32)
    on_floor = (np.abs(distance) < _TOLERANCE).mean(axis=1)
    below = np.maximum(0, (distance < -2 * _TOLERANCE).mean(axis=1) - 0.01)
    unusual = ((np.log(far_to_near_ratio(horizon)) - math.log(_RATIO)) / _RATIO_LOG_SIGMA) ** 2
    best = int((on_floor - _BELOW_WEIGHT * below - _RATIO_WEIGHT * unusual).argmax())
    return float(slope[best]), float(horizon[best])
