"""How steady depth is, without truth. Every function takes the frames of one shot, as (picture, inverse depth)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.evaluation.steadiness.flow import Mask, warp
from streamdepth.evaluation.steadiness.frames import Mean, Measure, Pool, Step, measure_shot, share

_SLOWEST_PX = 0.3
_LEAST_CHANGE = 2 / 255
_WINDOW = 15
"""Frames."""
_FEWEST = 50
"""Static pixels below which there is nothing to say."""

Frames = Iterable[tuple[Image, DepthMap]]


class Flicker(NamedTuple):
    """Percentiles over static pixels of the standard deviation in time, as a share of the shot's range."""

    p50: float
    p95: float


class Jitter(NamedTuple):
    """Standard deviations over the frames of what changes from frame to frame."""

    width: float
    """Of the change of log(p98 - p2): 0.01 is 1 % of the frame's own range."""
    centre: float
    """Of the change of the median, as a share of the shot's range."""


def flow_warped_error(frames: Frames) -> float:
    """Mean |D(t-1) carried along the flow - D(t)| as a share of the shot's range, where the flow can be trusted.

    After the OPW of NVDS (Wang et al., ICCV 2023), with one range per shot in place of one per frame. Depth that
    changes because things come nearer counts as error too: compare results of the same video only.
    """
    return measure_shot(FlowWarpedError(), frames)


def static_flicker(frames: Frames) -> Flicker:
    """Standard deviation in windows of 15 frames, of pixels that neither move (0.3 px) nor change colour (2/255).

    NaN without such pixels, as with a hand-held camera.
    """
    return measure_shot(StaticFlicker(), frames)


def range_jitter(frames: Frames) -> Jitter:
    """How the range of the depth itself pumps from frame to frame."""
    return measure_shot(RangeJitter(), frames)


def display_range_jitter(ranges: Iterable[tuple[float, float]]) -> Jitter:
    """The same of the ranges (low, high) that the frames of one shot are displayed with; the median is their middle."""
    rows = np.array([(low, (low + high) / 2, high) for low, high in ranges], np.float64).reshape(-1, 3)
    measure = RangeJitter()
    measure.rows = [(row[0], row[1], row[2]) for row in rows]
    measure.end_shot(float(np.median(rows[:, 2] - rows[:, 0])) if len(rows) else 0.0)
    return measure.value


@dataclass(slots=True)
class FlowWarpedError(Measure[float]):
    """See `flow_warped_error`."""

    _mean: Mean = field(default_factory=Mean)
    _shot: list[tuple[float, int]] = field(default_factory=list)

    def add(self, step: Step) -> None:
        if step.motion is None or step.before is None:
            self._shot.append((0.0, 0))
            return
        error = np.abs(warp(step.before, step.motion.flow) - step.depth)
        error = error[step.motion.trusted & np.isfinite(error)]
        self._shot.append((float(error.sum(dtype=np.float64)), error.size))

    def end_shot(self, width: float) -> None:
        for total, count in self._shot:
            self.per_frame.append(share(total / count, width) if count else float("nan"))
            self._mean.add(share(total, width), count)
        self._shot.clear()

    @property
    def value(self) -> float:
        return self._mean.value


@dataclass(slots=True)
class StaticFlicker(Measure[Flicker]):
    """See `static_flicker`."""

    _shot: Pool = field(default_factory=Pool)
    _values: Pool = field(default_factory=Pool)
    _is_static: Mask | None = None
    _sums: npt.NDArray[np.float64] | None = None
    """(3, h, w): the first value, and the sums of differences from it and of their squares."""
    _count: int = 0

    def add(self, step: Step) -> None:
        if step.motion is None or self._is_static is None or self._sums is None:
            self._begin(step.depth)
            return
        motion = step.motion
        self._is_static &= (motion.speed < _SLOWEST_PX) & (motion.change < _LEAST_CHANGE) & np.isfinite(step.depth)
        difference = step.depth - self._sums[0]
        self._sums[1] += difference
        self._sums[2] += difference**2
        self._count += 1
        if self._count == _WINDOW:
            mean = self._sums[1] / _WINDOW
            deviation = np.sqrt(np.maximum(self._sums[2] / _WINDOW - mean**2, 0))
            self._shot.add(deviation[self._is_static].astype(np.float32))
            self._is_static = self._sums = None

    def _begin(self, depth: DepthMap) -> None:
        self._is_static, self._count = np.isfinite(depth), 1
        self._sums = np.stack([depth, 0 * depth, 0 * depth]).astype(np.float64)

    def end_shot(self, width: float) -> None:
        self._values.add_all(self._shot, share(1.0, width))
        self._shot, self._is_static, self._sums = Pool(), None, None

    @property
    def value(self) -> Flicker:
        if self._values.count < _FEWEST:
            return Flicker(float("nan"), float("nan"))
        return Flicker(*self._values.percentiles(50, 95))


@dataclass(slots=True)
class RangeJitter(Measure[Jitter]):
    """See `range_jitter`."""

    rows: list[tuple[float, float, float]] = field(default_factory=list)
    """2nd percentile, median and 98th of each frame of the shot."""
    _changes: list[tuple[float, float]] = field(default_factory=list)

    def add(self, step: Step) -> None:
        pool = Pool()
        pool.add(step.depth)
        low, median, high = pool.percentiles(2, 50, 98)
        self.rows.append((low, median, high))

    def end_shot(self, width: float) -> None:
        rows = np.array(self.rows, np.float64).reshape(-1, 3)
        self.rows.clear()
        if not len(rows):
            return
        floor = 1e-6 * width or 1.0
        widths = np.log(np.maximum(rows[:, 2] - rows[:, 0], floor))
        medians = np.array([share(median, width) for median in rows[:, 1]])
        self._changes += zip(np.diff(widths).tolist(), np.diff(medians).tolist(), strict=True)
        self.per_frame += medians.tolist()

    @property
    def value(self) -> Jitter:
        known = [change for change in self._changes if np.isfinite(change).all()]
        if not known:
            return Jitter(float("nan"), float("nan"))
        width, centre = np.std(known, axis=0)
        return Jitter(float(width), float(centre))
