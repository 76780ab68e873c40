from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from helpers.models import make_model
from torch import Tensor, nn

from streamdepth import config, factory
from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError, MissingDependencyError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators import quantize as quantize_module
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.engines.onnx_engine import OnnxEngine, OnnxFileEngine
from streamdepth.estimators.engines.onnx_export import save_onnx
from streamdepth.estimators.engines.onnx_providers import choose_providers
from streamdepth.estimators.exported_model import ExportedModelEstimator, is_exported_model
from streamdepth.estimators.network import ModelCard
from streamdepth.estimators.quantize import EngineScore, QuantizationResult, inverse_depth_agreement
from streamdepth.testing import SyntheticSource

pytestmark = pytest.mark.slow


def _has(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


needs_onnx = pytest.mark.skipif(not _has("onnxruntime", "onnx"), reason="ONNX Runtime is not installed")
needs_nncf = pytest.mark.skipif(not _has("nncf", "openvino"), reason="nncf is not installed")
CLIP = "lavfi:testsrc2=size=160x96:rate=10:duration=1.6"


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        depth = self.last(torch.relu(self.first(x))).squeeze(1)
        return depth, depth.mean((1, 2))


@pytest.fixture
def tiny() -> Tiny:
    torch.manual_seed(0)
    return Tiny().eval()


@pytest.fixture
def frames() -> list[Frame]:
    source = SyntheticSource(count=2, width=160, height=96)
    source.open()
    return [frame for frame in (source.read(), source.read()) if frame]


@needs_onnx
@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_last_batch_is_filled_up_and_cut(tiny: Tiny, tmp_path: Path, count: int) -> None:
    pixels = torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    save_onnx(tiny, tmp_path / "m.onnx", 2, 16, 24)
    for output, wanted in zip(OnnxFileEngine(tmp_path / "m.onnx", device="cpu").run(pixels), tiny(pixels), strict=True):
        np.testing.assert_allclose(output, wanted.detach(), atol=1e-5, rtol=1e-5)


@needs_onnx
def test_the_engine_exports_once_and_again_when_its_cache_is_damaged(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path))
    pixels = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    for damaged in (False, False, True):
        if damaged:
            next(tmp_path.glob("onnx/*/model.onnx")).write_bytes(b"damaged")
        engine = make_engine(LazyModule(lambda: tiny, "tiny"), engine="onnx", device="cpu")
        np.testing.assert_allclose(engine.run(pixels)[0], tiny(pixels)[0].detach(), atol=1e-5, rtol=1e-5)
        assert (engine.name, engine.precision, "CPU" in engine.reason) == ("onnx", "float32", True)
        engine.close()
    assert len(list(tmp_path.glob("onnx/*"))) == 1
    assert caplog.text.count("damaged") == 1


@needs_onnx
def test_only_a_few_sizes_stay_in_memory(tiny: Tiny) -> None:
    engine = OnnxEngine(LazyModule(lambda: tiny, "tiny"), device="cpu")
    for width in (16, 24, 32, 40, 48, 16):
        assert engine.run(torch.zeros(1, 3, 16, width))[0].shape == (1, 16, width)
    assert list(engine._sessions) == [(16, 32), (16, 40), (16, 48), (16, 16)]


@needs_onnx
def test_wrong_settings_of_the_engine_are_refused(tiny: Tiny) -> None:
    with raises_code(ConfigError, "no-such-device"):
        choose_providers("cuda")
    with raises_code(ConfigError, "wrong-device", naming="cpu, cuda"):
        choose_providers("mps")
    with raises_code(ConfigError, "wrong-precision", naming="auto, float32"):
        OnnxEngine(LazyModule(lambda: tiny, "tiny"), precision="bfloat16")
    with raises_code(ConfigError, "option-conflict", naming="--compile"):
        make_engine(LazyModule(lambda: tiny, "tiny"), engine="onnx", compile=True)


