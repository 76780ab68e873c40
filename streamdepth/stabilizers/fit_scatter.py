"""Measures how far successive fits of one metric reference contradict each other."""

from __future__ import annotations

import math

from streamdepth.geometry.affine import Affine
from streamdepth.stabilizers.scale_drift import ScaleDrift

_MEMORY = 50
"""Number of fits over which the spread is taken; older ones are forgotten exponentially."""
_ERROR_RATIO = 1.5
"""Ratio of the error that is common to all fits to their spread; chosen on five videos."""
_MAX_DRIFT_VARIANCE = 0.02
"""Variance of the drift's logarithm since the last fit, beyond which two fits cannot be compared."""
_WALK_SHARE = 1 / 3
"""Ratio by which the variance of a step becomes that of a random walk about its mean, which is n / 6 after n steps."""


class FitScatter:
    """The spread of a reference's fits, which would all be equal in a rigid scene if they were exact.

    Each fit is compared with the one before, carried on by the drift of the scale. The logarithms of their ratios add
    up to a path, which is flat for a reference that is always right or always wrong by the same factor, and wanders for
    one that sees other things in other frames. The path's standard deviation, with exponential forgetting, minus the
    part that the drift's own error explains, estimates the common error of the fits, which a single fit does not show.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as if new."""
        self._last: Affine | None = None
        self._variance = self._path = self._mean = self._spread = self._explained = 0.0
        self._count = 0

    def carry(self, drift: ScaleDrift) -> None:
        """Adds the drift of the scale from the last frame to the next."""
        if self._last is None:
            return
        factor = math.exp(drift.log_change)
        self._last = Affine(self._last.scale * factor, self._last.shift * factor)
        self._variance += drift.variance

    def update(self, fit: Affine, x: float) -> float:
        """Takes a fit and returns the common error that the spread shows, as a share of the distance.

        Args:
            fit: scale and shift of the newest frame.
            x: the inverse depth at which fits are compared, such as the frame's median.
        """
        if self._last is not None and self._variance < _MAX_DRIFT_VARIANCE:
            before, now = (one.scale * x + one.shift for one in (self._last, fit))
            if before > 0 and now > 0:
                self._path += math.log(now / before)
                self._explained += _WALK_SHARE * self._variance
        self._last, self._variance = fit, 0.0
        self._count = min(self._count + 1, _MEMORY)
        off, weight = self._path - self._mean, 1 / self._count
        self._mean += weight * off
        self._spread = (1 - weight) * (self._spread + weight * off**2)
        self._explained *= 1 - weight
        return _ERROR_RATIO * math.sqrt(max(0.0, self._spread - self._explained))
