"""The engine for networks with more than one input, which the other engines do not take."""

from __future__ import annotations

import threading
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import EngineOptions, Pixels, closed_engine_error
from streamdepth.estimators.engines.torch_engine import TorchEngine


class EagerEngine(TorchEngine):
    """Runs a network on torch, one picture at a time and in order, with whatever else the network takes.

    Args:
        module: a network, which is moved, cast and set to evaluation in place.
        reason: why only torch runs it, a short sentence for people.
        options: as `make_engine` takes them.

    Raises:
        ConfigError: for another engine ("torch-only"), `compile` ("option-conflict"), or a device or precision that
            cannot be had.
    """

    def __init__(self, module: nn.Module, reason: str, **options: Unpack[EngineOptions]) -> None:
        engine = options.get("engine", "auto")
        if engine not in ("auto", "torch"):
            raise ConfigError(f"{reason}, not on {engine!r}; leave --engine out, or say torch", code="torch-only")
        if options.get("compile"):
            raise ConfigError("this network cannot be compiled; leave --compile out", code="option-conflict")
        super().__init__(
            module,
            device=options.get("device", "auto"),
            precision=options.get("precision", "auto"),
            threads=options.get("threads"),
        )
        self.reason, self.max_in_flight = reason, 1
        self._lock = threading.Lock()

    def call(self, pixels: Pixels, other: Any) -> Tensor:
        """Returns the network's output, float32 on `device`. Thread-safe.

        Args:
            pixels: the normalized picture, (1, 3, H, W).
            other: the second input, moved and cast like the picture if it is a tensor.
        """
        with self._lock, torch.inference_mode():
            if self._module is None:
                raise closed_engine_error()
            if isinstance(other, Tensor):
                other = other.to(self._device, self._dtype)
            output: Tensor = self._module(torch.as_tensor(pixels).to(self._device, self._dtype), other)
            return output.float()
