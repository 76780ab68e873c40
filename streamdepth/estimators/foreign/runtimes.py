"""Runs an ONNX file of another program on ONNX Runtime or OpenVINO: named arrays in, named arrays out."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError, InferenceError, ModelLoadError
from streamdepth.core.futures import CompletedFuture, Future
from streamdepth.estimators.engines import EngineOptions, closed_engine_error, import_engine_package, onnx_engine
from streamdepth.estimators.engines.onnx_engine import choose_providers, import_onnx, provider_name
from streamdepth.estimators.engines.openvino_devices import choose_openvino_devices, is_openvino_device
from streamdepth.estimators.engines.openvino_engine import is_installed, openvino_core
from streamdepth.estimators.foreign.interface import Interface, Port, read_metadata
from streamdepth.estimators.foreign.refusals import check_whole, failed_run_error, unusable_file_error

_log = logging.getLogger(__name__)

AnyArray = npt.NDArray[Any]
Arrays = Mapping[str, AnyArray]
"""Arrays by the name of an input or output."""
_NUMPY_NAMES = {
    "float": "float32", "double": "float64", "f32": "float32", "f16": "float16", "f64": "float64",
    "boolean": "bool", "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
}  # fmt: skip
"""Element types as the two runtimes name them -> numpy's names; others are equal."""
_MAX_SIZES = 4
_FATAL_ONLY = 4
"""ONNX Runtime's level of logging; its warnings speak of what is inside of a file, and its errors are raised."""


class Runtime(ABC):
    """An ONNX file that is ready to run."""

    name: str
    precision: str
    runs_on: str
    """The device that computes, as `--device` names it."""
    reason: str
    max_in_flight: int = 1
    interface: Interface

    @abstractmethod
    def start(self, feeds: Arrays, outputs: Sequence[str]) -> Future[list[AnyArray]]:
        """Begins to compute these outputs. Raises InferenceError, here or when the result is asked for."""

    @abstractmethod
    def close(self) -> None:
        """Releases everything. Idempotent."""


def open_runtime(path: Path, options: EngineOptions) -> Runtime:
    """Opens an ONNX file on the engine of the options; `auto` is OpenVINO on a CPU, ONNX Runtime else.

    Raises:
        ModelLoadError: "not-found" or "damaged".
        ConfigError: for options that do not go with such files.
        MissingDependencyError: the runtime is not installed.
    """
    _check_file(path)
    _check_options(path, options)
    engine, device = options.get("engine", "auto"), options.get("device", "auto")
    if engine == "openvino" or is_openvino_device(device):
        return OpenVinoRuntime(path, options)
    if engine == "onnx" or device not in ("auto", "cpu") or not is_installed():
        return OnnxRuntime(path, options)
    try:
        return OpenVinoRuntime(path, options)
    except ModelLoadError as error:
        if not onnx_engine.is_installed():
            raise
        runtime = OnnxRuntime(path, options)  # where it cannot either, its error says enough
        _log.warning("ONNX Runtime is used, because of this: %s", error)
        return runtime


def _check_file(path: Path) -> None:
    """Raises ModelLoadError for a path without a whole ONNX file, before a runtime says so in its own many words."""
    if path.is_dir():
        raise ModelLoadError(f"'{path}' is a folder; give the ONNX file in it", code="not-found")
    if not path.is_file():
        if re.match(r"[a-z][a-z0-9+.-]+:/", str(path), re.IGNORECASE):
            raise ModelLoadError(
                f"'{path}' is an address, and ONNX files are read from this machine only; download the file, and give "
                "its path",
                code="not-found",
            )
        raise ModelLoadError(
            f"there is no file '{path}'; give an ONNX file that is there, or a name of `streamdepth models`",
            code="not-found",
        )
    check_whole(path)


def _check_options(path: Path, options: EngineOptions) -> None:
    if options.get("engine", "auto") not in ("auto", "onnx", "openvino"):
        raise ConfigError(
            f"'{path}' runs on the engines onnx and openvino, not on {options['engine']!r}; leave --engine out",
            code="option-conflict",
        )
    if options.get("precision", "auto") not in ("auto", "float32") or options.get("compile"):
        raise ConfigError(
            f"'{path}' is computed as it was written; leave --precision and --compile out", code="option-conflict"
        )


class OnnxRuntime(Runtime):
    """The file on ONNX Runtime, on a CPU or a GPU."""

    name, precision = "onnx", "float32"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        onnxruntime = import_onnx()
        settings, providers = onnxruntime.SessionOptions(), _in_float32(choose_providers(options.get("device", "auto")))
        settings.log_severity_level = _FATAL_ONLY
        settings.enable_mem_pattern = not options.get("device", "auto").startswith("directml")  # does not go with it
        if threads := options.get("threads"):
            settings.intra_op_num_threads = threads
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), settings, providers=providers)
        except Exception as error:  # the runtime's own classes, and protobuf's
            raise unusable_file_error("ONNX Runtime", path, error) from error
        used, wanted = self._session.get_providers()[0], provider_name(providers[0])
        if used != wanted:
            _log.warning("ONNX Runtime could not start its %s, and uses its %s", wanted, used)
        self.runs_on = "cpu" if used.startswith("CPU") else options.get("device", "auto").replace("auto", "cuda")
        self.reason = f"it runs such files, with ONNX Runtime's {used}"
        self.interface = Interface(
            tuple(_onnx_port(entry) for entry in self._session.get_inputs()),
            tuple(_onnx_port(entry) for entry in self._session.get_outputs()),
            dict(self._session.get_modelmeta().custom_metadata_map),
        )

    def start(self, feeds: Arrays, outputs: Sequence[str]) -> Future[list[AnyArray]]:
        if self._session is None:
            raise closed_engine_error()
        try:
            return CompletedFuture(self._session.run(list(outputs), dict(feeds)))
        except Exception as error:  # the runtime's own classes
            raise _failed("ONNX Runtime", feeds, error) from error

    def close(self) -> None:
        self._session = None


