"""Well-known ONNX exports run by their ready descriptions: each file here has exactly the interface of the real one."""

from __future__ import annotations

import importlib.util
import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.onnx_files import EXPORTS, IMAGENET_MEAN, IMAGENET_STD, write_export

from streamdepth.core.errors import ModelLoadError
from streamdepth.core.types import DepthKind, Estimate, Frame
from streamdepth.estimators.foreign.estimator import open_foreign_model
from streamdepth.estimators.foreign.ready import ready_names

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed")
pytestmark = needs_onnx
ENGINES = [
    pytest.param(engine, marks=pytest.mark.skipif(importlib.util.find_spec(package) is None, reason="not installed"))
    for engine, package in (("onnx", "onnxruntime"), ("openvino", "openvino"))
]
LEFT, RIGHT = 51, 204
"""Gray levels of the halves of the test picture, 0.2 and 0.8 of white."""


def halves(width: int = 160, height: int = 90) -> Frame:
    image = np.full((height, width, 3), LEFT, np.uint8)
    image[:, width // 2 :] = RIGHT
    return Frame(image, 0, 0, Fraction(1), 0.0, "a")


def normalized(level: int) -> float:
    return float(np.mean([(level / 255 - m) / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]))


def plain(level: int) -> float:
    return level / 255


def focal_over_300(width: int, height: int) -> float:
    """The factor of DA3METRIC for a camera of 60 degrees whose 160x90 px become 504x280."""
    focal_px = 160 / 2 / np.tan(np.radians(30))
    return float(focal_px * (width / 160 + height / 90) / 2 / 300)


CASES = {
    "depth-anything-v3-small/onnx/model.onnx": ("relative", (504, 280), lambda g: np.exp(-normalized(g))),
    "depth-anything-v3-base/onnx/model.onnx": ("relative", (504, 280), lambda g: np.exp(-normalized(g))),
    "DA3MONO-LARGE.onnx": (
        "relative",
        (504, 280),
        lambda g: 0 if normalized(g) > np.log(3 / 7) else np.exp(-normalized(g)),  # sky from 0.3 on
    ),
    "video_depth_anything_vits.onnx": ("relative", (924, 518), lambda g: 0),
    "zipdepth_base_384x384.onnx": ("relative", (384, 384), plain),
    "exported/model.onnx": ("metric", (640, 640), lambda g: np.exp(plain(g))),
    "model-small.onnx": ("relative", (256, 256), plain),
    "midas_small.onnx": ("relative", (256, 256), normalized),
    "depth-anything-v2-small/onnx/model.onnx": ("relative", (924, 518), normalized),
    "depth_anything_v2_vits_14.onnx": ("relative", (518, 518), normalized),
}
"""A file, the kind of its depth, the size of its input for 160x90 px, and its depth by gray level."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_an_export_gives_what_its_numbers_mean(tmp_path: Path, name: str, engine: str) -> None:
    kind, size, value = CASES[name]
    with open_foreign_model(write_export(tmp_path, name), engine=engine) as model:
        depth = model.estimate([halves()])[0].depth
        info = model.info
    assert (info.kind.value, info.engine, info.precision) == (kind, engine, "float32")
    assert depth.shape == size[::-1]
    for column, level in ((size[0] // 4, LEFT), (3 * size[0] // 4, RIGHT)):
        np.testing.assert_allclose(depth[size[1] // 2, column], value(level), rtol=2e-3, atol=1e-5)


def test_the_cases_are_all_exports() -> None:
    assert set(CASES) | {"DA3METRIC-LARGE.onnx", "moge-2-vits-normal-onnx/model.onnx"} == set(EXPORTS)


@pytest.mark.parametrize("engine", ENGINES)
def test_meters_of_da3_metric_grow_with_the_focal_length(tmp_path: Path, engine: str) -> None:
    with open_foreign_model(write_export(tmp_path, "DA3METRIC-LARGE.onnx"), engine=engine) as model:
        estimate = model.estimate([halves()])[0]
    assert model.info.kind is DepthKind.METRIC
    wanted = np.exp(normalized(LEFT)) * focal_over_300(504, 280)
    np.testing.assert_allclose(estimate.depth[140, 126], wanted, rtol=2e-3)
    assert np.isposinf(estimate.depth[140, 378])  # its sky
    assert estimate.assumed_focal_px == pytest.approx(80 / np.tan(np.radians(30)))


def points_picture(width: int, height: int, focal_px: float, shift: float) -> tuple[Frame, np.ndarray]:
    """Returns a picture that holds the points of a scene without their shift in depth, and the true depth."""
    y, x = np.mgrid[:height, :width] + 0.5
    depth = 2 + 0.6 * np.sin(x / 9) * np.cos(y / 7)
    points = np.stack([(x - width / 2) * depth / focal_px, (y - height / 2) * depth / focal_px, depth - shift], -1)
    assert np.abs(points).max() < 1
    image = np.round((points + 1) / 2 * 255).astype(np.uint8)
    return Frame(image, 0, 0, Fraction(1), 0.0), depth


@pytest.mark.parametrize("engine", ENGINES)
def test_the_confidence_of_da3_lies_within_0_to_1(tmp_path: Path, engine: str) -> None:
    """The stand-in's is exp(depth), which begins at 1 as that of the real file does."""
    with open_foreign_model(write_export(tmp_path, "depth-anything-v3-small/onnx/model.onnx"), engine=engine) as model:
        estimate = model.estimate([halves()])[0]
    assert estimate.confidence is not None
    for column, level in ((126, LEFT), (378, RIGHT)):
        wanted = 1 - np.exp(-np.exp(normalized(level)))
        np.testing.assert_allclose(estimate.confidence[140, column], wanted, atol=2e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_points_of_moge_get_their_shift_and_tell_the_focal_length(tmp_path: Path, engine: str) -> None:
    frame, depth = points_picture(98, 70, 160.0, 1.9)
    path = write_export(tmp_path, "moge-2-vits-normal-onnx/model.onnx")
    with open_foreign_model(path, engine=engine, size=70, description=["inputs=num_tokens:2500"]) as model:
        estimate: Estimate = model.estimate([frame])[0]
    assert model.info.kind is DepthKind.METRIC
    assert estimate.focal_px == pytest.approx(160, rel=0.03)
    np.testing.assert_allclose(estimate.depth, 2.5 * depth, rtol=0.03)


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_of_one_stream_go_through_a_video_model_together(tmp_path: Path, engine: str) -> None:
    """The stand-in gives each frame's gray less the smallest of all frames that came together."""
    frames = [
        Frame(np.full((28, 42, 3), level, np.uint8), 0, 0, Fraction(1), 0.0, stream)
        for level, stream in ((51, "a"), (204, "b"), (102, "a"), (255, "b"))
    ]
    with open_foreign_model(write_export(tmp_path, "video_depth_anything_vits.onnx"), engine=engine, size=28) as model:
        found = [float(estimate.depth.mean()) for estimate in model.estimate(frames)]
    np.testing.assert_allclose(
        found, [0, 0, normalized(102) - normalized(51), normalized(255) - normalized(204)], atol=1e-4
    )


def test_what_was_recognized_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_foreign_model(write_export(tmp_path, "zipdepth_base_384x384.onnx")).close()
    assert ("zipdepth" in caplog.text, "mit" in caplog.text) == (True, True)


def test_weights_that_are_not_free_are_refused_and_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_export(tmp_path, "depth_anything_v2_vits_14.onnx").rename(tmp_path / "depth_anything_v2_vitl.onnx")
    with raises_code(ModelLoadError, "license", naming="cc-by-nc-4.0"):
        open_foreign_model(path)
    with caplog.at_level(logging.WARNING):
        open_foreign_model(path, accept_license=True).close()
    assert "cc-by-nc-4.0" in caplog.text


def test_no_ready_description_is_without_a_license() -> None:
    from streamdepth.estimators.foreign.ready import read_ready

    for name in ready_names():
        fields = read_ready(name)
        assert {"kind", "licence", "mean", "std", "size"} <= set(fields), name
