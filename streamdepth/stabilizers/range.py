"""The range of depth to display: steady, robust, in the unit of the depth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from streamdepth.stabilizers.cuts import GAP_SECONDS
from streamdepth.stages import Stabilizer
from streamdepth.types import DepthFrame, DepthMap


class LockedRange(Stabilizer):
    """The same range for every frame."""

    def __init__(self, low: float, high: float) -> None:
        self.range = (low, high)

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        return [replace(item, range=self.range)]


class RangeTracker(Stabilizer):
    """Follows the 2nd and 98th percentile: quick to grow, slow to shrink and only after a calm time.

    Time constants in seconds, so that the result does not depend on the frame rate; a change under 2 % of the range
    does not disturb the calm. Starts anew at cuts and gaps.
    """

    def __init__(self, grow_seconds: float = 0.08, shrink_seconds: float = 4.0, hold_seconds: float = 1.5) -> None:
        self.grow_seconds, self.shrink_seconds, self.hold_seconds = grow_seconds, shrink_seconds, hold_seconds
        self.reset()

    def reset(self) -> None:
        self._range: tuple[float, float] | None = None
        self._time = 0.0
        self._calm = 0.0

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        seconds = item.frame.time - self._time
        self._time = item.frame.time
        now = percentiles(item.depth)
        if now is None:
            return [replace(item, range=self._range or (0.0, 1.0))]
        if self._range is None or item.cut or not 0 <= seconds <= GAP_SECONDS:
            self._range, self._calm = now, 0.0
        else:
            self._range = self._follow(self._range, now, seconds)
        return [replace(item, range=self._range)]

    def _follow(self, old: tuple[float, float], now: tuple[float, float], seconds: float) -> tuple[float, float]:
        tolerance = 0.02 * (old[1] - old[0])
        grows = now[0] < old[0] - tolerance or now[1] > old[1] + tolerance
        self._calm = 0.0 if grows else self._calm + seconds
        grow = 1 - math.exp(-seconds / self.grow_seconds)
        shrink = 1 - math.exp(-seconds / self.shrink_seconds) if self._calm >= self.hold_seconds else 0.0
        low = old[0] + (now[0] - old[0]) * (grow if now[0] < old[0] else shrink)
        high = old[1] + (now[1] - old[1]) * (grow if now[1] > old[1] else shrink)
        return low, high


def percentiles(depth: DepthMap, low: float = 2.0, high: float = 98.0) -> tuple[float, float] | None:
    """Percentiles of the known values of about 6,000 pixels; None when nothing is known."""
    step = max(1, math.isqrt(depth.size // 6000))
    values = depth[::step, ::step]
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    a, b = np.percentile(values, (low, high))
    return float(a), float(b)
