"""Models without weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import InferenceError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthKind, Estimate, Frame, ModelInfo


class ConstantEstimator(Estimator):
    """A model without weights: the same ramp for every frame, or the brightness of the picture.

    >>> model = ConstantEstimator(kind=DepthKind.METRIC, size=(2, 3))
    >>> source = SyntheticSource()
    >>> _ = source.open()
    >>> model.estimate([source.read()])[0].depth.tolist()
    [[0.5, 0.5, 0.5], [2.0, 2.0, 2.0]]

    Args:
        kind: what the depth means.
        size: (rows, columns) of the depth.
        from_brightness: True for depth from the picture's brightness, 0.1 (black) to 1.1 (white).
        delay_seconds: how long each batch takes.
        focal_px: the focal length that the model claims to see.
        before_estimate: called with the frames of each batch before it is computed.
        before_warm_up: called with the (width, height) that the model is warmed up for.
    """

    def __init__(
        self,
        kind: DepthKind = DepthKind.RELATIVE,
        size: tuple[int, int] = (24, 32),
        *,
        from_brightness: bool = False,
        delay_seconds: float = 0.0,
        focal_px: float | None = None,
        before_estimate: Callable[[Sequence[Frame]], object] | None = None,
        before_warm_up: Callable[[tuple[int, int]], object] | None = None,
    ) -> None:
        self.kind, self.size, self.from_brightness, self.delay_seconds = kind, size, from_brightness, delay_seconds
        self.focal_px, self.before_estimate, self.before_warm_up = focal_px, before_estimate, before_warm_up
        self.batches: list[list[str]] = []
        """The stream names of the frames of each batch."""
        self.warmed_up: list[tuple[int, int]] = []
        """The sizes that `warm_up` was called with."""
        self.resets: list[str] = []
        """The streams that `reset` was called with."""
        self.closed = False

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("constant", self.kind, license="Apache-2.0")

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        if self.before_estimate is not None:
            self.before_estimate(frames)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self.batches.append([frame.stream for frame in frames])
        return [Estimate(self._depth(frame), self.focal_px) for frame in frames]

    def _depth(self, frame: Frame) -> DepthMap:
        height, width = self.size
        if self.from_brightness:
            rows = np.linspace(0, frame.image.shape[0] - 1, height).astype(int)
            columns = np.linspace(0, frame.image.shape[1] - 1, width).astype(int)
            return np.asarray(frame.image[np.ix_(rows, columns)].mean(2) / 255 + 0.1, np.float32)
        return np.repeat(np.linspace(0.5, 2.0, height, dtype=np.float32)[:, None], width, axis=1)

    def warm_up(self, width: int, height: int) -> None:
        self.warmed_up.append((width, height))
        if self.before_warm_up is not None:
            self.before_warm_up((width, height))

    def reset(self, stream: str) -> None:
        self.resets.append(stream)

    def close(self) -> None:
        self.closed = True


class FailingEstimator(ConstantEstimator):
    """A model that fails with InferenceError at batch `fail_at`, counted from 0."""

    def __init__(self, fail_at: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.fail_at = fail_at

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        if len(self.batches) >= self.fail_at:
            raise InferenceError("the model failed on purpose")
        return super().estimate(frames)
