from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from streamdepth.estimators.engines import choose, onnx_providers, openvino_devices
from streamdepth.estimators.engines.gpu_presence import may_have_gpu


@pytest.mark.skipif(sys.platform != "linux", reason="the signs are Linux's")
@pytest.mark.parametrize("sign", ["dev/nvidia0", "dev/nvidiactl", "proc/driver/nvidia/version", "dev/kfd", "dev/dxg"])
def test_a_driver_is_seen_by_its_files(tmp_path: Path, sign: str) -> None:
    assert not may_have_gpu(tmp_path)
    (tmp_path / sign).parent.mkdir(parents=True)
    (tmp_path / sign).touch()
    assert may_have_gpu(tmp_path)


@pytest.mark.gpu
def test_a_gpu_of_torch_is_seen() -> None:
    assert may_have_gpu()


def test_auto_takes_the_gpu_that_the_system_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose.choose_engine("auto", "auto").name == "torch"
    assert choose.choose_engine("auto", "cuda:1").name == "torch"


@pytest.mark.parametrize("shown", [False, True])
def test_auto_is_a_cpu_engine_where_torch_finds_no_gpu(monkeypatch: pytest.MonkeyPatch, shown: bool) -> None:
    monkeypatch.setattr(choose, "may_have_gpu", lambda: shown)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(openvino_devices, "is_installed", lambda: False)
    monkeypatch.setattr(onnx_providers, "is_installed", lambda: True)
    assert choose.choose_engine("auto", "auto").name == "onnx"
