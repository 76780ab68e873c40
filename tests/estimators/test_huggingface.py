from __future__ import annotations

import json
import logging
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from helpers.image_processors import photograph, pixels_by_definition, pixels_by_transformers
from helpers.models import MAKERS, PROMPTED, make_cached_model, make_model
from torch.nn import functional as F

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError, InferenceError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators import hub
from streamdepth.estimators.catalog import CATALOG
from streamdepth.estimators.huggingface import (
    HuggingFaceEstimator,
    depth_kind,
    load_config,
    load_transformers_module,
    supported_architectures,
)
from streamdepth.estimators.preprocess import InputSpec

_METRIC = {"depth_anything_metric", "zoedepth", "glpn", "depth_pro", "tipsv2_dpt"}
_TORCH = {"engine": "torch", "device": "cpu"}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny models by architecture, made when they are first asked for."""

    class Folders(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            self[name] = make_model(name, tmp_path_factory.mktemp(name))
            return self[name]

    return Folders()


@pytest.fixture(scope="session")
def estimators(folders: dict[str, Path]) -> dict[str, HuggingFaceEstimator]:
    """Tiny models loaded on torch, by architecture; shared, so that no test may change them."""

    class Estimators(dict[str, HuggingFaceEstimator]):
        def __missing__(self, name: str) -> HuggingFaceEstimator:
            self[name] = HuggingFaceEstimator(str(folders[name]), **_TORCH)
            return self[name]

    return Estimators()


def frame(image: Image, index: int = 0) -> Frame:
    return Frame(np.ascontiguousarray(image), index, index, Fraction(1, 30), 0.0)


def reference(folder: Path, image: Image, size: tuple[int, int]) -> tuple[torch.Tensor, float | None]:
    """Returns depth (h, w) by transformers' model and its processor's postprocessing, and the focal length if known.

    The depth is at `size` if the processor resizes it, else at the network's own size.
    """
    config = load_config(folder)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    needs_torchvision = config.model_type in ("depth_pro", "chmv2", "tipsv2_dpt")
    prepare = pixels_by_definition if needs_torchvision else pixels_by_transformers
    pixels = torch.from_numpy(prepare(image, settings, config.model_type)).float()[None]
    with torch.no_grad():
        outputs = load_transformers_module(folder, config)(pixel_values=pixels)
    depth = outputs.predicted_depth[:, None]
    if config.model_type == "zoedepth":
        y, x = (int(np.sqrt(side / 2) * 3) for side in size)
        depth = F.interpolate(depth, (size[0] + 2 * y, size[1] + 2 * x), mode="bicubic")[..., y:-y, x:-x]
    if config.model_type == "depth_pro":
        fov = outputs.field_of_view[0]
        focal = 0.5 * size[1] / torch.tan(0.5 * torch.deg2rad(fov))
        return 1 / (depth[0, 0] * size[1] / focal).clamp(1e-4, 1e4), float(focal)
    return depth[0, 0], None


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in MAKERS if n not in ("chmv2", "dpt_dinov2")])
def test_every_architecture_gives_what_transformers_gives(
    name: str, folders: dict[str, Path], estimators: dict[str, HuggingFaceEstimator]
) -> None:
    image = photograph(75, 101)
    (found,) = estimators[name].estimate([frame(image)])
    wanted, focal = reference(folders[name], image, (75, 101))
    depth = torch.from_numpy(found.depth)
    if name == "zoedepth":
        depth = F.interpolate(depth[None, None], (75, 101), mode="bicubic")[0, 0]
    assert depth.shape == wanted.shape
    assert wanted.std() > 0
    # The two inputs may differ by a gray level here and there, which random weights amplify.
    assert (depth - wanted).abs().mean() < 0.02 * wanted.std()
    assert found.focal_px == (None if focal is None else pytest.approx(focal, rel=1e-3))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chmv2", "dpt_dinov2"])
@pytest.mark.parametrize("size", [(112, 112), (75, 101)])
def test_models_that_pad_give_the_pictures_part(
    name: str, size: tuple[int, int], folders: dict[str, Path], estimators: dict[str, HuggingFaceEstimator]
) -> None:
    """Equal to transformers' result where nothing is padded; elsewhere it is that result without its margins."""
    image = photograph(*size)
    (found,) = estimators[name].estimate([frame(image)])
    wanted, _ = reference(folders[name], image, size)
    multiple = 16 if name == "chmv2" else 14
    padded = [side + -side % multiple for side in size]
    assert found.depth.shape == tuple(round(w * s / p) for w, s, p in zip(wanted.shape, size, padded, strict=True))
    if padded == list(size):
        assert np.abs(found.depth - wanted.numpy()).max() < 1e-3 * float(wanted.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_a_flat_picture_gives_a_finite_map_of_the_right_type(
    name: str, estimators: dict[str, HuggingFaceEstimator]
) -> None:
    flat = np.full((75, 101, 3), 90, np.uint8)
    (found,) = estimators[name].estimate([frame(flat)])
    assert found.depth.dtype == np.float32
    assert found.depth.ndim == 2
    assert found.depth.flags.c_contiguous
    assert np.isfinite(found.depth).all()
    assert estimators[name].info.kind is (DepthKind.METRIC if name in _METRIC else DepthKind.RELATIVE)


@pytest.mark.slow
def test_frames_of_several_sizes_keep_their_order(estimators: dict[str, HuggingFaceEstimator]) -> None:
    estimator = estimators["depth_anything"]
    images = [photograph(60, 80), photograph(80, 60), photograph(60, 80)[::-1], photograph(61, 80)]
    together = estimator.estimate([frame(image, i) for i, image in enumerate(images)])
    for image, found in zip(images, together, strict=True):
        (alone,) = estimator.estimate([frame(image)])
        np.testing.assert_allclose(found.depth, alone.depth, rtol=1e-3, atol=1e-4)
    assert together[0].depth.shape == together[1].depth.shape[::-1]
    assert estimator.estimate([]) == []


def test_values_that_are_not_finite_are_unknown(
    estimators: dict[str, HuggingFaceEstimator], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = estimators["depth_anything"]
    output = torch.tensor([[[1.0, torch.inf, torch.nan]]])
    monkeypatch.setattr(estimator.engine, "run", lambda pixels: (output,))
    (found,) = estimator.estimate([frame(photograph(60, 80))])
    np.testing.assert_array_equal(found.depth, np.array([[1, np.nan, np.nan]], np.float32))


@pytest.mark.slow
def test_openvino_gives_what_torch_gives(folders: dict[str, Path], estimators: dict[str, HuggingFaceEstimator]) -> None:
    pytest.importorskip("openvino")
    frames = [frame(photograph(75, 101))]
    (a,) = estimators["depth_anything"].estimate(frames)
    estimator = HuggingFaceEstimator(str(folders["depth_anything"]), engine="openvino", precision="float32")
    (b,) = estimator.estimate(frames)
    assert (estimator.info.engine, estimator.info.device, estimator.info.precision) == ("openvino", "cpu", "float32")
    np.testing.assert_allclose(a.depth, b.depth, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MAKERS)
def test_a_gpu_gives_what_the_cpu_gives(name: str, folders: dict[str, Path]) -> None:
    frames = [frame(photograph(75, 101)), frame(photograph(75, 101)[::-1], 1)]
    a = HuggingFaceEstimator(str(folders[name]), **_TORCH).estimate(frames)
    estimator = HuggingFaceEstimator(str(folders[name]))
    assert (estimator.info.device, estimator.info.precision) == ("cuda", "float16")
    for cpu, gpu in zip(a, estimator.estimate(frames), strict=True):
        assert np.abs(cpu.depth - gpu.depth).mean() < 0.03 * np.abs(cpu.depth).mean()


@pytest.mark.slow
def test_another_size_is_used_and_rounded(folders: dict[str, Path]) -> None:
    (found,) = HuggingFaceEstimator(str(folders["depth_anything"]), size=50, **_TORCH).estimate(
        [frame(photograph(90, 160))]
    )
    assert found.depth.shape == (56, 84)
    estimator = HuggingFaceEstimator(str(folders["depth_anything"]), size=(100, 60), **_TORCH)
    (found,) = estimator.estimate([frame(photograph(90, 160))])
    assert found.depth.shape == (56, 98)
    (found,) = HuggingFaceEstimator(str(folders["dpt"]), size=100, **_TORCH).estimate([frame(photograph(90, 160))])
    assert found.depth.shape == (96, 96)
    with raises_code(ConfigError, "bad-size"):
        HuggingFaceEstimator(str(folders["dpt"]), size=(96, 64), **_TORCH)
    with raises_code(ConfigError, "bad-size"):
        HuggingFaceEstimator(str(folders["depth_pro"]), size=50, **_TORCH)


def test_every_architecture_of_transformers_is_covered() -> None:
    made = {make()[0].model_type for make in (MAKERS | PROMPTED).values()}
    assert made == set(supported_architectures())


def test_the_kind_comes_from_the_configuration() -> None:
    anything, metric, pro = (MAKERS[n]()[0] for n in ("depth_anything", "depth_anything_metric", "depth_pro"))
    assert depth_kind(anything) is DepthKind.RELATIVE
    assert depth_kind(anything, DepthKind.METRIC) is DepthKind.RELATIVE
    assert depth_kind(metric) is DepthKind.METRIC
    assert depth_kind(pro) is DepthKind.METRIC
    pro.use_fov_model = False
    assert depth_kind(pro) is DepthKind.RELATIVE
    assert depth_kind(MAKERS["dpt"]()[0]) is DepthKind.RELATIVE
    assert depth_kind(MAKERS["dpt"]()[0], DepthKind.METRIC) is DepthKind.METRIC


def test_relative_inverse_depth_keeps_its_sign(
    estimators: dict[str, HuggingFaceEstimator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near is large in the network's output and in ours: nothing inverts it on the way."""
    estimator = estimators["dpt"]
    ramp = torch.linspace(0, 1, 12).repeat(1, 4, 1)
    monkeypatch.setattr(estimator.engine, "run", lambda pixels: (ramp,))
    (found,) = estimator.estimate([frame(photograph(60, 80))])
    np.testing.assert_array_equal(found.depth, ramp[0].numpy())


@pytest.mark.slow
def test_pickled_weights_need_permission(tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = make_model("dpt", tmp_path, pickled=True)
    with raises_code(ModelLoadError, "pickle"):
        HuggingFaceEstimator(str(folder), **_TORCH)
    frames = [frame(photograph(60, 80))]
    (a,) = HuggingFaceEstimator(str(folder), allow_pickle=True, **_TORCH).estimate(frames)
    (b,) = HuggingFaceEstimator(str(folders["dpt"]), **_TORCH).estimate(frames)
    np.testing.assert_allclose(a.depth, b.depth, rtol=1e-5)


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("pickled code ran",))


def test_pickled_code_never_runs(tmp_path: Path) -> None:
    folder = make_model("dpt", tmp_path, pickled=True)
    torch.save({"trap": _Trap()}, folder / "pytorch_model.bin")
    with raises_code(ModelLoadError, "damaged"):
        HuggingFaceEstimator(str(folder), allow_pickle=True, **_TORCH)


@pytest.mark.parametrize("license", ["cc-by-nc-4.0", "apple-amlr"])
def test_a_local_model_with_a_restricted_license_needs_its_acceptance(
    tmp_path: Path, license: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_model("dpt", tmp_path, license=license)
    with raises_code(ModelLoadError, "license", naming=f"{license}.*depth-anything-v2-small"):
        HuggingFaceEstimator(str(folder), **_TORCH)
    estimator = HuggingFaceEstimator(str(folder), accept_license=True, **_TORCH)
    assert estimator.info.license == license
    (folder / "README.md").write_text(f"---\nlicense:\n- {license}\n---\n")
    with raises_code(ModelLoadError, "license", naming=license):
        HuggingFaceEstimator(str(folder), **_TORCH)
    assert "may not be used commercially" in caplog.text


@pytest.mark.parametrize("entry", [e for e in CATALOG.values() if not e.allows_commercial_use], ids=lambda e: e.name)
def test_restricted_models_of_the_catalog_are_refused_before_any_download(entry: Any) -> None:
    for name in (entry.name, entry.hub_id):
        with raises_code(ModelLoadError, "license"):
            HuggingFaceEstimator(name)


def test_an_unknown_name_is_answered_with_the_nearest_and_where_all_are() -> None:
    with raises_code(ModelLoadError, "unknown-model", naming="depth-anything-v2-small.*`streamdepth models`"):
        HuggingFaceEstimator("depth-anythin-v2-smal")


def test_a_name_without_likeness_is_answered_in_whole_sentences() -> None:
    with raises_code(ModelLoadError, "unknown-model", naming=r"'zzz'\. Give a short name.*folder\. Built in"):
        HuggingFaceEstimator("zzz")


def test_a_name_that_the_hub_cannot_have_is_unknown() -> None:
    with raises_code(ModelLoadError, "unknown-model", naming="a/b--c"):
        HuggingFaceEstimator("a/b--c")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["preprocessing", "postprocessing"])
@pytest.mark.parametrize(
    ("error", "code"),
    [(torch.OutOfMemoryError("x"), "out-of-memory"), (RuntimeError("odd sizes"), "inference")],
)
def test_what_fails_around_the_network_is_explained(
    part: str, error: Exception, code: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = HuggingFaceEstimator(str(folders["glpn"]), **_TORCH)

    def fail(*_: object) -> None:
        raise error

    if part == "preprocessing":
        monkeypatch.setattr(InputSpec, "prepare", fail)
    else:
        monkeypatch.setattr("streamdepth.estimators.network.crop_margins", fail)
    with raises_code(InferenceError, code):
        estimator.estimate([frame(photograph(64, 64))])


def test_a_secret_in_the_name_is_not_repeated() -> None:
    with pytest.raises(ModelLoadError) as error:
        HuggingFaceEstimator("https://me:hf_secret@example.org/model")
    assert "hf_secret" not in str(error.value)


@pytest.mark.parametrize("model", ["dpt-large", "someone/depth-model"])
@pytest.mark.parametrize("offline", [True, False])
def test_without_the_hub_the_error_is_quick_and_useful(
    model: str, offline: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    start = time.monotonic()
    with pytest.raises(ModelLoadError) as error:
        HuggingFaceEstimator(model)
    assert time.monotonic() - start < 60
    message = str(error.value)
    assert str(tmp_path) in message
    assert "--model nano" in message
    assert "`streamdepth models` lists" in message
    assert "hf_secret" not in message
    assert ("HF_HUB_OFFLINE" if offline else "could not be reached") in message


def test_a_cached_model_is_used_without_asking_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_cached_model(tmp_path, "Intel/dpt-large", "dpt")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "_download", lambda *a: pytest.fail("the hub was asked"))
    for name in ("dpt-large", "Intel/dpt-large"):
        estimator = HuggingFaceEstimator(name, **_TORCH)
        assert (estimator.info.name, estimator.info.license) == (name, "apache-2.0")
        assert len(estimator.estimate([frame(photograph(60, 80))])) == 1


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_model_that_is_not_all_in_the_cache_is_completed(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_cached_model(tmp_path, "Intel/dpt-large", "dpt")
    (tmp_path / "models--Intel--dpt-large" / "snapshots" / "abc" / missing).unlink()
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    server = Hub(make_model("dpt", tmp_path / "hub")).install(monkeypatch)
    HuggingFaceEstimator("dpt-large", **_TORCH)
    assert missing in server.fetched
    assert server.fetched[-1] == "config.json"


def test_a_model_without_its_processors_settings_is_used_where_the_hub_cannot_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_cached_model(tmp_path, "Intel/dpt-large", "dpt")
    (tmp_path / "models--Intel--dpt-large" / "snapshots" / "abc" / "preprocessor_config.json").unlink()
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    estimator = HuggingFaceEstimator("dpt-large", **_TORCH)
    assert len(estimator.estimate([frame(photograph(60, 80))])) == 1
    assert "without the settings of its image processor" in caplog.text


class Hub:
    """Stands for the hub: what it says of one model, and what is fetched from it."""

    def __init__(self, folder: Path, *tags: str) -> None:
        self.folder, self.fetched = folder, list[str]()
        files = [SimpleNamespace(rfilename=path.name) for path in folder.iterdir()]
        files += [SimpleNamespace(rfilename=name) for name in ("flax_model.msgpack", "modeling_evil.py")]
        self.answer = SimpleNamespace(tags=list(tags), siblings=files, sha="abc")

    def fetch(self, hub_id: str, name: str, *, revision: str) -> str:
        assert revision == "abc"
        self.fetched.append(name)
        return str(self.folder / name)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Hub:
        monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *a, **k: self.answer)
        monkeypatch.setattr("huggingface_hub.hf_hub_download", self.fetch)
        return self


def test_only_weights_and_descriptions_are_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Hub(make_model("dpt", tmp_path, license="mit"), "license:mit").install(monkeypatch)
    estimator = HuggingFaceEstimator("someone/depth-model", **_TORCH)
    assert set(server.fetched) == {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}
    assert estimator.info.license == "mit"


def test_pickled_weights_are_not_even_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Hub(make_model("dpt", tmp_path, pickled=True)).install(monkeypatch)
    with raises_code(ModelLoadError, "pickle"):
        HuggingFaceEstimator("someone/depth-model", **_TORCH)
    assert server.fetched == []
    HuggingFaceEstimator("someone/depth-model", allow_pickle=True, **_TORCH)
    assert "pytorch_model.bin" in server.fetched


def test_a_restricted_license_is_seen_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Hub(make_model("dpt", tmp_path), "license:cc-by-nc-sa-4.0").install(monkeypatch)
    with raises_code(ModelLoadError, "license", naming=r"cc-by-nc-sa-4\.0"):
        HuggingFaceEstimator("someone/depth-model", **_TORCH)
    assert server.fetched == []


_GLPN, _DPT = ({"config.json": f'{{"model_type": "{name}"}}', "model.safetensors": ""} for name in ("glpn", "dpt"))


@pytest.mark.parametrize(
    ("files", "code", "facts"),
    [
        ({}, "no-model", "config.json and model.safetensors"),
        ({"config.json": "{}", "model.safetensors": ""}, "unsupported", "config.json"),
        ({"config.json": '{"model_type": "bert"}', "model.safetensors": ""}, "unsupported", "bert"),
        (_GLPN | {"model.safetensors": "zeros"}, "damaged", "weights"),
        (_GLPN | {"preprocessor_config.json": "{"}, "damaged", "preprocessor_config.json"),
        (_GLPN | {"preprocessor_config.json": "[]"}, "damaged", "preprocessor_config.json"),
        (_DPT | {"preprocessor_config.json": '{"image_mean": 1}'}, "damaged", "image processor"),
        (_DPT | {"preprocessor_config.json": '{"image_std": [1]}'}, "damaged", "image processor"),
    ],
)
def test_a_folder_that_holds_no_model_is_explained(
    tmp_path: Path, files: dict[str, str], code: str, facts: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with raises_code(ModelLoadError, code, naming=facts):
        HuggingFaceEstimator(str(tmp_path), **_TORCH)


def test_weights_of_another_network_are_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = make_model("dpt", tmp_path)
    (folder / "model.safetensors").write_bytes((folders["glpn"] / "model.safetensors").read_bytes())
    with raises_code(ModelLoadError, "damaged"):
        HuggingFaceEstimator(str(folder), **_TORCH)


def test_code_that_comes_with_a_model_never_runs(tmp_path: Path) -> None:
    folder = make_model("dpt", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForDepthEstimation": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('code from the model ran')")
    assert HuggingFaceEstimator(str(folder), **_TORCH).info.kind is DepthKind.RELATIVE


def test_loading_prints_and_logs_nothing(
    folders: dict[str, Path], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = folders["depth_anything"]
    capfd.readouterr()
    caplog.set_level(logging.WARNING)
    caplog.clear()
    HuggingFaceEstimator(str(folder), **_TORCH)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_the_built_in_model_is_not_loaded_here() -> None:
    with raises_code(ModelLoadError, "built-in"):
        HuggingFaceEstimator("nano")


def test_a_backbone_alone_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = make_model("glpn", tmp_path) / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(weights).items() if not name.startswith("head")}
    save_file(kept, weights, metadata={"format": "pt"})
    with raises_code(ModelLoadError, "incomplete", naming=r"head\..* and 3 more"):
        HuggingFaceEstimator(str(tmp_path), **_TORCH)
