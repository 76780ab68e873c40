"""Estimates the probability that a line in inverse depth is a floor, by boosted stumps.

The model is additive: each of 600 stumps compares one of 58 features with a threshold and adds one of two values to the
logit (Friedman, Hastie and Tibshirani, Annals of Statistics 2000). `tests/measure/fit_floor_priors.py` makes such a
file from pictures with true depth (the true floors behind the shipped one were checked by eye); the README of this
folder says how good it is at places that it was not made from.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.pitch_prior import floor_priors

_CENTER_X, _LOG_RATIO, _MEDIAN_X = 7, 8, 53
"""Indices of features: inverse depth of the floor's middle, the ratio, and inverse depth of the picture's median."""
_LOG_SIGMA, _SIGMA_PER_LOGIT, _SIGMA_PER_BEYOND = 0.14, 0.11, 1.45
"""One standard deviation of the logarithm of the scale for a floor of logit 7 before the picture's median; by how much
its own logarithm falls with the logit, and grows with the logarithm of how far beyond the median the floor lies."""
_LOGITS = (0.0, 11.0)
"""Lowest and highest logit that count."""
_FARTHEST_HORIZON = -0.02
_USUAL_LOG_RATIO = math.log(2.9)


class SampledFloor(NamedTuple):
    """A line in inverse depth that may be the floor of a picture, and the pixels on it; all maps are (h, w)."""

    x: Floats
    """Inverse depth, 0 at the picture's farthest and 1 at its nearest."""
    cosine: Floats
    """-up . ray, above 0 below the horizon."""
    is_candidate: Mask
    """True where a floor is searched for."""
    is_floor: Mask
    """True for pixels that lie on the line."""
    distance: Floats
    """Distance from the line in units of the tolerance, NaN where no floor is searched for; above 0 in front of it."""
    horizon: float
    """The line's inverse depth at the horizon."""


def floor_probability(features: Floats) -> float:
    """Returns the probability that a line with these features is a floor, 0 to 1."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, _logit(features)))))


def _logit(features: Floats) -> float:
    feature, threshold, low, high = floor_priors()["stumps"].T
    return float(np.where(features[feature.astype(np.intp)] <= threshold, low, high).sum())


def scale_log_sigma(features: Floats) -> float:
    """Returns one standard deviation of the logarithm of the scale that a floor with these features gives.

    It was fitted to the errors on 20 sets of pictures by Student's t distribution with 3 degrees of freedom, since some
    floors are wrong, with the root of a set's number of pictures as its weight, and then raised by 13 %. It is larger
    for less likely floors and for those beyond most of the picture.
    """
    horizon = -1 / (math.exp(features[_LOG_RATIO]) - 1)
    floor, median = (max(float(features[index]) - horizon, 0.01) for index in (_CENTER_X, _MEDIAN_X))
    logit = min(max(_logit(features), _LOGITS[0]), _LOGITS[1])
    beyond = min(max(0.0, math.log(median / floor)), 1.2)
    return _LOG_SIGMA * math.exp(_SIGMA_PER_BEYOND * beyond - _SIGMA_PER_LOGIT * (logit - 7))


def floor_features(floor: SampledFloor, up: Floats, view: Floats) -> Floats:
    """Returns (58,) features of a line.

    Args:
        floor: the line and the pixels on it.
        up: (3,) direction of up in the camera's axes.
        view: the features of the whole depth map, as `pitch_prior.pitch_features` gives them.
    """
    x, cosine, on_floor = floor.x, floor.cosine, floor.is_floor
    height, count = len(x), floor.is_candidate.sum()
    center, center_x = float(np.median(cosine[on_floor])), float(np.median(x[on_floor]))
    log_ratio = math.log(float(far_to_near_ratio(np.array(floor.horizon))))
    slope = (center_x - min(floor.horizon, _FARTHEST_HORIZON)) / center
    quantiles = view[32:37]
    height_shares = np.maximum(center + (quantiles - center_x) / slope, 0.02)
    pitch, roll = math.asin(float(np.clip(-up[2], -1, 1))), math.atan2(float(up[0]), -float(up[1]))
    with np.errstate(invalid="ignore"):
        below, above = ((side > 2).sum() / count for side in (-floor.distance, floor.distance))
    line = (
        math.sqrt(on_floor[height // 2 :].mean()),
        math.sqrt(on_floor[int(height * 0.9) :].mean()),
        below,
        above,
        np.ptp(np.quantile(x[on_floor], (0.05, 0.95))),
        np.ptp(np.quantile(cosine[on_floor], (0.05, 0.95))),
        center,
        center_x,
        log_ratio,
        abs(log_ratio - _USUAL_LOG_RATIO),
        on_floor.any(axis=0).mean(),
        np.median(np.abs(floor.distance[on_floor])),
    )
    gravity = (math.degrees(pitch) / 30, abs(math.degrees(roll)) / 10)
    return np.concatenate([line, np.log(height_shares), gravity, view]).astype(np.float64)


def far_to_near_ratio(horizon: Floats) -> Floats:
    """Returns the ratio of the picture's farthest to its nearest distance if infinity has this inverse depth."""
    bounded = np.minimum(horizon, _FARTHEST_HORIZON)
    return np.asarray((bounded - 1) / bounded, np.float64)
