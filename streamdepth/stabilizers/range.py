"""The range of depth to display: steady, robust, in the unit of the depth."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.device_map import DeviceMap, StoredMap, for_depth_field
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.ranges import robust_range
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers.disk_queue import DiskQueue
from streamdepth.stabilizers.optical_flow import MAX_GAP_SECONDS

_NOTHING_KNOWN = 0.0, 1.0
"""The range of a depth map without known depth."""


class LockedRange(Stabilizer):
    """Sets the same range on every frame."""

    def __init__(self, low: float, high: float) -> None:
        self.range = (low, high)

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        return [_with_range(item, self.range)]


class RangeTracker(Stabilizer):
    """Follows the 2nd and 98th percentile of depth: quick to grow, slow to shrink, and only after a calm time.

    Within `tolerance` (a share of the range) an end does not move at all. Beyond it, the range grows faster the more
    values it cuts off: in `grow_seconds` if the excess is as large as the range, ten times slower if it is a tenth. It
    shrinks in `shrink_seconds` once it has not grown for `hold_seconds`. All times are in seconds and independent of
    the frame rate. Starts anew at cuts and gaps.
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
        self._seconds_since_growth = 0.0

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        seconds = item.frame.time - self._time
        self._time = item.frame.time
        current = _robust_range(item.stored_depth)
        if current is None:
            return [_with_range(item, self._range or _NOTHING_KNOWN)]
        if self._range is None or item.cut or not 0 <= seconds <= MAX_GAP_SECONDS:
            self._range, self._seconds_since_growth = current, 0.0
        else:
            self._range = self._follow(self._range, current, seconds)
        return [_with_range(item, self._range)]

    def _follow(self, old: tuple[float, float], current: tuple[float, float], seconds: float) -> tuple[float, float]:
        width = max(old[1] - old[0], 1e-12)
        low_excess, high_excess = (old[0] - current[0]) / width, (current[1] - old[1]) / width
        is_growing = max(low_excess, high_excess) > self.tolerance
        self._seconds_since_growth = 0.0 if is_growing else self._seconds_since_growth + seconds
        low = old[0] - width * self._outward_step(low_excess, seconds)
        return low, old[1] + width * self._outward_step(high_excess, seconds)

    def _outward_step(self, excess: float, seconds: float) -> float:
        """Returns how far an end moves outwards when its percentile lies `excess` beyond it, in shares of the range."""
        beyond = abs(excess) - self.tolerance
        if beyond <= 0 or (excess < 0 and self._seconds_since_growth < self.hold_seconds):
            return 0.0
        if excess < 0:
            return -beyond * (1 - math.exp(-seconds / self.shrink_seconds))
        return beyond * (1 - math.exp(-seconds / self.grow_seconds * min(1.0, beyond)))


class ShotRange(Stabilizer):
    """Sets one constant range on all frames of a shot, or of a whole file, taken from all its depth.

    For files only: the frames of a shot come out at its end, and wait on disk until then. A shot whose frames take more
    than `max_bytes` gets the range of its frames so far, and its later frames pass at once. Memory: 1 kB for each frame
    that waits.

    Args:
        shares: the shares of all values, 0 to 1, that lie below the ends of the range; (0, 1) clips nothing.
        restarts_at_cuts: False takes the whole file for one shot.
        max_bytes: largest number of bytes that wait on disk.
    """

    is_offline = True

    def __init__(
        self,
        shares: tuple[float, float] = (0.02, 0.98),
        *,
        restarts_at_cuts: bool = True,
        max_bytes: int = 4 * 2**30,
    ) -> None:
        self.shares, self.restarts_at_cuts, self.max_bytes = shares, restarts_at_cuts, max_bytes
        self._queue = DiskQueue(with_depth=True)
        self.reset()

    def reset(self) -> None:
        self._queue.clear()
        self._pending: deque[DepthFrame] = deque()
        self._samples: list[npt.NDArray[np.float32]] = []
        self._early_range: tuple[float, float] | None = None
        """The range of a shot that has become too long to wait for."""

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        if item.cut and self.restarts_at_cuts:
            yield from self.flush()
        if self._early_range is not None:
            yield replace(item, range=self._early_range)
            return
        self._samples.append(_evenly_ranked_values(item.depth))
        self._pending.append(self._queue.put(item))
        if self._queue.bytes_stored > self.max_bytes:
            self._early_range = self._range()
            yield from self._release(self._early_range)

    def flush(self) -> Iterator[DepthFrame]:
        yield from self._release(self._range())
        self._samples, self._early_range = [], None

    def _release(self, range: tuple[float, float]) -> Iterator[DepthFrame]:
        while self._pending:
            yield replace(self._queue.take(self._pending.popleft()), range=range)

    def _range(self) -> tuple[float, float]:
        if not self._samples:
            return _NOTHING_KNOWN
        return robust_range(np.concatenate(self._samples)[None], self.shares, max_pixels=None) or _NOTHING_KNOWN


class RangeByKind(Stabilizer):
    """Hands relative depth to one stabilizer and metric depth to another; the first frame decides."""

    def __init__(self, relative: Stabilizer, metric: Stabilizer) -> None:
        self._by_kind = {DepthKind.RELATIVE: relative, DepthKind.METRIC: metric}
        self.is_offline = relative.is_offline or metric.is_offline
        self._chosen: Stabilizer | None = None

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        self._chosen = self._chosen or self._by_kind[item.kind]
        return self._chosen.push(item)

    def flush(self) -> Iterable[DepthFrame]:
        return self._chosen.flush() if self._chosen else ()

    def reset(self) -> None:
        for stabilizer in self._by_kind.values():
            stabilizer.reset()
        self._chosen = None


def _evenly_ranked_values(depth: DepthMap, count: int = 256) -> npt.NDArray[np.float32]:
    """Returns `count` values of evenly spaced ranks, which are distributed as all known values are."""
    values = np.sort(depth[np.isfinite(depth)])
    if not values.size:
        return values
    return values[np.linspace(0, values.size - 1, count).round().astype(np.intp)]


def _with_range(item: DepthFrame, range: tuple[float, float]) -> DepthFrame:
    """Returns the item with a range; depth on a GPU stays there."""
    return replace(item, depth=for_depth_field(item.stored_depth), range=range)


def _robust_range(depth: StoredMap) -> tuple[float, float] | None:
    """Returns the range as `robust_range` does; for depth on a GPU only two numbers are copied."""
    if not isinstance(depth, DeviceMap):
        return robust_range(depth)
    from streamdepth.stabilizers import device_maps

    low, high = device_maps.robust_range(depth.tensor).tolist()
    return None if math.isnan(low) else (low, high)
