"""Runs a network on an engine: pictures in, depth out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import torch

from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, ModelInfo
from streamdepth.estimators.engines import Engine, failures_explained
from streamdepth.estimators.network import Card, as_estimates, finish


class NetworkEstimator(Estimator):
    """`engine` runs the network that `card` describes; it is closed with the estimator."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self.card, self._engine = card, engine

    @property
    def engine(self) -> Engine:
        """What runs the network."""
        return self._engine

    @property
    def max_in_flight(self) -> int:
        return self._engine.max_in_flight

    @property
    def info(self) -> ModelInfo:
        c, e = self.card, self._engine
        return ModelInfo(c.name, c.kind, c.license, e.name, str(e.device), e.precision, c.parameters, e.reason)

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        groups: dict[tuple[int, int], list[int]] = {}
        for position, frame in enumerate(frames):
            groups.setdefault(frame.size, []).append(position)
        return _EstimatesBySize(
            [(positions, self._start_alike([frames[i] for i in positions])) for positions in groups.values()]
        )

    def _start_alike(self, frames: Sequence[Frame]) -> Callable[[], list[Estimate]]:
        """Frames of one size, in one pass."""
        engine, (width, height) = self._engine, frames[0].size
        shape = (len(frames), height, width, 3)
        lane = engine.lane()
        with failures_explained(engine.device, shape), torch.inference_mode(), lane:
            pixels, margins = self.card.prepare(frames, engine)
            outputs = engine.start(pixels)

        def wait() -> list[Estimate]:
            with failures_explained(engine.device, shape), torch.inference_mode(), lane:
                depth, focals = finish(outputs(), margins, width)
                return as_estimates(engine.download(depth), focals)

        return wait

    def warm_up(self, width: int, height: int) -> None:
        engine, nothing = self._engine, np.zeros((height, width, 3), np.uint8)
        with failures_explained(engine.device, nothing.shape), torch.inference_mode(), engine.lane():
            pixels, _ = self.card.prepare([Frame(nothing, 0, 0, Fraction(1), 0.0)], engine)
            engine.warm_up(pixels)

    def close(self) -> None:
        self._engine.close()


class _EstimatesBySize:
    """The results of one batch, whose frames were submitted to the engine by size; each group has its positions."""

    def __init__(self, groups: Sequence[tuple[Sequence[int], Callable[[], list[Estimate]]]]) -> None:
        self._groups = groups

    def result(self) -> list[Estimate]:
        results: dict[int, Estimate] = {}
        for positions, estimates in self._groups:
            results |= zip(positions, estimates(), strict=True)
        return [results[i] for i in range(len(results))]
