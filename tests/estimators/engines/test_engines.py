from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from torch import Tensor, nn

from streamdepth.core.errors import ConfigError, InferenceError, MissingDependencyError, ModelLoadError
from streamdepth.estimators.engines import Engine, onnx_providers, openvino_devices
from streamdepth.estimators.engines.bfloat16 import computes_in_bfloat16
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.engines.openvino_engine import OpenVinoEngine
from streamdepth.estimators.engines.torch_engine import TorchEngine

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")


class Tiny(nn.Module):
    """A network with two outputs, like Depth Pro's."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        depth = self.last(torch.relu(self.first(x))).squeeze(1)
        return depth, depth.mean((1, 2))


class Inconvertible(nn.Module):
    """A network that OpenVINO cannot convert: it knows no rule for nan_to_num."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1).nan_to_num()


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(7, 11, 13)


@pytest.fixture
def openvino_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path))
    return tmp_path / "openvino"


@pytest.fixture
def tiny() -> Tiny:
    torch.manual_seed(0)
    return Tiny().eval()


PIXELS = torch.rand(3, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def _lazy(network: nn.Module) -> LazyModule:
    return LazyModule(lambda: network, "tiny")


def _expected(network: nn.Module) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        depth, mean = copy.deepcopy(network)(PIXELS)
    return depth, mean


def _check(engine: Engine, expected: tuple[Tensor, Tensor], tolerance: float = 1e-5) -> None:
    outputs = [torch.as_tensor(output) for output in engine.run(PIXELS)]
    assert [o.dtype for o in outputs] == [torch.float32] * 2
    for output, wanted in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, wanted, atol=tolerance, rtol=tolerance)


def test_torch_gives_what_the_network_gives(tiny: Tiny) -> None:
    expected = _expected(tiny)
    engine = TorchEngine(tiny, device="cpu")
    assert (engine.name, engine.device, engine.precision) == ("torch", "cpu", "float32")
    _check(engine, expected)


@pytest.mark.skipif(not computes_in_bfloat16(torch.device("cpu")), reason="this CPU does not compute in bfloat16")
def test_torch_in_bfloat16(tiny: Tiny) -> None:
    expected = _expected(tiny)
    _check(TorchEngine(tiny, device="cpu", precision="bfloat16"), expected, tolerance=0.02)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("auto", 0.005), ("bfloat16", 0.03), ("float32", 1e-3)])
def test_torch_on_a_gpu(tiny: Tiny, precision: str, tolerance: float) -> None:
    expected = _expected(tiny)
    engine = TorchEngine(tiny, precision=precision)
    assert engine.precision == {"auto": "float16"}.get(precision, precision)
    outputs = engine.run(PIXELS.cuda())
    for output, wanted in zip(outputs, expected, strict=True):
        assert output.device.type == "cuda"
        torch.testing.assert_close(output.cpu(), wanted, atol=tolerance, rtol=tolerance)


