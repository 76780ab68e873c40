"""What the temporal measures are made of: samples in, steps from frame to frame with their motion, ranges, means."""

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
from streamdepth.core.types import DepthKind
from streamdepth.evaluation.steadiness.flow import Motion, MotionEstimator, working_size

_POOL_SIZE = 2**20
_PER_FRAME = 4000
_FLAT = 1e-6
"""A range below this share of the values themselves is rounding."""


class Sample(NamedTuple):
    """One frame of a clip. Depth is inverse, of any size; where `raw` is given, `depth` has its unit."""

    image: Image
    """(H, W, 3) uint8 RGB."""
    depth: DepthMap
    """(h, w) float32 inverse depth, NaN = unknown: what is judged."""
    raw: DepthMap | None = None
    """(h, w) float32 inverse depth: the same before smoothing."""
    truth_m: DepthMap | None = None
    """(H, W) float32 metres, NaN = unknown."""
    cut: bool = False
    """The first frame of a new shot."""
    range: tuple[float, float] | None = None
    """What the frame is displayed with, in the unit of `depth`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One frame at the working size, with the one before in the same shot."""

    image: Image
    depth: DepthMap
    raw: DepthMap | None = None
    before: DepthMap | None = None
    """`depth` of the frame before; None for the first frame of a shot."""
    raw_before: DepthMap | None = None
    motion: Motion | None = None
    """None for the first frame of a shot."""

    def of_raw(self) -> Step:
        """The step that a measure of `depth` sees when it is to judge `raw`."""
        assert self.raw is not None
        return replace(self, depth=self.raw, before=self.raw_before)


def inverse(depth: DepthMap, kind: DepthKind) -> DepthMap:
    """Metres -> 1 / metres (infinity 0, what is not above 0 unknown); relative depth is inverse already.

    Both kinds are measured in inverse depth, so that the far background does not outweigh everything near.
    """
    if kind is DepthKind.RELATIVE:
        return depth
    return cast(DepthMap, np.reciprocal(np.where(depth > 0, depth, np.nan)))


class Steps:
    """Makes steps of the frames of one shot. One frame stays in memory."""

    def __init__(self) -> None:
        self._motion = MotionEstimator()
        self._last: Step | None = None

    def push(self, picture: Image, depth: DepthMap, raw: DepthMap | None = None) -> Step:
        """`picture`: (H, W, 3) uint8 RGB. `depth`, `raw`: inverse depth of any size."""
        last = self._last
        size = last.image.shape[1::-1] if last else working_size(*picture.shape[1::-1])
        small = picture if picture.shape[1::-1] == size else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        image = cast(Image, np.ascontiguousarray(small))
        self._last = Step(
            image,
            resize_depth(depth, *size),
            None if raw is None else resize_depth(raw, *size),
            last.depth if last else None,
            last.raw if last else None,
            self._motion.next(image),
        )
        return self._last


def steps(frames: Iterable[Sequence[Any]]) -> Iterator[Step]:
    """The frames of one shot: (picture, depth) or (picture, depth, raw), as `Steps.push` takes them."""
    maker = Steps()
    for frame in frames:
        yield maker.push(*frame)


class Pool:
    """Percentiles of endless values in bounded memory: every other one is forgotten when there are too many."""

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.float32]] = []
        self._every = self._count = self._size = 0

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """At most some thousand of `values` are kept; those not finite do not count."""
        flat = values.ravel()
        flat = flat[:: max(1, flat.size // _PER_FRAME)]
        self._count += 1
        if self._count & ((1 << self._every) - 1):
            return
        part = flat[np.isfinite(flat)]
        self._parts.append(part)
        self._size += part.size
        if self._size > _POOL_SIZE:
            self._every += 1
            self._parts = self._parts[1::2]
            self._size = sum(p.size for p in self._parts)

    def add_all(self, other: Pool, scale: float) -> None:
        """All that `other` has kept, times `scale`."""
        for part in other._parts:
            self.add(part * np.float32(scale))

    @property
    def count(self) -> int:
        """How many values are kept."""
        return self._size

    def percentiles(self, *percents: float) -> list[float]:
        """NaN without values."""
        if not self._size:
            return [float("nan")] * len(percents)
        return [float(v) for v in np.percentile(np.concatenate(self._parts), percents)]


class Span:
    """The one range of a shot: 2nd to 98th percentile of all its values."""

    def __init__(self) -> None:
        self._pool = Pool()

    def add(self, depth: DepthMap) -> None:
        self._pool.add(depth)

    @property
    def limits(self) -> tuple[float, float]:
        """In the unit of the depth; NaN without values."""
        low, high = self._pool.percentiles(2, 98)
        return low, high

    @property
    def width(self) -> float:
        """In the unit of the depth; 0 for a flat shot, NaN without values."""
        low, high = self.limits
        return 0.0 if high - low <= _FLAT * max(abs(low), abs(high)) else high - low


def share(error: float, width: float) -> float:
    """`error` as a share of a range. Flat depth has no range and no error: 0."""
    return 0.0 if width == 0 else error / width


@dataclass(slots=True)
class Mean:
    """A weighted mean; NaN without weight."""

    total: float = 0.0
    weight: float = 0.0

    def add(self, total: float, weight: float) -> None:
        """Nothing without weight, where a total may be NaN: a shot of which nothing is known must not hide the rest."""
        if weight:
            self.total, self.weight = self.total + total, self.weight + weight

    @property
    def value(self) -> float:
        return self.total / self.weight if self.weight else float("nan")


Value = TypeVar("Value", covariant=True)


@dataclass(slots=True)
class Measure(ABC, Generic[Value]):
    """A measure over a clip: steps are added shot by shot; `end_shot` is told the width of the shot's range."""

    per_frame: list[float] = field(default_factory=list, init=False)
    """For a plot: one value per frame, as a share of the shot's range; NaN where there is none."""

    @abstractmethod
    def add(self, step: Step) -> None: ...

    @abstractmethod
    def end_shot(self, width: float) -> None: ...

    @property
    @abstractmethod
    def value(self) -> Value:
        """Of all shots that have ended; NaN where the measure does not apply."""


def measure_shot(
    measure: Measure[Value],
    frames: Iterable[Sequence[Any]],
    *,
    in_raw_unit: bool = False,
) -> Value:
    """The value of one shot. `in_raw_unit`: the range is that of raw, as all comparisons with raw take it."""
    span = Span()
    for step in steps(frames):
        measure.add(step)
        span.add(step.raw if in_raw_unit and step.raw is not None else step.depth)
    measure.end_shot(span.width)
    return measure.value
