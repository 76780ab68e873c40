from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from helpers.paths import ROOT
from safetensors.torch import save_file

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators.engines import Engine
from streamdepth.estimators.nano import NanoEstimator, _input_spec, fuse_batch_norms, load_nano, load_network
from streamdepth.estimators.nano2_network import Nano2Network
from streamdepth.testing import SyntheticSource


@pytest.fixture(scope="module")
def nano() -> NanoEstimator:
    return NanoEstimator(engine="torch", device="cpu", size=96)


def frame(width: int, height: int, value: int | None = None) -> Frame:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    if value is not None:
        image[:] = value
    return Frame(image, 0, 0, Fraction(1, 30), 0.0, "s")


def test_it_says_what_it_is(nano: NanoEstimator) -> None:
    assert (nano.info.name, nano.info.kind, nano.info.engine) == ("nano", DepthKind.RELATIVE, "torch")


@pytest.mark.slow
def test_frames_of_different_sizes_come_back_in_order(nano: NanoEstimator) -> None:
    frames = [frame(64, 48), frame(160, 90), frame(90, 160), frame(64, 48)]
    depths = [e.depth for e in nano.estimate(frames)]
    assert [d.shape for d in depths] == [(96, 128), (96, 160), (160, 96), (96, 128)]
    assert all(d.dtype == np.float32 and np.isfinite(d).all() for d in depths)
    np.testing.assert_allclose(depths[0], depths[3], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (33, 31)])
def test_any_picture_size_works(nano: NanoEstimator, size: tuple[int, int]) -> None:
    assert np.isfinite(nano.estimate([frame(*size)])[0].depth).all()


@pytest.mark.slow
@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_flat_picture_gives_a_finite_map(nano: NanoEstimator, value: int) -> None:
    assert np.isfinite(nano.estimate([frame(64, 48, value)])[0].depth).all()


@pytest.mark.parametrize(
    ("picture", "short", "expected"),
    [
        ((1280, 720), 192, (352, 192)),
        ((720, 1280), 192, (192, 352)),
        ((640, 480), 224, (288, 224)),
        ((9, 9), 32, (32, 32)),
    ],
)
def test_input_size_keeps_the_aspect(picture: tuple[int, int], short: int, expected: tuple[int, int]) -> None:
    width, height = picture
    assert _input_spec(short).output_size(height, width) == expected[::-1]


def test_a_very_wide_picture_is_bounded() -> None:
    assert _input_spec(224).output_size(1, 16384) == (32, 1536)


@pytest.mark.slow
def test_fusing_changes_nothing() -> None:
    x = torch.rand(1, 3, 64, 96) * 2 - 1
    network = load_network()
    with torch.inference_mode():
        before = network(x)
        after = fuse_batch_norms(network)(x)
    torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_openvino_agrees_with_torch() -> None:
    pytest.importorskip("openvino")
    source = SyntheticSource(count=1, width=320, height=180)
    source.open()
    picture = source.read()
    assert picture is not None
    maps = [
        NanoEstimator(size=96, engine=e, precision="float32").estimate([picture])[0].depth
        for e in ("torch", "openvino")
    ]
    np.testing.assert_allclose(maps[0], maps[1], atol=2e-3 * np.ptp(maps[0]))


def test_the_file_is_small() -> None:
    file = ROOT / "streamdepth/estimators/weights/nano.safetensors"
    assert file.stat().st_size < 6_000_000
    assert sum(p.numel() for p in Nano2Network().parameters()) < 3e6


@pytest.mark.parametrize("size", [8, 5000])
def test_absurd_sizes_are_refused(size: int) -> None:
    with raises_code(ConfigError, "bad-size", naming="32 to 1536"):
        NanoEstimator(size=size)


def test_wrong_weights_are_said(tmp_path: Path) -> None:
    with raises_code(ModelLoadError, "damaged"):
        load_network(tmp_path / "missing.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with raises_code(ModelLoadError, "damaged"):
        load_network(tmp_path / "broken.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with raises_code(ModelLoadError, "foreign"):
        load_network(tmp_path / "other.safetensors")


def test_the_card_counts_the_network_s_parameters_without_loading_it() -> None:
    assert load_nano().card.parameters == sum(p.numel() for p in load_network().parameters())


def test_weights_of_another_layout_are_refused_when_the_model_is_described(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with raises_code(ModelLoadError, "foreign"):
        load_nano(weights=tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with raises_code(ModelLoadError, "damaged"):
        load_nano(weights=tmp_path / "broken.safetensors")


def test_other_weights_of_nano_are_another_conversion(tmp_path: Path) -> None:
    network = load_network()
    with torch.no_grad():
        network.head.pixels.bias.add_(1)
    save_file(network.state_dict(), tmp_path / "tuned.safetensors")
    shipped, tuned = load_nano(), load_nano(weights=tmp_path / "tuned.safetensors")
    assert tuned.card.parameters == shipped.card.parameters
    assert tuned.module.conversion_key() != shipped.module.conversion_key()
    assert load_nano(size=96).module.conversion_key() == shipped.module.conversion_key() != ""


def test_opencv_s_input_is_torch_s_input() -> None:
    """The CPU's input, made by OpenCV, differs from the definition in torch by rounding alone: 1e-6 of 2 at most."""
    picture = frame(64, 48)
    card = load_nano(size=96).card
    engine = SimpleNamespace(device="cpu", upload=lambda pictures: np.stack(pictures))
    found, _ = card.prepare([picture], cast(Engine, engine))
    height, width = card.spec.output_size(48, 64)
    exact = card.spec.normalize(picture.image_at_size(width, height)[None])
    np.testing.assert_allclose(found, exact, atol=2e-6)
