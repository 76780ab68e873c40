"""A Kalman filter of the scale and shift that make relative depth metric, with their uncertainty."""

from __future__ import annotations

import math

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.metric_fit import FARTHEST_M, UNKNOWN_SIGMA, ScaleShiftFit

_COMMON_SHARE, _END_SHARE = 0.5, 0.7
"""Parts of the drift's variance: one common to the near and the far end, and one of each end alone."""
_MAX_SURPRISE = 9.21
"""Squared Mahalanobis distance that 1 % of measurements exceed; beyond it the state's variance was too small."""
_ALIKE = 1.25
"""Ratio of two shared errors up to which the newer fit counts as equally good."""


class ScaleShiftFilter:
    """The scale and shift of 1 / meters = scale * x + shift, estimated over time.

    A Kalman filter (Kalman, 1960) with the state (scale, shift). Between frames the state drifts by a factor that a
    rigid scene shows (`stabilizers.scale_drift`), and by a random walk of the common scale, of the near end and of the
    far end of the picture. A measurement is the fit of one frame. Its covariance has two parts: noise that is new in
    each frame, which many frames average away, and errors that all frames share, such as those of a network's shapes or
    of a measured height. The shared errors are no part of the state; they are carried along as in the Schmidt-Kalman
    filter (Schmidt, 1966), fully correlated over time, so that they never shrink. Contradictions between measurements
    give a lower limit of the shared errors (`ScaleShiftFit.least_common_sigma`), also for the state. Where the state
    cannot explain a measurement, the state becomes less certain before it is updated.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as if new."""
        self.state: Floats | None = None
        self._noise = np.zeros((2, 2))
        self._shared_root = np.zeros((2, 2))

    def predict(self, log_change: float, variance: float, limits: tuple[float, float], *, has_shift: bool) -> None:
        """Predicts the state for the next frame: the scale drifts, and uncertainty grows.

        Args:
            log_change: natural logarithm of the factor by which scale and shift change.
            variance: variance of that logarithm.
            limits: (far, near) of the frame's inverse depth, as the network gives it.
            has_shift: False where the shift is known to be 0, as for metric networks.
        """
        if self.state is None:
            return
        factor = math.exp(log_change)
        self.state = self.state * factor
        self._noise, self._shared_root = self._noise * factor**2, self._shared_root * factor
        if not has_shift:
            self._noise[0, 0] += variance * self.state[0] ** 2
            return
        self._noise += _COMMON_SHARE * variance * np.outer(self.state, self.state)
        ends = np.array([[limit, 1.0] for limit in limits])
        drift = _END_SHARE * variance * np.maximum(ends @ self.state, 0) ** 2
        to_state = np.linalg.inv(ends)
        self._noise += to_state @ np.diag(drift) @ to_state.T

    def update(self, fit: ScaleShiftFit, limits: tuple[float, float]) -> None:
        """Updates the state by the fit of the newest frame.

        The gain is computed separately for the far and the near end, so that a fit that is accurate at one end is used
        there, and the result stays between state and fit.

        Args:
            fit: the measurement.
            limits: (far, near) of the frame's inverse depth, as the network gives it.
        """
        measured = np.array([fit.scale, fit.shift])
        covariance = fit.covariance
        if covariance is None:
            covariance = UNKNOWN_SIGMA**2 * np.outer(measured, measured)
        noise, shared = fit.noise_share * covariance, _root((1 - fit.noise_share) * covariance)
        if fit.least_common_sigma:
            shared = _at_least(shared, fit.least_common_sigma, measured, limits)
            if self.state is not None:
                self._shared_root = _at_least(self._shared_root, fit.least_common_sigma, self.state, limits)
        if self.state is None:
            self.state, self._noise, self._shared_root = measured, noise, shared
            return
        ends = np.array([[limit, 1.0] for limit in limits])
        surprise = measured - self.state
        gains = []
        for end in ends:
            state_shared = float(np.linalg.norm(end @ self._shared_root))
            increase = _shared_error_increase(state_shared, float(np.linalg.norm(end @ shared)))
            noises = float(end @ self._noise @ end), float(end @ noise @ end)
            gains.append(_optimal_gain(*noises, state_shared, increase, float(end @ surprise)))
        gain = np.linalg.inv(ends) @ np.diag([value for value, _ in gains]) @ ends
        inflation = max(value for _, value in gains)
        kept, before = np.eye(2) - gain, self._noise * inflation
        self.state = self.state + gain @ surprise
        self._noise = kept @ before @ kept.T + gain @ noise @ gain.T
        mixed = kept @ self._shared_root + gain @ shared
        self._shared_root = _root(mixed @ mixed.T)

    def sigma_at(self, x: float) -> float:
        """Returns one standard deviation of the distance where inverse depth is `x`, as a share of that distance.

        It is inf if the distance may be infinite, or if nothing is known at all.
        """
        if self.state is None:
            return math.inf
        row = np.array([x, 1.0])
        value = float(row @ self.state)
        variance = float(row @ (self._noise + self._shared_root @ self._shared_root.T) @ row)
        return math.sqrt(variance) / value if value > 0 else math.inf

    def is_uncertain(self, inverse: DepthMap, limit: float) -> Mask:
        """Returns (h, w): True where one standard deviation of the distance exceeds `limit`, a share of the distance.

        Pixels that lie beyond `FARTHEST_M` even one deviation nearer are certain to be far. NaN is uncertain.

        Args:
            inverse: (h, w) inverse depth, as the network gives it.
            limit: largest share; math.inf makes every known pixel certain.
        """
        if self.state is None or not math.isfinite(limit):
            return np.isnan(inverse) | (self.state is None)
        (a, b), (_, c) = self._noise + self._shared_root @ self._shared_root.T
        x = np.asarray(inverse, np.float64)
        value, sigma = self.state[0] * x + self.state[1], np.sqrt(np.maximum(a * x**2 + 2 * b * x + c, 0))
        return np.asarray(~((sigma <= limit * value) | (value + sigma < 1 / FARTHEST_M)), np.bool_)


