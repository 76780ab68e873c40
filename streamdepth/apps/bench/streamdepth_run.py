"""streamdepth itself: the network alone, and the whole pipeline from file to file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamdepth import factory
from streamdepth.apps.bench import roofline
from streamdepth.apps.bench.plan import Contender, Plan, Turn
from streamdepth.core.types import Frame, Image
from streamdepth.estimators.engines import Engine, Outputs
from streamdepth.estimators.network import Card
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.pipeline.stats import Report

_SETTLING = 3
"""Frames after which reduced precision has been judged."""


class Ours(Contender):
    """Measures the engine on pixels that are there already, then everything."""

    name = "streamdepth"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._estimator: NetworkEstimator | None = None

    @property
    def names(self) -> list[str]:
        return ["network alone", self.name]

    def prepare(self) -> dict[str, Any]:
        began = time.perf_counter()
        estimator, work = _load(self.plan)
        self._estimator = estimator
        self._pipeline(1)
        first = time.perf_counter() - began - work.get("counting_s", 0.0)
        self._pipeline(_SETTLING)
        card, info = estimator.card, estimator.info
        width, height = self.plan.size
        fixed = card.fixed(height, width)
        self._pixels = network_input(fixed, estimator.engine, self.plan.settings.batch)
        return {
            "first_frame_s": first,
            "model": card.name,
            "parameters": card.parameters,
            "input": list(fixed.input_size()),
            "engine": info.engine,
            "device": info.device,
            "precision": info.precision,
            "reason": info.reason,
            "gflops": work.get("flops", 0.0) / 1e9 or None,
        }

    def turn(self) -> list[Turn]:
        return [self._network_alone(), self._whole()]

    def _network_alone(self) -> Turn:
        assert self._estimator is not None
        engine, batch = self._estimator.engine, len(self._pixels)
        count = max(2, self.plan.frames // batch)
        began = time.perf_counter()
        under_way = deque[Callable[[], Outputs]]()
        for _ in range(count):
            if len(under_way) == engine.max_in_flight:
                under_way.popleft()()
            under_way.append(engine.start(self._pixels))
        for outputs in [wait() for wait in under_way]:
            engine.download(outputs[0])
        seconds = time.perf_counter() - began
        peak = roofline.matrix_flops_per_second(engine.device, engine.precision)
        return Turn(seconds / (count * batch) * 1e3, count * batch, more={"matrix_gflops_per_s": peak / 1e9})

    def _whole(self) -> Turn:
        report = self._pipeline(self.plan.frames)
        total = report.latency_ms.get("total", {})
        return Turn(report.seconds / report.written * 1e3, report.written, total)

    def _pipeline(self, frames: int) -> Report:
        changes = {
            "source": (str(self.plan.clip),),
            "output": self.plan.folder / "streamdepth.mp4",
            "overwrite": True,
            "max_frames": frames,
        }
        with factory.pipeline(self.plan.settings.model_copy(update=changes), estimator=self._estimator) as pipeline:
            return pipeline.run()

    def close(self) -> None:
        if self._estimator is not None:
            self._estimator.close()


def _load(plan: Plan) -> tuple[NetworkEstimator, dict[str, float]]:
    """The estimator, and the network's FLOPs for one picture where they can be counted, with the time that took."""
    from streamdepth.estimators.onnx_file import is_exported

    settings = plan.settings.model_copy(update={"throughput": True})  # as for any file
    if is_exported(plan.settings.model):
        estimator = factory.make_estimator(settings)
        assert isinstance(estimator, NetworkEstimator)
        return estimator, {}
    network = factory.make_network(plan.settings, random_weights=plan.random_weights)
    began = time.perf_counter()
    height, width = network.card.fixed(plan.size[1], plan.size[0]).input_size()
    count = roofline.flops(network.module, torch.zeros(1, 3, height, width))
    work = {"flops": float(count), "counting_s": time.perf_counter() - began}
    # How far reduced precision is from float32 depends on weights, and would say nothing of random ones.
    changes = {"precision_limit": None} if plan.random_weights else {}
    return factory.make_network_estimator(network, settings.model_copy(update=changes)), work


def network_input(card: Card, engine: Engine, batch: int) -> Tensor:
    """Grey noise as the network wants it, on its device."""
    height, width = card.input_size()
    noise: Image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pixels, _ = card.prepare([Frame(noise, 0, 0, Fraction(1), 0.0)] * batch, engine)
    return pixels
