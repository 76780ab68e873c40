"""The rule: bfloat16 is asked for only where the device computes in it. Emulated, it is many times slower."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.errors import raises_code
from torch import Tensor, nn

import streamdepth
from streamdepth.apps.bench import roofline
from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import openvino_compiler, openvino_devices
from streamdepth.estimators.engines.bfloat16 import computes_in_bfloat16
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine
from streamdepth.estimators.engines.torch_engine import TorchEngine, choose_precision

CPU = torch.device("cpu")
PLACES = {"estimators/engines/bfloat16.py", "estimators/engines/torch_engine.py", "apps/bench/roofline.py"} | {
    "training/precision.py"
}
"""The only modules that name torch's bfloat16; each of them follows the rule."""

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")


class Inconvertible(nn.Module):
    """A network that OpenVINO cannot convert: it knows no rule for nan_to_num."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1).nan_to_num()


@pytest.fixture
def plain_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that does not compute in bfloat16, for torch and for OpenVINO."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


def test_no_other_module_names_the_type() -> None:
    package = Path(streamdepth.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        if any(isinstance(node, ast.Attribute) and node.attr == "bfloat16" for node in nodes):
            found.add(str(path.relative_to(package)))
    assert found <= PLACES


@pytest.mark.parametrize(("bf16", "amx"), [(False, False), (True, False), (False, True)])
def test_a_cpu_computes_in_it_with_avx512_bf16_or_amx(monkeypatch: pytest.MonkeyPatch, bf16: bool, amx: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert computes_in_bfloat16(CPU) == (bf16 or amx)


@pytest.mark.usefixtures("plain_cpu")
def test_torch_refuses_it_on_a_plain_cpu() -> None:
    assert choose_precision("auto", CPU) == "float32"
    with raises_code(ConfigError, "wrong-precision", naming="auto, float32"):
        TorchEngine(nn.Identity(), device="cpu", precision="bfloat16")
    with raises_code(ConfigError, "wrong-precision"):
        make_engine(LazyModule(nn.Identity, "identity"), engine="torch", device="cpu", precision="bfloat16")


@needs_openvino
def test_openvino_refuses_it_on_a_plain_cpu_and_is_not_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    properties: dict[str, Any] = {
        "OPTIMIZATION_CAPABILITIES": ["FP32", "INT8"],
        "INFERENCE_PRECISION_HINT": SimpleNamespace(to_string=lambda: "f32"),
    }
    core = SimpleNamespace(get_property=lambda _device, name: properties[name])
    monkeypatch.setattr(openvino_devices, "openvino_core", lambda: core)
    engine = OpenVinoEngine(LazyModule(nn.Identity, "identity"))
    assert engine.precision == "float32"
    assert "INFERENCE_PRECISION_HINT" not in engine.compiler.options
    with raises_code(ConfigError, "wrong-precision", naming="auto, float32$"):
        OpenVinoEngine(LazyModule(nn.Identity, "identity"), precision="bfloat16")


@needs_openvino
def test_openvino_asks_for_nothing_by_itself() -> None:
    """Also for INT8: what is not quantized is computed in the type that OpenVINO chooses for this CPU."""
    assert "INFERENCE_PRECISION_HINT" not in OpenVinoEngine(LazyModule(nn.Identity, "identity")).compiler.options


@needs_openvino
@pytest.mark.usefixtures("plain_cpu")
def test_torch_in_openvino_s_place_computes_in_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_compiler.OpenVinoCompiler, "_precision_option", lambda *_: {})
    engine = make_engine(LazyModule(Inconvertible, "inconvertible"), device="cpu", precision="bfloat16")
    pixels = torch.rand(1, 3, 16, 24)
    torch.testing.assert_close(engine.run(pixels)[0], pixels.mean(1), atol=1e-6, rtol=0)
    assert (engine.name, engine.precision) == ("torch", "float32")


@pytest.mark.usefixtures("plain_cpu")
def test_the_roofline_of_int8_is_float32_on_a_plain_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.dtype] = []
    to = torch.Tensor.to
    monkeypatch.setattr(roofline, "_SIDES", {"cpu": 8})
    monkeypatch.setattr(torch.Tensor, "to", lambda self, dtype: asked.append(dtype) or to(self, dtype))
    assert roofline.matrix_flops_per_second("cpu", "int8") > 0
    assert set(asked) == {torch.float32}
