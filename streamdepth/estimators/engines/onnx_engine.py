"""Engines on ONNX Runtime: on CPUs, and elsewhere by its providers for CUDA, TensorRT, CoreML and DirectML."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth.core.errors import ConfigError, InferenceError, ModelLoadError
from streamdepth.estimators.engines import (
    Engine,
    FloatArray,
    Outputs,
    Pixels,
    SizeCache,
    as_array,
    closed_engine_error,
    import_engine_package,
)
from streamdepth.estimators.engines.io_binding import has_fixed_outputs, run_bound
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.utils.cache import ModelCache, cache_folder

if TYPE_CHECKING:
    from torch import nn

_log = logging.getLogger(__name__)

_OPSET = 18
_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_DEVICES = {
    "cuda": "pip install onnxruntime-gpu",
    "coreml": "it is for macOS",
    "directml": "it is for Windows: pip install onnxruntime-directml",
}
"""Words of `--device` for other providers than the CPU's -> how to get them."""
_NUMBERED = ("cuda", "directml")
_COREML = {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}
"""The Neural Engine, the GPU and the CPU, whichever Core ML takes for each part."""


def is_installed() -> bool:
    """Returns True if ONNX Runtime and onnx, which exports need, are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "onnx"))


def import_onnx(name: str = "onnxruntime") -> Any:
    """Imports `onnxruntime` or `onnx`. Raises as `import_engine_package` does."""
    return import_engine_package(name, "onnx")


def save_onnx(
    module: nn.Module, path: Path, batch: int, height: int, width: int, *, has_free_size: bool = False
) -> None:
    """Writes `module` as ONNX for inputs `pixels` of (batch, 3, height, width) float32. Raises ModelLoadError.

    With `has_free_size` the dimensions `height` and `width` stay open: the file takes all sizes that the network takes.
    """
    import_onnx("onnx")
    import torch

    example = torch.zeros(batch, 3, height, width)
    try:
        # Traced, as for OpenVINO: the exporter that torch prefers needs five times as long for the same graph. torch
        # announces the tracing one's end, and constants baked into the trace; both are meant here.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(), (example,), str(path), input_names=["pixels"], opset_version=_OPSET, dynamo=False,
                dynamic_axes={"pixels": {2: "height", 3: "width"}} if has_free_size else None,
            )  # fmt: skip
    except Exception as error:  # torch, onnx and the network's own code raise whatever they like
        reason = " ".join(str(error).split())[-300:]
        raise ModelLoadError(
            f"this network cannot be exported to ONNX; try --engine torch ({reason})", code="not-convertible"
        ) from error


def available_devices() -> list[str]:
    """Returns the words of `--device` for which ONNX Runtime has a provider here. Raises as `import_engine_package`."""
    available = import_onnx().get_available_providers()
    return [word for word, provider in _PROVIDERS.items() if provider in available and word != "tensorrt"]


def is_onnx_device(device: str) -> bool:
    """Returns True for the devices that no other engine has: coreml, directml and directml:N."""
    return device.partition(":")[0] in ("coreml", "directml")


def choose_providers(device: str) -> list[Any]:
    """Returns ONNX Runtime's execution providers for `device`, the fastest first. Raises ConfigError."""
    kind, _, number = device.partition(":")
    here = available_devices()
    if kind not in ("auto", "cpu", *_DEVICES) or (number and not (number.isdecimal() and kind in _NUMBERED)):
        raise ConfigError(
            f"the engine onnx runs on auto, cpu, {', '.join(_DEVICES)}, cuda:N or directml:N, not on {device!r}; here "
            f"are {', '.join(here)}; try --engine torch or openvino",
            code="wrong-device",
        )
    if kind in _DEVICES and kind not in here:
        raise ConfigError(
            f"this ONNX Runtime has no {kind}, only {', '.join(here)}; {_DEVICES[kind]}", code="no-such-device"
        )
    if kind in ("coreml", "directml"):
        options = _COREML if kind == "coreml" else {"device_id": number or "0"}
        return [(_PROVIDERS[kind], options), _PROVIDERS["cpu"]]
    if kind == "cpu" or "cuda" not in here:
        return [_PROVIDERS["cpu"]]
    return _cuda_providers(number or "0")


def _cuda_providers(number: str) -> list[Any]:
    cuda = {"device_id": number}
    engine_folder = cache_folder() / "tensorrt"
    tensorrt = cuda | {
        "trt_fp16_enable": "1", "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engine_folder),
    }  # fmt: skip
    wanted = [(_PROVIDERS["tensorrt"], tensorrt), (_PROVIDERS["cuda"], cuda), _PROVIDERS["cpu"]]
    available = import_onnx().get_available_providers()
    return [provider for provider in wanted if provider_name(provider) in available]


