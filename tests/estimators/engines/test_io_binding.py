"""ONNX Runtime on tensors where they lie."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch

from streamdepth.estimators.engines.io_binding import has_fixed_outputs, run_bound
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.onnx_engine import OnnxEngine
from streamdepth.estimators.engines.onnx_export import save_onnx


class TwoOutputs(torch.nn.Module):
    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return pixels.mean(1), pixels.amax((1, 2, 3))


@pytest.mark.parametrize("batch", [1, 3])
def test_outputs_are_those_of_the_network(batch: int, tmp_path: Path) -> None:
    save_onnx(TwoOutputs(), tmp_path / "model.onnx", batch, 16, 24)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert has_fixed_outputs(session)
    # Neither contiguous nor float32, as pictures that a GPU has prepared may be.
    pixels = torch.rand(batch, 16, 24, 3, dtype=torch.float64).permute(0, 3, 1, 2)
    for found, exact in zip(run_bound(session, pixels), TwoOutputs()(pixels.float()), strict=True):
        torch.testing.assert_close(found, exact)


def test_open_sizes_are_not_bound(tmp_path: Path) -> None:
    save_onnx(TwoOutputs(), tmp_path / "model.onnx", 1, 16, 24, has_free_size=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert not has_fixed_outputs(session)


@pytest.mark.gpu
def test_an_engine_on_a_gpu_keeps_pixels_there() -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime here has no CUDA")
    engine = OnnxEngine(LazyModule(TwoOutputs, "two-outputs"), device="cuda")
    pixels = torch.rand(1, 3, 16, 24, device="cuda")
    found = engine.run(pixels)
    assert all(output.is_cuda for output in found)
    for one, exact in zip(found, TwoOutputs()(pixels), strict=True):
        torch.testing.assert_close(one, exact, atol=0.01, rtol=0.01)
