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
from streamdepth.estimators.engines import EngineOptions, closed_engine_error, onnx_providers
from streamdepth.estimators.engines.choose import FILE_ENGINES, choose_engine
from streamdepth.estimators.engines.onnx_session import OnnxSession
from streamdepth.estimators.engines.openvino_compiler import OpenVinoCompiler
from streamdepth.estimators.engines.runtime_errors import failed_run_error, unusable_file_error
from streamdepth.estimators.foreign.interface import Interface, Port
from streamdepth.estimators.foreign.onnx_file import check_whole, read_metadata

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


class Runtime(ABC):
    """An ONNX file that is ready to run."""

    name: str
    max_in_flight: int = 1
    interface: Interface

    @property
    @abstractmethod
    def runs_on(self) -> str:
        """The device that computes, as `--device` names it."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """The precision that it computes in where the file has float32."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """Why it runs here, a short sentence for people."""

    @abstractmethod
    def start(self, feeds: Arrays, outputs: Sequence[str]) -> Future[list[AnyArray]]:
        """Begins to compute these outputs. Raises InferenceError, here or when the result is asked for."""

    @abstractmethod
    def close(self) -> None:
        """Releases everything. Idempotent."""


def open_runtime(path: Path, options: EngineOptions) -> Runtime:
    """Opens an ONNX file on the engine of the options, as `choose_engine` chooses it among those for files.

    Where `auto` is OpenVINO and that cannot read the file, ONNX Runtime is used.

    Raises:
        ModelLoadError: "not-found" or "damaged".
        ConfigError: for options that do not go with such files.
        MissingDependencyError: the runtime is not installed.
    """
    _check_file(path)
    _check_options(path, options)
    engine, device = options.get("engine", "auto"), options.get("device", "auto")
    if choose_engine(engine, device, among=FILE_ENGINES).name == "onnx":
        return OnnxRuntime(path, options)
    has_alternative = engine == "auto" and device in ("auto", "cpu") and onnx_providers.is_installed()
    try:
        return OpenVinoRuntime(path, options)
    except ModelLoadError as error:
        if not has_alternative:
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
    if options.get("engine", "auto") not in ("auto", *FILE_ENGINES):
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

    name = "onnx"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        self._onnx = OnnxSession(path, options.get("device", "auto"), threads=options.get("threads"))
        session = self._onnx.session
        self.interface = Interface(
            tuple(_onnx_port(entry) for entry in session.get_inputs()),
            tuple(_onnx_port(entry) for entry in session.get_outputs()),
            dict(session.get_modelmeta().custom_metadata_map),
        )

    @property
    def runs_on(self) -> str:
        return self._onnx.runs_on

    @property
    def precision(self) -> str:
        return self._onnx.precision

    @property
    def reason(self) -> str:
        return f"it runs such files{self._onnx.note}"

    def start(self, feeds: Arrays, outputs: Sequence[str]) -> Future[list[AnyArray]]:
        if self._onnx.session is None:
            raise closed_engine_error()
        try:
            return CompletedFuture(self._onnx.run(outputs, feeds))
        except Exception as error:  # the runtime's own classes
            raise _failed("ONNX Runtime", feeds, error) from error

    def close(self) -> None:
        self._onnx.close()


def _onnx_port(entry: Any) -> Port:
    name = entry.type.removeprefix("tensor(").removesuffix(")")
    return Port(entry.name, tuple(size or "?" for size in entry.shape), _NUMPY_NAMES.get(name, name))


def _failed(runtime: str, feeds: Arrays, error: Exception) -> InferenceError:
    return failed_run_error(runtime, ", ".join(f"{name} {array.shape}" for name, array in feeds.items()), error)


class OpenVinoRuntime(Runtime):
    """The file on OpenVINO, in float32 where the device has it; compiled for each size of input that comes."""

    name = "openvino"
    max_in_flight = 2

    def __init__(self, path: Path, options: EngineOptions) -> None:
        self._compiler = OpenVinoCompiler(
            options.get("device", "auto"),
            "float32",
            threads=options.get("threads"),
            for_throughput=options.get("for_throughput", False),
            is_precision_strict=False,  # NPUs have float16 only
        )
        try:
            self._model: Any = self._compiler.core.read_model(path)
        except RuntimeError as error:
            raise unusable_file_error("OpenVINO", path, error) from error
        self._networks: dict[Any, Any] = {}
        self.interface = Interface(
            tuple(_openvino_port(entry) for entry in self._model.inputs),
            tuple(_openvino_port(entry) for entry in self._model.outputs),
            read_metadata(path),
        )

    @property
    def runs_on(self) -> str:
        return self._compiler.runs_on

    @property
    def precision(self) -> str:
        return self._compiler.precision

    @property
    def reason(self) -> str:
        return f"it runs such files, on the {self.runs_on}{self._compiler.note}"

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
            self._networks[key] = self._compiler.compile(model)
            if len(self._networks) > _MAX_SIZES:
                del self._networks[next(iter(self._networks))]
        return self._networks[key]

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
