"""TensorRT through ONNX Runtime, on a machine with a GPU that is made up: sessions there compute on the CPU."""

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
from helpers.onnx_files import write_onnx
from torch import Tensor, nn

from streamdepth.apps.doctor import run_checks
from streamdepth.core.errors import ConfigError
from streamdepth.estimators.engines import choose, gpu_presence, onnx_providers, tensorrt
from streamdepth.estimators.engines.choose import FILE_ENGINES, choose_engine
from streamdepth.estimators.engines.lazy_module import LazyModule
from streamdepth.estimators.engines.make import make_engine
from streamdepth.estimators.foreign.runtimes import open_runtime

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")), reason="ONNX Runtime is needed"
)
TENSORRT, CUDA, CPU = (f"{name}ExecutionProvider" for name in ("Tensorrt", "CUDA", "CPU"))
PIXELS = np.random.default_rng(1).random((1, 3, 16, 24), np.float32)
GRAPH = "g (float[1,3,16,24] x) => (float[1,16,24] y) { y = ReduceMean<axes=[1], keepdims=0>(x) }"


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class Gpu:
    """A GPU that is made up, and the sessions of ONNX Runtime that were asked for on it.

    Every provider starts that is not in `missing`, and takes every model unless `refuses` says why not. A provider in
    `missing` is left out without a word, as ONNX Runtime does; one in `broken` raises when it is asked for.
    """

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.broken: dict[str, str] = {}
        self.refuses: Callable[[Any], str | None] = lambda _model: None
        """Returns why TensorRT does not take a model, given as a path or as bytes; None if it does."""
        self.fails_to_run = False
        """True if a session on TensorRT fails when it runs."""
        self.asked: list[tuple[Any, dict[str, dict[str, str]]]] = []
        """The models and providers of all sessions."""

    @property
    def models(self) -> list[tuple[Path, dict[str, dict[str, str]]]]:
        """Those of files, without the sessions that try a provider."""
        return [(Path(model), providers) for model, providers in self.asked if isinstance(model, str)]

    def session_class(self, real: type[Any]) -> type[Any]:
        gpu = self

        class Session(real):  # type: ignore[misc]
            def __init__(self, model: Any, options: Any, providers: list[Any], **others: Any) -> None:
                assert others == {"enable_fallback": 0}, "ONNX Runtime would print to the standard output"
                gpu.asked.append((model, dict(providers)))
                for name, _ in providers:
                    if name in gpu.broken:
                        raise RuntimeError(gpu.broken[name])
                if dict(providers).keys() & {TENSORRT} and (reason := gpu.refuses(model)):
                    raise RuntimeError(reason)
                self.started = [name for name, _ in providers if name not in gpu.missing] or [CPU]
                super().__init__(model, options, providers=[CPU])

            def get_providers(self) -> list[str]:
                return list(self.started)

            def run(self, *arguments: Any) -> Any:
                if gpu.fails_to_run and self.started[0] == TENSORRT and isinstance(gpu.asked[-1][0], str):
                    raise RuntimeError("no engine for this shape")
                return super().run(*arguments)

        return Session


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gpu:
    import onnxruntime

    made = Gpu()
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", made.session_class(onnxruntime.InferenceSession))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "a GPU that is made up")
    for module in (choose, onnx_providers, gpu_presence):
        monkeypatch.setattr(module, "may_have_gpu", lambda: True)
    tensorrt.tensorrt_refusal.cache_clear()
    onnx_providers._warn_once.cache_clear()
    return made


@pytest.fixture(autouse=True)
def _forget_the_gpu() -> Any:
    yield
    tensorrt.tensorrt_refusal.cache_clear()


@pytest.fixture
def torch_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets torch's engine run on the CPU where it is asked to run on the GPU."""
    from streamdepth.estimators.engines import torch_engine

    monkeypatch.setattr(torch_engine, "choose_device", lambda _device="auto": torch.device("cpu"))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:1"])
def test_auto_is_tensorrt_where_it_works(gpu: Gpu, device: str) -> None:
    engine = make_engine(LazyModule(Mean, "mean"), device=device, precision_limit=None)
    assert (engine.name, engine.precision) == ("onnx", "float16")
    np.testing.assert_allclose(engine.run(PIXELS)[0], PIXELS.mean(1), atol=1e-6)
    assert engine.runs_on == ("cuda" if device == "auto" else device)
    assert engine.reason == f"TensorRT is the fastest on this GPU, with ONNX Runtime's {TENSORRT}"
    ((_, providers),) = gpu.models
    assert list(providers) == [TENSORRT, CUDA, CPU]
    number = "1" if device == "cuda:1" else "0"
    assert providers[CUDA] == {"device_id": number}
    assert providers[TENSORRT]["device_id"] == number


