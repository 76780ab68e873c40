"""Baselines: methods of other tools against flicker, written from their formulas; and noise for a network's depth.

Each baseline normalizes depth to 0..1, because these tools do so before depth is shown or stored; `range` of its frames
is the range by which depth was normalized, in the network's unit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame

Range = tuple[float, float]


class PerFramePercentiles(Stabilizer):
    """A stabilizer that normalizes each frame by its own 2nd and 98th percentile, as most depth tools do."""

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        low, high = np.nanpercentile(item.depth, (2, 98))
        return [_normalized(item, (float(low), float(high)))]


class LookAheadMinMax(Stabilizer):
    """A stabilizer that normalizes by a moving average of minimum and maximum, with look-ahead, as in iw3.

    lo = keep * lo + (1 - keep) * min, where min is that of the next `look_ahead` frames; the same for the maximum.
    """

    is_offline = True

    def __init__(self, keep: float = 0.75, look_ahead: int = 30) -> None:
        self.keep, self.look_ahead = keep, look_ahead
        self.reset()

    def reset(self) -> None:
        self._queue: deque[tuple[DepthFrame, Range]] = deque()
        self._range: Range | None = None

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        self._queue.append((item, (float(np.nanmin(item.depth)), float(np.nanmax(item.depth)))))
        if len(self._queue) > self.look_ahead:
            yield self._next()

    def flush(self) -> Iterator[DepthFrame]:
        while self._queue:
            yield self._next()

    def _next(self) -> DepthFrame:
        window = min(low for _, (low, _) in self._queue), max(high for _, (_, high) in self._queue)
        old, keep = self._range or window, self.keep
        self._range = keep * old[0] + (1 - keep) * window[0], keep * old[1] + (1 - keep) * window[1]
        return _normalized(self._queue.popleft()[0], self._range)


class PixelAverage(Stabilizer):
    """A stabilizer that averages each pixel over time after per-frame normalization, as in desktop2stereo.

    y = keep * y + (1 - keep) * x.
    """

    def __init__(self, keep: float = 0.9) -> None:
        self.keep = keep
        self.reset()

    def reset(self) -> None:
        self._frames = PerFramePercentiles()
        self._mean: DepthMap | None = None

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        for normalized in self._frames.push(item):
            old = normalized.depth if self._mean is None else self._mean
            self._mean = (self.keep * old + (1 - self.keep) * normalized.depth).astype(np.float32)
            yield replace(normalized, depth=self._mean)


BASELINES: dict[str, Callable[[], Stabilizer]] = {
    "percentiles per frame": PerFramePercentiles,
    "look-ahead min/max 0.75": LookAheadMinMax,
    "moving average 0.9": PixelAverage,
}
"""Name in the table -> maker of the stabilizer."""


class DepthNoise:
    """Noise for a network's depth: scale, shift and blotches that change from frame to frame, the same for a seed.

    Standard deviations: 4 % of the scale, 3 % of the frame's range (shift), 2 % of it (blotches of about 4 px); each
    times `amount`.
    """

    def __init__(self, seed: int = 0, *, amount: float = 1.0) -> None:
        self.amount = amount
        self._random = np.random.default_rng(seed)

    def __call__(self, depth: DepthMap) -> DepthMap:
        """Returns the depth of the next frame with noise."""
        low, high = np.nanpercentile(depth, (2, 98))
        blotches = cv2.GaussianBlur(self._random.normal(size=depth.shape), (0, 0), 1.5)
        noise = self._random.normal(0, 0.03) + 0.02 * blotches / max(float(blotches.std()), 1e-12)
        scale = 1 + self.amount * self._random.normal(0, 0.04)
        return np.asarray(depth * scale + self.amount * (high - low) * noise, np.float32)


def _normalized(item: DepthFrame, range: Range) -> DepthFrame:
    low, high = range
    depth = np.clip((item.depth - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    return replace(item, depth=depth, range=range)
