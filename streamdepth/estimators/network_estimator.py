"""An estimator that runs a network on an engine: pictures in, depth out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, ModelInfo
from streamdepth.estimators.engines import Engine, Outputs, inference_error
from streamdepth.estimators.margins import Margins
from streamdepth.estimators.network import ModelCard, make_estimates, model_info


class NetworkEstimator(Estimator):
    """Runs the network that `card` describes on `engine`, which is closed with the estimator."""

    def __init__(self, card: ModelCard, engine: Engine) -> None:
        self.card, self.engine = card, engine

    @property
    def max_in_flight(self) -> int:
        return self.engine.max_in_flight

    @property
    def info(self) -> ModelInfo:
        return model_info(self.card, self.engine)

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        positions: dict[Hashable, list[int]] = {}
        for position, frame in enumerate(frames):
            positions.setdefault(self._group(frame), []).append(position)
        if len(positions) == 1:
            return self._submit_one_size(frames)
        return _EstimatesBySize(
            [(group, self._submit_one_size([frames[i] for i in group])) for group in positions.values()]
        )

    def _group(self, frame: Frame) -> Hashable:
        """Returns what the frames that go through the network together have in common: their size."""
        return frame.size

    def _make_estimates(self, outputs: Outputs, margins: Margins | None, frame_size: tuple[int, int]) -> list[Estimate]:
        """Converts the network's outputs for pictures of (width, height) px. Runs in the stream of `engine`."""
        return make_estimates(outputs, margins, frame_size[0], self.engine)

    def _submit_one_size(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        engine, (width, height) = self.engine, frames[0].size
        shape, cuda_stream = (len(frames), height, width, 3), engine.cuda_stream()
        try:
            with cuda_stream:
                pixels, margins = self.card.prepare(frames, engine)
                outputs = engine.submit(pixels)
        except (RuntimeError, MemoryError) as error:
            raise inference_error(error, engine.device, shape) from error
        return _EstimatesOfOneSize(outputs, margins, shape, self, cuda_stream)

    def warm_up(self, width: int, height: int) -> None:
        engine, black = self.engine, np.zeros((height, width, 3), np.uint8)
        try:
            with engine.cuda_stream():
                pixels, _ = self.card.prepare([Frame(black, 0, 0, Fraction(1), 0.0)], engine)
                engine.warm_up(pixels)
        except (RuntimeError, MemoryError) as error:
            raise inference_error(error, engine.device, black.shape) from error

    def close(self) -> None:
        self.engine.close()


@dataclass(frozen=True, slots=True)
class _EstimatesOfOneSize:
    """The future estimates of pictures of one size, which went through the network together."""

    outputs: Future[Outputs]
    margins: Margins | None
    shape: tuple[int, int, int, int]
    """(N, H, W, 3) of the pictures."""
    estimator: NetworkEstimator
    cuda_stream: AbstractContextManager[object]

    def result(self) -> list[Estimate]:
        try:
            with self.cuda_stream:
                return self.estimator._make_estimates(self.outputs.result(), self.margins, self.shape[2:0:-1])
        except (RuntimeError, MemoryError) as error:
            raise inference_error(error, self.estimator.engine.device, self.shape) from error


@dataclass(frozen=True, slots=True)
class _EstimatesBySize:
    """The future estimates of a batch that was split by the size of its pictures."""

    groups: Sequence[tuple[Sequence[int], Future[list[Estimate]]]]
    """The positions of each group's pictures in the batch, and its estimates."""

    def result(self) -> list[Estimate]:
        estimates: dict[int, Estimate] = {}
        for positions, future in self.groups:
            estimates |= zip(positions, future.result(), strict=True)
        return [estimates[i] for i in range(len(estimates))]