@needs_openvino
@pytest.mark.usefixtures("openvino_cache")
def test_openvino_gives_what_torch_gives_and_again_from_its_cache(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    expected = _expected(tiny)
    caplog.set_level(logging.INFO)
    for conversions in (1, 1):
        engine = OpenVinoEngine(_lazy(copy.deepcopy(tiny)), precision="float32")
        _check(engine, expected)
        assert engine.precision == "float32"
        assert sum("converting" in message for message in caplog.messages) == conversions


@needs_openvino
def test_openvino_for_throughput_has_more_pictures_in_flight_and_gives_the_same(tiny: Tiny) -> None:
    pixels = [torch.rand(1, 3, 32, 64) for _ in range(6)]
    one = OpenVinoEngine(_lazy(tiny), precision="float32", threads=2)
    many = OpenVinoEngine(_lazy(tiny), precision="float32", threads=2, for_throughput=True)
    exact = [one.run(p)[0] for p in pixels]
    submitted = [many.submit(p) for p in pixels]
    assert many.max_in_flight >= one.max_in_flight == 2
    for future, wanted in zip(submitted, exact, strict=True):
        np.testing.assert_allclose(future.result()[0], wanted, rtol=1e-4, atol=1e-5)


@needs_openvino
def test_openvino_says_what_it_computes_in_and_gives_no_steps(tiny: Tiny) -> None:
    """Where the CPU computes in bfloat16, the last layer's result still has more than bfloat16's 8 bits."""
    expected = _expected(tiny)
    engine = OpenVinoEngine(_lazy(tiny))
    _check(engine, expected, tolerance=0.02)
    assert engine.precision in ("float32", "bfloat16", "float16")
    depth = engine.run(PIXELS)[0]
    assert len(np.unique(depth)) > 0.9 * depth.size


@needs_openvino
def test_changed_weights_are_another_cache_entry(tiny: Tiny, openvino_cache: Path) -> None:
    OpenVinoEngine(_lazy(copy.deepcopy(tiny)), precision="float32").run(PIXELS)
    with torch.no_grad():
        tiny.last.bias.add_(1)
    expected = _expected(tiny)
    _check(OpenVinoEngine(_lazy(tiny), precision="float32"), expected)
    assert len(list(openvino_cache.iterdir())) == 2


@needs_openvino
@pytest.mark.parametrize("damage", ["truncated", "flipped", "no manifest", "nonsense", "empty"])
def test_a_damaged_cache_is_made_anew(
    tiny: Tiny, openvino_cache: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = _expected(tiny)
    OpenVinoEngine(_lazy(copy.deepcopy(tiny)), precision="float32").run(PIXELS)
    (folder,) = openvino_cache.iterdir()
    weights = folder / "model.bin"
    content = weights.read_bytes()
    if damage == "truncated":
        weights.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        weights.write_bytes(bytes([content[0] ^ 255]) + content[1:])
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    elif damage == "nonsense":
        (folder / "manifest.json").write_text("{")
    else:
        for path in folder.iterdir():
            path.unlink()
    _check(OpenVinoEngine(_lazy(tiny), precision="float32"), expected)
    assert "damaged" in caplog.text
    assert json.loads((folder / "manifest.json").read_text())


@needs_openvino
def test_a_whole_cache_that_cannot_be_loaded_is_made_anew_once(
    tiny: Tiny, openvino_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = _expected(tiny)
    OpenVinoEngine(_lazy(copy.deepcopy(tiny)), precision="float32").run(PIXELS)
    (folder,) = openvino_cache.iterdir()
    (folder / "model.xml").write_text("<nonsense/>")
    digests = {name: hashlib.blake2b((folder / name).read_bytes()).hexdigest() for name in ("model.xml", "model.bin")}
    (folder / "manifest.json").write_text(json.dumps(digests))
    _check(OpenVinoEngine(_lazy(copy.deepcopy(tiny)), precision="float32"), expected)
    assert "not usable" in caplog.text
    caplog.clear()
    _check(OpenVinoEngine(_lazy(tiny), precision="float32"), expected)
    assert "not usable" not in caplog.text


@needs_openvino
def test_a_cache_that_cannot_be_written_costs_only_time(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(blocker))
    expected = _expected(tiny)
    _check(OpenVinoEngine(_lazy(tiny), precision="float32"), expected)
    assert "not kept" in caplog.text


@needs_openvino
def test_only_a_few_sizes_stay_in_memory(tiny: Tiny) -> None:
    engine = OpenVinoEngine(_lazy(tiny), precision="float32")
    for width in (32, 40, 48, 56, 64, 32):
        assert engine.run(PIXELS[:1, :, :, :32].repeat(1, 1, 1, 2)[..., :width])[0].shape == (1, 32, width)
    assert len(engine._compiled) == 4


TWO_ENGINES_THEN_CTRL_C = """
import faulthandler, gc, os, signal

from streamdepth.estimators.engines.openvino_engine import OpenVinoRuntimeEngine


class AnyEngine(OpenVinoRuntimeEngine):
    def _compiled_network(self, height, width): ...


faulthandler.enable()
first, second = AnyEngine(), AnyEngine()
del first
gc.collect()
del second
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass
except KeyboardInterrupt:
    print("interrupted")
"""


@needs_openvino
def test_ctrl_c_is_heard_after_two_openvino_engines_are_gone() -> None:
    run = subprocess.run([sys.executable, "-c", TWO_ENGINES_THEN_CTRL_C], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, "interrupted\n")


@needs_openvino
def test_auto_is_openvino_on_a_cpu_and_says_why(tiny: Tiny) -> None:
    expected = _expected(tiny)
    engine = make_engine(_lazy(tiny), device="cpu", precision="float32")
    _check(engine, expected)
    assert (engine.name, engine.precision) == ("openvino", "float32")
    assert "fastest" in engine.reason


def test_auto_is_torch_without_openvino(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_devices, "is_installed", lambda: False)
    monkeypatch.setattr(onnx_providers, "is_installed", lambda: False)
    engine = make_engine(_lazy(tiny), device="cpu")
    assert engine.name == "torch"
    assert "pip install" in engine.reason


@pytest.mark.gpu
def test_auto_is_torch_on_a_gpu(tiny: Tiny) -> None:
    engine = make_engine(_lazy(tiny))
    assert (engine.name, engine.device) == ("torch", "cuda")


@needs_openvino
def test_what_openvino_cannot_convert_runs_on_torch(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    engine = make_engine(_lazy(Inconvertible()), device="cpu", threads=1)
    engine.warm_up(PIXELS)
    assert threads == [1]
    assert (engine.name, engine.precision) == ("torch", "float32")
    assert "torch is used instead" in caplog.text
    for _ in range(2):
        torch.testing.assert_close(engine.run(PIXELS)[0], PIXELS.mean(1), atol=1e-6, rtol=0)
    assert engine.reason == "openvino did not take the network"


@needs_openvino
def test_openvino_by_name_fails_on_what_it_cannot_convert() -> None:
    engine = make_engine(_lazy(Inconvertible()), engine="openvino")
    with raises_code(ModelLoadError, "not-convertible"):
        engine.run(PIXELS)


def test_a_missing_openvino_is_named(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[openvino\]"):
        make_engine(_lazy(tiny), engine="openvino")


@pytest.mark.parametrize(("name", "engine"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_a_broken_package_is_not_called_missing(tmp_path: Path, name: str, engine: str) -> None:
    (tmp_path / f"{name}.py").write_text("raise ImportError('libsomething.so is not there')")
    code = (
        "from torch import nn; from streamdepth.core.errors import ModelLoadError\n"
        "from streamdepth.estimators.engines.make import make_engine\n"
        "from streamdepth.estimators.engines.lazy_module import LazyModule\n"
        f"try: make_engine(LazyModule(nn.Identity, 'x'), engine={engine!r})\n"
        "except ModelLoadError as error: print(error)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, env=environment)
    assert "libsomething.so is not there" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("options", "code", "facts"),
    [
        ({"engine": "tensorrt"}, "unknown-engine", "auto, torch, openvino"),
        ({"engine": "torch", "device": "gpu"}, "unknown-device", "auto, cpu, cuda"),
        ({"engine": "torch", "device": "cpux"}, "unknown-device", "auto, cpu, cuda"),
        ({"engine": "torch", "device": "cuda:99"}, "no-such-device", "cpu"),
        ({"engine": "torch", "device": "cpu", "precision": "int8"}, "wrong-precision", "auto, float32"),
        ({"engine": "torch", "device": "cpu", "precision": "float16"}, "wrong-precision", "auto, float32"),
        ({"engine": "openvino", "device": "cuda"}, "wrong-device", "--engine torch"),
    ],
)
def test_wrong_names_are_refused_with_what_is_allowed(
    tiny: Tiny, options: dict[str, str], code: str, facts: str
) -> None:
    with raises_code(ConfigError, code, naming=facts):
        make_engine(_lazy(tiny), **options)


@needs_openvino
def test_openvino_refuses_an_unknown_precision(tiny: Tiny) -> None:
    with raises_code(ConfigError, "wrong-precision", naming="auto, float32"):
        OpenVinoEngine(_lazy(tiny), precision="int3")


def test_a_network_that_fails_is_an_inference_error() -> None:
    with raises_code(InferenceError, "inference", naming=r"\(3, 3, 32, 48\)"):
        TorchEngine(Failing(), device="cpu").run(PIXELS)


def test_a_closed_engine_says_so(tiny: Tiny) -> None:
    engine = TorchEngine(tiny, device="cpu")
    engine.close()
    engine.close()
    with raises_code(InferenceError, "closed"):
        engine.run(PIXELS)
