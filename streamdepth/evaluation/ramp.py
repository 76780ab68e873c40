"""The model that knows nothing but how pictures are taken: the lower, the nearer. What does not beat it is no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamdepth.stages import Estimator
from streamdepth.types import DepthKind, Estimate, Frame, ModelInfo


class Ramp(Estimator):
    """Relative inverse depth that rises evenly from the first row to the last."""

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("ramp", DepthKind.RELATIVE, "none needed")

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return [Estimate(_ramp(*frame.image.shape[:2])) for frame in frames]


def _ramp(height: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.repeat(np.linspace(0, 1, height, dtype=np.float32)[:, None], width, 1)
