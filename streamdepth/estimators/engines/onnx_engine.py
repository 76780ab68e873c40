"""Engines on ONNX Runtime: on CPUs, and elsewhere by its providers for CUDA, TensorRT, CoreML and DirectML."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError, InferenceError, ModelLoadError
from streamdepth.estimators.engines import (
    Engine,
    FloatArray,
    Outputs,
    Pixels,
    SizeCache,
    as_array,
    closed_engine_error,
)
from streamdepth.estimators.engines.io_binding import concatenate, fill_batch, has_fixed_outputs, run_bound
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.onnx_export import OPSET, save_onnx
from streamdepth.estimators.engines.onnx_providers import choose_providers, import_onnx
from streamdepth.estimators.engines.onnx_session import OnnxSession, device_word, is_on_cuda
from streamdepth.estimators.engines.runtime_errors import plain_reason
from streamdepth.estimators.engines.tensorrt import TENSORRT
from streamdepth.utils.cache import ModelCache

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)


class OnnxRuntimeEngine(Engine):
    """The base of the engines on ONNX Runtime.

    Pictures run in batches of the size that a model was made for; a last batch is filled up, and cut afterwards. On
    CUDA and TensorRT inputs and outputs stay in the GPU's memory. Raises MissingDependencyError and ConfigError.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `coreml`, `directml` or `directml:N`.
        threads: number of CPU threads; None leaves it to the runtime.
        computes_in_float16, needs_first_provider: as OnnxSession takes them.
    """

    name = "onnx"
    precision = "float32"

    def __init__(
        self,
        device: str = "auto",
        threads: int | None = None,
        *,
        computes_in_float16: bool = False,
        needs_first_provider: bool = False,
    ) -> None:
        self._asked_device, self._threads = device, threads
        self._computes_in_float16, self._needs_first_provider = computes_in_float16, needs_first_provider
        self._providers = choose_providers(device)
        self._note = ""
        if computes_in_float16 and self._providers[0][0] == TENSORRT:
            self.precision = "float16"
        self._use_device(self._providers[0][0])

    def _use_device(self, provider: str) -> None:
        self._runs_on = device_word(provider, self._asked_device)
        self.device = _tensor_device(self._runs_on) if is_on_cuda(provider) else "cpu"

    @property
    def runs_on(self) -> str:
        return self._runs_on

    def _load_session(self, path: Path) -> OnnxSession:
        """Loads a session, and says in `precision` and `reason` what it really uses. Raises ModelLoadError."""
        session = OnnxSession(
            path,
            self._asked_device,
            providers=self._providers,
            threads=self._threads,
            computes_in_float16=self._computes_in_float16,
            needs_first_provider=self._needs_first_provider,
        )
        self._providers, self.precision = session.providers, session.precision
        self._use_device(session.provider)
        self.reason, self._note = self.reason.removesuffix(self._note) + session.note, session.note
        return session

    def upload(self, pictures: Sequence[Image]) -> npt.NDArray[np.uint8] | Tensor:
        if self.device == "cpu":
            return super().upload(pictures)
        import torch

        from streamdepth.estimators.engines.cuda_transfer import upload_pinned

        return upload_pinned(pictures, torch.device(self.device))

    def download(self, values: Pixels) -> FloatArray:
        if isinstance(values, np.ndarray) or not values.is_cuda:
            return as_array(values)
        from streamdepth.estimators.engines.cuda_transfer import download_pinned

        return download_pinned(values)

    def _run_session(self, session: OnnxSession, pixels: Pixels) -> Outputs:
        """Computes the outputs in batches of the file's size; what lies on the session's GPU does not leave it."""
        count = session.session.get_inputs()[0].shape[0]
        batch = count if isinstance(count, int) else len(pixels)
        run = _run_on_gpu if _takes_tensors(session, pixels) else _run_on_arrays
        outputs = []
        try:
            for first in range(0, len(pixels), batch):
                part = pixels[first : first + batch]
                outputs.append([output[: len(part)] for output in run(session, fill_batch(part, batch))])
        except Exception as error:  # the runtime's own classes
            raise InferenceError(f"ONNX Runtime failed on {tuple(pixels.shape)}: {plain_reason(error)}") from error
        return tuple(concatenate(parts) for parts in zip(*outputs, strict=True))


def _takes_tensors(session: OnnxSession, pixels: Pixels) -> bool:
    """Returns True if both are on a GPU, and the shapes of the outputs are known before the session runs."""
    is_on_gpu = not isinstance(pixels, np.ndarray) and pixels.is_cuda and is_on_cuda(session.provider)
    return is_on_gpu and has_fixed_outputs(session.session)


def _run_on_gpu(session: OnnxSession, pixels: Pixels) -> Sequence[Pixels]:
    return run_bound(session.session, pixels)


def _run_on_arrays(session: OnnxSession, pixels: Pixels) -> Sequence[Pixels]:
    return session.run(None, {session.session.get_inputs()[0].name: as_array(pixels)})


def _tensor_device(word: str) -> str:
    """Returns the device of tensors for a GPU of `--device`: the CPU where torch was built without CUDA."""
    import torch

    return word if torch.cuda.is_available() else "cpu"


class OnnxEngine(OnnxRuntimeEngine):
    """Exports a torch module to ONNX at the first use of each input size, and keeps the result in a cache on disk.

    On a GPU the batch is that of the first pictures; TensorRT computes in float16 where it works. `run` raises
    ModelLoadError when the network cannot be exported.

    Args:
        module: maps (N, 3, H, W) float32 to a tensor or a tuple of tensors.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `coreml`, `directml` or `directml:N`.
        precision: `auto` or `float32`; `float16` too where TensorRT works.
        threads: number of CPU threads; None leaves it to the runtime.
        needs_tensorrt: a network that TensorRT does not take raises ModelLoadError, and is not run without.
    """

    def __init__(
        self,
        module: LazyModule,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        needs_tensorrt: bool = False,
    ) -> None:
        super().__init__(
            device, threads, computes_in_float16=precision != "float32", needs_first_provider=needs_tensorrt
        )
        has_tensorrt = self._providers[0][0] == TENSORRT
        allowed = ("auto", "float32", "float16") if has_tensorrt else ("auto", "float32")
        if precision not in allowed:
            raise ConfigError(
                f"precision {precision!r} does not go with the engine onnx; allowed are {', '.join(allowed)}",
                code="wrong-precision",
            )
        self._module: LazyModule | None = module
        key = module.conversion_key(f"onnx {import_onnx('onnx').__version__} {OPSET}")
        self._cache = ModelCache("onnx", module.cache_name, key, "model.onnx")
        self._sessions = SizeCache[OnnxSession]()

    def run(self, pixels: Pixels) -> Outputs:
        if self._module is None:
            raise closed_engine_error()
        module, (height, width) = self._module, pixels.shape[-2:]
        batch = len(pixels) if len(self._providers) > 1 else 1  # a GPU takes all at once
        session = self._sessions.get_or_make((height, width), lambda: self._make_session(module, batch, height, width))
        return self._run_session(session, pixels)

    def _make_session(self, module: LazyModule, batch: int, height: int, width: int) -> OnnxSession:
        key = f"{batch}x{width}x{height}"
        if (cached := self._cache.find(key)) is not None:
            try:
                return self._load_session(cached)
            except ModelLoadError as error:
                if error.code != "damaged":
                    raise
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
    """Runs an ONNX file that was made for one input size, in its own precision. Raises ModelLoadError."""

    def __init__(self, path: Path, *, device: str = "auto", threads: int | None = None) -> None:
        super().__init__(device, threads)
        self._session: OnnxSession | None = self._load_session(path)
        self.metadata: dict[str, str] = dict(self._session.session.get_modelmeta().custom_metadata_map)
        """The custom metadata in the file."""

    def run(self, pixels: Pixels) -> Outputs:
        if self._session is None:
            raise closed_engine_error()
        return self._run_session(self._session, pixels)

    def close(self) -> None:
        self._session = None


def _copy_folder(source: Path, target: Path) -> None:
    """Copies the model's file and those beside it, where weights over 2 GB lie."""
    shutil.copytree(source, target, dirs_exist_ok=True)
