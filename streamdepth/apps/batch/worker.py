"""A worker process of a cluster: it holds one model, infers frames with it and converts whole files."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

from streamdepth import factory
from streamdepth.apps.batch.cluster import WorkerSlot
from streamdepth.apps.batch.conversion import ConversionResult, convert_file
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SourceError
from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, ModelInfo

_UNQUANTIZED_PRECISIONS = ("float32", "float16", "bfloat16")


class ModelWorker:
    """A Ray actor that holds a model in a process of its own.

    Args:
        settings: those of the driver; device and threads are replaced by what the slot gives.
        slot: where the worker runs.
        folder: the driver's working directory, which relative paths start from.
    """

    def __init__(self, settings: Settings, slot: WorkerSlot, folder: str) -> None:
        import torch  # here, so that the workers of all slots import it at the same time

        with suppress(FileNotFoundError):  # harmless if all files lie in remote storage
            os.chdir(folder)
        self._settings = settings.replace(**_device_settings(slot, settings), throughput=True)
        self._estimator: Estimator | None = None
        self._progress = 0.0
        if slot.cores:
            torch.set_num_threads(slot.cores)
            _pin_to_cores(slot)

    def load_model(self, changes: dict[str, Any]) -> ModelInfo:
        """Loads the model with `changes` to the settings, and describes it. Raises as `factory.make_estimator` does."""
        self._estimator = factory.make_estimator(self._settings.replace(**changes))
        return self._estimator.info

    def choose_engine(self, source: str) -> tuple[ModelInfo, dict[str, Any]]:
        """Loads the model and infers the first frames of a file, after which engine and precision are decided.

        Returns the model's description, and the changes that the other workers have to pass to `load_model` in order
        to compute the same. Raises ConfigError ("cluster") for a model with memory.
        """
        from streamdepth.estimators.exported_model import is_exported_model

        self.load_model({})
        assert self._estimator is not None
        if self._estimator.has_memory:
            raise ConfigError(
                f"the model {self._estimator.info.name} remembers earlier frames of a stream, which a cluster spreads "
                "over its workers; leave --cluster out",
                code="cluster",
            )
        batch = self._settings.inference.batch
        frames = self._first_frames(source, 2 * batch)
        for begin in range(0, len(frames), batch):
            self._estimator.estimate(frames[begin : begin + batch])
        info = self._estimator.info
        if info.precision not in _UNQUANTIZED_PRECISIONS or is_exported_model(self._settings.model.name):
            return info, {}
        return info, {"engine": info.engine, "precision": info.precision, "precision_limit": None}

    def _first_frames(self, source: str, count: int) -> list[Frame]:
        """Reads the first frames of a file; returns none of a camera, which can be opened only once."""
        if not factory.is_video_file(source):
            return []
        try:
            with closing(factory.make_source(source, self._settings)) as opened:
                opened.open()
                return [frame for _ in range(count) if (frame := opened.read())]
        except SourceError:
            return []  # reported when the file itself is converted

    def input_size(self, width: int, height: int) -> tuple[int, int] | None:
        """Returns (width, height) in px to which the model shrinks such a frame first; None if it shrinks none."""
        from streamdepth.estimators.network_estimator import NetworkEstimator

        if not isinstance(self._estimator, NetworkEstimator) or not self._estimator.card.resizes_before_upload:
            return None
        rows, columns = self._estimator.card.spec.output_size(height, width)
        return columns, rows

    def estimate(self, batches: Sequence[Sequence[Frame]]) -> list[list[Estimate]]:
        """Infers each batch as if it were the only one. Raises InferenceError."""
        assert self._estimator is not None
        in_flight = deque[Future[list[Estimate]]]()
        results = []
        for batch in batches:
            in_flight.append(self._estimator.submit(batch))
            if len(in_flight) == self._estimator.max_in_flight:
                results.append(in_flight.popleft().result())
        return results + [future.result() for future in in_flight]

    def convert(self, settings: Settings) -> ConversionResult:
        """Converts one whole file in this process."""
        assert self._estimator is not None
        self._progress = 0.0
        return convert_file(settings, self._estimator, self._on_progress)

    def _on_progress(self, progress: float) -> None:
        self._progress = progress

    def progress(self) -> float:
        """Returns how much of the file is converted, 0 to 1; may be called while `convert` runs."""
        return self._progress

    def process_id(self) -> int:
        """Returns the process id on its machine."""
        return os.getpid()


def _device_settings(slot: WorkerSlot, settings: Settings) -> dict[str, Any]:
    if slot.has_gpu:
        return {"device": "cuda"}  # the only GPU that Ray lets the worker see
    return {"device": "cpu" if settings.model.device == "auto" else settings.model.device, "threads": slot.cores}


def _pin_to_cores(slot: WorkerSlot) -> None:
    """Gives each worker of a machine its own cores; runtimes that pin threads would otherwise choose the same ones."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        first = slot.number * slot.cores
        os.sched_setaffinity(0, allowed[first : first + slot.cores] or allowed)
