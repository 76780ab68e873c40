"""MCAP, read by readers that are not ours."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from test_sinks_conformance import MODEL, fill, stream

from streamdepth.errors import MissingDependencyError, SinkOpenError
from streamdepth.sinks.mcap import DEPTH, DEPTH_CAMERA, PICTURE, PICTURE_CAMERA, TOPICS, McapSink
from streamdepth.types import DepthKind, Intrinsics, ModelInfo

CAMERA = Intrinsics(40.0, 41.0, 23.5, 15.5, 48, 32, distortion=(0.1, -0.05, 0, 0, 0))


def messages(path: Path, topic: str) -> list:
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [decoded for *_, decoded in reader.iter_decoded_messages(topics=[topic])]


def test_depth_is_metres_with_its_unknown_and_far_pixels(tmp_path) -> None:
    info, items = stream(3)
    depth = items[0].depth.copy()
    depth[0, 0], depth[0, 1] = np.nan, np.inf
    items[0] = replace(items[0], depth=depth)
    fill(McapSink(tmp_path / "a.mcap"), info, items)
    read = messages(tmp_path / "a.mcap", DEPTH)
    assert len(read) == 3
    for item, message in zip(items, read, strict=True):
        assert (message.encoding, message.is_bigendian, message.step) == ("32FC1", 0, 4 * message.width)
        values = np.frombuffer(bytes(message.data), "<f4").reshape(message.height, message.width)
        np.testing.assert_array_equal(values, item.depth)
        assert message.header.frame_id == "camera_optical_frame"


def test_stamps_are_the_sources_own(tmp_path) -> None:
    info, items = stream(4)
    fill(McapSink(tmp_path / "a.mcap"), info, items)
    for topic in TOPICS:
        stamps = [m.header.stamp.sec + m.header.stamp.nanosec / 1e9 for m in messages(tmp_path / "a.mcap", topic)]
        assert stamps == pytest.approx([item.frame.time for item in items], abs=1e-9)


def test_a_live_stream_has_wall_clock_stamps(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000 * 10**9)
    info, items = stream(3)
    fill(McapSink(tmp_path / "a.mcap"), replace(info, is_live=True), items)
    first, second, _ = messages(tmp_path / "a.mcap", DEPTH)
    assert (first.header.stamp.sec, first.header.stamp.nanosec) == (1_700_000_000, 0)
    assert second.header.stamp.nanosec == round(1e9 / 30)


def test_the_picture_and_both_cameras_are_beside_it(tmp_path) -> None:
    info, items = stream(2)
    small = [replace(i, intrinsics=CAMERA, depth=np.ascontiguousarray(i.depth[::2, ::2])) for i in items]
    fill(McapSink(tmp_path / "a.mcap"), info, small)
    picture = messages(tmp_path / "a.mcap", PICTURE)[0]
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(bytes(picture.data), np.uint8), 1), cv2.COLOR_BGR2RGB)
    assert np.abs(decoded.astype(int) - items[0].frame.image).mean() < 12
    of_picture, of_depth = (messages(tmp_path / "a.mcap", t)[0] for t in (PICTURE_CAMERA, DEPTH_CAMERA))
    assert list(of_picture.k) == [40, 0, 23.5, 0, 41, 15.5, 0, 0, 1]
    assert (of_picture.width, of_picture.height, of_picture.distortion_model) == (48, 32, "plumb_bob")
    assert list(of_picture.d) == list(CAMERA.distortion)
    assert list(of_depth.k) == [20, 0, 11.5, 0, 20.5, 7.5, 0, 0, 1]
    assert (of_depth.width, of_depth.height) == (24, 16)


def test_an_unknown_camera_has_zeros(tmp_path) -> None:
    info, items = stream(1)
    fill(McapSink(tmp_path / "a.mcap"), info, items)
    (camera,) = messages(tmp_path / "a.mcap", DEPTH_CAMERA)
    assert not any(camera.k)


def test_relative_depth_is_refused(tmp_path) -> None:
    info, _ = stream(1)
    with pytest.raises(SinkOpenError, match="--anchor"):
        McapSink(tmp_path / "a.mcap").open(info, ModelInfo("nano", DepthKind.RELATIVE))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["mcap", "rosbags"])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package: str) -> None:
    real = builtins.__import__

    def fake(name: str, *rest, **more):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    info, _ = stream(1)
    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(MissingDependencyError, match=rf"(?s){package}.*\[robot\]"):
        McapSink(tmp_path / "a.mcap").open(info, MODEL)
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
