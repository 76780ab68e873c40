"""ZipDepth with random weights in the layout of its published file, which cannot be had here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from helpers.zipdepth_checkpoint import Reference, published_state, write_checkpoint

from streamdepth import config, factory
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators import zipdepth
from streamdepth.estimators.published_file import PublishedFile, find_published_file, git_blob_of
from streamdepth.estimators.zipdepth import PUBLISHED, load_zipdepth, read_network
from streamdepth.utils.redact import redact_text


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the published file, where a download leaves it."""
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path))
    path = write_checkpoint(zipdepth.PUBLISHED.path)
    monkeypatch.setattr(zipdepth, "PUBLISHED", replace(zipdepth.PUBLISHED, git_blob=git_blob_of(path)))
    return path


def test_the_folded_network_gives_what_the_published_layout_means(tmp_path: Path) -> None:
    state = published_state()
    network = read_network(write_checkpoint(tmp_path / "z.pth", state))
    pixels = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, wanted = network(pixels), Reference(state)(pixels)
    assert found.shape == (2, 64, 96)
    assert float(wanted.std()) > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.max()))


def test_it_has_as_many_parameters_as_its_authors_say() -> None:
    network = load_zipdepth(has_random_weights=True)
    counted = sum(p.numel() for p in network.module.get().parameters())
    assert counted == network.card.parameters == pytest.approx(6.1e6, rel=0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("published")
def test_it_runs_by_name_in_every_engine() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    frame, depths = Frame(image, 0, 0, Fraction(1), 0.0), {}
    for engine, package in (("torch", "torch"), ("onnx", "onnxruntime"), ("openvino", "openvino")):
        if importlib.util.find_spec(package) is None:
            continue
        settings = config.make(model="zipdepth", size=64, engine=engine, device="cpu", precision="float32")
        with factory.make_estimator(settings) as model:
            depths[engine] = model.estimate([frame])[0].depth
        assert (model.info.name, model.info.license, model.info.kind) == ("zipdepth", "mit", DepthKind.RELATIVE)
    exact = depths.pop("torch")
    assert exact.shape == (64, 96)
    for depth in depths.values():
        np.testing.assert_allclose(depth, exact, rtol=1e-2, atol=1e-2 * exact.max())


@pytest.mark.parametrize(
    "content",
    [b"", b"damaged", {"model_state_dict": {"a": torch.zeros(1)}}, published_state() | {"mean": "text"}, [1, 2]],
    ids=["empty", "no archive", "other tensors", "a text", "a list"],
)
def test_a_file_that_is_not_its_weights_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "z.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with raises_code(ModelLoadError, "damaged", naming="z.pth"):
        read_network(path)


class Malicious:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


def test_a_file_with_code_does_not_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(published_state() | {"mean": Malicious()}, tmp_path / "z.pth")
    with raises_code(ModelLoadError, "damaged"):
        read_network(tmp_path / "z.pth")
    assert not Path("ran").exists()


def test_without_a_connection_the_error_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path))
    with raises_code(ModelLoadError, "not-available", naming="zipdepth_base.pth") as caught:
        factory.make_estimator(config.make(model="zipdepth"))
    assert PUBLISHED.page in redact_text(str(caught.value))
    assert "***" not in redact_text(str(caught.value))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    nowhere = PublishedFile("http://127.0.0.1:9/weights.pth", "http://127.0.0.1:9/page", "0" * 40)
    with raises_code(ModelLoadError, "not-available", naming=str(nowhere.path)):
        find_published_file("it", nowhere)
    assert not list(tmp_path.glob("weights/*"))


def test_a_download_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMDEPTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    source = tmp_path / "weights.pth"
    source.write_bytes(b"weights")
    file = PublishedFile(source.as_uri(), tmp_path.as_uri(), git_blob_of(source))
    path = find_published_file("it", file)
    assert path.read_bytes() == b"weights"
    source.unlink()
    assert find_published_file("it", file) == path
    path.write_bytes(b"changed")
    with raises_code(ModelLoadError, "damaged", naming="remove it"):
        find_published_file("it", file)


def test_a_checkpoint_given_by_its_path_runs_as_zipdepth(tmp_path: Path) -> None:
    path, state = tmp_path / "fine_tuned.pth", published_state(seed=3)
    write_checkpoint(path, state)
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    settings = config.make(model=str(path), size=64, engine="torch", device="cpu", allow_pickle=True)
    with factory.make_estimator(settings) as model:
        depth = model.estimate([Frame(image, 0, 0, Fraction(1), 0.0)])[0].depth
    assert (model.info.name, model.info.license, model.has_memory) == (str(path), "unknown", False)
    normal = (torch.from_numpy(image).float() / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    with torch.inference_mode():
        wanted = Reference(state)(normal.permute(2, 0, 1)[None])[0].numpy()
    np.testing.assert_allclose(depth, wanted, rtol=1e-3, atol=1e-3 * wanted.max())
    assert factory.make_network(settings).card.parameters == 6_142_782


@pytest.mark.parametrize("make", [factory.make_estimator, factory.make_network])
def test_pickled_files_of_others_need_a_permission_and_are_named(
    tmp_path: Path, make: Callable[[Settings], object]
) -> None:
    path = write_checkpoint(tmp_path / "z.pth")
    with raises_code(ModelLoadError, "pickle", naming="allow_pickle"):
        make(config.make(model=str(path)))


def test_weights_of_neither_model_with_such_files_are_refused(tmp_path: Path) -> None:
    torch.save({"pretrained.cls_token": torch.zeros(1, 1, 384)}, tmp_path / "depth_anything_v2_vits.pth")
    with raises_code(ModelLoadError, "foreign", naming="ZipDepth"):
        factory.make_estimator(config.make(model=str(tmp_path / "depth_anything_v2_vits.pth"), allow_pickle=True))


def test_git_names_content_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"test content\n")  # the example of "Pro Git", chapter 10.2
    assert git_blob_of(tmp_path / "a") == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"


def test_sizes() -> None:
    with raises_code(ConfigError, "bad-size", naming="32 to"):
        load_zipdepth(size=16)
    spec = load_zipdepth(has_random_weights=True).card.spec
    assert [spec.output_size(*size) for size in ((720, 1280), (1280, 720), (480, 640))] == [
        (384, 672), (672, 384), (384, 512),
    ]  # fmt: skip
