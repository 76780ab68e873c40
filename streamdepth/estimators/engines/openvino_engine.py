"""Engines on OpenVINO, the fastest runtime on most CPUs."""

from __future__ import annotations

import logging
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.core.errors import InferenceError, ModelLoadError
from streamdepth.core.futures import Future
from streamdepth.estimators.engines import (
    Engine,
    FloatArray,
    Pixels,
    SizeCache,
    as_array,
    closed_engine_error,
    import_engine_package,
)
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.openvino_compiler import OpenVinoCompiler
from streamdepth.estimators.engines.openvino_conversion import convert_to_openvino, save_openvino
from streamdepth.estimators.engines.runtime_errors import plain_reason
from streamdepth.utils.cache import ModelCache

_log = logging.getLogger(__name__)


class OpenVinoRuntimeEngine(Engine):
    """The base of the engines on OpenVINO.

    Pictures run one at a time, each with all threads; batches would gain nothing on a CPU. Raises as `OpenVinoCompiler`
    does.

    Args:
        precision, threads, device: as `OpenVinoCompiler` takes them.
        for_throughput: run as many pictures at a time as OpenVINO thinks best, each with a part of the threads, which
            then need not wait for each other: a sixth less work in all, while each picture takes longer.
    """

    name = "openvino"
    max_in_flight = 2

    def __init__(
        self,
        precision: str = "auto",
        threads: int | None = None,
        *,
        device: str = "auto",
        for_throughput: bool = False,
    ) -> None:
        self.compiler = OpenVinoCompiler(device, precision, threads=threads, for_throughput=for_throughput)
        self.precision = self.compiler.precision
        self._note = ""
        self._idle_requests: dict[Any, list[Any]] = {}
        """Inference requests that wait for work, by compiled network."""

    @property
    def runs_on(self) -> str:
        return self.compiler.runs_on

    @abstractmethod
    def _compiled_network(self, height: int, width: int) -> Any:
        """Returns the compiled network for pictures of this size. Raises InferenceError and ModelLoadError."""

    def _compile(self, model: Any) -> Any:
        """Compiles for the first device that takes the network. Raises OpenVINO's RuntimeError where none does."""
        network = self.compiler.compile(model)
        self.max_in_flight = network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1  # one is prepared meanwhile
        note = self.compiler.note
        self.reason, self._note = self.reason.removesuffix(self._note) + note, note
        return network

    def run(self, pixels: Pixels) -> tuple[FloatArray, ...]:
        return self.submit(pixels).result()

    def submit(self, pixels: Pixels) -> Future[tuple[FloatArray, ...]]:
        network = self._compiled_network(*pixels.shape[-2:])
        pictures = as_array(pixels)
        idle = self._idle_requests.setdefault(network, [])
        try:
            requests = [idle.pop() if idle else network.create_infer_request() for _ in pictures]
            for request, picture in zip(requests, pictures, strict=True):
                request.start_async([picture[None]], share_inputs=True)
        except RuntimeError as error:
            raise _openvino_error(pictures, error) from error
        return _PendingOutputs(requests, pictures, idle)

    def close(self) -> None:
        self._idle_requests.clear()


class _PendingOutputs:
    """The outputs of one batch, each picture of which has an inference request of its own."""

    def __init__(self, requests: list[Any], pixels: FloatArray, idle_requests: list[Any]) -> None:
        self._requests, self._pixels, self._idle_requests = requests, pixels, idle_requests

    def result(self) -> tuple[FloatArray, ...]:
        parts = []
        try:
            for request in self._requests:
                request.wait()
                count = len(request.model_outputs)
                parts.append([request.get_output_tensor(i).data for i in range(count)])
        except RuntimeError as error:
            raise _openvino_error(self._pixels, error) from error
        # The parts are views of the requests' memory, and copied before a request is used again.
        outputs = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        self._idle_requests.extend(self._requests)
        return outputs


def _openvino_error(pixels: FloatArray, error: RuntimeError) -> InferenceError:
    return InferenceError(f"OpenVINO failed on {pixels.shape}: {plain_reason(error)}")


class OpenVinoEngine(OpenVinoRuntimeEngine):
    """Converts a torch module at the first use of each input size, and keeps the result in a cache on disk.

    Precision `auto` is what OpenVINO chooses for this CPU: bfloat16 or float16 where it computes that natively, else
    float32; `precision` says what is really used. `run` raises ModelLoadError when the network cannot be converted.

    Args:
        module: maps (1, 3, H, W) float32 to a tensor or a tuple of tensors with the batch first.
        precision, threads, device, for_throughput: as OpenVinoRuntimeEngine takes them.
    """

    def __init__(
        self,
        module: LazyModule,
        *,
        precision: str = "auto",
        threads: int | None = None,
        device: str = "auto",
        for_throughput: bool = False,
    ) -> None:
        super().__init__(precision, threads, device=device, for_throughput=for_throughput)
        self._module: LazyModule | None = module
        version = import_engine_package("openvino", "openvino").__version__
        self._cache = ModelCache("openvino", module.cache_name, module.conversion_key(f"openvino {version}"))
        self._compiled = SizeCache[Any]()

    def _compiled_network(self, height: int, width: int) -> Any:
        if self._module is None:
            raise closed_engine_error()
        module = self._module
        return self._compiled.get_or_make(
            (height, width),
            lambda: self._load(module, height, width),
            on_evicted=lambda network: self._idle_requests.pop(network, None),
        )

    def _load(self, module: LazyModule, height: int, width: int) -> Any:
        key, core = f"{width}x{height}", self.compiler.core
        cached = self._cache.find(key)
        if cached is not None:
            try:
                return self._compile(core.read_model(cached))
            except RuntimeError as error:
                _log.warning("the cached network %s is not usable and is made anew: %s", cached, plain_reason(error))
                self._cache.remove(key)
        model = convert_to_openvino(module.get(), height, width)
        self._cache.store(key, lambda path: save_openvino(model, path))
        stored = self._cache.find(key)
        try:
            return self._compile(model if stored is None else core.read_model(stored))
        except RuntimeError as error:
            raise ModelLoadError(
                f"OpenVINO cannot run this network on {self.runs_on}; try --engine torch ({plain_reason(error)})",
                code="not-convertible",
            ) from error

    def _compile(self, model: Any) -> Any:
        network = super()._compile(model)
        self.precision = self.compiler.precision_of(network)
        return network

    def close(self) -> None:
        super().close()
        self._module = None
        self._compiled.clear()


class OpenVinoFileEngine(OpenVinoRuntimeEngine):
    """Runs OpenVINO's model in a file (.xml) that was made for one input size. Raises ModelLoadError.

    precision: what the model was made for.
    """

    def __init__(
        self,
        path: Path,
        precision: str,
        *,
        threads: int | None = None,
        device: str = "auto",
        for_throughput: bool = False,
    ) -> None:
        super().__init__(threads=threads, device=device, for_throughput=for_throughput)
        try:
            self._compiled: Any = self._compile(self.compiler.core.read_model(path))
        except RuntimeError as error:
            raise ModelLoadError(
                f"OpenVINO cannot read '{path}', or the weights beside it; make it anew", code="damaged"
            ) from error
        self.precision = precision

    def _compiled_network(self, height: int, width: int) -> Any:
        if self._compiled is None:
            raise closed_engine_error()
        return self._compiled

    def close(self) -> None:
        super().close()
        self._compiled = None