class OnnxRuntimeEngine(Engine):
    """The base of the engines on ONNX Runtime.

    Pictures run in batches of the size that a model was made for; a last batch is filled up, and cut afterwards.
    Raises MissingDependencyError and ConfigError.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `coreml`, `directml` or `directml:N`.
        threads: number of CPU threads; None leaves it to the runtime.
    """

    name = "onnx"
    precision = "float32"

    def __init__(self, device: str = "auto", threads: int | None = None) -> None:
        self._onnxruntime = import_onnx()
        self._providers = choose_providers(device)
        self._options = self._onnxruntime.SessionOptions()
        self._used_provider = provider_name(self._providers[0])
        self._options.enable_mem_pattern = self._used_provider != _PROVIDERS["directml"]  # which does not go with it
        if threads:
            self._options.intra_op_num_threads = threads

    @property
    def runs_on(self) -> str:
        words = {provider: word for word, provider in _PROVIDERS.items()} | {_PROVIDERS["tensorrt"]: "cuda"}
        return words[self._used_provider]

    def _load_session(self, path: Path) -> Any:
        """Loads a session, and says in `precision` and `reason` what it really uses. Raises ModelLoadError."""
        try:
            session = self._onnxruntime.InferenceSession(str(path), self._options, providers=self._providers)
        except Exception as error:  # the runtime's own classes, and protobuf's
            raise ModelLoadError(
                f"ONNX Runtime cannot use '{path}': {' '.join(str(error).split())[:200]}", code="damaged"
            ) from error
        used = session.get_providers()[0]
        if used != self._used_provider:
            _log.warning("ONNX Runtime could not start its %s, and uses its %s", self._used_provider, used)
            self._used_provider = used
        note = f", with ONNX Runtime's {used}"
        self.reason = self.reason.removesuffix(note) + note
        self.precision = "float16" if used == _PROVIDERS["tensorrt"] else "float32"
        return session

    def _run_session(self, session: Any, pixels: Pixels) -> Outputs:
        """Computes the outputs; where pixels and session are on a GPU and of one shape, nothing leaves it."""
        is_on_gpu = not isinstance(pixels, np.ndarray) and pixels.is_cuda and self.runs_on == "cuda"
        if is_on_gpu and list(pixels.shape) == session.get_inputs()[0].shape and has_fixed_outputs(session):
            return self._run_bound(session, pixels)
        return self._infer(session, as_array(pixels))

    def _run_bound(self, session: Any, pixels: Pixels) -> Outputs:
        try:
            return run_bound(session, pixels)
        except Exception as error:  # the runtime's own classes
            raise InferenceError(f"ONNX Runtime failed on {tuple(pixels.shape)}: {error}") from error

    def _infer(self, session: Any, pixels: FloatArray) -> tuple[FloatArray, ...]:
        entry = session.get_inputs()[0]
        batch = entry.shape[0] if isinstance(entry.shape[0], int) else len(pixels)
        parts = []
        for first in range(0, len(pixels), batch):
            part = pixels[first : first + batch]
            filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)]) if len(part) < batch else part
            try:
                outputs = session.run(None, {entry.name: filled})
            except Exception as error:  # the runtime's own classes
                raise InferenceError(f"ONNX Runtime failed on {pixels.shape}: {error}") from error
            parts.append([output[: len(part)] for output in outputs])
        return tuple(np.concatenate(output) for output in zip(*parts, strict=True))


def provider_name(provider: Any) -> str:
    """Returns the name of a provider, which may stand with its options."""
    return str(provider if isinstance(provider, str) else provider[0])


class OnnxEngine(OnnxRuntimeEngine):
    """Exports a torch module to ONNX at the first use of each input size, and keeps the result in a cache on disk.

    On a GPU the batch is that of the first pictures; TensorRT computes in float16 where it is installed. `run` raises
    ModelLoadError when the network cannot be exported.

    Args:
        module: maps (N, 3, H, W) float32 to a tensor or a tuple of tensors.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `coreml`, `directml` or `directml:N`.
        precision: `auto` or `float32`.
        threads: number of CPU threads; None leaves it to the runtime.
    """

    def __init__(
        self,
        module: LazyModule,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__(device, threads)
        allowed = ("auto", "float32")
        if precision not in allowed:
            raise ConfigError(
                f"precision {precision!r} does not go with the engine onnx; allowed are {', '.join(allowed)}",
                code="wrong-precision",
            )
        if precision == "float32":
            self._providers = [p for p in self._providers if p[0] != _PROVIDERS["tensorrt"]]
        self._module: LazyModule | None = module
        key = module.conversion_key(f"onnx {import_onnx('onnx').__version__} {_OPSET}")
        self._cache = ModelCache("onnx", module.cache_name, key, "model.onnx")
        self._sessions = SizeCache[Any]()

    def run(self, pixels: Pixels) -> Outputs:
        if self._module is None:
            raise closed_engine_error()
        height, width = pixels.shape[-2:]
        batch = len(pixels) if len(self._providers) > 1 else 1  # a GPU takes all at once
        session = self._sessions.get_or_make((height, width), lambda: self._make_session(batch, height, width))
        return self._run_session(session, pixels)

    def _make_session(self, batch: int, height: int, width: int) -> Any:
        module, key = self._module, f"{batch}x{width}x{height}"
        assert module is not None
        if (cached := self._cache.find(key)) is not None:
            try:
                return self._load_session(cached)
            except ModelLoadError as error:
                _log.warning("the cached network %s is not usable and is made anew: %s", cached, error)
                self._cache.remove(key)
        _log.info("exporting the network to ONNX at %dx%d px", width, height)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "model.onnx"
            save_onnx(module.get(), path, batch, height, width)
            self._cache.store(key, lambda stored: _copy_folder(path.parent, stored.parent))
            return self._load_session(self._cache.find(key) or path)

    def close(self) -> None:
        self._module = None
        self._sessions.clear()


class OnnxFileEngine(OnnxRuntimeEngine):
    """Runs an ONNX file that was made for one input size. Raises ModelLoadError."""

    def __init__(self, path: Path, *, device: str = "auto", threads: int | None = None) -> None:
        super().__init__(device, threads)
        self._session: Any = self._load_session(path)

    @property
    def metadata(self) -> dict[str, str]:
        """The custom metadata in the file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, pixels: Pixels) -> Outputs:
        if self._session is None:
            raise closed_engine_error()
        return self._run_session(self._session, pixels)

    def close(self) -> None:
        self._session = None


def _copy_folder(source: Path, target: Path) -> None:
    """Copies the model's file and those beside it, where weights over 2 GB lie."""
    shutil.copytree(source, target, dirs_exist_ok=True)
