"""Recordings in Foxglove's schemas: pictures and video of MCAP files, in every encoding that they come in."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from foxglove import messages
from helpers.bags import picture
from helpers.errors import raises_code
from mcap.writer import CompressionType, Writer

from streamdepth import factory
from streamdepth.config import make
from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.sources.foxglove import FoxgloveSource
from streamdepth.sources.rosbag import RosbagSource

START_NS, STEP_NS = 1_700_000_000_000_000_000, 40_000_000
COUNT = 6


def stamp(index: int) -> messages.Timestamp:
    return messages.Timestamp(*divmod(START_NS + index * STEP_NS, 10**9))


def raw(index: int) -> messages.RawImage:
    image = picture(index)
    return messages.RawImage(
        timestamp=stamp(index), frame_id="cam", width=48, height=32, encoding="rgb8", step=144, data=image.tobytes()
    )


def depth(index: int) -> messages.RawImage:
    data = np.full((32, 48), 2, np.float32).tobytes()
    return messages.RawImage(
        timestamp=stamp(index), frame_id="cam", width=48, height=32, encoding="32FC1", step=192, data=data
    )


def compressed(index: int) -> messages.CompressedImage:
    data = cv2.imencode(".png", cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))[1].tobytes()
    return messages.CompressedImage(timestamp=stamp(index), frame_id="cam", data=data, format="png")


def video_packets(codec: str) -> list[bytes]:
    """Returns the Annex B access units of COUNT pictures, the first of which is a keyframe."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 48, 32, "yuv444p"
    encoder.time_base, encoder.options = Fraction(1, 25), {"tune": "zerolatency", "crf": "1"}
    frames = [av.VideoFrame.from_ndarray(picture(i), format="rgb24").reformat(format="yuv444p") for i in range(COUNT)]
    found = []
    for index, frame in enumerate([*frames, None]):
        if frame is not None:
            frame.pts = index
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return found


def video(index: int, packets: list[bytes], name: str) -> messages.CompressedVideo:
    return messages.CompressedVideo(timestamp=stamp(index), frame_id="cam", data=packets[index], format=name)


def calibration(index: int) -> messages.CameraCalibration:
    k, p = [50.0, 0, 24, 0, 51, 16, 0, 0, 1], [50.0, 0, 24, 0, 0, 51, 16, 0, 0, 0, 1, 0]
    return messages.CameraCalibration(
        timestamp=stamp(index), frame_id="cam", width=48, height=32, distortion_model="", D=[], K=k, R=[], P=p
    )


def write(path: Path, topics: dict[str, Iterable[Any]], *, is_complete: bool = True) -> Path:
    """Writes messages of Foxglove's SDK, one each 40 ms, as protobuf."""
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE, chunk_size=2000)
        writer.start()
        for topic, items in topics.items():
            for index, item in enumerate(items):
                if index == 0:
                    schema = type(item).get_schema()
                    schema_id = writer.register_schema(schema.name, schema.encoding, schema.data)
                    channel = writer.register_channel(topic, "protobuf", schema_id)
                time = START_NS + index * STEP_NS
                writer.add_message(channel, time, item.encode(), time)
        writer.finish()
    if not is_complete:
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    return path


def read(source: Source) -> list[tuple[float, np.ndarray]]:
    return [(frame.time, frame.image) for frame in iter(source.read, None)]


def each(make_message: Callable[[int], Any]) -> list[Any]:
    return [make_message(index) for index in range(COUNT)]


@pytest.mark.parametrize("kind", [raw, compressed, "h264", "h265"])
def test_pictures_and_times_are_those_that_were_recorded(kind: Any, tmp_path: Path) -> None:
    if isinstance(kind, str):
        packets = video_packets({"h264": "libx264", "h265": "libx265"}[kind])
        items = each(lambda index: video(index, packets, kind))
    else:
        items = each(kind)
    path = write(tmp_path / "a.mcap", {"/cam/image": items})
    with factory.make_source(str(path), make(source=str(path))) as source:
        assert isinstance(source, FoxgloveSource)
        info = source.open()
        frames = read(source)
    assert (info.width, info.height, info.frame_count, info.epoch_ns) == (48, 32, COUNT, START_NS)
    assert (info.fps, info.frame_id, info.intrinsics) == (25, "cam", None)
    assert [time for time, _ in frames] == pytest.approx([index * 0.04 for index in range(COUNT)])
    for index, (_, image) in enumerate(frames):
        difference = np.abs(image.astype(int) - picture(index))
        assert difference.mean() < (4 if isinstance(kind, str) else 0.01)


