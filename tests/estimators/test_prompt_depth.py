"""Models that take a sensor's depth as their prompt, which comes in by --sparse in all its forms."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import bags
from helpers.errors import raises_code
from helpers.fake_depth_cameras import fake_realsense, units
from helpers.image_processors import photograph
from helpers.models import make_model

import streamdepth as sd
from streamdepth import config, factory
from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import ConfigError, InferenceError, ModelLoadError
from streamdepth.core.types import DepthKind, Frame
from streamdepth.estimators.huggingface import HuggingFaceEstimator, load_config, load_transformers_module
from streamdepth.factory.metric_references import make_metric_reference
from streamdepth.geometry.hole_filling import fill_nearest

COLOR, DEPTH = "/camera/color/image_raw", "/camera/depth/image_rect_raw"
PICTURE = photograph(75, 101)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model("prompt_depth_anything", tmp_path_factory.mktemp("prompt"), license="apache-2.0")


@pytest.fixture(scope="module")
def estimator(folder: Path) -> Iterator[sd.Estimator]:
    with factory.make_estimator(config.make(model=str(folder), device="cpu")) as made:
        yield made


def prompt(scale: float = 1.0) -> DepthMap:
    """Returns depth of a slanted wall, of another size than the picture."""
    return np.asarray(scale * np.linspace(1, 3, 12, dtype=np.float32)[None].repeat(9, 0), np.float32)


def frame(depth: DepthMap | None, index: int = 0, image: Image = PICTURE, stream: str = "s") -> Frame:
    return Frame(image, index, index, Fraction(1, 10), 0.0, stream, sensor_depth=depth)


def wall(meters: float) -> DepthMap:
    return np.full((8, 12), meters, np.float32)


def depth_of(estimator: sd.Estimator, given: Frame) -> DepthMap:
    return estimator.estimate([given])[0].depth


def test_it_gives_what_transformers_gives_for_the_prompt_at_its_own_size(folder: Path, estimator: sd.Estimator) -> None:
    found = depth_of(estimator, frame(prompt()))
    pixels, _ = estimator.card.spec.prepare(torch.from_numpy(PICTURE[None].copy()))  # type: ignore[attr-defined]
    with torch.no_grad():
        model = load_transformers_module(folder, load_config(folder))
        wanted = model(pixel_values=pixels, prompt_depth=torch.from_numpy(prompt())[None, None]).predicted_depth[0]
    assert found.shape == tuple(wanted.shape) == (70, 98)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-5)
    assert 1 <= found.min() < found.max() <= 3


def test_the_unit_of_the_prompt_is_the_unit_of_the_depth(estimator: sd.Estimator) -> None:
    meters = depth_of(estimator, frame(prompt()))
    np.testing.assert_allclose(depth_of(estimator, frame(prompt(2.5))), 2.5 * meters, rtol=1e-5)
    np.testing.assert_allclose(depth_of(estimator, frame(wall(1.7))), 1.7, rtol=1e-6)
    info = estimator.info
    assert (info.kind, info.kind.unit, info.license, info.engine) == (DepthKind.METRIC, "m", "apache-2.0", "torch")
    assert info.parameters


def test_holes_get_the_nearest_known_depth(estimator: sd.Estimator) -> None:
    whole, with_holes = prompt(), prompt()
    with_holes[3, 4], with_holes[:, 0] = np.nan, 0
    filled = fill_nearest(with_holes)
    assert filled is not None
    assert filled[3, 4] in whole[3, 3:6]
    np.testing.assert_array_equal(filled[:, 0], whole[:, 1])
    np.testing.assert_array_equal(filled[:, 5:], whole[:, 5:])
    np.testing.assert_array_equal(depth_of(estimator, frame(with_holes)), depth_of(estimator, frame(filled)))
    assert fill_nearest(np.full((3, 4), np.nan, np.float32)) is None


def test_a_slow_sensors_depth_is_held_and_then_unknown(
    estimator: sd.Estimator, caplog: pytest.LogCaptureFixture
) -> None:
    estimator.reset("s")
    nothing = np.full((8, 12), np.nan, np.float32)
    given = [wall(2.0), None, nothing, None, None, None, None, wall(3.0), None]
    found = [depth_of(estimator, frame(depth, index)) for index, depth in enumerate(given)]
    assert {depth.shape for depth in found} == {(70, 98)}
    means = [float(depth.mean()) for depth in found]
    assert means == pytest.approx([2, 2, 2, 2, 2, 2, np.nan, 3, 3], nan_ok=True)
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert np.isnan(depth_of(estimator, frame(None, 9, stream="another"))).all()
    estimator.reset("s")
    assert np.isnan(depth_of(estimator, frame(None, 9))).all()


def test_without_any_prompt_it_says_what_is_needed(folder: Path, estimator: sd.Estimator, tmp_path: Path) -> None:
    with raises_code(InferenceError, "no-prompt"):
        estimator.estimate([frame(None, stream="")])
    with raises_code(ConfigError, "no-prompt"), sd.stream("samples/room.mp4", model=folder) as items:
        list(items)
    with raises_code(ConfigError, "no-prompt"):
        sd.estimate(PICTURE, folder)
    with raises_code(ConfigError, "not-found"):
        sd.estimate(PICTURE, folder, sparse=tmp_path / "none.png")
    with raises_code(ConfigError, "no-prompt"):
        make_metric_reference(config.make(model="prompt-depth-anything-small"))
    assert make_metric_reference(config.make(model="prompt-depth-anything-small", depth_from="sensor")) is None


def write_pictures(folder: Path, meters: list[float]) -> tuple[Path, Path]:
    """Writes pictures and, in another folder, the depth of a wall for each, in half millimeters."""
    rgb, depth = folder / "rgb", folder / "depth"
    rgb.mkdir()
    depth.mkdir()
    for index, distance in enumerate(meters):
        cv2.imwrite(str(rgb / f"{index}.png"), bags.picture(index))
        cv2.imwrite(str(depth / f"{index:06d}.png"), np.full((16, 24), 2000 * distance, np.uint16))
    return rgb, depth


def medians(source: object, folder: Path, sparse: object, **settings: object) -> list[float]:
    """Returns the median depth of each frame of a stream in meters."""
    common = {"model": folder, "smooth": "off", "device": "cpu", "find_bars": False}
    with sd.stream(source, sparse=sparse, **common, **settings) as items:  # type: ignore[arg-type]
        found = list(items)
    assert {item.kind for item in found} == {DepthKind.METRIC}
    assert all(item.metric_fit is None for item in found), "the network's depth, as it is"
    return [float(np.median(item.depth)) for item in found]


def test_pictures_of_depth_beside_pictures(folder: Path, tmp_path: Path) -> None:
    rgb, depth = write_pictures(tmp_path, [1.5, 2.5, 4.0])
    for sparse in (depth, depth / "%06d.png"):
        assert medians(str(rgb), folder, sparse, sparse_scale=2000) == pytest.approx([1.5, 2.5, 4.0])
    one = sd.estimate(str(rgb / "1.png"), folder, sparse=depth / "000001.png", sparse_scale=2000, find_bars=False)
    assert one.unit == "m"
    np.testing.assert_allclose(one.predicted_depth, 2.5, rtol=1e-5)
    with raises_code(ConfigError, "conflict"):
        factory.make_source(str(rgb), config.make(model=str(folder), sparse=depth, undistort=True))


def test_a_part_of_a_recording_keeps_its_depth(folder: Path, tmp_path: Path) -> None:
    rgb, depth = write_pictures(tmp_path, [1.0, 2.0, 3.0, 4.0])
    found = medians(str(rgb), folder, depth / "%06d.png", sparse_scale=2000, start=0.08, input_fps=25)
    assert found == pytest.approx([3.0, 4.0])


def test_frames_of_a_program(folder: Path, tmp_path: Path) -> None:
    _, depth = write_pictures(tmp_path, [1.0, 2.0])
    pictures = sd.from_frames([PICTURE, PICTURE])
    assert medians(pictures, folder, depth, sparse_scale=2000) == pytest.approx([1.0, 2.0])


def test_topics_of_bags(folder: Path, tmp_path: Path) -> None:
    bag = bags.write_bag(tmp_path / "bag", bags.rgbd_topics(3))
    for sparse in (DEPTH, f"{bag}#{DEPTH}"):
        assert medians(f"{bag}#{COLOR}", folder, sparse) == pytest.approx([2.0, 2.1, 2.2], abs=1e-3)


def test_a_live_depth_camera(folder: Path, estimator: sd.Estimator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrealsense2", fake_realsense([]))
    settings = config.make(model=str(folder), sparse="sensor", camera_size="48x32", camera_reconnect_seconds=0)
    with factory.make_source("realsense:", settings) as source:
        source.open()
        one = source.read()
    assert one is not None
    meters = units(int(one.image[0, 0, 0]) // 10)[0, 0] / 1000  # a camera may have dropped frames before
    np.testing.assert_allclose(depth_of(estimator, one), meters, rtol=1e-5)


def test_it_is_no_model_of_one_picture(folder: Path) -> None:
    with raises_code(ConfigError, "several-inputs"):
        factory.make_network(config.make(model=str(folder)))
    with raises_code(ConfigError, "torch-only"):
        factory.make_estimator(config.make(model=str(folder), engine="onnx"))
    with raises_code(ModelLoadError, "unsupported"):
        HuggingFaceEstimator(str(folder))
