"""Metrics of steadiness without ground truth; each function takes frames of one shot as (picture, inverse depth)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.evaluation.steadiness.flow import Mask, warp
from streamdepth.evaluation.steadiness.frames import (
    FramePair,
    PercentileReservoir,
    TemporalMetric,
    WeightedMean,
    score_shot,
    share_of_range,
)

_STATIC_SPEED_PX = 0.3
_STATIC_BRIGHTNESS_CHANGE = 2 / 255
_WINDOW_FRAMES = 15
_MIN_STATIC_PIXELS = 50
"""Smallest number of static pixels for which percentiles are computed."""

Frames = Iterable[tuple[Image, DepthMap]]


class FlickerPercentiles(NamedTuple):
    """Percentiles over static pixels of the standard deviation over time, as a share of the shot's range."""

    p50: float
    p95: float


class JitterDeviations(NamedTuple):
    """Standard deviations of the changes of a range from frame to frame."""

    width: float
    """Deviation of the change of log(p98 - p2): 0.01 is 1 % of the frame's own range."""
    center: float
    """Deviation of the change of the median, as a share of the shot's range."""


def flow_warped_error(frames: Frames) -> float:
    """Returns the mean |D(t-1) warped along the flow - D(t)| as a share of the shot's range, where flow is consistent.

    This is the OPW of NVDS (Wang et al., ICCV 2023) with one range per shot in place of one per frame. True changes of
    depth count as error, too, so that only results of the same video can be compared.
    """
    return score_shot(FlowWarpedError(), frames)


def static_flicker(frames: Frames) -> FlickerPercentiles:
    """Returns the standard deviation in windows of 15 frames of pixels that neither move nor change brightness.

    A pixel moves if its flow is 0.3 px or more, and changes by 2/255 or more. The result is NaN without such pixels, as
    with a hand-held camera.
    """
    return score_shot(StaticFlicker(), frames)


def range_jitter(frames: Frames) -> JitterDeviations:
    """Returns the jitter of the range of the depth itself from frame to frame."""
    return score_shot(RangeJitter(), frames)


def display_range_jitter(ranges: Iterable[tuple[float, float]]) -> JitterDeviations:
    """Returns the jitter of the ranges (low, high) that the frames of one shot are displayed with."""
    rows = np.array([(low, (low + high) / 2, high) for low, high in ranges], np.float64).reshape(-1, 3)
    metric = RangeJitter()
    metric.rows = [(row[0], row[1], row[2]) for row in rows]
    metric.end_shot(float(np.median(rows[:, 2] - rows[:, 0])) if len(rows) else 0.0)
    return metric.value


@dataclass(slots=True)
class FlowWarpedError(TemporalMetric[float]):
    """Computes `flow_warped_error` frame by frame over all shots of a clip."""

    _mean: WeightedMean = field(default_factory=WeightedMean)
    _shot: list[tuple[float, int]] = field(default_factory=list)

    def add(self, pair: FramePair) -> None:
        if pair.motion is None or pair.previous_depth is None:
            self._shot.append((0.0, 0))
            return
        error = np.abs(warp(pair.previous_depth, pair.motion.flow) - pair.depth)
        error = error[pair.motion.is_consistent & np.isfinite(error)]
        self._shot.append((float(error.sum(dtype=np.float64)), error.size))

    def end_shot(self, width: float) -> None:
        for total, count in self._shot:
            self.per_frame.append(share_of_range(total / count, width) if count else float("nan"))
            self._mean.add(share_of_range(total, width), count)
        self._shot.clear()

    @property
    def value(self) -> float:
        return self._mean.value


@dataclass(slots=True)
class StaticFlicker(TemporalMetric[FlickerPercentiles]):
    """Computes `static_flicker` frame by frame over all shots of a clip."""

    _shot: PercentileReservoir = field(default_factory=PercentileReservoir)
    _values: PercentileReservoir = field(default_factory=PercentileReservoir)
    _is_static: Mask | None = None
    _sums: npt.NDArray[np.float64] | None = None
    """(3, h, w): the first value, and the sums of differences from it and of their squares."""
    _count: int = 0

    def add(self, pair: FramePair) -> None:
        if pair.motion is None or self._is_static is None or self._sums is None:
            self._start_window(pair.depth)
            return
        motion = pair.motion
        self._is_static &= (
            (motion.speed < _STATIC_SPEED_PX)
            & (motion.brightness_change < _STATIC_BRIGHTNESS_CHANGE)
            & np.isfinite(pair.depth)
        )
        difference = pair.depth - self._sums[0]
        self._sums[1] += difference
        self._sums[2] += difference**2
        self._count += 1
        if self._count == _WINDOW_FRAMES:
            mean = self._sums[1] / _WINDOW_FRAMES
            deviation = np.sqrt(np.maximum(self._sums[2] / _WINDOW_FRAMES - mean**2, 0))
            self._shot.add(deviation[self._is_static].astype(np.float32))
            self._is_static = self._sums = None

    def _start_window(self, depth: DepthMap) -> None:
        self._is_static, self._count = np.isfinite(depth), 1
        self._sums = np.stack([depth, 0 * depth, 0 * depth]).astype(np.float64)

    def end_shot(self, width: float) -> None:
        self._values.add_all(self._shot, share_of_range(1.0, width))
        self._shot, self._is_static, self._sums = PercentileReservoir(), None, None

    @property
    def value(self) -> FlickerPercentiles:
        if self._values.count < _MIN_STATIC_PIXELS:
            return FlickerPercentiles(float("nan"), float("nan"))
        return FlickerPercentiles(*self._values.percentiles(50, 95))


@dataclass(slots=True)
class RangeJitter(TemporalMetric[JitterDeviations]):
    """Computes `range_jitter` frame by frame over all shots of a clip."""

    rows: list[tuple[float, float, float]] = field(default_factory=list)
    """2nd percentile, median and 98th percentile of each frame of the shot."""
    _changes: list[tuple[float, float]] = field(default_factory=list)

    def add(self, pair: FramePair) -> None:
        values = PercentileReservoir()
        values.add(pair.depth)
        low, median, high = values.percentiles(2, 50, 98)
        self.rows.append((low, median, high))

    def end_shot(self, width: float) -> None:
        rows = np.array(self.rows, np.float64).reshape(-1, 3)
        self.rows.clear()
        if not len(rows):
            return
        floor = 1e-6 * width or 1.0
        widths = np.log(np.maximum(rows[:, 2] - rows[:, 0], floor))
        medians = np.array([share_of_range(median, width) for median in rows[:, 1]])
        self._changes += zip(np.diff(widths).tolist(), np.diff(medians).tolist(), strict=True)
        self.per_frame += medians.tolist()

    @property
    def value(self) -> JitterDeviations:
        known = [change for change in self._changes if np.isfinite(change).all()]
        if not known:
            return JitterDeviations(float("nan"), float("nan"))
        width, center = np.std(known, axis=0)
        return JitterDeviations(float(width), float(center))
