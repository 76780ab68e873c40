"""Measures streamdepth itself: the network alone, and the whole pipeline from file to file."""

from __future__ import annotations

import time
from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from streamdepth import factory
from streamdepth.apps.bench import roofline
from streamdepth.apps.bench.codec import CodecRun
from streamdepth.apps.bench.plan import BenchmarkPlan, Implementation, Measurement
from streamdepth.core.arrays import Image
from streamdepth.core.futures import Future
from streamdepth.core.types import Frame
from streamdepth.estimators.engines import Engine, Outputs, Pixels
from streamdepth.estimators.network import ModelCard
from streamdepth.estimators.network_estimator import NetworkEstimator
from streamdepth.pipeline.report import Report


class StreamDepthImplementation(Implementation):
    """streamdepth; each round measures its network on prepared pixels, the codec alone, then the whole pipeline."""

    name = "streamdepth"

    def __init__(self, plan: BenchmarkPlan) -> None:
        super().__init__(plan)
        self._estimator: NetworkEstimator | None = None
        self._output = plan.folder / "streamdepth.mp4"

    @property
    def names(self) -> list[str]:
        return ["network alone", "codec alone", self.name]

    def prepare(self) -> dict[str, Any]:
        began = time.perf_counter()
        estimator, flops, counting_seconds = _load(self.plan)
        self._estimator = estimator
        self._run_pipeline(1)
        first = time.perf_counter() - began - counting_seconds
        self._run_pipeline(self.plan.frames)  # decides on the precision, and makes the pictures to be encoded again
        self._codec = CodecRun(self.plan, self._output)
        card, info = estimator.card, estimator.info
        width, height = self.plan.size
        fixed = card.with_fixed_size(height, width)
        self._pixels = network_input(fixed, estimator.engine, self.plan.settings.inference.batch)
        return {
            "first_frame_s": first,
            "model": card.name,
            "parameters": card.parameters,
            "input": list(fixed.input_size()),
            "engine": info.engine,
            "device": info.device,
            "precision": info.precision,
            "reason": info.reason,
            "gflops": flops / 1e9 or None,
        }

    def measure(self) -> list[Measurement]:
        return [self._measure_network(), self._codec.measure(), self._measure_pipeline()]

    def _measure_network(self) -> Measurement:
        assert self._estimator is not None
        engine, batch = self._estimator.engine, len(self._pixels)
        count = max(2, self.plan.frames // batch)
        began, cpu_began = time.perf_counter(), time.process_time()
        in_flight = deque[Future[Outputs]]()
        for _ in range(count):
            if len(in_flight) == engine.max_in_flight:
                in_flight.popleft().result()
            in_flight.append(engine.submit(self._pixels))
        for outputs in [future.result() for future in in_flight]:
            engine.download(outputs[0])
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        peak = roofline.matrix_flops_per_second(engine.device, engine.precision)
        frames = count * batch
        return Measurement(
            seconds / frames * 1e3,
            frames,
            cpu_ms=cpu_seconds / frames * 1e3,
            matrix_gflops_per_second=peak / 1e9,
        )

    def _measure_pipeline(self) -> Measurement:
        began = time.process_time()
        report = self._run_pipeline(self.plan.frames)
        cpu_ms = (time.process_time() - began) / report.written * 1e3
        total = report.latency_ms.get("total", {})
        return Measurement(report.seconds / report.written * 1e3, report.written, total, cpu_ms)

    def _run_pipeline(self, frames: int) -> Report:
        settings = self.plan.settings.replace(
            source=(str(self.plan.clip),),
            output=self._output,
            overwrite=True,
            max_frames=frames,
        )
        with factory.open_pipeline(settings, estimator=self._estimator) as pipeline:
            return pipeline.run()

    def close(self) -> None:
        if self._estimator is not None:
            self._estimator.close()


def _load(plan: BenchmarkPlan) -> tuple[NetworkEstimator, float, float]:
    """Returns the estimator, the network's FLOPs for one picture (0 if unknown) and the seconds that counting took."""
    from streamdepth.estimators.exported_model import is_exported_model

    settings = plan.settings.replace(throughput=True)  # as for any file
    if is_exported_model(plan.settings.model.name):
        estimator = factory.make_estimator(settings)
        assert isinstance(estimator, NetworkEstimator)
        return estimator, 0.0, 0.0
    network = factory.make_network(plan.settings, random_weights=plan.random_weights)
    began = time.perf_counter()
    height, width = network.card.with_fixed_size(plan.size[1], plan.size[0]).input_size()
    flops = roofline.count_flops(network.module.get(), torch.zeros(1, 3, height, width))
    counting_seconds = time.perf_counter() - began
    # The error of reduced precision depends on the weights, so the check against float32 means nothing for random ones.
    settings = settings.replace(precision_limit=None) if plan.random_weights else settings
    return factory.make_network_estimator(network, settings), flops, counting_seconds


def network_input(card: ModelCard, engine: Engine, batch: int) -> Pixels:
    """Returns a batch of noise in the layout that the network takes, on its device."""
    height, width = card.input_size()
    noise: Image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pixels, _ = card.prepare([Frame(noise, 0, 0, Fraction(1), 0.0)] * batch, engine)
    return pixels
