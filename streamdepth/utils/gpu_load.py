"""Load and memory of NVIDIA GPUs, by NVIDIA's management library; without it only memory, by torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """The current load of one GPU; unknown figures are None."""

    name: str
    """Its number in CUDA's tools, such as 0."""
    memory_used_bytes: int
    memory_total_bytes: int
    compute_share: float | None = None
    """Share of recent time in which it computed, 0 to 1."""
    decoder_share: float | None = None
    """The same for its video decoders."""
    encoder_share: float | None = None
    """The same for its video encoders."""


def read_gpu_loads() -> list[GpuLoad]:
    """Returns the load of each NVIDIA GPU; an empty list without any.

    Compute, decoder and encoder are known with NVIDIA's package, `pip install "streamdepth[gpu]"`.
    """
    try:
        pynvml = import_module("pynvml")
    except ImportError:
        return _loads_by_torch()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # the library is there and no driver
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [_load_of(pynvml, str(i), handle) for i, handle in enumerate(handles)]
    finally:
        pynvml.nvmlShutdown()


def _load_of(pynvml: Any, name: str, handle: Any) -> GpuLoad:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)

    def share(read: Any) -> float | None:
        try:
            return float(read() / 100)
        except pynvml.NVMLError:  # not every GPU has every counter
            return None

    return GpuLoad(
        name,
        int(memory.used),
        int(memory.total),
        share(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        share(lambda: pynvml.nvmlDeviceGetDecoderUtilization(handle)[0]),
        share(lambda: pynvml.nvmlDeviceGetEncoderUtilization(handle)[0]),
    )


def _loads_by_torch() -> list[GpuLoad]:
    torch = sys.modules.get("torch")  # whoever uses a GPU has imported it
    if torch is None or not torch.cuda.is_initialized():
        return []
    memory = [torch.cuda.mem_get_info(i) for i in range(torch.cuda.device_count())]
    return [GpuLoad(str(i), total - free, total) for i, (free, total) in enumerate(memory)]
