from __future__ import annotations

import logging
from pathlib import Path

import pytest
from helpers.errors import raises_code
from helpers.onnx_files import write_export

from streamdepth import config, factory
from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind
from streamdepth.estimators.catalog import BEST_OF_KIND, CATALOG, best_model
from streamdepth.factory import chosen_model
from streamdepth.factory.chosen_model import with_chosen_model
from streamdepth.utils.memory import machine_memory_bytes

GIB = 2**30


@pytest.mark.parametrize(
    ("kind", "gpu", "gib", "wanted"),
    [
        (DepthKind.METRIC, False, 16, "depth-anything-v2-metric-indoor-small"),
        (DepthKind.METRIC, True, 16, "da3-metric"),
        (DepthKind.METRIC, True, 4, "depth-anything-v2-metric-indoor-small"),
        (DepthKind.RELATIVE, True, 16, "depth-anything-large"),
        (DepthKind.RELATIVE, False, 16, "depth-anything-v2-small"),
        (DepthKind.RELATIVE, False, 1.5, "zipdepth"),
        (DepthKind.RELATIVE, False, 0.5, "nano"),
    ],
)
def test_the_best_model_for_a_machine(kind: DepthKind, gpu: bool, gib: float, wanted: str) -> None:
    assert best_model(kind, lambda _: gpu, gib * GIB).name == wanted


@pytest.mark.parametrize("kind", DepthKind)
@pytest.mark.parametrize("gpu", [False, True])
def test_what_is_chosen_is_free_for_any_use(kind: DepthKind, gpu: bool) -> None:
    for gib in (0, 1, 2, 4, 8, 1e6):
        entry = best_model(kind, lambda _: gpu, gib * GIB)
        assert (entry.allows_commercial_use, entry.kind) == (True, kind)


@pytest.mark.parametrize("name", [*BEST_OF_KIND, "Metric", "BEST"])
def test_the_choice_is_said(name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(chosen_model, "_gpu_memory_bytes", lambda _: None)
    with caplog.at_level(logging.WARNING):
        chosen = with_chosen_model(config.make(model=name).model)
    assert CATALOG[chosen.name].kind is BEST_OF_KIND[name.lower()]
    assert (chosen.name in caplog.text, "CPU" in caplog.text) == (True, True)


def test_a_gpu_that_onnx_runtime_cannot_use_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(chosen_model, "_gpu_memory_bytes", lambda _: 24.0 * GIB)
    chosen = {}
    for providers in (["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda p=providers: p)
        chosen[len(providers)] = with_chosen_model(config.make(model="metric").model).name
    assert chosen == {1: "depth-anything-v2-metric-indoor-small", 2: "da3-metric"}


def test_other_names_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    settings = config.make(model="nano").model
    assert with_chosen_model(settings) is settings
    assert not caplog.text
    assert machine_memory_bytes() > 2**26


def test_da3_metric_runs_by_name_from_the_hub_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    root = tmp_path / "models--TillBeemelmanns--Depth-Anything-V3-ONNX"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("abc")
    write_export(root / "snapshots" / "abc", "DA3METRIC-LARGE.onnx")
    for module in ("constants", "file_download.constants"):
        monkeypatch.setattr(f"huggingface_hub.{module}.HF_HUB_CACHE", str(tmp_path))
    with factory.make_estimator(config.make(model="da3-metric", device="cpu")) as model:
        assert (model.info.name, model.info.kind, model.info.license) == ("da3-metric", DepthKind.METRIC, "apache-2.0")
    with raises_code(ConfigError, "exported", naming="da3-metric"):
        factory.make_network(config.make(model="da3-metric"))


@pytest.mark.parametrize("name", ["da3-metric", "depth-anything-v2-small"])
def test_a_model_that_is_not_here_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in ("constants", "file_download.constants", "_snapshot_download.constants"):
        monkeypatch.setattr(f"huggingface_hub.{module}.HF_HUB_CACHE", str(tmp_path))
    with raises_code(ModelLoadError, "not-available", naming="download it on a machine with a connection"):
        factory.make_estimator(config.make(model=name))


def test_a_hub_that_is_not_reached_is_told_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is asked once: its package tries a download six times, for half a minute."""
    requests = list[str]()

    def fail(url: str, **_: object) -> None:
        requests.append(url)
        raise ConnectionError("no such host")

    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", fail)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("a download was tried"))
    with raises_code(ModelLoadError, "not-available", naming="could not be reached;"):
        factory.make_estimator(config.make(model="da3-metric"))
    assert len(requests) == 1
    assert requests[0].endswith(".onnx")


def test_nano_is_known_in_any_case() -> None:
    with factory.make_estimator(config.make(model="Nano", device="CPU", size=56)) as model:
        assert (model.info.name, model.info.device) == ("nano", "cpu")
