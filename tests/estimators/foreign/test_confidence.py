"""Confidence that an ONNX file gives beside its depth: from the file through the stream to the sinks."""

from __future__ import annotations

import importlib.util
import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.onnx_files import write_onnx

import streamdepth as sd
from streamdepth.core.types import Estimate, Frame
from streamdepth.estimators.foreign.confidence import Confidence
from streamdepth.estimators.foreign.estimator import open_foreign_model

needs_runtimes = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "openvino")),
    reason="onnx, onnxruntime and openvino are needed",
)
RAMP = np.linspace(0, 255, 64).astype(np.uint8)
SHARE = RAMP / np.float32(255)
SOURCE = "lavfi:color=c=0x333333:size=64x32:rate=30:duration=0.2"
"""A gray of 0.2, in six frames."""


def confidence_file(folder: Path, conf: str = "conf = Identity(y)", shape: str = "1,32,64") -> Path:
    """Writes a file whose depth is the picture's gray; `conf` is the node that makes the confidence of it."""
    graph = f"""g (float[1,3,32,64] x) => (float[1,32,64] y, float[{shape}] conf) {{
        y = ReduceMean<axes=[1], keepdims=0>(x) {conf} }}"""
    return write_onnx(folder / "m.onnx", graph)


def ramp_frame() -> Frame:
    return Frame(np.repeat(np.tile(RAMP, (32, 1))[..., None], 3, 2), 0, 0, Fraction(1), 0.0)


def estimate(path: Path, *description: str, engine: str = "onnx") -> Estimate:
    with open_foreign_model(path, description=["kind=inverse", *description], engine=engine) as model:
        return model.estimate([ramp_frame()])[0]


@pytest.mark.parametrize(
    ("text", "value", "wanted"),
    [
        ("conf", 0.25, 0.25),
        ("conf / 255", 51, 0.2),
        ("/head/conf / 4 > 0.5", 1, 0.25),
        ("sigmoid(conf)", 0, 0.5),
        ("sigmoid(conf)", -1000, 0),
        ("1 - 1 / conf", 4, 0.75),
        ("1 - 1 / conf > 0.25", 1, 0),
        ("797 >= 0.5", 0.5, 0.5),
    ],
)
def test_values_become_a_confidence_as_the_text_says(text: str, value: float, wanted: float) -> None:
    found = Confidence.parse(text)
    assert Confidence.parse(str(found)) == found
    np.testing.assert_allclose(found.normalize(np.array([value], np.float32)), wanted, rtol=1e-6)


def test_parts_of_the_text_are_told_apart() -> None:
    assert Confidence.parse("/head/conf / 4 > 0.5") == Confidence("/head/conf", "plain", 4.0, 0.5)
    assert Confidence.parse("1-1/conf") == Confidence("conf", "odds")
    for wrong in ("", "conf / 0", "conf * 2", "exp(conf)", "conf > x", "conf < 0.5", "sigmoid(conf", "a b"):
        with pytest.raises(ValueError, match="sigmoid"):
            Confidence.parse(wrong)


@needs_runtimes
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("conf", "text", "wanted"),
    [
        ("conf = Identity(y)", "conf", SHARE),
        ("w = Constant<value = float {255}>() conf = Mul(y, w)", "conf / 255", SHARE),
        ("conf = Log(y)", "sigmoid(conf)", SHARE / (1 + SHARE)),
        ("conf = Exp(y)", "1 - 1 / conf", 1 - np.exp(-SHARE)),
    ],
)
def test_the_confidence_of_a_file_comes_with_its_depth(
    tmp_path: Path, conf: str, text: str, wanted: np.ndarray, engine: str
) -> None:
    found = estimate(confidence_file(tmp_path, conf), f"confidence={text}", engine=engine)
    assert found.confidence is not None
    assert found.confidence.dtype == np.float32
    np.testing.assert_allclose(found.confidence, np.tile(wanted, (32, 1)), atol=1e-5)
    assert np.isfinite(found.depth).all()  # nothing is hidden without a limit
    assert estimate(confidence_file(tmp_path)).confidence is None  # nor given without being named