def _shared_error_increase(state_shared: float, fit_shared: float) -> float:
    """Returns by how much the shared error of a fit exceeds that of the state; 0 if the excess is small."""
    return min(0.0, fit_shared - state_shared) + max(0.0, fit_shared - _ALIKE * state_shared)


def _optimal_gain(
    state_variance: float, fit_variance: float, state_shared: float, shared_increase: float, surprise: float
) -> tuple[float, float]:
    """Returns the gain from 0 to 1 at one end, and the factor by which the state's variance grows before.

    It is the one with the least variance for shared errors that are fully correlated.

    Args:
        state_variance: variance of the state's noise at this end.
        fit_variance: variance of the fit's noise at this end.
        state_shared: the shared error of the state.
        shared_increase: how much greater the shared error of the fit is.
        surprise: difference of fit and state.
    """
    total = state_variance + fit_variance + shared_increase**2
    inflation = max(1.0, surprise**2 / max(total, 1e-300) / _MAX_SURPRISE)
    inflated = state_variance * inflation
    best = (inflated - state_shared * shared_increase) / max(inflated + fit_variance + shared_increase**2, 1e-300)
    return min(1.0, max(0.0, best)), inflation


def _at_least(root: Floats, share: float, state: Floats, limits: tuple[float, float]) -> Floats:
    """Returns the root of a covariance whose error at the middle of the range is this share of the value, or more."""
    row = np.array([(limits[0] + limits[1]) / 2, 1.0])
    lacking = share**2 - float(((row @ root) ** 2).sum()) / max(float(row @ state) ** 2, 1e-300)
    return root if lacking <= 0 else _root(root @ root.T + lacking * np.outer(state, state))


def _root(matrix: Floats) -> Floats:
    """Returns the symmetric root of a (2, 2) covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T, np.float64)
