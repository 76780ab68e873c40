"""A recording of depth keeps the other topics of the bag, readable by readers that are not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import bags
from helpers.bags import T
from helpers.errors import raises_code
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_typestore

from streamdepth import config
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo
from streamdepth.factory.outputs import check_output_names, make_file_sinks
from streamdepth.sinks.robots.mcap import McapSink
from streamdepth.sources.bag_topics import BagTopics
from streamdepth.sources.rosbag import RosbagSource

RAW, MODEL = "/cam/image_raw", ModelInfo("exact", DepthKind.METRIC)
ANCHORS = ("--anchor", "5,5=1m", "--anchor", "40,8=3m", "--anchor", "8,28=5m")


def imu(index: int) -> Any:
    zero = np.zeros(9)
    turned, rate = T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0), T["geometry_msgs/msg/Vector3"](0.0, 0.0, 1.0)
    return T["sensor_msgs/msg/Imu"](bags.header(index, "imu"), turned, zero, rate, zero, rate, zero)


def topics() -> dict[str, Any]:
    vector = T["geometry_msgs/msg/Vector3"](0.1, 0.0, 0.0)
    moved = T["geometry_msgs/msg/Transform"](vector, T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0))
    tf = T["tf2_msgs/msg/TFMessage"](
        [T["geometry_msgs/msg/TransformStamped"](bags.header(0, "base_link"), "cam_optical_frame", moved)]
    )
    same_name = T["std_msgs/msg/String"]("not a scan")
    return {
        RAW: [bags.image(index) for index in range(3)],
        "/imu": [imu(index) for index in range(3)],
        "/tf": [tf],
        "/camera/scan": [same_name],
    }


def copy(source: Source, sink: McapSink, count: int | None = None) -> None:
    with source, sink:
        info = source.open()
        sink.open(info, MODEL)
        written = 0
        while written != count and (frame := source.read()) is not None:
            depth = np.full((16, 24), 2, np.float32)
            sink.write(DepthFrame(frame, depth, DepthKind.METRIC, intrinsics=info.intrinsics))
            written += 1


def logged(path: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    with path.open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages():
            found.setdefault(channel.topic, []).append(message.log_time)
    return found


@pytest.mark.parametrize("plugin", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_all_topics_are_kept_as_they_were(tmp_path: Path, plugin: StoragePlugin) -> None:
    bag, path = bags.write_bag(tmp_path / "bag", topics(), plugin), tmp_path / "a.mcap"
    sink = McapSink(path, kept_topics=BagTopics(bag, ["*"]))
    copy(RosbagSource(bag), sink)
    times = logged(path)
    assert times["/imu"] == times[RAW] == times["/camera/depth/image_rect_raw"]
    assert "/camera/scan" in sink.notices[-1]
    with AnyReader([path]) as reader, AnyReader([bag]) as original:
        kept, before = (
            [bytes(data) for _, _, data in r.messages([c for c in r.connections if c.topic in ("/imu", RAW)])]
            for r in (reader, original)
        )
        assert sorted(kept) == sorted(before)
    with path.open("rb") as file:
        decoded = [
            m.linear_acceleration.z
            for *_, m in make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages(topics=["/imu"])
        ]
    assert decoded == [1.0] * 3


def test_messages_of_ros_1_become_those_of_ros_2(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    images = []
    for index in range(2):
        message, old = bags.image(index), bags.header(index)
        head = store.types["std_msgs/msg/Header"](index, old.stamp, old.frame_id)
        images.append(
            store.types["sensor_msgs/msg/Image"](
                head, message.height, message.width, message.encoding, 0, message.step, message.data
            )
        )
    bag = bags.write_bag1(tmp_path / "a.bag", {RAW: images, "/words": [store.types["std_msgs/msg/String"]("hello")]})
    path = tmp_path / "a.mcap"
    copy(RosbagSource(bag), McapSink(path, kept_topics=BagTopics(bag, ["*"])))
    with AnyReader([path]) as reader:
        (words,) = [reader.deserialize(d, c.msgtype) for c, _, d in reader.messages() if c.topic == "/words"]
        pictures = [reader.deserialize(d, c.msgtype) for c, _, d in reader.messages() if c.topic == RAW]
    assert words.data == "hello"
    np.testing.assert_array_equal(pictures[1].data, bags.image(1).data)


def test_a_part_of_the_frames_has_its_part_of_the_topics(tmp_path: Path) -> None:
    bag, path = bags.write_bag(tmp_path / "bag", topics()), tmp_path / "a.mcap"
    copy(RosbagSource(bag), McapSink(path, kept_topics=BagTopics(bag, ["/im?"])), count=2)
    times = logged(path)
    assert len(times["/imu"]) == 2
    assert RAW not in times


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    bag = bags.write_bag(tmp_path / "bag", topics())
    with raises_code(SourceOpenError, "no-topic", naming="/imu"):
        BagTopics(bag, ["/none"]).open()
    for source, output in ((f"{bag}", "a.rrd"), ("clip.mp4", "a.mcap"), (f"{bag}", "a.mkv")):
        settings = config.make(source=(source,), depth_out=tmp_path / output, keep_topics=("*",))
        with raises_code(ConfigError, "conflict"):
            check_output_names(settings)
            make_file_sinks(settings)


@pytest.mark.usefixtures("quick_model")
def test_on_the_command_line(cli, tmp_path: Path) -> None:
    bag = bags.write_bag(tmp_path / "bag", topics())
    done = cli("convert", f"{bag}#{RAW}", "--depth-out", tmp_path / "a.mcap", "--keep-topics", "/imu", *ANCHORS)
    assert done.code == 0, done.err
    assert len(logged(tmp_path / "a.mcap")["/imu"]) == 3
