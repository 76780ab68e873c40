"""The built-in model as an ONNX file for browsers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.browser_model import write_browser_model
from streamdepth.estimators.nano import load_nano

pytestmark = pytest.mark.slow


def test_it_takes_every_aspect_and_is_half_as_large_as_its_weights(tmp_path: Path) -> None:
    network, path = load_nano(size=128), tmp_path / "nano.onnx"
    assert write_browser_model(network, path) < 0.005
    assert path.stat().st_size < 2.1 * network.card.parameters
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for height, width in ((128, 192), (192, 128), (128, 320)):
        pixels = np.random.default_rng(1).normal(size=(1, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            exact = network.module.get()(torch.from_numpy(pixels)).numpy()
        (found,) = session.run(None, {"pixels": pixels})
        assert found.shape == (1, height, width)
        assert np.abs(found - exact).mean() < 0.005 * np.ptp(exact)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    nano = load_nano()
    other = dataclasses.replace(nano, card=dataclasses.replace(nano.card, name="large", resizes_before_upload=False))
    with raises_code(ConfigError, "unsupported", naming="large"):
        write_browser_model(other, tmp_path / "large.onnx")
    assert not list(tmp_path.iterdir())