def test_it_is_tried_once_for_each_gpu(gpu: Gpu) -> None:
    for device in ("cuda", "auto", "cuda:1", "cuda"):
        assert choose_engine("auto", device).needs_tensorrt
    tried = [providers for model, providers in gpu.asked if isinstance(model, bytes)]
    assert tried == [{TENSORRT: {"device_id": "0"}}, {TENSORRT: {"device_id": "1"}}]


@pytest.mark.parametrize("kind", ["dropped", "raises"])
def test_what_does_not_work_is_said_once_and_torch_is_used(
    gpu: Gpu, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    reason = "libnvinfer.so.10: cannot open shared object file" if kind == "raises" else "made on CPUExecutionProvider"
    if kind == "raises":
        gpu.broken = {TENSORRT: reason}
    else:
        gpu.missing = {TENSORRT}
    for _ in range(2):
        assert choose_engine("auto", "cuda").name == "torch"
        assert choose_engine("auto", "auto", among=FILE_ENGINES).name == "onnx"
    (said,) = warnings_in(caplog)
    assert reason in said
    assert not gpu.models


def test_wrong_numbers_are_a_reason_too(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    real = onnxruntime.InferenceSession
    monkeypatch.setattr(real, "run", lambda *_: [np.zeros((1, 3, 8, 8), np.float32)])
    assert tensorrt.tensorrt_refusal("0") == "it computes wrong numbers"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"precision": "bfloat16"}, "torch"),
        ({"precision": "float16"}, "onnx"),
        ({"precision": "float32"}, "onnx"),
        ({"compile": True}, "torch"),
        ({"engine": "torch"}, "torch"),
        ({"device": "cpu", "engine": "openvino"}, "openvino"),
    ],
)
def test_other_wishes_choose_the_engine_that_has_them(gpu: Gpu, options: dict[str, Any], name: str) -> None:
    assert choose_engine(**({"engine": "auto", "device": "cuda"} | options)).name == name


def test_float32_is_computed_in_float32(gpu: Gpu) -> None:
    engine = make_engine(LazyModule(Mean, "mean"), device="cuda", precision="float32")
    engine.run(PIXELS)
    ((_, providers),) = gpu.models
    assert (engine.precision, providers[TENSORRT]["trt_fp16_enable"]) == ("float32", "0")
    with raises_code(ConfigError, "wrong-precision", naming="auto, float32, float16"):
        make_engine(LazyModule(Mean, "mean"), engine="onnx", device="cuda", precision="bfloat16")


