"""A baseline that ignores the picture: lower pixels are nearer. Every useful model is better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo


class Ramp(Estimator):
    """An estimator whose inverse depth rises evenly from the first row to the last."""

    @property
    def info(self) -> ModelInfo:
        """The facts of the model."""
        return ModelInfo("ramp", DepthKind.RELATIVE, "none needed")

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        """Returns the same ramp for every frame, at the frame's size."""
        return [Estimate(_ramp(*frame.image.shape[:2])) for frame in frames]


def _ramp(height: int, width: int) -> DepthMap:
    return np.repeat(np.linspace(0, 1, height, dtype=np.float32)[:, None], width, 1)
