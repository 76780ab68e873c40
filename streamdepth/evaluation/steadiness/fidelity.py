"""What steadiness has cost: a smoothed result compared with the raw one.

Every function takes the frames of one shot, as (picture, inverse depth, raw inverse depth), both in the same unit. Low
error over time is worthless without these: a frozen or blurred result is perfectly steady.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.evaluation.steadiness.flow import Mask
from streamdepth.evaluation.steadiness.frames import Mean, Measure, Step, measure_shot

MAX_LAG = 15
"""Frames. A lag that long means: that late, or never."""
_MOVES_PX = 1.0
_MOVES_FAST_PX = 2.0
_MOST_PIXELS = 20000
_EDGE_STEP = 0.1
"""Share of the range by which an edge that passes changes a pixel."""
_FOLLOWS = 0.05
"""The best lag must explain this share of the difference, or nothing follows."""
_RECOVERED = 0.02
_BLOCKS = (16, 12)
"""Columns and rows of means in which a result is compared after a cut, so that a pixel's noise does not count."""

Frames = Iterable[tuple[Image, DepthMap, DepthMap | None]]


def lag(frames: Frames) -> float:
    """By how many frames the result comes after raw, at pixels over which depth edges move; MAX_LAG: or never.

    The lag k, 0 to MAX_LAG with fractions, at which the result is nearest to the raw depth of k frames ago in the
    least-squares sense, which is where their cross-correlation peaks. NaN where nothing moves.
    """
    return measure_shot(Lag(), frames, in_raw_unit=True)


def ghosting(frames: Frames) -> float:
    """Mean |result - raw| where the picture moves by more than 2 px a frame, as a share of raw's range."""
    return measure_shot(Ghosting(), frames, in_raw_unit=True)


def edge_retention(frames: Frames) -> float:
    """The result's mean gradient at the picture's edges (Canny), as a share of raw's: 1 is as sharp as raw."""
    return measure_shot(EdgeRetention(), frames, in_raw_unit=True)


def cut_recovery(frames: Frames) -> float:
    """Frames from a cut, the first of `frames`, until the result is within 2 % of raw's range of raw; 0 is at once.

    Compared as means of 16x12 blocks. The number of frames where it never is.
    """
    return measure_shot(CutRecovery(skip=0), frames, in_raw_unit=True)


@dataclass(slots=True)
class Lag(Measure[float]):
    """See `lag`."""

    _past: deque[tuple[npt.NDArray[np.float64], Mask]] = field(default_factory=lambda: deque(maxlen=MAX_LAG + 1))
    """Newest first: raw, and what moves."""
    _errors: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(MAX_LAG + 1))
    """Squared difference from the raw depth of 0, 1, 2... frames ago."""

    def add(self, step: Step) -> None:
        if step.raw is None:
            return
        stride = max(1, round((step.raw.size / _MOST_PIXELS) ** 0.5))
        thin = (slice(None, None, stride),) * 2
        moves = np.zeros(step.raw.shape, np.bool_) if step.motion is None else step.motion.speed > _MOVES_PX
        self._past.appendleft((step.raw[thin].astype(np.float64), moves[thin]))
        if len(self._past) > MAX_LAG:
            self._compare(step.depth[thin])

    def _compare(self, depth: DepthMap) -> None:
        raw = np.stack([values for values, _ in self._past])
        low, high = np.nanpercentile(raw[0], (2, 98)) if np.isfinite(raw[0]).any() else (0.0, 0.0)
        counts = np.any([moves for _, moves in self._past], axis=0) & np.isfinite(raw).all(0) & np.isfinite(depth)
        counts &= np.ptp(raw, axis=0) > _EDGE_STEP * max(high - low, 1e-12)
        if counts.any():
            self._errors += ((depth[counts] - raw[:, counts]) ** 2).sum(1) / max(high - low, 1e-12) ** 2

    def end_shot(self, width: float) -> None:
        self._past.clear()

    @property
    def value(self) -> float:
        errors = self._errors
        if not errors.any():
            return float("nan")
        best = int(errors.argmin())
        if errors[best] > (1 - _FOLLOWS) * errors.mean():
            return float(MAX_LAG)
        if not 0 < best < MAX_LAG:
            return float(best)
        before, here, after = errors[best - 1 : best + 2]
        return best + float((before - after) / (2 * (before - 2 * here + after)))


