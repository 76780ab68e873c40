"""Parts of the temporal metrics: frames of a clip, pairs of frames with their flow, ranges and means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.resize import resize_depth
from streamdepth.evaluation.steadiness.flow import FlowEstimator, MaskedFlow, working_size

_MAX_VALUES = 2**20
_MAX_VALUES_PER_FRAME = 4000
_FLAT = 1e-6
"""A range below this share of the values themselves is rounding error."""


class ClipFrame(NamedTuple):
    """One frame of a clip with its inverse depth, of any size; where `raw` is given, `depth` has the same unit."""

    image: Image
    """(H, W, 3) uint8 RGB."""
    depth: DepthMap
    """(h, w) float32 inverse depth that is scored, NaN = unknown."""
    raw: DepthMap | None = None
    """(h, w) float32 inverse depth before smoothing."""
    truth_m: DepthMap | None = None
    """(H, W) float32 meters, NaN = unknown."""
    cut: bool = False
    """True for the first frame of a new shot."""
    display_range: tuple[float, float] | None = None
    """(low, high) that the frame is displayed with, in the unit of `depth`."""


@dataclass(frozen=True, slots=True)
class FramePair:
    """One frame at the size of the optical flow, with the previous frame of the same shot."""

    image: Image
    depth: DepthMap
    raw: DepthMap | None = None
    previous_depth: DepthMap | None = None
    """`depth` of the previous frame; None for the first frame of a shot."""
    previous_raw: DepthMap | None = None
    """`raw` of the previous frame."""
    motion: MaskedFlow | None = None
    """Flow to the previous frame; None for the first frame of a shot."""

    def with_raw_as_depth(self) -> FramePair:
        """Returns the pair with `raw` in the place of `depth`, for the metrics of the raw depth."""
        assert self.raw is not None
        return replace(self, depth=self.raw, previous_depth=self.previous_raw)


class FramePairBuilder:
    """Builds the frame pairs of one shot, one by one; only the previous frame stays in memory."""

    def __init__(self) -> None:
        self._flow = FlowEstimator()
        self._previous: FramePair | None = None

    def push(self, picture: Image, depth: DepthMap, raw: DepthMap | None = None) -> FramePair:
        """Returns the next frame paired with the previous one.

        Args:
            picture: (H, W, 3) uint8 RGB.
            depth: inverse depth of any size.
            raw: inverse depth before smoothing, of any size.
        """
        previous = self._previous
        size = previous.image.shape[1::-1] if previous else working_size(*picture.shape[1::-1])
        small = picture if picture.shape[1::-1] == size else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        image = cast(Image, np.ascontiguousarray(small))
        self._previous = FramePair(
            image,
            resize_depth(depth, *size),
            None if raw is None else resize_depth(raw, *size),
            previous.depth if previous else None,
            previous.raw if previous else None,
            self._flow.flow_to_previous(image),
        )
        return self._previous


def frame_pairs(frames: Iterable[Sequence[Any]]) -> Iterator[FramePair]:
    """Yields the pairs of one shot's frames: (picture, depth) or (picture, depth, raw), as `push` takes them."""
    builder = FramePairBuilder()
    for frame in frames:
        yield builder.push(*frame)


class PercentileReservoir:
    """Percentiles of any number of values in bounded memory: when there are too many, every second map is dropped."""

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.float32]] = []
        self._every = self._count = self._size = 0

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Adds a map, of which at most some thousand finite values are kept."""
        flat = values.ravel()
        flat = flat[:: max(1, flat.size // _MAX_VALUES_PER_FRAME)]
        self._count += 1
        if self._count & ((1 << self._every) - 1):
            return
        part = flat[np.isfinite(flat)]
        self._parts.append(part)
        self._size += part.size
        if self._size > _MAX_VALUES:
            self._every += 1
            self._parts = self._parts[1::2]
            self._size = sum(p.size for p in self._parts)

    def add_all(self, other: PercentileReservoir, scale: float) -> None:
        """Adds all values that `other` keeps, times `scale`."""
        for part in other._parts:
            self.add(part * np.float32(scale))

    @property
    def count(self) -> int:
        """Number of values that are kept."""
        return self._size

    def percentiles(self, *percents: float) -> list[float]:
        """Returns the percentiles; NaN without values."""
        if not self._size:
            return [float("nan")] * len(percents)
        return [float(v) for v in np.percentile(np.concatenate(self._parts), percents)]


class ShotPercentiles:
    """The 2nd and 98th percentile of all values of a shot."""

    def __init__(self) -> None:
        self._values = PercentileReservoir()

    def add(self, depth: DepthMap) -> None:
        """Adds one frame."""
        self._values.add(depth)

    @property
    def limits(self) -> tuple[float, float]:
        """(low, high) in the unit of the depth; NaN without values."""
        low, high = self._values.percentiles(2, 98)
        return low, high

    @property
    def width(self) -> float:
        """Width of the range in the unit of the depth; 0 for a flat shot, NaN without values."""
        low, high = self.limits
        return 0.0 if high - low <= _FLAT * max(abs(low), abs(high)) else high - low


def share_of_range(error: float, width: float) -> float:
    """Returns `error` as a share of a range's width. Flat depth has no range and no error: 0."""
    return 0.0 if width == 0 else error / width


@dataclass(slots=True)
class WeightedMean:
    """A mean of weighted values."""

    total: float = 0.0
    weight: float = 0.0

    def add(self, total: float, weight: float) -> None:
        """Adds a sum of values and its weight; without weight nothing, even if the sum is NaN."""
        if weight:
            self.total, self.weight = self.total + total, self.weight + weight

    @property
    def value(self) -> float:
        """The mean; NaN without weight."""
        return self.total / self.weight if self.weight else float("nan")


Value = TypeVar("Value", covariant=True)


@dataclass(slots=True)
class TemporalMetric(ABC, Generic[Value]):
    """A metric of a clip, whose frame pairs are added shot by shot."""

    per_frame: list[float] = field(default_factory=list, init=False)
    """One value per frame for a plot, as a share of the shot's range; NaN where there is none."""

    @abstractmethod
    def add(self, pair: FramePair) -> None:
        """Adds the next frame of the shot."""

    @abstractmethod
    def end_shot(self, width: float) -> None:
        """Ends a shot whose robust range of depth has this width."""

    @property
    @abstractmethod
    def value(self) -> Value:
        """The metric over all shots that have ended; NaN where it does not apply."""


def score_shot(
    metric: TemporalMetric[Value],
    frames: Iterable[Sequence[Any]],
    *,
    in_raw_unit: bool = False,
) -> Value:
    """Returns the metric of one shot; with `in_raw_unit` errors are shares of the range of the raw depth."""
    shot_range = ShotPercentiles()
    for pair in frame_pairs(frames):
        metric.add(pair)
        shot_range.add(pair.raw if in_raw_unit and pair.raw is not None else pair.depth)
    metric.end_shot(shot_range.width)
    return metric.value
