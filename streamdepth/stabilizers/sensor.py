"""Smoothing of a depth sensor's maps, which must keep their measured values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame
from streamdepth.stabilizers.optical_flow import FlowPair, MotionTracker

SENSOR_MEMORY_SECONDS = {"light": 0.2, "default": 0.5, "strong": 1.5, "offline": 0.5}
"""Memory in seconds of each preset of smoothing for depth from a sensor."""
_STILL_PX = 0.25
"""Motion, in px of the small picture on which flow is measured, that counts as none."""
_MIN_NOISE, _MAX_NOISE = 0.001, 0.02
"""Bounds of the sensor's noise from frame to frame, as a share of the depth."""
_TOLERANCE = 4.0
"""Change of a pixel, in multiples of the noise, beyond which its past is forgotten."""
_FIRST_SECONDS = 1 / 30
"""The evidence of a frame without a past."""


@dataclass(frozen=True, slots=True)
class _State:
    depth: DepthMap
    evidence_seconds: DepthMap
    """Seconds of agreeing maps behind each pixel."""


class SensorFilter(Stabilizer):
    """A running mean of a sensor's depth where both camera and scene are static; moving parts keep their new depth.

    A network's depth is smoothed along the motion, but a sensor's would lose accuracy by that: an approaching object
    has another depth in each frame. A static pixel that becomes unknown keeps its depth for the time of the memory.
    Starts anew at cuts, gaps and changes of size. State: two maps of the depth's size.

    Args:
        memory_seconds: the longest memory.
        tracker: shared with others that follow the same stream.
    """

    def __init__(self, memory_seconds: float = 0.5, *, tracker: MotionTracker | None = None) -> None:
        self.memory_seconds = memory_seconds
        self._tracker = tracker or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._state: _State | None = None

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        motion, past = self._tracker.track(item.frame), self._state
        flows, new = motion.to_previous, item.depth
        if past is None or item.cut or flows is None or past.depth.shape != new.shape:
            self._state = _State(new, np.full_like(new, _FIRST_SECONDS))
            return [item]
        self._state = self._merge(new, past, _stillness(flows, new.shape), motion.seconds)
        return [replace(item, depth=self._state.depth)]

    @np.errstate(invalid="ignore")  # far away minus far away is unknown, as it should be
    def _merge(self, new: DepthMap, past: _State, stillness: DepthMap, seconds: float) -> _State:
        change = np.abs(new - past.depth) / np.maximum(new, np.float32(1e-3))
        scaled = change / np.float32(_TOLERANCE * _noise(change[stillness > 0.5]))
        evidence = np.minimum(past.evidence_seconds, np.float32(self.memory_seconds)) * stillness
        evidence *= np.exp(-(np.minimum(scaled, np.float32(10)) ** 4))
        mean = new + (past.depth - new) * (evidence / (evidence + np.float32(max(seconds, 1e-6))))
        is_known = np.isfinite(mean)
        depth = np.where(is_known, mean, new)
        evidence = np.where(is_known, evidence + np.float32(seconds), np.float32(_FIRST_SECONDS))
        remaining = np.minimum(past.evidence_seconds, np.float32(self.memory_seconds)) - np.float32(seconds)
        is_missing = np.isnan(new) & np.isfinite(past.depth) & (stillness > 0.5) & (remaining > 0)
        return _State(np.where(is_missing, past.depth, depth), np.where(is_missing, remaining, evidence))


def _stillness(flows: FlowPair, shape: tuple[int, ...]) -> DepthMap:
    """Returns a weight for each pixel: 1 where camera and scene are static, falling to 0 with motion of either."""
    squared = (flows.flow**2).sum(axis=-1) + np.float32(flows.median_length**2)
    still = np.exp(-squared / np.float32(_STILL_PX**2)) * flows.confidence
    return cast(DepthMap, cv2.resize(still, shape[::-1], interpolation=cv2.INTER_LINEAR))


def _noise(changes: DepthMap) -> float:
    """Returns the noise of a sensor, estimated from relative changes of static pixels."""
    sample = changes[::16]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return _MIN_NOISE
    return float(np.clip(1.48 * np.median(sample), _MIN_NOISE, _MAX_NOISE))