def _in_float32(providers: Sequence[Any]) -> list[Any]:
    """Returns ONNX Runtime's providers without TensorRT, which would compute in float16."""
    return [p for p in providers if not provider_name(p).startswith("Tensorrt")]


def _onnx_port(entry: Any) -> Port:
    name = entry.type.removeprefix("tensor(").removesuffix(")")
    return Port(entry.name, tuple(size or "?" for size in entry.shape), _NUMPY_NAMES.get(name, name))


def _failed(runtime: str, feeds: Arrays, error: Exception) -> InferenceError:
    return failed_run_error(runtime, ", ".join(f"{name} {array.shape}" for name, array in feeds.items()), error)


class OpenVinoRuntime(Runtime):
    """The file on OpenVINO, in float32 where the device has it; compiled for each size of input that comes."""

    name = "openvino"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        import_engine_package("openvino", "openvino")
        core = openvino_core()
        self._devices, missing = choose_openvino_devices(options.get("device", "auto"), lambda: core.available_devices)
        for word in missing:
            _log.warning("%s is not here; %s is used instead", word, self._devices[0].lower())
        self._hint, self._threads = "THROUGHPUT" if options.get("for_throughput") else "LATENCY", options.get("threads")
        try:
            self._model: Any = core.read_model(path)
        except RuntimeError as error:
            raise unusable_file_error("OpenVINO", path, error) from error
        self._networks: dict[Any, Any] = {}
        self.max_in_flight = 2
        self._use_first_device()
        self.interface = Interface(
            tuple(_openvino_port(entry) for entry in self._model.inputs),
            tuple(_openvino_port(entry) for entry in self._model.outputs),
            read_metadata(path),
        )

    def start(self, feeds: Arrays, outputs: Sequence[str]) -> Future[list[AnyArray]]:
        if self._model is None:
            raise closed_engine_error()
        try:
            request = self._compiled({name: array.shape for name, array in feeds.items()}).create_infer_request()
            request.start_async(dict(feeds), share_inputs=True)
        except RuntimeError as error:
            raise _failed("OpenVINO", feeds, error) from error
        return _PendingArrays(request, feeds, outputs)

    def _compiled(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """Returns the network for inputs of these shapes; the last four stay. Raises RuntimeError."""
        key = tuple(shapes.items())
        if key not in self._networks:
            model = self._model.clone()
            if any(port.partial_shape.is_dynamic for port in model.inputs):
                model.reshape({port.any_name: _fill_free(port, shapes[port.any_name]) for port in model.inputs})
            self._networks[key] = self._compile(model)
            if len(self._networks) > _MAX_SIZES:
                del self._networks[next(iter(self._networks))]
        return self._networks[key]

    def _compile(self, model: Any) -> Any:
        """Compiles for the first device of the list that takes the file. Raises RuntimeError where none does."""
        options: dict[str, str | int] = {"PERFORMANCE_HINT": self._hint}
        if self.precision == "float32":
            options["INFERENCE_PRECISION_HINT"] = "f32"
        if self._threads and self.runs_on == "cpu":
            options["INFERENCE_NUM_THREADS"] = self._threads
        try:
            return openvino_core().compile_model(model, self._devices[0], options)
        except RuntimeError as error:
            if len(self._devices) == 1:
                raise
            _log.warning("%s does not take the file (%s)", self.runs_on, " ".join(str(error).split())[-200:])
            del self._devices[0]
            self._use_first_device()
            return self._compile(model)

    def _use_first_device(self) -> None:
        self.runs_on = self._devices[0].lower()
        self.precision = "float16" if self.runs_on == "npu" else "float32"  # NPUs have no other
        self.reason = f"it runs such files, on the {self.runs_on}"

    def close(self) -> None:
        self._model = None
        self._networks.clear()


class _PendingArrays:
    """The outputs of a request that is being computed."""

    def __init__(self, request: Any, feeds: Arrays, outputs: Sequence[str]) -> None:
        self._request, self._feeds, self._outputs = request, feeds, outputs

    def result(self) -> list[AnyArray]:
        try:
            self._request.wait()
        except RuntimeError as error:
            raise _failed("OpenVINO", self._feeds, error) from error
        return [np.array(self._request.get_tensor(name).data) for name in self._outputs]


def _fill_free(port: Any, shape: Sequence[int]) -> list[int]:
    """Returns a shape in which the sizes that the file has fixed stay: OpenVINO would change those, too."""
    if port.partial_shape.rank.is_dynamic or len(port.partial_shape) != len(shape):
        return list(shape)
    sizes = port.partial_shape
    return [fixed.get_length() if fixed.is_static else size for fixed, size in zip(sizes, shape, strict=True)]


def _openvino_port(entry: Any) -> Port:
    shape = tuple(d.get_length() if d.is_static else "?" for d in entry.partial_shape)
    name = entry.element_type.get_type_name()
    return Port(entry.any_name, shape, _NUMPY_NAMES.get(name, name))
