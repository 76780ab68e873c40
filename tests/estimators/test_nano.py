from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.errors import raises_code
from helpers.paths import ROOT
from safetensors.torch import save_file

from streamdepth.core.errors import ConfigError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators.nano import NanoEstimator, _input_spec, fuse_batch_norms, load_network
from streamdepth.estimators.nano_network import NanoNetwork
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
    assert file.stat().st_size < 12_000_000
    assert 3e6 < sum(p.numel() for p in NanoNetwork().parameters()) < 6e6


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
