"""An ONNX file in ONNX Runtime, on the fastest provider that takes it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from streamdepth.core.errors import ModelLoadError
from streamdepth.estimators.engines.onnx_providers import CUDA, DIRECTML, Provider, choose_providers, import_onnx
from streamdepth.estimators.engines.runtime_errors import plain_reason, unusable_file_error
from streamdepth.estimators.engines.tensorrt import TENSORRT, tensorrt_options

_log = logging.getLogger(__name__)

_FATAL_ONLY = 4
"""ONNX Runtime's level of logging; its warnings speak of what is inside of a file, and its errors are raised."""


class OnnxSession:
    """An ONNX file that is ready to run on ONNX Runtime.

    A provider that does not take the file is left out, with a warning that gives the reason, and the next one is used.

    Args:
        path: the ONNX file.
        device: as `choose_providers` takes it.
        providers: those to try, the first one first; None: all of `device`.
        threads: number of CPU threads; None leaves it to ONNX Runtime.
        computes_in_float16: let TensorRT compute in float16; False: as the file was written.
        needs_first_provider: a first provider that does not take the file is an error.

    Raises:
        ModelLoadError: "damaged", or "provider-refused" where the first provider is needed.
        ConfigError: for a device that cannot be had.
        MissingDependencyError: ONNX Runtime is not installed.
    """

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        *,
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
        computes_in_float16: bool = False,
        needs_first_provider: bool = False,
    ) -> None:
        self._path, self._device, self._threads = path, device, threads
        self._computes_in_float16, self._needs_first_provider = computes_in_float16, needs_first_provider
        self.providers = list(choose_providers(device) if providers is None else providers)
        """The provider that is used, and those that would take its place."""
        self.session: Any = self._open()
        """The InferenceSession of ONNX Runtime; None once it is closed."""

    @property
    def provider(self) -> str:
        """The name of the provider that is used."""
        return self.providers[0][0]

    @property
    def runs_on(self) -> str:
        """The device that computes, as `--device` names it."""
        return device_word(self.provider, self._device)

    @property
    def precision(self) -> str:
        """The precision that it computes in where the file has float32."""
        return "float16" if self._computes_in_float16 and self.provider == TENSORRT else "float32"

    @property
    def note(self) -> str:
        """The part of a sentence that names the provider."""
        return f", with ONNX Runtime's {self.provider}"

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Returns the outputs of these names, or all for None. Raises the runtime's own exceptions.

        TensorRT builds the engine of a file with free sizes only here: where it cannot, the next provider is used.
        """
        names = None if outputs is None else list(outputs)
        try:
            found: list[npt.NDArray[Any]] = self.session.run(names, dict(feeds))
        except Exception as error:  # the runtime's own classes
            if self.provider != TENSORRT or self._needs_first_provider:
                raise
            self._skip_provider(plain_reason(error))
            self.session = self._open()
            return self.run(outputs, feeds)
        return found

    def close(self) -> None:
        """Releases everything; the facts stay. Idempotent."""
        self.session = None

    def _open(self) -> Any:
        try:
            session = self._make_session()
        except Exception as error:  # the runtime's own classes, and protobuf's
            if len(self.providers) == 1:
                raise unusable_file_error("ONNX Runtime", self._path, error) from error
            self._skip_provider(plain_reason(error))
            return self._open()
        used = session.get_providers()[0]
        while len(self.providers) > 1 and self.provider != used:
            self._skip_provider("ONNX Runtime could not start it")
        return session

    def _make_session(self) -> Any:
        onnxruntime = import_onnx()
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = _FATAL_ONLY
        settings.enable_mem_pattern = self.provider != DIRECTML  # which does not go with it
        if self._threads:
            settings.intra_op_num_threads = self._threads
        providers = [(name, options | self._options_for_file(name)) for name, options in self.providers]
        # Its own way of falling back would print to the standard output, which may be a video.
        return onnxruntime.InferenceSession(str(self._path), settings, providers=providers, enable_fallback=0)

    def _options_for_file(self, provider: str) -> dict[str, str]:
        if provider != TENSORRT:
            return {}
        return tensorrt_options(self._path, computes_in_float16=self._computes_in_float16)

    def _skip_provider(self, reason: str) -> None:
        """Goes over to the next provider. Raises ModelLoadError where the first one is needed."""
        if self._needs_first_provider:
            raise ModelLoadError(
                f"ONNX Runtime's {self.provider} does not take this network ({reason})", code="provider-refused"
            )
        skipped = self.providers.pop(0)[0]
        _log.warning("ONNX Runtime's %s is not used, and its %s is: %s", skipped, self.provider, reason)


def device_word(provider: str, device: str) -> str:
    """Returns the word of `--device` for the device of a provider, where `device` was asked for."""
    if provider.startswith("CPU"):
        return "cpu"
    return "cuda" if device == "auto" else device


def is_on_cuda(provider: str) -> bool:
    """Returns True for the providers that compute in the memory of NVIDIA's GPUs."""
    return provider in (TENSORRT, CUDA)
