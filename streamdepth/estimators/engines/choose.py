"""The choice of the engine for a model on this machine; networks and ONNX files of other programs share it.

Each engine knows the devices of its own runtime: `torch_engine.choose_device`, `openvino_devices` and `onnx_providers`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from streamdepth.core.errors import ConfigError, StreamDepthError
from streamdepth.estimators.engines import Engine, onnx_providers, openvino_devices
from streamdepth.estimators.engines.gpu_presence import may_have_gpu
from streamdepth.estimators.engines.onnx_providers import choose_providers, is_onnx_device
from streamdepth.estimators.engines.openvino_devices import is_openvino_device
from streamdepth.estimators.engines.tensorrt import TENSORRT

_log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino", "onnx")
FILE_ENGINES = ("openvino", "onnx")
"""The engines that run ONNX files."""
_IN_TENSORRT = ("auto", "float32", "float16")


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, and why it was chosen."""

    name: str
    """`torch`, `openvino` or `onnx`."""
    reason: str
    """A short sentence for people."""
    needs_tensorrt: bool = False
    """True if it was chosen for TensorRT: without that, another engine is the fastest."""


def choose_engine(
    engine: str,
    device: str,
    *,
    among: Sequence[str] = ENGINES[1:],
    compile: bool = False,
    precision: str = "auto",
) -> EngineChoice:
    """Returns the engine for a model.

    `auto` is, on a GPU of NVIDIA, ONNX Runtime where TensorRT works, then torch, then ONNX Runtime; on a GPU of Apple
    torch; else OpenVINO, ONNX Runtime or torch, the first that is installed. A device that only one engine has chooses
    that engine.

    Args:
        engine: a name of ENGINES.
        device: a word of `--device`; whoever builds the engine finds out if the device is here.
        among: the engines that can run the model.
        compile: torch.compile is asked for.
        precision: that is asked for.

    Raises:
        ConfigError: "unknown-engine", or "option-conflict" for `compile` with another engine than torch.
    """
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}; allowed are {', '.join(ENGINES)}", code="unknown-engine")
    if engine != "auto":
        choice = EngineChoice(engine, Engine.reason)
    elif compile:
        choice = _choose_for_compiling(device)
    else:
        choice = _choose(device, among, precision)
    if compile and choice.name != "torch":
        raise ConfigError(
            f"--compile is for the engine torch, not for {choice.name}; leave one of the two out",
            code="option-conflict",
        )
    return choice


def _choose_for_compiling(device: str) -> EngineChoice:
    return _choose_for_device(device) or EngineChoice("torch", "--compile needs it")


def _choose(device: str, among: Sequence[str], precision: str) -> EngineChoice:
    if (choice := _choose_for_device(device)) is not None:
        return choice
    kind = _kind_of_gpu() if device == "auto" else device.partition(":")[0]
    if kind == "cuda" and (choice := _choose_on_cuda(device, among, precision)) is not None:
        return choice
    if kind == "mps" and "torch" in among:
        return EngineChoice("torch", "the only one for Apple's GPU")
    if device not in ("auto", "cpu"):  # the engine says what is wrong with the device
        return EngineChoice(among[0] if "torch" in among else "onnx", f"the one for {device}")
    return _choose_on_cpu(among)


def _choose_for_device(device: str) -> EngineChoice | None:
    """Returns the only engine that has the device; None for devices of several engines, and unknown ones."""
    if is_openvino_device(device):
        return EngineChoice("openvino", f"the one for {device}")
    if is_onnx_device(device):
        return EngineChoice("onnx", f"the one for {device}")
    return None


def _kind_of_gpu() -> str:
    """Returns `cuda`, `mps`, or `cpu` where torch finds no GPU; torch is imported only if there may be one."""
    if not ("torch" in sys.modules or may_have_gpu()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _choose_on_cuda(device: str, among: Sequence[str], precision: str) -> EngineChoice | None:
    provider = _cuda_provider(device)
    if provider == TENSORRT and precision in _IN_TENSORRT:
        return EngineChoice("onnx", "TensorRT is the fastest on this GPU", needs_tensorrt=True)
    if "torch" in among:
        return EngineChoice("torch", "the fastest of what works on this GPU")
    return EngineChoice("onnx", "the fastest of what works on this GPU") if provider else None


def _cuda_provider(device: str) -> str | None:
    """Returns the provider of ONNX Runtime that computes on a GPU of NVIDIA; None where it has none."""
    if not onnx_providers.is_installed():
        return None
    try:
        has_cuda = "cuda" in onnx_providers.available_devices()
    except StreamDepthError as error:
        _log.warning("%s", error)
        return None
    return choose_providers("cuda" if device == "auto" else device)[0][0] if has_cuda else None


def _choose_on_cpu(among: Sequence[str]) -> EngineChoice:
    if openvino_devices.is_installed():
        return EngineChoice("openvino", "the fastest on a CPU")
    advice = 'OpenVINO, which is faster on a CPU, is not installed: pip install "streamdepth[openvino]"'
    if onnx_providers.is_installed() or "torch" not in among:
        return EngineChoice("onnx", f"the fastest that is installed; {advice}")
    return EngineChoice("torch", advice)
