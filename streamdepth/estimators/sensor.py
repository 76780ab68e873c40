"""A sensor's depth in place of a network's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo
from streamdepth.geometry.hole_filling import fill_holes


class SensorDepthEstimator(Estimator):
    """Returns the depth that the frames bring along, with its small holes filled; unknown where they bring none.

    Args:
        name: the name of the sensor or its topic, for reports.
        max_gap: the longest hole that is filled, as a share of the map's width.
    """

    def __init__(self, name: str = "sensor depth", *, max_gap: float = 0.03) -> None:
        self.name, self.max_gap = name, max_gap
        self._shapes: dict[str, tuple[int, int]] = {}
        """The shape of the last map of each stream."""

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(self.name, DepthKind.METRIC, engine="none")

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return [Estimate(self._depth(frame)) for frame in frames]

    def _depth(self, frame: Frame) -> DepthMap:
        depth = frame.sensor_depth
        if depth is None:
            return np.full(self._shapes.get(frame.stream, frame.size[::-1]), np.nan, np.float32)
        self._shapes[frame.stream] = depth.shape
        return fill_holes(np.asarray(depth, np.float32), round(self.max_gap * depth.shape[1]))
