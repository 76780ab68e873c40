"""Depth that was recorded before, by a sensor or otherwise, in place of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import InferenceError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo


class RecordedDepthEstimator(Estimator):
    """Returns recorded depth in meters for each frame.

    Args:
        read: returns the depth by the frame's index: (h, w) meters, NaN where unknown; or None where there is none,
            which raises InferenceError with the code "not-found".
        name: of the recording, for reports.

    >>> recorded = RecordedDepthEstimator(lambda index: np.full((2, 3), 1.5 + index, np.float32))
    >>> [float(item.depth.mean()) for item in sd.stream("samples/room.mp4", model=recorded, smooth="off", max_frames=2)]
    [1.5, 2.5]
    """

    def __init__(self, read: Callable[[int], DepthMap | None], name: str = "recorded depth") -> None:
        self.read, self.name = read, name

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(self.name, DepthKind.METRIC, engine="none")

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return [self._estimate(frame) for frame in frames]

    def _estimate(self, frame: Frame) -> Estimate:
        depth = self.read(frame.index)
        if depth is None:
            raise InferenceError(
                f"{self.name} has nothing for frame {frame.index}; %06d stands for 000000, %04d for 0000 and so on; "
                "--max-frames ends earlier",
                code="not-found",
            )
        return Estimate(np.asarray(depth, np.float32))
