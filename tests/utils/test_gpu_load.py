"""Load of GPUs by NVIDIA's management library, which a fake stands for, and by torch."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from streamdepth.utils.gpu_load import GpuLoad, read_gpu_loads


class NVMLError(Exception):
    pass


@pytest.fixture
def pynvml(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Two GPUs, the second without an encoder, as data centers have them."""

    def encoder(handle: int) -> tuple[int, int]:
        if handle:
            raise NVMLError("Not Supported")
        return 10, 100_000

    module = ModuleType("pynvml")
    module.__dict__.update(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=3 + handle, total=10),
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=75),
        nvmlDeviceGetDecoderUtilization=lambda handle: (50, 100_000),
        nvmlDeviceGetEncoderUtilization=encoder,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


@pytest.mark.usefixtures("pynvml")
def test_each_gpu_has_its_figures() -> None:
    assert read_gpu_loads() == [GpuLoad("0", 3, 10, 0.75, 0.5, 0.1), GpuLoad("1", 4, 10, 0.75, 0.5, None)]


def test_without_a_driver_there_are_no_gpus(pynvml: ModuleType) -> None:
    def fail() -> None:
        raise NVMLError("Driver Not Loaded")

    pynvml.nvmlInit = fail
    assert read_gpu_loads() == []


def test_torch_knows_the_memory_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert read_gpu_loads() == [] or torch.cuda.is_initialized()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (4, 10))
    assert read_gpu_loads() == [GpuLoad("0", 6, 10)]
