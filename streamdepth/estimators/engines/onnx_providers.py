"""ONNX Runtime's execution providers by the words of `--device`: cpu, cuda, cuda:1, coreml, directml, directml:1."""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import Any, TypeAlias

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import import_engine_package
from streamdepth.estimators.engines.gpu_presence import may_have_gpu
from streamdepth.estimators.engines.tensorrt import TENSORRT, tensorrt_refusal

_log = logging.getLogger(__name__)

Provider: TypeAlias = tuple[str, dict[str, str]]
"""The name of a provider, and its options."""

CUDA, DIRECTML = "CUDAExecutionProvider", "DmlExecutionProvider"
_COREML, _CPU = "CoreMLExecutionProvider", "CPUExecutionProvider"
_PROVIDERS = {"cuda": CUDA, "coreml": _COREML, "directml": DIRECTML, "cpu": _CPU}
_HOW_TO_GET = {
    "cuda": "pip install onnxruntime-gpu",
    "coreml": "it is for macOS",
    "directml": "it is for Windows: pip install onnxruntime-directml",
}
"""Words of `--device` for other providers than the CPU's -> how to get them."""
_NUMBERED = ("cuda", "directml")
_COREML_OPTIONS = {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}
"""The Neural Engine, the GPU and the CPU, whichever Core ML takes for each part."""


def is_installed() -> bool:
    """Returns True if ONNX Runtime and onnx, which exports need, are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "onnx"))


def import_onnx(name: str = "onnxruntime") -> Any:
    """Imports `onnxruntime` or `onnx`. Raises as `import_engine_package` does."""
    return import_engine_package(name, "onnx")


def available_devices() -> list[str]:
    """Returns the words of `--device` for which ONNX Runtime has a provider here. Raises as `import_engine_package`."""
    available = import_onnx().get_available_providers()
    return [word for word, provider in _PROVIDERS.items() if provider in available]


def is_onnx_device(device: str) -> bool:
    """Returns True for the devices that no other engine has: coreml, directml and directml:N."""
    return device.partition(":")[0] in ("coreml", "directml")


def choose_providers(device: str) -> list[Provider]:
    """Returns the providers for `device`, the fastest first, and that of the CPU last. Raises ConfigError.

    TensorRT is among them only if it works, see `tensorrt_refusal`; where it is installed and does not, that is logged.
    """
    kind, _, number = device.partition(":")
    here = available_devices()
    _check_device(device, here)
    cpu: Provider = _CPU, {}
    if kind == "coreml":
        return [(_COREML, _COREML_OPTIONS), cpu]
    if kind == "directml":
        return [(DIRECTML, {"device_id": number or "0"}), cpu]
    if kind == "cpu" or "cuda" not in here or (kind == "auto" and not may_have_gpu()):
        return [cpu]
    gpu = {"device_id": number or "0"}
    tensorrt: list[Provider] = [(TENSORRT, gpu)] if _has_tensorrt(gpu["device_id"]) else []
    return [*tensorrt, (CUDA, gpu), cpu]


def _check_device(device: str, here: list[str]) -> None:
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", *_HOW_TO_GET) or (number and not (number.isdecimal() and kind in _NUMBERED)):
        raise ConfigError(
            f"the engine onnx runs on auto, cpu, {', '.join(_HOW_TO_GET)}, cuda:N or directml:N, not on {device!r}; "
            f"here are {', '.join(here)}; try --engine torch or openvino",
            code="wrong-device",
        )
    if kind in _HOW_TO_GET and kind not in here:
        raise ConfigError(
            f"this ONNX Runtime has no {kind}, only {', '.join(here)}; {_HOW_TO_GET[kind]}", code="no-such-device"
        )


def _has_tensorrt(gpu: str) -> bool:
    if not is_installed() or TENSORRT not in import_onnx().get_available_providers():
        return False
    refusal = tensorrt_refusal(gpu)
    if refusal is not None:
        _warn_once(f"TensorRT does not work here, and is not used: {refusal}")
    return refusal is None


@functools.cache
def _warn_once(text: str) -> None:
    _log.warning("%s", text)