@needs_runtimes
def test_pixels_below_the_limit_are_unknown_and_without_confidence(tmp_path: Path) -> None:
    found = estimate(confidence_file(tmp_path), "confidence=conf > 0.25")
    is_low = SHARE < 0.25
    assert (np.isnan(found.depth) == is_low).all()
    np.testing.assert_allclose(found.confidence, np.tile(np.where(is_low, 0, SHARE), (32, 1)), atol=1e-5)


@needs_runtimes
def test_one_confidence_for_a_picture_is_that_of_all_pixels(tmp_path: Path) -> None:
    found = estimate(confidence_file(tmp_path, "conf = ReduceMax<axes=[1,2], keepdims=0>(y)", "1"), "confidence=conf")
    np.testing.assert_allclose(found.confidence, np.ones((32, 64)), atol=1e-5)


@needs_runtimes
@pytest.mark.parametrize("conf", ["conf = Exp(y)", "conf = Neg(y)", "conf = Log(y)"])
def test_what_is_no_confidence_is_left_out_and_announced_once(
    tmp_path: Path, conf: str, caplog: pytest.LogCaptureFixture
) -> None:
    dark = Frame(np.full((32, 64, 3), 255, np.uint8), 1, 1, Fraction(1), 0.0)  # log(1) would be a confidence
    path = confidence_file(tmp_path, conf)
    with open_foreign_model(path, description=["kind=inverse", "confidence=conf"], engine="onnx") as model:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = [model.estimate([frame])[0] for frame in (ramp_frame(), dark, ramp_frame())]
    assert [item.confidence for item in found] == [None] * 3
    assert all(np.isfinite(item.depth).all() for item in found)
    (record,) = caplog.records
    assert "sigmoid(NAME)" in record.getMessage()


@needs_runtimes
def test_margins_of_a_letterbox_are_cut_off_confidence_too(tmp_path: Path) -> None:
    path, image = confidence_file(tmp_path), np.full((64, 64, 3), 51, np.uint8)
    image[:, 32:] = 204
    with open_foreign_model(path, description=["kind=inverse", "confidence=conf", "keep_aspect=true"]) as model:
        found = model.estimate([Frame(image, 0, 0, Fraction(1), 0.0)])[0]
    assert found.confidence is not None
    assert found.confidence.shape == found.depth.shape == (32, 32)
    np.testing.assert_allclose(found.confidence[:, [0, 31]], np.tile([0.2, 0.8], (32, 1)), atol=1e-5)


@needs_runtimes
def test_a_stream_hands_it_on_and_frames_between_keyframes_have_none(tmp_path: Path) -> None:
    options = {"model": str(confidence_file(tmp_path)), "description": ("kind=metric", "confidence=conf")}
    with sd.stream(SOURCE, **options) as stream:
        confidences = [item.confidence for item in stream]
    assert len(confidences) == 6
    assert all(c is not None and np.allclose(c, 0.2, atol=0.01) for c in confidences)
    with sd.stream(SOURCE, inference_fps=10, **options) as stream:
        items = list(stream)
    assert [item.confidence is not None for item in items] == [item.depth_age_seconds == 0 for item in items]
    assert {item.confidence is None for item in items} == {True, False}


@needs_runtimes
def test_a_picture_has_it_at_its_own_size(tmp_path: Path) -> None:
    image = np.full((90, 160, 3), 51, np.uint8)
    found = sd.estimate(image, model=str(confidence_file(tmp_path)), description=("kind=inverse", "confidence=conf"))
    assert found.confidence is not None
    assert found.confidence.shape == (90, 160)
    np.testing.assert_allclose(found.confidence, 0.2, atol=1e-5)


@needs_runtimes
def test_a_recording_holds_it(tmp_path: Path) -> None:
    pytest.importorskip("mcap_ros2")
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    path = confidence_file(tmp_path)
    sd.convert(SOURCE, tmp_path / "a.mcap", model=str(path), description=("kind=metric", "confidence=conf"), fov=60)
    with (tmp_path / "a.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        read = [m for *_, m in reader.iter_decoded_messages() if getattr(m, "encoding", "") == "32FC1"]
        topics = [channel.topic for channel in reader.get_summary().channels.values()]
    assert sum(topic.endswith("/depth/confidence") for topic in topics) == 1
    values = [np.frombuffer(bytes(m.data), "<f4") for m in read]
    assert len(values) == 12  # depth and confidence, which are the same numbers here
    for found in values:
        np.testing.assert_allclose(found, 0.2, atol=0.01)
