"""Devices of Intel, Apple and Windows: what is chosen, refused and fallen back on, with machines that are made up."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.estimators.engines import openvino_compiler, openvino_devices, openvino_engine
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.engines.onnx_engine import OnnxFileEngine
from streamdepth.estimators.engines.onnx_export import save_onnx
from streamdepth.estimators.engines.onnx_providers import available_devices, choose_providers
from streamdepth.estimators.engines.openvino_devices import choose_openvino_devices
from streamdepth.estimators.nano import NanoEstimator
from streamdepth.testing import SyntheticSource


def _needs(*names: str) -> pytest.MarkDecorator:
    has_all = all(importlib.util.find_spec(name) for name in names)
    return pytest.mark.skipif(not has_all, reason=f"{' or '.join(names)} is not installed")


needs_openvino = _needs("openvino")
needs_onnx = _needs("onnxruntime", "onnx")
PIXELS = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1))


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class MachineWithDevices:
    """OpenVINO's core on a machine with further devices: each computes as the CPU does, or takes no network."""

    def __init__(self, real: Any, present: list[str], broken: tuple[str, ...] = ()) -> None:
        self._real, self.available_devices, self._broken = real, present, broken
        self.compiled: list[tuple[str, dict[str, Any]]] = []
        """The device and the options of each compilation that was asked for."""

    def get_property(self, _device: str, name: str) -> Any:
        return self._real.get_property("CPU", name)

    def compile_model(self, model: Any, device: str, options: dict[str, Any]) -> Any:
        self.compiled.append((device, options))
        if device in self._broken:
            raise RuntimeError(f"no kernel on {device}")
        return self._real.compile_model(model, "CPU", {k: v for k, v in options.items() if k != "CACHE_DIR"})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., MachineWithDevices]:
    real = openvino_devices.openvino_core()
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path))

    def make(present: list[str], broken: tuple[str, ...] = ()) -> MachineWithDevices:
        core = MachineWithDevices(real, present, broken)
        monkeypatch.setattr(openvino_devices, "openvino_core", lambda: core)
        return core

    return make


def _engine(device: str, **options: Any) -> Any:
    return make_engine(LazyModule(Mean, "mean"), device=device, precision="float32", **options)


def _check_mean(engine: Any) -> None:
    np.testing.assert_allclose(engine.run(PIXELS)[0], PIXELS.mean(1), atol=1e-6)


@needs_openvino
@pytest.mark.parametrize(
    ("device", "present", "used"),
    [
        ("gpu", ["CPU", "GPU"], "GPU"),
        ("gpu.1", ["CPU", "GPU.0", "GPU.1"], "GPU.1"),
        ("npu", ["CPU", "NPU"], "NPU"),
        ("auto:npu,gpu,cpu", ["CPU", "GPU.0", "GPU.1"], "GPU"),
        ("auto:gpu,cpu", ["CPU", "NPU"], "CPU"),
    ],
)
def test_openvino_s_devices_choose_openvino(
    machine: Callable[..., MachineWithDevices], device: str, present: list[str], used: str
) -> None:
    core = machine(present)
    engine = _engine(device, threads=1)
    _check_mean(engine)
    assert (engine.name, engine.device, engine.runs_on) == ("openvino", "cpu", used.lower())
    ((asked, options),) = core.compiled
    assert asked == used
    assert ("CACHE_DIR" in options, "INFERENCE_NUM_THREADS" in options) == (used != "CPU", used == "CPU")


@needs_openvino
def test_a_missing_device_of_a_list_is_said(
    machine: Callable[..., MachineWithDevices], caplog: pytest.LogCaptureFixture
) -> None:
    machine(["CPU"])
    engine = _engine("auto:npu,gpu,cpu")
    _check_mean(engine)
    assert engine.reason.endswith("; npu is not here; gpu is not here")
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 2


@needs_openvino
def test_a_device_that_does_not_take_the_network_is_passed_over(
    machine: Callable[..., MachineWithDevices], caplog: pytest.LogCaptureFixture
) -> None:
    core = machine(["CPU", "GPU"], broken=("GPU",))
    engine = _engine("auto:gpu,cpu")
    for _ in range(2):
        _check_mean(engine)
    np.testing.assert_allclose(engine.run(PIXELS[..., :8])[0], PIXELS[..., :8].mean(1), atol=1e-6)
    assert [device for device, _ in core.compiled] == ["GPU", "CPU", "CPU"]
    assert engine.runs_on == "cpu"
    assert engine.reason.endswith("; gpu did not take the network")
    assert "no kernel on GPU" in caplog.text


@needs_openvino
def test_a_single_device_that_does_not_take_the_network_is_an_error(
    machine: Callable[..., MachineWithDevices],
) -> None:
    machine(["CPU", "GPU"], broken=("GPU",))
    with raises_code(ModelLoadError, "not-convertible", naming="gpu.*no kernel"):
        _engine("gpu").run(PIXELS)


