"""Smoothing over time, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.stabilizers.cuts import GAP_SECONDS
from streamdepth.stabilizers.range import percentiles
from streamdepth.stages import Stabilizer
from streamdepth.types import DepthFrame, DepthKind, DepthMap, Image


@dataclass(slots=True)
class _State:
    value: DepthMap
    gray: npt.NDArray[np.float32]
    time: float


class TemporalFilter(Stabilizer):
    """A moving average that trusts the past where neither picture nor depth changed.

    The weight of the past is exp(-dt / seconds), lessened where the new depth is far from the old (by more than
    `tolerance`: a share of the depth for metric, of the frame's range for relative depth) and where the picture
    changed. Unknown pixels take whichever value is known. Starts anew at cuts, gaps and size changes.
    """

    def __init__(self, seconds: float = 0.3, tolerance: float = 0.06) -> None:
        self.seconds, self.tolerance = seconds, tolerance
        self.reset()

    def reset(self) -> None:
        self._state: _State | None = None

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        gray = _gray(item.frame.image, item.depth.shape)
        state, time = self._state, item.frame.time
        if state is None or item.cut or state.value.shape != item.depth.shape or not self._continues(time - state.time):
            value = item.depth
        else:
            with np.errstate(invalid="ignore", over="ignore"):  # far away minus far away is unknown, as it should be
                weight = self._weight(item, state, gray, time - state.time)
                value = _blend(state.value, item.depth, weight)
        self._state = _State(value, gray, time)
        return [replace(item, depth=value)]

    @staticmethod
    def _continues(seconds: float) -> bool:
        return 0 <= seconds <= GAP_SECONDS

    def _weight(self, item: DepthFrame, state: _State, gray: npt.NDArray[np.float32], seconds: float) -> DepthMap:
        difference = (item.depth - state.value) / _spread(item, self.tolerance)
        unchanged = 1 - np.clip(np.abs(gray - state.gray) / 25.0, 0, 1)
        keep = math.exp(-seconds / self.seconds)
        return np.asarray(keep * np.exp(-(difference**2)) * unchanged, np.float32)


def _spread(item: DepthFrame, tolerance: float) -> DepthMap | float:
    if item.kind is DepthKind.METRIC:
        return np.asarray(np.maximum(np.abs(item.depth), 1e-3) * tolerance, np.float32)
    low, high = percentiles(item.depth) or (0.0, 1.0)
    return max((high - low) * tolerance, 1e-9)


def _blend(old: DepthMap, new: DepthMap, weight: DepthMap) -> DepthMap:
    # The old value plus a part of the change keeps a constant exactly constant; rounding must not leave the range.
    mixed = np.clip(old + (1 - weight) * (new - old), np.minimum(old, new), np.maximum(old, new))
    return np.where(np.isfinite(mixed), mixed, np.where(np.isnan(new), old, new)).astype(np.float32)


def _gray(image: Image, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    small = cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
