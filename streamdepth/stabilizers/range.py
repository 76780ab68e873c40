"""The range of depth to display: steady, robust, in the unit of the depth."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthMap
from streamdepth.stabilizers.disk_queue import DiskQueue
from streamdepth.stabilizers.optical_flow import GAP_SECONDS


class LockedRange(Stabilizer):
    """The same range for every frame."""

    def __init__(self, low: float, high: float) -> None:
        self.range = (low, high)

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        return [replace(item, range=self.range)]


class RangeTracker(Stabilizer):
    """Follows the 2nd and 98th percentile: quick to grow, slow to shrink and only after a calm time.

    Within `tolerance` (a share of the range) an end does not move at all. Beyond, it grows the quicker the more is cut
    off: in `grow_seconds` when that is as much as the range, ten times slower when it is a tenth; it shrinks in
    `shrink_seconds` after nothing has grown for `hold_seconds`. Times are in seconds, so the frame rate does not
    matter. Starts anew at cuts and gaps.
    """

    def __init__(
        self,
        grow_seconds: float = 0.08,
        shrink_seconds: float = 4.0,
        hold_seconds: float = 1.5,
        tolerance: float = 0.03,
    ) -> None:
        self.grow_seconds, self.shrink_seconds, self.hold_seconds = grow_seconds, shrink_seconds, hold_seconds
        self.tolerance = tolerance
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
        width = max(old[1] - old[0], 1e-12)
        low, high = (old[0] - now[0]) / width, (now[1] - old[1]) / width
        self._calm = 0.0 if max(low, high) > self.tolerance else self._calm + seconds
        return old[0] - width * self._step(low, seconds), old[1] + width * self._step(high, seconds)

    def _step(self, excess: float, seconds: float) -> float:
        """How far an end moves outwards when the percentile lies `excess` beyond it; both are shares of the range."""
        beyond = abs(excess) - self.tolerance
        if beyond <= 0 or (excess < 0 and self._calm < self.hold_seconds):
            return 0.0
        if excess < 0:
            return -beyond * (1 - math.exp(-seconds / self.shrink_seconds))
        return beyond * (1 - math.exp(-seconds / self.grow_seconds * min(1.0, beyond)))


class ShotRange(Stabilizer):
    """One range for all frames of a shot, from all its depth: nothing pumps, nothing is clipped.

    For files only: the frames of a shot come out at its end, and wait on disk until then. A shot whose frames take more
    than `most_bytes` gets the range of what came until then, and is passed on from there. Memory: 1 kB a frame held.
    """

    is_late = True

    def __init__(self, most_bytes: int = 4 * 2**30) -> None:
        self.most_bytes = most_bytes
        self._spool = DiskQueue(with_depth=True)
        self.reset()

    def reset(self) -> None:
        self._spool.clear()
        self._held: deque[DepthFrame] = deque()
        self._values: list[npt.NDArray[np.float32]] = []
        self._settled: tuple[float, float] | None = None

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        if item.cut:
            yield from self.flush()
        if self._settled is not None:
            yield replace(item, range=self._settled)
            return
        self._values.append(_spread(item.depth))
        self._held.append(self._spool.put(item))
        if self._spool.bytes_held > self.most_bytes:
            self._settled = self._range()
            yield from self._release(self._settled)

    def flush(self) -> Iterator[DepthFrame]:
        yield from self._release(self._range())
        self._values, self._settled = [], None

    def _release(self, range: tuple[float, float]) -> Iterator[DepthFrame]:
        while self._held:
            yield replace(self._spool.take(self._held.popleft()), range=range)

    def _range(self) -> tuple[float, float]:
        values = np.concatenate(self._values) if self._values else np.zeros(0, np.float32)
        if not values.size:
            return 0.0, 1.0
        low, high = np.percentile(values, (2, 98))
        return float(low), float(high)


def _spread(depth: DepthMap) -> npt.NDArray[np.float32]:
    """256 values that are spread as all known values are."""
    values = np.sort(depth[np.isfinite(depth)])
    if not values.size:
        return values
    return values[np.linspace(0, values.size - 1, 256).round().astype(np.intp)]


def percentiles(depth: DepthMap) -> tuple[float, float] | None:
    """The 2nd and 98th percentile of the known values of about 6,000 pixels; None when nothing is known."""
    step = max(1, math.isqrt(depth.size // 6000))
    values = depth[::step, ::step]
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    places = [round((values.size - 1) * share) for share in (0.02, 0.98)]
    values.partition(places)  # a quarter of the time of np.percentile, which interpolates
    return float(values[places[0]]), float(values[places[1]])