def test_a_missing_onnx_runtime_is_named(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[onnx\]"):
        make_engine(LazyModule(lambda: tiny, "tiny"), engine="onnx")


@needs_onnx
@pytest.mark.parametrize("model", ["nano", "depth_anything", "zoedepth", "dpt_dinov2"])
def test_an_exported_model_gives_what_it_was_made_from(cli, tmp_path: Path, frames: list[Frame], model: str) -> None:
    source = model if model == "nano" else make_model(model, tmp_path / model)
    size = ("--size", 64) if model == "nano" else ()
    done = cli("export", source, "-o", tmp_path / "m.onnx", "--frame-size", "160x96", *size)
    assert done.code == 0, done.err
    assert "checked" in done.err
    exported = factory.make_estimator(config.make(model=str(tmp_path / "m.onnx")))
    settings = config.make(model=str(source), engine="torch", device="cpu", size=64 if size else None)
    wanted = factory.make_estimator(settings)
    assert exported.info.kind == wanted.info.kind
    for found, truth in zip(exported.estimate(frames), wanted.estimate(frames), strict=True):
        np.testing.assert_allclose(found.depth, truth.depth, atol=1e-3 * np.ptp(truth.depth) + 1e-4, rtol=1e-3)
    exported.close()


@needs_onnx
def test_mistakes_around_exported_models_are_one_line(cli, tiny: Tiny, tmp_path: Path) -> None:
    save_onnx(tiny, tmp_path / "foreign.onnx", 1, 16, 24)
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    for name, options, kind, error_code in (
        ("missing.onnx", {}, ModelLoadError, "not-found"),
        ("broken.onnx", {}, ModelLoadError, "damaged"),
        ("foreign.onnx", {}, ModelLoadError, "foreign"),
        ("foreign.onnx", {"size": 64}, ConfigError, "fixed-size"),
        ("foreign.onnx", {"engine": "torch"}, ConfigError, "option-conflict"),
    ):
        with raises_code(kind, error_code, naming=name):
            ExportedModelEstimator(tmp_path / name, **options)
    for arguments, code, says in (
        (("export", "nano", "-o", tmp_path / "m.pt"), 2, ".onnx"),
        (("export", "nano", "-o", tmp_path / "m.onnx", "--frame-size", "big"), 2, "WIDTHxHEIGHT"),
        (("export", tmp_path / "foreign.onnx", "-o", tmp_path / "m.onnx"), 2, "exported already"),
        (("export", "nano", "-o", tmp_path / "broken.onnx"), 5, "exists"),
    ):
        done = cli(*arguments)
        assert (done.code, says in done.err, len(done.err.splitlines())) == (code, True, 1), done.err


def test_a_card_survives_json() -> None:
    card = factory.make_network(config.make(model="nano")).card.with_fixed_size(720, 1280)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card
    assert card.input_size() == (224, 384)
    with raises_code(ModelLoadError, "damaged"):
        ModelCard.from_json({"spec": {"sizes": 3}})


def test_what_is_exported() -> None:
    assert is_exported_model("some/model.onnx")
    assert not is_exported_model("nano")
    assert not is_exported_model("x" * 5000)


def test_agreement_is_free_of_scale_and_shift() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(40, 50)).astype(np.float32)
    assert inverse_depth_agreement(wanted, 3 * wanted - 7) == (1.0, pytest.approx(0, abs=1e-6))
    share, error = inverse_depth_agreement(wanted, rng.normal(size=(40, 50)).astype(np.float32))
    assert share < 0.6
    assert error > 0.1
    assert inverse_depth_agreement(wanted, wanted * np.float32("nan")) == (0.0, 1.0)


@pytest.mark.timeout(300)  # nncf is slow to import
@needs_nncf
def test_int8_is_made_judged_and_used(cli, tmp_path: Path, frames: list[Frame]) -> None:
    arguments = ("quantize", "nano", "--calibrate", CLIP, "--frames", 8, "--size", 128)
    done = cli(*arguments, "-o", tmp_path / "int8", "--limit", 0)
    assert done.code == 0, done.err
    header, before, after, note = done.out.splitlines()
    assert header.split()[:2] == ["against", "float32"]
    assert (before.split()[0] in ("float32", "bfloat16", "float16"), after.split()[0]) == (True, "int8")
    assert note.startswith("2 frames")
    estimator = factory.make_estimator(config.make(model=str(tmp_path / "int8")))
    assert (estimator.info.engine, estimator.info.precision, estimator.info.kind) == (
        "openvino", "int8", DepthKind.RELATIVE,
    )  # fmt: skip
    exact = factory.make_estimator(config.make(model="nano", size=128, engine="torch", device="cpu"))
    found, wanted = (e.estimate(frames[:1])[0].depth for e in (estimator, exact))
    assert found.shape == wanted.shape
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.95
    again = cli(*arguments, "-o", tmp_path / "int8")
    assert (again.code, "exists already" in again.err) == (5, True)
    for wrong, code, says in (
        ({"engine": "torch"}, "option-conflict", "leave --"),
        ({"precision": "float32"}, "option-conflict", "leave --"),
        ({"device": "cuda"}, "wrong-device", "'cuda'"),
    ):
        with raises_code(ConfigError, code, naming=says):
            factory.make_estimator(config.make(model=str(tmp_path / "int8"), **wrong))
    (tmp_path / "int8" / "streamdepth.json").write_text("{")
    with raises_code(ModelLoadError, "damaged"):
        factory.make_estimator(config.make(model=str(tmp_path / "int8")))


def test_int8_that_disagrees_is_refused(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(_network: object, used: list[Image], held_out: list[Image], folder: Path) -> QuantizationResult:
        assert (len(used), len(held_out)) == (6, 2)
        (folder / "model.xml").write_text("int8")
        return QuantizationResult(EngineScore("bfloat16", 0.999, 0.001, 3), EngineScore("int8", 0.81, 0.06, 2), 2)

    monkeypatch.setattr(quantize_module, "quantize", bad)
    arguments = ("quantize", "nano", "--calibrate", CLIP, "--frames", 8, "-o", tmp_path / "int8")
    refused = cli(*arguments)
    assert (refused.code, "81.0%" in refused.err, "nothing was written" in refused.err) == (4, True, True), refused.err
    assert not list(tmp_path.iterdir())
    assert cli(*arguments, "--limit", 0.8).code == 0
    assert (tmp_path / "int8" / "model.xml").is_file()


def test_a_missing_nncf_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nncf", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[quantize\]"):
        quantize_module._import_nncf()


def test_too_few_frames_are_refused(cli, tmp_path: Path) -> None:
    short = "lavfi:testsrc2=size=160x96:rate=10:duration=0.2"
    done = cli("quantize", "nano", "--calibrate", short, "-o", tmp_path / "int8")
    assert (done.code, "at least 4" in done.err) == (2, True), done.err