@needs_openvino
def test_too_coarse_depth_of_an_npu_is_computed_in_float32_on_the_cpu(
    machine: Callable[..., MachineWithDevices], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(["CPU", "NPU"])
    precisions = {"npu": "float16", "cpu": "float32"}
    monkeypatch.setattr(
        openvino_compiler.OpenVinoCompiler, "precision", property(lambda compiler: precisions[compiler.runs_on])
    )
    monkeypatch.setattr(
        openvino_compiler.OpenVinoCompiler, "precision_of", lambda compiler, _network: precisions[compiler.runs_on]
    )
    engine = make_engine(LazyModule(Mean, "mean"), device="npu", precision_limit=0.0)
    monkeypatch.setattr(openvino_engine.OpenVinoEngine, "submit", _with_error(openvino_engine.OpenVinoEngine.submit))
    engine.run(PIXELS)
    assert (engine.runs_on, engine.precision) == ("cpu", "float32")


def _with_error(submit: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `submit` of an engine whose input is disturbed on an NPU."""
    return lambda engine, pixels: submit(engine, pixels * (1.5 if engine.runs_on == "npu" else 1.0))


@pytest.mark.parametrize("device", ["cuda", "auto:", "auto:gpu,cuda", "cpu.0", "gpu.x", "gpu:1"])
def test_words_that_are_no_device_of_openvino_are_refused(device: str) -> None:
    with raises_code(ConfigError, "wrong-device", naming="auto, cpu, gpu, gpu.N, npu"):
        choose_openvino_devices(device, lambda: ["CPU", "GPU"])


@pytest.mark.parametrize("device", ["gpu", "gpu.0", "npu", "auto:npu,gpu"])
def test_devices_that_are_not_here_are_refused_with_those_that_are(device: str) -> None:
    with raises_code(ConfigError, "no-such-device", naming="only cpu"):
        choose_openvino_devices(device, lambda: ["CPU"])


def test_a_missing_npu_leads_to_no_gpu() -> None:
    with raises_code(ConfigError, "no-such-device", naming="--device cpu") as caught:
        choose_openvino_devices("npu", lambda: ["CPU"])
    assert "gpu" not in str(caught.value)


def test_nothing_is_looked_for_where_the_cpu_is_asked_for() -> None:
    assert choose_openvino_devices("auto", pytest.fail) == (["CPU"], [])
    assert choose_openvino_devices("cpu", pytest.fail) == (["CPU"], [])


@needs_openvino
def test_a_gpu_that_is_asked_for_and_missing_is_an_error() -> None:
    if any("GPU" in name for name in openvino_devices.openvino_core().available_devices):
        pytest.skip("this machine has a GPU of Intel's")
    with raises_code(ConfigError, "no-such-device", naming="only cpu"):
        _engine("gpu")


@needs_openvino
def test_the_model_s_facts_name_the_device_that_computes(machine: Callable[..., MachineWithDevices]) -> None:
    machine(["CPU", "GPU"])
    model, source = NanoEstimator(size=32, device="gpu", precision="float32"), SyntheticSource(count=1)
    source.open()
    frame = source.read()
    assert frame is not None
    model.estimate([frame])
    assert (model.info.engine, model.info.device) == ("openvino", "gpu")
    model.close()


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    import onnxruntime

    return lambda *names: monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [f"{name}ExecutionProvider" for name in (*names, "CPU")]
    )


@needs_onnx
def test_onnx_runtime_s_providers_go_by_name(providers: Callable[..., None]) -> None:
    providers("CoreML", "Dml")
    assert available_devices() == ["coreml", "directml", "cpu"]
    assert [p[0] for p in choose_providers("coreml")[:1]] == ["CoreMLExecutionProvider"]
    assert choose_providers("directml:1") == [
        ("DmlExecutionProvider", {"device_id": "1"}),
        ("CPUExecutionProvider", {}),
    ]
    assert choose_providers("auto") == choose_providers("cpu") == [("CPUExecutionProvider", {})]


@needs_onnx
@pytest.mark.parametrize(
    ("device", "code", "facts"),
    [
        ("coreml", "no-such-device", "only cpu.*macOS"),
        ("directml", "no-such-device", "onnxruntime-directml"),
        ("directml:1", "no-such-device", "only cpu"),
        ("coreml:1", "wrong-device", "here are cpu"),
        ("rocm", "wrong-device", "auto, cpu, cuda, coreml, directml"),
    ],
)
def test_onnx_runtime_names_what_it_has(providers: Callable[..., None], device: str, code: str, facts: str) -> None:
    providers()
    with raises_code(ConfigError, code, naming=facts):
        make_engine(LazyModule(Mean, "mean"), engine="onnx", device=device)


@needs_onnx
def test_coreml_chooses_onnx_runtime(providers: Callable[..., None]) -> None:
    providers("CoreML")
    engine = _engine("coreml")
    assert (engine.name, engine.runs_on) == ("onnx", "coreml")


@needs_onnx
@pytest.mark.parametrize(("started", "used"), [("CoreML", "coreml"), ("CPU", "cpu")])
def test_a_provider_that_does_not_start_is_said(
    providers: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    started: str,
    used: str,
) -> None:
    import onnxruntime

    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]  # the package has no types
        """A session whose provider starts, or falls back, as ONNX Runtime does by itself."""

        def __init__(self, path: str, options: Any, providers: list[Any], **_: Any) -> None:
            super().__init__(path, options, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return [f"{started}ExecutionProvider"]

    providers("CoreML")
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    save_onnx(Mean(), tmp_path / "mean.onnx", 1, 16, 24)
    engine = OnnxFileEngine(tmp_path / "mean.onnx", device="coreml")
    _check_mean(engine)
    assert engine.runs_on == used
    assert ("CoreMLExecutionProvider is not used" in caplog.text) == (used == "cpu")
    assert f"{started}ExecutionProvider" in engine.reason
