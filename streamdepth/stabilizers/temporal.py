"""Smoothing over time, along the motion: from frame to frame, and for files in both directions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import cv2
import numpy as np

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind, DepthMap
from streamdepth.stabilizers.align import limits
from streamdepth.stabilizers.disk_queue import DiskQueue
from streamdepth.stabilizers.optical_flow import Flow, Motion, MotionTracker, Path, carry, where
from streamdepth.stabilizers.range import percentiles

_NOISE = 0.004, 0.03
"""Least and most noise of a network from frame to frame, as a share of the frame's range (metric: of the depth)."""
_NOISE_SECONDS = 0.5
_FIRST_SECONDS = 1 / 30
"""What a frame without a past counts for."""
_BAND = np.float32(1 / 3)
"""Share of the tolerance within which a result stays of the new depth."""
_TINY = np.float32(1e-9)
_AROUND = np.array([[0.5, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0.5]], np.float32)


@dataclass(frozen=True, slots=True)
class _Belief:
    """What is believed of each pixel."""

    value: DepthMap
    seconds: DepthMap
    """How many seconds of agreeing frames are behind the value: the weight of the past."""


class _Scratch(NamedTuple):
    """Maps that are filled anew in every frame: fresh memory costs more than the arithmetic in it."""

    off: DepthMap
    other: DepthMap
    places: Flow

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> _Scratch:
        return cls(np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty((*shape, 2), np.float32))


