"""The engine on PyTorch itself: CUDA, Apple's MPS or the CPU."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import (
    Engine,
    FloatArray,
    Pixels,
    as_array,
    closed_engine_error,
    inference_error,
)
from streamdepth.estimators.engines.bfloat16 import computes_in_bfloat16
from streamdepth.estimators.engines.cuda_graphs import RecordedNetwork
from streamdepth.estimators.engines.cuda_transfer import download_pinned, upload_pinned

_log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def choose_device(device: str = "auto") -> torch.device:
    """Returns the device for `auto` (CUDA, then MPS, then the CPU), `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises ConfigError when the name is unknown or the device is not here.
    """
    if device == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    kind, _, number = device.partition(":")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind not in present or not (number.isdecimal() or device == kind):
        raise ConfigError(
            f"unknown device {device!r}; allowed are auto, cpu, cuda, cuda:N and mps, with OpenVINO gpu, npu and "
            "auto:gpu,cpu, and with ONNX Runtime coreml and directml",
            code="unknown-device",
        )
    if int(number or 0) >= present[kind]:
        here = ", ".join(f"{name}:{i}" if name == "cuda" else name for name, n in present.items() for i in range(n))
        raise ConfigError(
            f"there is no device {device!r} here; this machine has {here}; try --device auto", code="no-such-device"
        )
    return torch.device(device)


def choose_precision(precision: str, device: torch.device) -> str:
    """Returns the precision for a device; `auto` is float16 on CUDA and float32 elsewhere. Raises ConfigError."""
    if precision == "auto":
        return "float16" if device.type == "cuda" else "float32"
    allowed = allowed_precisions(device)
    if precision not in allowed:
        raise ConfigError(
            f"precision {precision!r} does not go with {device}; allowed are auto, {', '.join(allowed)}",
            code="wrong-precision",
        )
    return precision


def allowed_precisions(device: torch.device) -> list[str]:
    """Returns the precisions that a device computes in; what it would emulate, many times slower, is left out."""
    emulated = {"float16"} if device.type == "cpu" else set()
    if device.type != "mps" and not computes_in_bfloat16(device):
        emulated.add("bfloat16")
    return [name for name in DTYPES if name not in emulated]


def as_outputs(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Returns a network's result as a tuple, even if it has one output only."""
    return (result,) if isinstance(result, Tensor) else tuple(result)


class TorchEngine(Engine):
    """Runs a module, which it takes over: it is moved, cast and set to evaluation in place.

    On CUDA its work is recorded as a CUDA graph after a few pictures of a size. Raises ConfigError for a device or
    precision that cannot be had.

    Args:
        module: maps (N, 3, H, W) to a tensor or a tuple of tensors.
        device: as `choose_device` takes it.
        precision: as `choose_precision` takes it.
        compile: use torch.compile, with CUDA graphs on a GPU; it takes a minute at the first picture of each size.
        threads: number of CPU threads, for the whole process; None leaves it to torch.
    """

    name = "torch"

    def __init__(
        self,
        module: nn.Module,
        *,
        device: str = "auto",
        precision: str = "auto",
        compile: bool = False,
        threads: int | None = None,
    ) -> None:
        self._device = choose_device(device)
        self.device = str(self._device)
        self.precision = choose_precision(precision, self._device)
        self._dtype = DTYPES[self.precision]
        self._is_cuda = self._device.type == "cuda"
        self.max_in_flight = 2 if self._is_cuda else 1
        if threads:
            torch.set_num_threads(threads)
        # cuDNN's fast half-precision convolutions want channels last; on CPUs it gained nothing.
        self._memory_format = torch.channels_last if self._is_cuda else torch.contiguous_format
        module = module.eval().to(self._device, self._dtype)
        self._module: nn.Module | None = module.to(memory_format=self._memory_format)  # type: ignore[call-overload]  # missing in stubs
        self._recorded = RecordedNetwork(self._call) if self._is_cuda and not compile else None
        self._compiled: Callable[[Tensor], Tensor | tuple[Tensor, ...]] | None = None
        if compile:
            _log.info("torch.compile prepares the network at the first picture, which takes a minute")
            self._compiled = torch.compile(
                self._module, dynamic=False, mode="reduce-overhead" if self._is_cuda else None
            )
        self._cuda_streams = deque(self._make_cuda_streams())

    def _make_cuda_streams(self) -> list[torch.cuda.Stream]:
        """Makes two, so that one picture is copied while another is computed; one where CUDA graphs share memory."""
        if not self._is_cuda:
            return []
        torch.cuda.synchronize(self._device)  # the weights are there before another stream reads them
        new: Callable[..., torch.cuda.Stream] = torch.cuda.Stream  # its constructor is not typed
        return [new(self._device) for _ in range(1 if self._compiled else 2)]

    def cuda_stream(self) -> AbstractContextManager[object]:
        if not self._cuda_streams:
            return nullcontext()
        self._cuda_streams.rotate()
        return torch.cuda.stream(self._cuda_streams[0])

    def upload(self, pictures: Sequence[Image]) -> Tensor:
        if self._is_cuda:
            return upload_pinned(pictures, self._device)
        return torch.from_numpy(np.stack(pictures)).to(self._device)

    def download(self, values: Pixels) -> FloatArray:
        return as_array(values) if isinstance(values, np.ndarray) or not values.is_cuda else download_pinned(values)

    def run(self, pixels: Pixels) -> tuple[Tensor, ...]:
        """Computes the outputs of one batch. On CUDA they are complete only for work queued on the same stream."""
        if self._module is None:
            raise closed_engine_error()
        try:
            with torch.inference_mode():
                moved = torch.as_tensor(pixels).to(self._device, self._dtype, memory_format=self._memory_format)
                outputs = as_outputs(self._compute(moved))
                # The next replay of a CUDA graph writes over its outputs.
                return tuple(o.to(torch.float32, copy=self._compiled is not None) for o in outputs)
        except (RuntimeError, MemoryError) as error:
            raise inference_error(error, self.device, pixels.shape) from error

    def _compute(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Calls the compiled network, and the plain one from the moment compiling fails."""
        if self._compiled is None:
            return self._recorded(pixels) if self._recorded else self._call(pixels)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._compiled(pixels)
        except TorchDynamoException as error:
            reason = " ".join(str(error).split())[:200]
            _log.warning("torch.compile cannot compile this network, which runs without it: %s", reason)
            self._compiled = None
            return self._compute(pixels)

    def _call(self, pixels: Tensor) -> tuple[Tensor, ...]:
        assert self._module is not None
        return as_outputs(self._module(pixels))

    def close(self) -> None:
        self._module = self._compiled = self._recorded = None