@pytest.mark.usefixtures("torch_on_the_cpu")
@pytest.mark.parametrize("kind", ["dropped", "raises"])
def test_a_network_that_tensorrt_does_not_take_runs_on_torch(
    gpu: Gpu, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    engine = make_engine(LazyModule(Mean, "mean"), device="cuda", precision_limit=None)
    if kind == "dropped":
        gpu.missing = {TENSORRT}
    else:
        gpu.refuses = lambda _model: "this operator is not supported"
    engine.warm_up(PIXELS)
    assert (engine.name, engine.reason) == ("torch", "onnx did not take the network")
    np.testing.assert_allclose(engine.run(PIXELS)[0], PIXELS.mean(1), atol=1e-3)
    assert len([said for said in warnings_in(caplog) if "torch is used instead" in said]) == 1
    assert ("not supported" in caplog.text) == (kind == "raises")


@pytest.mark.parametrize("kind", ["dropped", "raises", "fails to run"])
def test_a_file_that_tensorrt_does_not_take_runs_on_cuda(
    gpu: Gpu, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    assert choose_engine("auto", "cuda", among=FILE_ENGINES).needs_tensorrt
    if kind == "dropped":
        gpu.missing = {TENSORRT}
    elif kind == "raises":
        gpu.refuses = lambda _model: "this operator is not supported"
    else:
        gpu.fails_to_run = True
    runtime = open_runtime(write_onnx(tmp_path / "m.onnx", GRAPH), {"device": "cuda"})
    (found,) = runtime.start({"x": PIXELS}, ["y"]).result()
    np.testing.assert_allclose(found, PIXELS.mean(1), atol=1e-6)
    assert (runtime.runs_on, runtime.precision) == ("cuda", "float32")
    assert runtime.reason.endswith(CUDA)
    (said,) = [said for said in warnings_in(caplog) if "is not used" in said]
    assert {"raises": "not supported", "fails to run": "no engine"}.get(kind, "could not start") in said


@pytest.mark.usefixtures("torch_on_the_cpu")
def test_too_coarse_depth_is_computed_in_float32(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamdepth.estimators.engines.onnx_engine import OnnxEngine

    run = OnnxEngine.run
    monkeypatch.setattr(
        OnnxEngine, "run", lambda self, pixels: run(self, pixels * (1.5 if self.precision == "float16" else 1.0))
    )
    engine = make_engine(LazyModule(Mean, "mean"), device="cuda")
    np.testing.assert_allclose(engine.run(PIXELS)[0], PIXELS.mean(1), atol=1e-6)
    assert (engine.name, engine.precision) == ("onnx", "float32")
    assert [providers[TENSORRT]["trt_fp16_enable"] for _, providers in gpu.models] == ["1", "0"]


def test_each_file_keeps_its_engines_apart(gpu: Gpu, caplog: pytest.LogCaptureFixture) -> None:
    """ONNX Runtime names engines by the file's name and the graph: other sizes and weights would get the same one."""
    engine = make_engine(LazyModule(Mean, "mean"), device="cuda", precision_limit=None)
    for pixels in (PIXELS, PIXELS[..., :16], PIXELS):
        engine.run(pixels)
    other = make_engine(LazyModule(nn.Sequential, "other", "other weights"), device="cuda", precision_limit=None)
    other.run(PIXELS)
    folders = [providers[TENSORRT]["trt_engine_cache_path"] for _, providers in gpu.models]
    assert len(folders) == len(set(folders)) == 3
    assert {path.name for path, _ in gpu.models} == {"model.onnx"}
    for _, providers in gpu.models:
        options = providers[TENSORRT]
        assert Path(options["trt_engine_cache_path"]).parent == Path(options["trt_timing_cache_path"])
        assert (options["trt_engine_cache_enable"], options["trt_timing_cache_enable"]) == ("1", "1")
        assert options["trt_fp16_enable"] == "1"
    assert len([said for said in warnings_in(caplog) if "builds an engine" in said]) == 3


def test_a_kept_engine_is_found_again_and_not_announced(gpu: Gpu, caplog: pytest.LogCaptureFixture) -> None:
    for run in range(2):
        caplog.clear()
        make_engine(LazyModule(Mean, "mean", "key"), device="cuda", precision_limit=None).run(PIXELS)
        folder = Path(gpu.models[-1][1][TENSORRT]["trt_engine_cache_path"])
        assert ("builds an engine" in caplog.text) == (run == 0)
        (folder / "kept.engine").touch()
    assert len({providers[TENSORRT]["trt_engine_cache_path"] for _, providers in gpu.models}) == 1


@pytest.mark.parametrize("works", [True, False])
def test_the_doctor_tries_it(gpu: Gpu, works: bool) -> None:
    if not works:
        gpu.broken = {TENSORRT: "libnvinfer.so.10 is missing"}
    found = next(check.found for check in run_checks() if check.name == "GPU engines")
    wanted = "ONNX Runtime's TensorRT" if works else "no TensorRT: libnvinfer.so.10 is missing"
    assert found.split(", ") == [f"torch {torch.__version__}", "ONNX Runtime's CUDA", wanted]


@pytest.mark.gpu
def test_pictures_stay_on_a_gpu() -> None:
    from streamdepth.estimators.engines.onnx_engine import OnnxEngine

    if "cuda" not in onnx_providers.available_devices():
        pytest.skip("ONNX Runtime here has no CUDA")
    engine = OnnxEngine(LazyModule(Mean, "mean"), device="cuda", precision="float32")
    pictures = [np.full((16, 24, 3), value, np.uint8) for value in (10, 200, 90)]
    uploaded = torch.as_tensor(engine.upload(pictures))
    assert uploaded.is_cuda
    for count in (2, 3):  # the file takes two pictures at a time
        pixels = uploaded[:count].permute(0, 3, 1, 2).float()
        (found,) = engine.run(pixels)
        torch.testing.assert_close(found, pixels.mean(1), atol=0.1, rtol=1e-3)
        np.testing.assert_array_equal(engine.download(found), found.cpu().numpy())


@pytest.mark.gpu
def test_sizes_are_exported_after_the_precision_was_checked_on_a_gpu() -> None:
    if "cuda" not in onnx_providers.available_devices():
        pytest.skip("ONNX Runtime here has no CUDA")
    module = LazyModule(lambda: nn.Conv2d(3, 1, 1), "conv")
    engine = make_engine(module, engine="onnx", device="cuda")
    pixels = torch.as_tensor(PIXELS).cuda()
    for given in (pixels, pixels[..., :16]):
        assert engine.run(given)[0].shape == (1, 1, *given.shape[-2:])
        assert {parameter.device.type for parameter in module.get().parameters()} == {"cpu"}