class _Filter:
    """One direction in time: a running mean per pixel, weighed as a Kalman filter weighs it.

    The belief is carried along the motion, and brought within a third of the tolerance of the new depth, so that
    nothing lags further behind. How far it counts falls with the motion's trust, and beyond the tolerance to nothing.
    The tolerance is in multiples of the network's own noise.
    """

    def __init__(self, seconds: float, tolerance: float) -> None:
        self.seconds, self.tolerance = seconds, tolerance
        self.belief: _Belief | None = None
        self._noise = _NOISE[1]
        self._scratch = _Scratch.of((0, 0))

    @np.errstate(invalid="ignore")  # far away minus far away is unknown, as it should be
    def predict(self, item: DepthFrame, path: Path, seconds: float) -> _Belief | None:
        """What the past says of this frame: its value, and how many seconds of evidence for it hold here."""
        past, new = self.belief, item.depth
        if past is None or past.value.shape != new.shape:
            return None
        if self._scratch.off.shape != new.shape:
            self._scratch = _Scratch.of(new.shape)
        off, other, places = self._scratch
        where(path.flow, new.shape, out=places)
        change = _carried(past.value, path, self._scratch)
        np.subtract(new, change, out=change)
        unit = _unit(item)
        np.divide(np.abs(change, out=off), unit, out=off)
        self._learn_noise(off, seconds)
        _forgive_outliers(off, other)
        off *= np.float32(1 / (self.tolerance * self._noise))
        held = carry(past.seconds, places, cv2.INTER_NEAREST)
        np.minimum(held, np.float32(self.seconds), out=held)
        held *= cv2.resize(path.trust, new.shape[::-1], dst=other, interpolation=cv2.INTER_LINEAR)
        held *= _agreement(off, other)
        excess = np.maximum(np.subtract(off, _BAND, out=off), 0, out=off)
        excess *= unit * np.float32(self.tolerance * self._noise)
        change -= np.copysign(excess, change, out=other)
        return _Belief(np.subtract(new, change, out=change), held)

    def update(self, new: DepthMap, past: _Belief | None, seconds: float) -> _Belief:
        """The past and the new depth together. Unknown pixels take the new."""
        if past is None:
            self.belief = _Belief(new, np.full_like(new, _FIRST_SECONDS))
        else:
            self.belief = _mixed(new, past, seconds)
        return self.belief

    def _learn_noise(self, off: DepthMap, seconds: float) -> None:
        thin = off[::8, ::8]
        thin = thin[np.isfinite(thin)]
        if thin.size:
            thin.partition(thin.size // 2)
            noise = min(max(1.48 * float(thin[thin.size // 2]), _NOISE[0]), _NOISE[1])
            self._noise += (noise - self._noise) * (1 - math.exp(-seconds / _NOISE_SECONDS))


class TemporalFilter(Stabilizer):
    """A running mean along the motion, which trusts the past where flow and depth agree and the present elsewhere.

    Args:
        seconds: the longest memory, of what stands still; frames further apart have more weight, so that the result
            does not depend on the frame rate.
        tolerance: how far from the new depth the past may be before it is forgotten, in multiples of the network's
            noise, which is measured. The result stays within a third of that, the network's lone outliers aside.

    The result stays within the inputs' range; unknown pixels take the new value. Starts
    anew at cuts, gaps and size changes. State: two maps of the depth's size.
    """

    def __init__(
        self,
        seconds: float = 1.5,
        tolerance: float = 9.0,
        *,
        motion: MotionTracker | None = None,
    ) -> None:
        self.seconds, self.tolerance = seconds, tolerance
        self._motion = motion or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._motion.reset()
        self._filter = _Filter(self.seconds, self.tolerance)

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        motion = self._motion.of(item.frame)
        if item.cut or motion.path is None:
            self._filter = _Filter(self.seconds, self.tolerance)
        past = self._filter.predict(item, motion.path, motion.seconds) if motion.path else None
        return [replace(item, depth=self._filter.update(item.depth, past, motion.seconds).value)]


@dataclass(frozen=True, slots=True)
class _Held:
    item: DepthFrame
    motion: Motion
    belief: _Belief
    """Of the frames up to this one."""


class TwoSidedFilter(Stabilizer):
    """`TemporalFilter` in both directions: each frame is the mean of what is before and after it, so nothing lags.

    For files only: items come out `ahead` frames or more later, in blocks of as many. At most twice as many are held,
    their pictures on disk; what is further ahead does not count. Nothing is carried across cuts.
    """

    is_late = True

    def __init__(
        self,
        seconds: float = 0.4,
        tolerance: float = 12.0,
        ahead: int = 24,
        *,
        motion: MotionTracker | None = None,
    ) -> None:
        self.seconds, self.tolerance, self.ahead = seconds, tolerance, ahead
        self._motion = motion or MotionTracker()
        self._spool = DiskQueue()
        self.reset()

    def reset(self) -> None:
        self._motion.reset()
        self._spool.clear()
        self._held: deque[_Held] = deque()
        self._forward = self._new_filter()

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        motion = self._motion.of(item.frame)
        if item.cut or motion.path is None:
            yield from self.flush()
        past = self._forward.predict(item, motion.path, motion.seconds) if motion.path else None
        belief = self._forward.update(item.depth, past, motion.seconds)
        self._held.append(_Held(self._spool.put(item), motion, belief))
        if len(self._held) >= 2 * self.ahead:
            yield from self._release(self.ahead)

    def flush(self) -> Iterator[DepthFrame]:
        yield from self._release(len(self._held))
        self._forward = self._new_filter()

    def _new_filter(self) -> _Filter:
        return _Filter(self.seconds, self.tolerance)

    def _release(self, count: int) -> Iterator[DepthFrame]:
        for held, value in zip(list(self._held)[:count], self._smooth()[:count], strict=True):
            self._held.popleft()
            yield replace(self._spool.take(held.item), depth=value)

    def _smooth(self) -> list[DepthMap]:
        """Backward from the newest to the oldest: what was, what is and what comes, weighed by their evidence."""
        backward, after, values = self._new_filter(), None, list[DepthMap]()
        for held in reversed(self._held):
            item, seconds = held.item, after.seconds if after else 0.0
            future = backward.predict(item, after.path.back(), seconds) if after and after.path else None
            backward.update(item.depth, future, seconds)
            values.append(_mixed(held.belief.value, future, held.belief.seconds).value if future else held.belief.value)
            after = held.motion
        return values[::-1]


@np.errstate(invalid="ignore")
def _mixed(new: DepthMap, past: _Belief, seconds: float | DepthMap) -> _Belief:
    """The mean of two values weighed by their seconds, never outside the two; the past where the new is as good."""
    old, total = past.value, past.seconds + np.asarray(seconds, np.float32)
    share = np.divide(past.seconds + _TINY, total + _TINY)
    value = np.subtract(old, new)
    value *= share
    value += new
    np.maximum(value, np.minimum(old, new), out=value)
    np.minimum(value, np.maximum(old, new, out=share), out=value)
    if math.isfinite(value.sum()):
        return _Belief(value, total)
    known = np.isfinite(value)
    return _Belief(np.where(known, value, new), np.where(known, total, np.float32(_FIRST_SECONDS)))


def _carried(values: DepthMap, path: Path, scratch: _Scratch) -> DepthMap:
    """`values` brought here along the motion, from the places in `scratch`, within their own range.

    What bilinear resampling takes, f (1 - f) / 2 of the second derivative along each axis for a fraction f of a pixel,
    is given back: nearly as sharp over many frames as bicubic resampling, and no frequency grows, as it would there.
    """
    low, high = limits(values)
    lost, other, places = scratch
    carried = carry(values, places)
    if not path.flow.any():
        return carried
    for axis, order in enumerate(((2, 0), (0, 2))):
        fraction = cast(DepthMap, cv2.extractChannel(places, axis, dst=lost))
        fraction -= np.floor(fraction, out=other)
        fraction -= np.square(fraction, out=other)
        curvature = cv2.Sobel(
            carried, cv2.CV_32F, *order, dst=other, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE
        )
        fraction *= curvature
        carried -= fraction
    return np.clip(carried, np.float32(low), np.float32(high), out=carried)


def _forgive_outliers(off: DepthMap, scratch: DepthMap) -> None:
    """At most half the sum of the eight neighbours': a line counts in full, a lone pixel is the network's outlier."""
    around = cv2.filter2D(off, cv2.CV_32F, _AROUND, dst=scratch, borderType=cv2.BORDER_REFLECT_101)
    np.fmin(off, around, out=off)


def _agreement(off: DepthMap, scratch: DepthMap) -> DepthMap:
    """1 well within the tolerance, 0 well beyond: nothing of the evidence is lost from frame to frame in between."""
    fourth = np.minimum(off, np.float32(10), out=scratch)
    np.square(np.square(fourth, out=fourth), out=fourth)
    return np.exp(np.negative(fourth, out=fourth), out=fourth)


def _unit(item: DepthFrame) -> DepthMap | np.float32:
    """What a difference is measured by: the depth itself for metric, the frame's range for relative depth."""
    if item.kind is DepthKind.METRIC:
        return cast(DepthMap, np.maximum(np.abs(item.depth), np.float32(1e-3)))
    low, high = percentiles(item.depth) or (0.0, 1.0)
    return np.float32(max(high - low, 1e-9))
