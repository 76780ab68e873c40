"""Engines on OpenVINO, the fastest runtime on most CPUs."""

from __future__ import annotations

import functools
import importlib.util
import logging
import warnings
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth.core.errors import ConfigError, InferenceError, ModelLoadError
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
from streamdepth.estimators.engines.openvino_devices import choose_openvino_devices
from streamdepth.estimators.engines.openvino_graph import keep_outputs_in_float32
from streamdepth.utils.cache import ModelCache, cache_folder

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)

_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_PRECISION_OF_HINT = {hint: name for name, hint in _HINTS.items()}
_CAPABILITIES = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16"}


def is_installed() -> bool:
    """Returns True if OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


@functools.cache
def openvino_core() -> Any:
    """Returns the process's one OpenVINO core. Raises MissingDependencyError.

    Each core gives its thread a stack for signal handlers, and restores the one before when it goes. Where two cores go
    in the order in which they came, that one is gone, too: the next Ctrl-C then crashes the process.
    """
    return import_engine_package("openvino", "openvino").Core()


def describe_devices() -> dict[str, str]:
    """Returns the words of `--device` for OpenVINO's devices on this machine, each with the name of the hardware.

    Raises MissingDependencyError.
    """
    core = openvino_core()
    return {name.lower(): str(core.get_property(name, "FULL_DEVICE_NAME")) for name in core.available_devices}


class OpenVinoRuntimeEngine(Engine):
    """The base of the engines on OpenVINO.

    Pictures run one at a time, each with all threads; batches would gain nothing on a CPU. Raises
    MissingDependencyError, and ConfigError for a device or a precision that cannot be had.

    Args:
        precision: `auto`, or one that the device computes in.
        device: as `choose_openvino_devices` takes it. Where a device of a list does not take a network, the next one
            does; that is logged, and `reason` says it.
        threads: number of CPU threads; None leaves it to OpenVINO.
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
        self._openvino = import_engine_package("openvino", "openvino")
        self._core = openvino_core()
        self._devices, missing = choose_openvino_devices(device, lambda: self._core.available_devices)
        self._skipped = [f"{word} is not here" for word in missing]
        """Why devices of a list are not used."""
        self._note = ""
        for text in self._skipped:
            _log.warning("%s; %s is used instead", text, self.runs_on)
        self._asked_precision, self._threads = precision, threads
        self._hint = "THROUGHPUT" if for_throughput else "LATENCY"
        self._options = self._device_options()
        used = self._options.get("INFERENCE_PRECISION_HINT") or self._used_precision(self._core, self._devices[0])
        self.precision = _PRECISION_OF_HINT.get(str(used), str(used))
        self._idle_requests: dict[Any, list[Any]] = {}
        """Inference requests that wait for work, by compiled network."""

    @property
    def runs_on(self) -> str:
        return self._devices[0].lower()

    def _device_options(self) -> dict[str, str | int]:
        """Returns the options with which networks are compiled for the device that is tried now. Raises ConfigError."""
        options: dict[str, str | int] = {
            "PERFORMANCE_HINT": self._hint,
            **self._precision_option(self._asked_precision),
        }
        if self._devices[0] != "CPU":
            options["CACHE_DIR"] = str(cache_folder() / "openvino-compiled")  # drivers need seconds to compile
        elif self._threads:
            options["INFERENCE_NUM_THREADS"] = self._threads
        return options

    def _precision_option(self, precision: str) -> dict[str, str]:
        if precision == "auto":
            return {}
        capabilities = self._core.get_property(self._devices[0], "OPTIMIZATION_CAPABILITIES")
        allowed = [name for name, capability in _CAPABILITIES.items() if capability in capabilities]
        if precision not in allowed:
            raise ConfigError(
                f"precision {precision!r} does not go with OpenVINO on this {self._devices[0]}; allowed are auto, "
                f"{', '.join(allowed)}",
                code="wrong-precision",
            )
        return {"INFERENCE_PRECISION_HINT": _HINTS[precision]}

    @staticmethod
    def _used_precision(holder: Any, *device: str) -> str:
        return str(holder.get_property(*device, "INFERENCE_PRECISION_HINT").to_string())

    @abstractmethod
    def _compiled_network(self, height: int, width: int) -> Any:
        """Returns the compiled network for pictures of this size. Raises InferenceError and ModelLoadError."""

    def _compile(self, model: Any) -> Any:
        """Compiles for the first device that takes the network. Raises OpenVINO's RuntimeError where none does."""
        try:
            network = self._core.compile_model(model, self._devices[0], self._options)
        except RuntimeError as error:
            if len(self._devices) == 1:
                raise
            self._skip_device(error)
            return self._compile(model)
        self.max_in_flight = network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1  # one is prepared meanwhile
        note = "".join(f"; {text}" for text in self._skipped)
        self.reason, self._note = self.reason.removesuffix(self._note) + note, note
        return network

    def _skip_device(self, error: RuntimeError) -> None:
        """Goes over to the next device of the list after one that does not take a network. Raises ConfigError."""
        self._skipped.append(f"{self.runs_on} did not take the network")
        del self._devices[0]
        self._options = self._device_options()
        cause = " ".join(str(error).split())[-200:]
        _log.warning("%s (%s); %s is used instead", self._skipped[-1], cause, self.runs_on)

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
    return InferenceError(f"OpenVINO failed on {pixels.shape}: {error}")


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
        key = module.conversion_key(f"openvino {self._openvino.__version__}")
        self._cache = ModelCache("openvino", module.cache_name, key)
        self._compiled = SizeCache[Any]()

    def _compiled_network(self, height: int, width: int) -> Any:
        if self._module is None:
            raise closed_engine_error()
        return self._compiled.get_or_make(
            (height, width),
            lambda: self._load(height, width),
            on_evicted=lambda network: self._idle_requests.pop(network, None),
        )

    def _load(self, height: int, width: int) -> Any:
        key = f"{width}x{height}"
        cached = self._cache.find(key)
        if cached is not None:
            try:
                return self._compile(self._core.read_model(cached))
            except RuntimeError as error:
                _log.warning("the cached network %s is not usable and is made anew: %s", cached, error)
                self._cache.remove(key)
        model = self.convert(height, width)
        self._cache.store(key, lambda path: self.save(model, path))
        stored = self._cache.find(key)
        try:
            return self._compile(model if stored is None else self._core.read_model(stored))
        except RuntimeError as error:
            raise ModelLoadError(
                f"OpenVINO cannot run this network on {self.runs_on}; try --engine torch "
                f"({' '.join(str(error).split())[-300:]})",
                code="not-convertible",
            ) from error

    def save(self, model: Any, path: Path) -> None:
        """Writes OpenVINO's model to `path`, the .xml file, and the weights beside it."""
        self._openvino.save_model(model, path, compress_to_fp16=False)
        keep_outputs_in_float32(path)

    def _compile(self, model: Any) -> Any:
        network = super()._compile(model)
        used = self._used_precision(network)
        self.precision = _PRECISION_OF_HINT.get(used, used)
        return network

    def convert(self, height: int, width: int) -> Any:
        """Returns OpenVINO's model for inputs of this size. Raises ModelLoadError."""
        if self._module is None:
            raise closed_engine_error()
        module = self._module.get()
        import torch

        _log.info("converting the network for OpenVINO at %dx%d px", width, height)
        example = torch.zeros(1, 3, height, width)
        try:
            # torch.jit.trace announces its deprecation, and constants baked into the trace; both are meant here.
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
                model = _from_torchscript(traced, example)
            model.reshape([1, 3, height, width])
            return model
        except Exception as error:  # torch, OpenVINO and the network's own code raise whatever they like
            reason = " ".join(str(error).split())[-300:]
            raise ModelLoadError(
                f"OpenVINO cannot convert this network; try --engine torch ({reason})", code="not-convertible"
            ) from error

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
            self._compiled: Any = self._compile(self._core.read_model(path))
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


def _from_torchscript(traced: Any, example: Tensor) -> Any:
    """Converts with OpenVINO's frontend: `openvino.convert_model` is slower."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced, example_input=example)
    loaded = frontend.load(decoder)  # refers to the decoder without owning it
    return frontend.convert(loaded)
