"""Runs a network with PyTorch itself: CUDA, Apple's MPS or the CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamdepth.errors import ConfigError, InferenceError
from streamdepth.estimators.engines import Engine, failures_explained

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def pick_device(device: str = "auto") -> torch.device:
    """`auto` is CUDA, then MPS, then the CPU; otherwise `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises ConfigError when the name is unknown or the device is not here.
    """
    if device == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    kind, _, number = device.partition(":")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind not in present or not (number.isdecimal() or device == kind):
        raise ConfigError(f"unknown device {device!r}; allowed are auto, cpu, cuda, cuda:N and mps")
    if int(number or 0) >= present[kind]:
        here = ", ".join(f"{name}:{i}" if name == "cuda" else name for name, n in present.items() for i in range(n))
        raise ConfigError(f"there is no device {device!r} here; this machine has {here}; try --device auto")
    return torch.device(device)


def pick_precision(precision: str, device: torch.device) -> str:
    """`auto` is float16 on CUDA and float32 elsewhere. Raises ConfigError."""
    if precision == "auto":
        return "float16" if device.type == "cuda" else "float32"
    allowed = [name for name in DTYPES if not (name == "float16" and device.type == "cpu")]
    if precision not in allowed:
        raise ConfigError(f"precision {precision!r} does not go with {device}; allowed are auto, {', '.join(allowed)}")
    return precision


def as_outputs(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A network's result as a tuple, whether it has one output or more."""
    return (result,) if isinstance(result, Tensor) else tuple(result)


class TorchEngine(Engine):
    """Takes `module` over: it is moved, cast and set to evaluation in place.

    `module` maps (N, 3, H, W) to a tensor or a tuple of tensors. Raises ConfigError for a device or precision that
    cannot be had.
    """

    name = "torch"

    def __init__(self, module: nn.Module, *, device: str = "auto", precision: str = "auto") -> None:
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self._dtype = DTYPES[self.precision]
        # cuDNN's fast half-precision convolutions want channels last; on CPUs it gained nothing.
        self._layout = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        self._module: nn.Module | None = module.eval().to(self.device, self._dtype)
        self._module = self._module.to(memory_format=self._layout)  # type: ignore[call-overload]  # missing in stubs

    def run(self, pixels: Tensor) -> tuple[Tensor, ...]:
        if self._module is None:
            raise InferenceError("the engine was closed; make a new one")
        with failures_explained(self.device, pixels.shape), torch.inference_mode():
            result = self._module(pixels.to(self.device, self._dtype, memory_format=self._layout))
            return tuple(output.float() for output in as_outputs(result))

    def close(self) -> None:
        self._module = None