@dataclass(slots=True)
class Ghosting(Measure[float]):
    """See `ghosting`."""

    _mean: Mean = field(default_factory=Mean)
    _shot: list[tuple[float, int]] = field(default_factory=list)

    def add(self, step: Step) -> None:
        error = np.zeros(0)
        if step.motion is not None and step.raw is not None:
            error = np.abs(step.depth - step.raw)[step.motion.speed > _MOVES_FAST_PX]
            error = error[np.isfinite(error)]
        self._shot.append((float(error.sum(dtype=np.float64)), error.size))

    def end_shot(self, width: float) -> None:
        for total, count in self._shot:
            self.per_frame.append(total / count / width if count and width else float("nan"))
            self._mean.add(total / width if width else 0.0, count if width else 0)
        self._shot.clear()

    @property
    def value(self) -> float:
        return self._mean.value


@dataclass(slots=True)
class EdgeRetention(Measure[float]):
    """See `edge_retention`."""

    _result: float = 0.0
    _raw: float = 0.0

    def add(self, step: Step) -> None:
        if step.raw is None:
            return
        edges = cv2.Canny(cv2.cvtColor(step.image, cv2.COLOR_RGB2GRAY), 100, 200) > 0
        result, raw = _gradient(step.depth), _gradient(step.raw)
        counts = edges & np.isfinite(result) & np.isfinite(raw)
        now, before = float(result[counts].sum(dtype=np.float64)), float(raw[counts].sum(dtype=np.float64))
        self._result, self._raw = self._result + now, self._raw + before
        self.per_frame.append(now / before if before else float("nan"))

    def end_shot(self, width: float) -> None:
        pass

    @property
    def value(self) -> float:
        return self._result / self._raw if self._raw else float("nan")


@dataclass(slots=True)
class CutRecovery(Measure[float]):
    """See `cut_recovery`. The mean over all shots but the first `skip`, which no cut begins, and those without raw."""

    skip: int = 1
    _shot: list[float] = field(default_factory=list)
    _mean: Mean = field(default_factory=Mean)

    def add(self, step: Step) -> None:
        if step.raw is not None:
            error = np.abs(_blocks(step.depth - step.raw))
            self._shot.append(float(error[np.isfinite(error)].mean()) if np.isfinite(error).any() else float("nan"))

    def end_shot(self, width: float) -> None:
        if self.skip:
            self.skip -= 1
        elif self._shot and not math.isnan(width):
            near = np.flatnonzero(np.array(self._shot) <= _RECOVERED * width)
            self._mean.add(float(near[0]) if near.size else len(self._shot), 1)
        self._shot.clear()

    @property
    def value(self) -> float:
        return self._mean.value


def _gradient(depth: DepthMap) -> DepthMap:
    return cast(DepthMap, cv2.magnitude(cv2.Sobel(depth, cv2.CV_32F, 1, 0), cv2.Sobel(depth, cv2.CV_32F, 0, 1)))


def _blocks(difference: DepthMap) -> DepthMap:
    """Means of the known values of each block."""
    known = np.isfinite(difference)
    total = cv2.resize(np.where(known, difference, np.float32(0)), _BLOCKS, interpolation=cv2.INTER_AREA)
    count = cv2.resize(known.astype(np.float32), _BLOCKS, interpolation=cv2.INTER_AREA)
    return cast(DepthMap, np.where(count > 0, total / np.maximum(count, np.float32(1e-6)), np.nan))
