"""Metrics of fidelity: the cost of smoothing, by comparison with the raw depth.

Every function takes the frames of one shot as (picture, inverse depth, raw inverse depth), both in the same unit.
Metrics of steadiness are meaningless without these, because a frozen or blurred result is perfectly steady.
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
from streamdepth.evaluation.steadiness.frames import FramePair, TemporalMetric, WeightedMean, score_shot

MAX_LAG = 15
"""The longest lag in frames; it stands for longer ones and for results that never follow."""
_MOVING_SPEED_PX = 1.0
_FAST_SPEED_PX = 2.0
_MAX_PIXELS = 20000
_MIN_EDGE_STEP = 0.1
"""Smallest change of a pixel, as a share of the range, when a depth edge passes over it."""
_MIN_EXPLAINED = 0.05
"""Smallest share of the difference that the best lag explains; otherwise the result does not follow."""
_RECOVERED_ERROR = 0.02
_BLOCKS = (16, 12)
"""Columns and rows of blocks whose means are compared after a cut, so that the noise of pixels does not count."""

Frames = Iterable[tuple[Image, DepthMap, DepthMap | None]]


def lag(frames: Frames) -> float:
    """Returns the lag of the result behind raw in frames, at pixels over which depth edges move.

    It is the lag k, from 0 to MAX_LAG with fractions, at which the result is nearest to the raw depth of k frames ago
    in the least-squares sense, which is where their cross-correlation peaks. NaN where nothing moves.
    """
    return score_shot(Lag(), frames, in_raw_unit=True)


def ghosting(frames: Frames) -> float:
    """Returns the mean |result - raw| where the picture moves by more than 2 px a frame, as a share of raw's range."""
    return score_shot(Ghosting(), frames, in_raw_unit=True)


def edge_retention(frames: Frames) -> float:
    """Returns the result's mean gradient at the picture's edges (Canny) over raw's: 1 is as sharp as raw."""
    return score_shot(EdgeRetention(), frames, in_raw_unit=True)


def cut_recovery(frames: Frames) -> float:
    """Returns the number of frames after a cut until the result differs from raw by at most 2 % of raw's range.

    The first of `frames` is the first one after the cut; 0 means at once, and the number of all frames means never.
    Means of 16x12 blocks are compared.
    """
    return score_shot(CutRecovery(skip=0), frames, in_raw_unit=True)


@dataclass(slots=True)
class Lag(TemporalMetric[float]):
    """Computes `lag` frame by frame over all shots of a clip."""

    _past: deque[tuple[npt.NDArray[np.float64], Mask]] = field(default_factory=lambda: deque(maxlen=MAX_LAG + 1))
    """Raw depth and the mask of moving pixels of the latest frames, newest first."""
    _errors: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(MAX_LAG + 1))
    """Squared differences from the raw depth of 0, 1, 2... frames ago."""

    def add(self, pair: FramePair) -> None:
        if pair.raw is None:
            return
        stride = max(1, round((pair.raw.size / _MAX_PIXELS) ** 0.5))
        thin = (slice(None, None, stride),) * 2
        moves = np.zeros(pair.raw.shape, np.bool_) if pair.motion is None else pair.motion.speed > _MOVING_SPEED_PX
        self._past.appendleft((pair.raw[thin].astype(np.float64), moves[thin]))
        if len(self._past) > MAX_LAG:
            self._compare(pair.depth[thin])

    def _compare(self, depth: DepthMap) -> None:
        raw = np.stack([values for values, _ in self._past])
        low, high = np.nanpercentile(raw[0], (2, 98)) if np.isfinite(raw[0]).any() else (0.0, 0.0)
        counts = np.any([moves for _, moves in self._past], axis=0) & np.isfinite(raw).all(0) & np.isfinite(depth)
        counts &= np.ptp(raw, axis=0) > _MIN_EDGE_STEP * max(high - low, 1e-12)
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
        if errors[best] > (1 - _MIN_EXPLAINED) * errors.mean():
            return float(MAX_LAG)
        if not 0 < best < MAX_LAG:
            return float(best)
        before, here, after = errors[best - 1 : best + 2]
        return best + float((before - after) / (2 * (before - 2 * here + after)))


@dataclass(slots=True)
class Ghosting(TemporalMetric[float]):
    """Computes `ghosting` frame by frame over all shots of a clip."""

    _mean: WeightedMean = field(default_factory=WeightedMean)
    _shot: list[tuple[float, int]] = field(default_factory=list)

    def add(self, pair: FramePair) -> None:
        error = np.zeros(0)
        if pair.motion is not None and pair.raw is not None:
            error = np.abs(pair.depth - pair.raw)[pair.motion.speed > _FAST_SPEED_PX]
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
class EdgeRetention(TemporalMetric[float]):
    """Computes `edge_retention` frame by frame over all shots of a clip."""

    _result: float = 0.0
    _raw: float = 0.0

    def add(self, pair: FramePair) -> None:
        if pair.raw is None:
            return
        edges = cv2.Canny(cv2.cvtColor(pair.image, cv2.COLOR_RGB2GRAY), 100, 200) > 0
        result, raw = _gradient(pair.depth), _gradient(pair.raw)
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
class CutRecovery(TemporalMetric[float]):
    """Computes the mean of `cut_recovery` over all shots with raw depth after the first `skip` shots."""

    skip: int = 1
    _shot: list[float] = field(default_factory=list)
    _mean: WeightedMean = field(default_factory=WeightedMean)

    def add(self, pair: FramePair) -> None:
        if pair.raw is not None:
            error = np.abs(_blocks(pair.depth - pair.raw))
            self._shot.append(float(error[np.isfinite(error)].mean()) if np.isfinite(error).any() else float("nan"))

    def end_shot(self, width: float) -> None:
        if self.skip:
            self.skip -= 1
        elif self._shot and not math.isnan(width):
            near = np.flatnonzero(np.array(self._shot) <= _RECOVERED_ERROR * width)
            self._mean.add(float(near[0]) if near.size else len(self._shot), 1)
        self._shot.clear()

    @property
    def value(self) -> float:
        return self._mean.value


def _gradient(depth: DepthMap) -> DepthMap:
    return cast(DepthMap, cv2.magnitude(cv2.Sobel(depth, cv2.CV_32F, 1, 0), cv2.Sobel(depth, cv2.CV_32F, 0, 1)))


def _blocks(difference: DepthMap) -> DepthMap:
    """Returns the means of the known values of each block."""
    known = np.isfinite(difference)
    total = cv2.resize(np.where(known, difference, np.float32(0)), _BLOCKS, interpolation=cv2.INTER_AREA)
    count = cv2.resize(known.astype(np.float32), _BLOCKS, interpolation=cv2.INTER_AREA)
    return cast(DepthMap, np.where(count > 0, total / np.maximum(count, np.float32(1e-6)), np.nan))