def test_depth_is_no_picture_and_the_camera_is_found(tmp_path: Path) -> None:
    """The topics of our own recordings."""
    topics = {
        "/camera/depth/image": each(depth),
        "/camera/depth/calibration": each(calibration),
        "/camera/color/image": each(compressed),
        "/camera/color/calibration": each(calibration),
    }
    path = write(tmp_path / "own.mcap", topics)
    with FoxgloveSource(path) as source:
        info = source.open()
        assert info.name.endswith("#/camera/color/image")
        assert info.intrinsics is not None
        assert (info.intrinsics.fx, info.intrinsics.fy, info.intrinsics.cx) == (50, 51, 24)
        assert len(read(source)) == COUNT
    with raises_code(SourceOpenError, "holds-depth"):
        FoxgloveSource(write(tmp_path / "depth.mcap", {"/depth": each(depth)})).open()
    both = write(tmp_path / "both.mcap", {"/a": each(raw), "/b": each(compressed)})
    with raises_code(SourceOpenError, "ambiguous"):
        FoxgloveSource(both).open()
    with raises_code(SourceOpenError, "no-topic"):
        FoxgloveSource(both, "/c").open()
    with FoxgloveSource(both, "/b") as source:
        assert source.open().name.endswith("#/b")


def test_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "json.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema("foxglove.CompressedImage", "jsonschema", b"{}")
        channel = writer.register_channel("/image", "json", schema)
        for index in range(COUNT):
            data = cv2.imencode(".png", cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))[1].tobytes()
            time = START_NS + index * STEP_NS
            fields = {
                "timestamp": dict(zip(("sec", "nsec"), divmod(time, 10**9), strict=True)),
                "frame_id": "cam",
                "format": "png",
                "data": base64.b64encode(data).decode(),
            }
            writer.add_message(channel, time, json.dumps(fields).encode(), time)
        writer.finish()
    with FoxgloveSource(path) as source:
        assert source.open().fps == 25
        frames = read(source)
    assert len(frames) == COUNT
    assert np.array_equal(frames[3][1], picture(3))


def test_a_video_between_keyframes_begins_at_the_first(tmp_path: Path) -> None:
    packets = video_packets("libx264")
    shown = [*packets[2:], *packets]
    items = [
        messages.CompressedVideo(timestamp=stamp(i), frame_id="cam", data=data, format="h264")
        for i, data in enumerate(shown)
    ]
    with FoxgloveSource(write(tmp_path / "a.mcap", {"/video": items})) as source:
        source.open()
        assert len(read(source)) == COUNT
        assert not source.undelivered


def test_damaged_messages_are_counted(tmp_path: Path) -> None:
    items = each(compressed)
    items[2] = messages.CompressedImage(timestamp=stamp(2), frame_id="cam", data=b"no picture", format="png")
    with FoxgloveSource(write(tmp_path / "a.mcap", {"/image": items})) as source:
        source.open()
        with raises_code(SourceLostError, "damaged"):
            read(source)
        assert source.undelivered["undecodable"] == 1


def test_a_recording_that_was_cut_off_has_to_be_repaired_first(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.mcap", {"/image": each(raw)}, is_complete=False))
    with raises_code(SourceOpenError, "damaged"):
        factory.make_source(path, make(source=path)).open()


def test_ros_recordings_stay_with_rosbags(tmp_path: Path) -> None:
    path = tmp_path / "nothing.mcap"
    path.write_bytes(b"")
    assert type(factory.make_source(str(path), make(source=str(path)))) is RosbagSource
