"""Chooses the fastest engine for a network on this machine."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from streamdepth.errors import ConfigError, ModelLoadError
from streamdepth.estimators.engines import Engine
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine, is_installed
from streamdepth.estimators.engines.torch_engine import TorchEngine

_log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "openvino")


def make_engine(
    module: nn.Module, *, engine: str = "auto", device: str = "auto", precision: str = "auto", cache_name: str
) -> Engine:
    """`engine` auto is torch where a GPU is used, else OpenVINO where it is installed, else torch.

    `reason` of the result says why. Raises ConfigError, and MissingDependencyError when OpenVINO was asked for.
    """
    if engine not in ENGINES:
        raise ConfigError(f"unknown engine {engine!r}; allowed are {', '.join(ENGINES)}")
    if engine == "torch":
        return TorchEngine(module, device=device, precision=precision)
    if engine == "openvino":
        if device not in ("auto", "cpu"):
            raise ConfigError(f"the engine openvino runs on the CPU, not on {device!r}; try --engine torch")
        return OpenVinoEngine(module, precision=precision, cache_name=cache_name)
    return _fastest(module, device, precision, cache_name)


def _fastest(module: nn.Module, device: str, precision: str, cache_name: str) -> Engine:
    found: Engine
    on_gpu = device not in ("auto", "cpu") or (device == "auto" and torch.cuda.is_available())
    if on_gpu or not is_installed():
        found = TorchEngine(module, device=device, precision=precision)
        found.reason = (
            f"{found.device} is used" if on_gpu else 'OpenVINO is not installed: pip install "streamdepth[openvino]"'
        )
        return found
    return _OpenVinoOrTorch(module, precision, cache_name)


class _OpenVinoOrTorch(Engine):
    """OpenVINO, and torch from the moment OpenVINO proves unable to convert the network."""

    def __init__(self, module: nn.Module, precision: str, cache_name: str) -> None:
        self._module, self._asked = module, precision
        self._use(OpenVinoEngine(module, precision=precision, cache_name=cache_name))
        self.reason = "OpenVINO is the fastest on a CPU"

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision

    def run(self, pixels: Tensor) -> tuple[Tensor, ...]:
        try:
            outputs = self._engine.run(pixels)
        except ModelLoadError as error:
            _log.warning("%s; torch is used instead", error)
            precision = "auto" if self._asked == "float16" else self._asked
            self._use(TorchEngine(self._module, device="cpu", precision=precision))
            self.reason = "OpenVINO could not convert the network"
            return self._engine.run(pixels)
        self.precision = self._engine.precision
        return outputs

    def close(self) -> None:
        self._engine.close()
