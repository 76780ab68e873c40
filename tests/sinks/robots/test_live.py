"""Live transports, each heard by a listener that is not ours: Foxglove's protocol by websockets, Zenoh by its own
subscriber with rosbags' and mcap-ros2's decoders, and a stand-in for rclpy, which only a ROS installation has."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import zenoh
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from helpers.errors import raises_code
from helpers.robot_scene import EPOCH_NS, scene, stamped
from helpers.sink_data import MODEL
from mcap.records import Schema
from mcap_ros2.decoder import DecoderFactory
from rosbags.typesys import Stores, get_typestore
from websockets.sync.client import ClientConnection, connect

from streamdepth import config
from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthKind, ModelInfo
from streamdepth.factory import robots
from streamdepth.sinks.robots.foxglove import FoxgloveSink
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.ros import RosSink
from streamdepth.sinks.robots.zenoh import ZenohSink

TYPE_HASH = "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47"
DEPTH_KEY = f"0/camera/depth/image_raw/sensor_msgs::msg::dds_::Image_/{TYPE_HASH}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def opened(sink: Sink) -> Iterator[Sink]:
    sink.open(stamped(scene(1)[0]), MODEL)
    try:
        yield sink
    finally:
        sink.close()


@contextmanager
def writing(sink: Sink) -> Iterator[None]:
    """Writes frames again and again until the block ends: listeners come when they come."""
    items, done = scene(3)[1], threading.Event()

    def write() -> None:
        while not done.is_set():
            for item in items:
                sink.write(item)
            done.wait(0.05)

    thread = threading.Thread(target=write, name="writer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)


# Foxglove


def advertised(client: ClientConnection, count: int = 6) -> dict[str, dict[str, Any]]:
    """The channels by topic; after the server's greeting."""
    greeting = json.loads(client.recv(timeout=30))
    assert greeting["op"] == "serverInfo"
    channels: dict[str, dict[str, Any]] = {}
    while len(channels) < count:
        message = json.loads(client.recv(timeout=30))
        if message["op"] == "advertise":
            channels |= {channel["topic"]: channel for channel in message["channels"]}
    return channels


def decoder(channel: dict[str, Any]) -> Callable[[bytes], Any]:
    """By the schema that the server sent, and nothing else."""
    import base64

    files = FileDescriptorSet.FromString(base64.b64decode(channel["schema"]))
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(channel["schemaName"])).FromString


def test_a_foxglove_client_gets_what_it_subscribed_to() -> None:
    with (
        opened(FoxgloveSink("127.0.0.1:0")) as sink,
        writing(sink),
        connect(f"ws://127.0.0.1:{sink.port}", subprotocols=["foxglove.sdk.v1"], max_size=None) as client,
    ):
        channels = advertised(client)
        assert set(channels) == {
            *("/camera/depth/image", "/camera/depth/calibration", "/camera/color/image", "/camera/color/calibration"),
            *("/camera/scan", "/camera/obstacles", "/camera/depth/confidence", "/camera/diagnostics"),
        }
        channel = channels["/camera/depth/image"]
        assert (channel["encoding"], channel["schemaName"]) == ("protobuf", "foxglove.RawImage")
        client.send(json.dumps({"op": "subscribe", "subscriptions": [{"id": 7, "channelId": channel["id"]}]}))
        while not isinstance(data := client.recv(timeout=30), bytes):
            pass
    operation, subscription, stamp = struct.unpack_from("<BIQ", data)
    assert (operation, subscription) == (1, 7)
    depth = decoder(channel)(data[13:])
    assert stamp == depth.timestamp.seconds * 10**9 + depth.timestamp.nanos
    assert (stamp - EPOCH_NS) % 33333333 < 3
    assert (depth.encoding, depth.frame_id) == ("32FC1", "head_optical_frame")
    index = round((stamp - EPOCH_NS) * 30 / 1e9)
    values = np.frombuffer(depth.data, "<f4").reshape(depth.height, depth.width)
    np.testing.assert_array_equal(values, scene(3)[1][index].depth)


def test_nothing_is_encoded_while_nobody_watches(monkeypatch) -> None:
    with opened(FoxgloveSink("127.0.0.1:0")) as sink:
        monkeypatch.setattr("streamdepth.sinks.robots.foxglove_messages.FoxgloveMessages.encode", pytest.fail)
        sink.write(scene(1)[1][0])


def test_the_server_is_gone_after_close() -> None:
    sink = FoxgloveSink("127.0.0.1:0")
    sink.open(scene(1)[0], MODEL)
    port = sink.port
    with connect(f"ws://127.0.0.1:{port}", subprotocols=["foxglove.sdk.v1"]) as client:
        sink.close()
        deque(client, 0)  # ends when the server has closed the connection
    deadline = time.monotonic() + 30
    while _is_listened_at(port):
        assert time.monotonic() < deadline


def _is_listened_at(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except ConnectionError:
        return False


def test_a_port_that_is_taken_and_one_that_cannot_be() -> None:
    with opened(FoxgloveSink("127.0.0.1:0")) as sink, raises_code(SinkOpenError, "cannot-listen"):
        FoxgloveSink(f"127.0.0.1:{sink.port}").open(scene(1)[0], MODEL)
    with raises_code(SinkOpenError, "cannot-listen"):
        FoxgloveSink("127.0.0.1:nonsense").open(scene(1)[0], MODEL)


def test_the_streams_of_a_process_share_one_server() -> None:
    address = f"127.0.0.1:{free_port()}"
    left, right = (FoxgloveSink(address, options=RobotOptions(namespace=f"/{side}")) for side in ("left", "right"))
    with opened(left):
        with opened(right), connect(f"ws://{address}", subprotocols=["foxglove.sdk.v1"]) as client:
            assert left.port == right.port
            assert {topic.split("/")[1] for topic in advertised(client, 12)} == {"left", "right"}
        with connect(f"ws://{address}", subprotocols=["foxglove.sdk.v1"]) as client:
            assert {topic.split("/")[1] for topic in advertised(client)} == {"left"}
    with opened(FoxgloveSink(address)), connect(f"ws://{address}", subprotocols=["foxglove.sdk.v1"]) as client:
        assert {topic.split("/")[1] for topic in advertised(client)} == {"camera"}


def test_a_slow_viewer_gets_newer_frames() -> None:
    """What waits for it is a few frames, however many were sent; by default the system keeps megabytes of old ones."""
    (item,), count = scene(1)[1], 200
    item = replace(item, depth=np.full((256, 256), 2, np.float32))
    with (
        opened(FoxgloveSink("127.0.0.1:0")) as sink,
        connect(f"ws://127.0.0.1:{sink.port}", subprotocols=["foxglove.sdk.v1"], max_size=None, max_queue=1) as client,
    ):
        channel = advertised(client)["/camera/depth/image"]
        client.send(json.dumps({"op": "subscribe", "subscriptions": [{"id": 7, "channelId": channel["id"]}]}))
        deadline = time.monotonic() + 30
        while not sink._has_listeners():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for index in range(count):
            sink.write(replace(item, frame=replace(item.frame, index=index, pts=index)))
        newest, received = 0, 0
        final = EPOCH_NS + round((count - 1) * item.frame.time_base * 10**9)
        while newest < final:
            if isinstance(data := client.recv(timeout=30), bytes):
                newest, received = struct.unpack_from("<Q", data, 5)[0], received + 1
    assert received < count / 4


def test_whoever_can_watch_is_told() -> None:
    with opened(FoxgloveSink("0.0.0.0:0")) as sink:
        assert "no passwords" in sink.notices[0]
    with (
        opened(FoxgloveSink("127.0.0.1:0")) as sink,
        connect(f"ws://127.0.0.1:{sink.port}", subprotocols=["foxglove.sdk.v1"], origin="https://evil.example") as page,
    ):
        assert json.loads(page.recv(timeout=30))["op"] == "serverInfo", "no origin is refused"
        assert "any page in a browser of this machine" in sink.notices[0]


# Zenoh


@contextmanager
def router() -> Iterator[tuple[zenoh.Session, str]]:
    """A session that listens, as rmw_zenoh's router does, and its address."""
    address, config = f"tcp/127.0.0.1:{free_port()}", zenoh.Config()
    values = {"mode": "router", "listen/endpoints": [address], "scouting/multicast/enabled": False}
    for key, value in values.items():
        config.insert_json5(key, json.dumps(value))
    with zenoh.open(config) as session:
        yield session, address


def heard(session: zenoh.Session, address: str, keys: list[str]) -> list[zenoh.Sample]:
    """The first sample of each key that the sink sends."""
    subscribers = [session.declare_subscriber(key) for key in keys]
    with opened(ZenohSink(address)) as sink, writing(sink):
        return [subscriber.recv() for subscriber in subscribers]


def test_a_zenoh_subscriber_gets_ros_messages_under_rmw_zenohs_keys() -> None:
    with router() as (session, address):
        (sample,) = heard(session, address, [DEPTH_KEY])
    data = sample.payload.to_bytes()
    store = get_typestore(Stores.ROS2_JAZZY)
    message = store.deserialize_cdr(data, "sensor_msgs/msg/Image")
    stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    index = round((stamp - EPOCH_NS) * 30 / 1e9)
    values = message.data.view("<f4").reshape(message.height, message.width)
    np.testing.assert_array_equal(values, scene(3)[1][index].depth)
    text = store.generate_msgdef("sensor_msgs/msg/Image", ros_version=2)[0]
    decode = DecoderFactory().decoder_for("cdr", Schema(1, text.encode(), "ros2msg", "sensor_msgs/msg/Image"))
    assert bytes(decode(data).data) == message.data.tobytes()
    # The attachment of rmw_zenoh: number, time, and the length and bytes of the publisher's id, little-endian.
    number, sent_ns, length = struct.unpack_from("<qqB", sample.attachment.to_bytes())
    assert number >= 1
    assert sent_ns > EPOCH_NS
    assert (length, len(sample.attachment.to_bytes())) == (16, 33)


def test_every_topic_is_sent_and_announced() -> None:
    names = {
        "camera/depth/image_raw": "Image_",
        "camera/depth/camera_info": "CameraInfo_",
        "camera/color/image_raw/compressed": "CompressedImage_",
        "camera/color/camera_info": "CameraInfo_",
        "camera/scan": "LaserScan_",
        "camera/obstacles": "LaserScan_",
    }
    keys = [f"0/{topic}/sensor_msgs::msg::dds_::{kind}/*" for topic, kind in names.items()]
    with router() as (session, address):
        heard(session, address, [*keys, "0/tf/tf2_msgs::msg::dds_::TFMessage_/*"])
        graph = session.liveliness().declare_subscriber("@ros2_lv/0/**")
        with opened(ZenohSink(address)):
            told = (
                sample for sample in iter(graph.recv, None) if sample.kind == zenoh.SampleKind.PUT
            )  # not: it has gone
            found = [str(sample.key_expr) for sample in islice(told, 1 + 7)]
    tokens = sorted(token.split("/", 3)[3] for token in found)
    assert tokens[0] == "0/0/NN/%/%/streamdepth_camera"
    image = f"0/1/MP/%/%/streamdepth_camera/%camera%depth%image_raw/sensor_msgs::msg::dds_::Image_/{TYPE_HASH}"
    assert f"{image}/::,10:,:,:,," in tokens


def test_the_domain_is_that_of_ros(monkeypatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    with router() as (session, address):
        (sample,) = heard(session, address, ["*/camera/scan/**"])
    assert str(sample.key_expr).startswith("42/camera/scan/")
    monkeypatch.setenv("ROS_DOMAIN_ID", "home")
    with raises_code(SinkOpenError, "bad-domain", naming="home"):
        ZenohSink().open(scene(1)[0], MODEL)


def test_a_namespace_that_zenoh_refuses_is_told() -> None:
    with router() as (_, address), raises_code(SinkOpenError, "bad-namespace", naming=r"'/a\*b'"):
        ZenohSink(address, options=RobotOptions("/a*b")).open(scene(1)[0], MODEL)


def test_no_router_is_told(monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.sinks.robots.zenoh._CONNECT_MS", 200)
    with raises_code(SinkOpenError, "unreachable", naming="rmw_zenohd") as caught:
        ZenohSink(f"tcp/127.0.0.1:{free_port()}").open(scene(1)[0], MODEL)
    assert ".rs" not in str(caught.value)
    with raises_code(SinkOpenError, "unreachable", naming="nonsense"):
        ZenohSink("nonsense").open(scene(1)[0], MODEL)


# ROS 2


class FakeRclpy(types.ModuleType):
    """As much of rclpy as the node uses; what was published is kept."""

    def __init__(self) -> None:
        super().__init__("rclpy")
        self.calls: list[str] = []
        self.published: dict[str, list[bytes]] = {}
        self.kinds: dict[str, tuple[type, int]] = {}
        self.fails = False
        self.Context = lambda: types.SimpleNamespace(try_shutdown=lambda: self.calls.append("shutdown"))

    def init(self, *, context: Any) -> None:
        self.calls.append("init")

    def create_node(self, name: str, *, context: Any) -> Any:
        self.calls.append(f"node {name}")
        destroy = lambda: self.calls.append("destroy")  # noqa: E731 - as short as it can be
        return types.SimpleNamespace(create_publisher=self._create_publisher, destroy_node=destroy)

    def _create_publisher(self, kind: type, topic: str, depth: int) -> Any:
        self.kinds[topic], self.published[topic] = (kind, depth), []
        return types.SimpleNamespace(publish=lambda data: self._publish(topic, data))

    def _publish(self, topic: str, data: bytes) -> None:
        if self.fails:
            raise RuntimeError("the context is shut down")
        assert isinstance(data, bytes), "rclpy sends bytes as they are, and nothing else that is no message"
        self.published[topic].append(data)


@pytest.fixture
def rclpy(monkeypatch: pytest.MonkeyPatch) -> FakeRclpy:
    """A stand-in, with the packages that hold the message types."""
    fake = FakeRclpy()
    monkeypatch.setitem(sys.modules, "rclpy", fake)
    kinds = {"sensor_msgs": ["Image", "CameraInfo", "CompressedImage", "LaserScan"], "tf2_msgs": ["TFMessage"]}
    kinds |= {"std_msgs": ["Float32"], "diagnostic_msgs": ["DiagnosticArray"]}
    for package, names in kinds.items():
        module = types.ModuleType(f"{package}.msg")
        for name in names:
            setattr(module, name, type(name, (), {}))
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
        monkeypatch.setitem(sys.modules, f"{package}.msg", module)
    return fake


def test_a_ros_node_publishes_the_same_bytes(rclpy: FakeRclpy) -> None:
    info, items = scene(2)
    sink = RosSink()
    sink.open(stamped(info), MODEL)
    for item in items:
        sink.write(item)
    sink.close()
    assert rclpy.calls == ["init", "node streamdepth_camera", "destroy", "shutdown"]
    assert {topic: kind.__name__ for topic, (kind, _) in rclpy.kinds.items()} == {
        "/camera/depth/image_raw": "Image",
        "/camera/depth/camera_info": "CameraInfo",
        "/camera/color/image_raw/compressed": "CompressedImage",
        "/camera/color/camera_info": "CameraInfo",
        "/camera/scan": "LaserScan",
        "/camera/obstacles": "LaserScan",
        "/camera/depth/confidence": "Image",
        "/camera/depth/scale_sigma": "Float32",
        "/diagnostics": "DiagnosticArray",
        "/tf": "TFMessage",
    }
    assert {len(sent) for sent in rclpy.published.values() if sent} == {2}
    store = get_typestore(Stores.ROS2_HUMBLE)
    first = store.deserialize_cdr(rclpy.published["/camera/depth/image_raw"][0], "sensor_msgs/msg/Image")
    np.testing.assert_array_equal(first.data.view("<f4").reshape(32, 48), items[0].depth)
    assert first.header.stamp.sec * 10**9 + first.header.stamp.nanosec == EPOCH_NS


def test_a_ros_node_that_is_gone_is_told(rclpy: FakeRclpy) -> None:
    with opened(RosSink()) as sink:
        rclpy.fails = True
        with pytest.raises(SinkWriteError, match="shut down"):
            sink.write(scene(1)[1][0])


@pytest.mark.parametrize(
    ("where", "error"),
    [("create_node", ValueError("Invalid node name")), ("init", RuntimeError("failed to initialize rcl"))],
)
def test_what_ros_refuses_is_told_and_nothing_stays(
    rclpy: FakeRclpy, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(rclpy, where, refuse)
    with raises_code(SinkOpenError, "bad-namespace", naming=f"'/cam-1': {error}"):
        RosSink(options=RobotOptions("/cam-1")).open(scene(1)[0], MODEL)
    assert rclpy.calls[-1] == "shutdown"


def test_without_ros_the_way_around_is_told() -> None:
    with raises_code(SinkOpenError, "missing-dependency", naming=r"setup\.bash.*zenoh"):
        RosSink().open(scene(1)[0], MODEL)


# All of them


@pytest.mark.parametrize("make", [FoxgloveSink, ZenohSink, RosSink])
def test_relative_depth_is_refused_and_nothing_is_sent_before_open(make: Callable[[], Sink]) -> None:
    with raises_code(SinkOpenError, "relative-depth", naming="--anchor"):
        make().open(scene(1)[0], ModelInfo("nano", DepthKind.RELATIVE))
    with raises_code(SinkWriteError, "not-open"):
        make().write(scene(1)[1][0])
    sink = make()
    sink.close()
    sink.close()


@pytest.mark.parametrize(("package", "make"), [("foxglove", FoxgloveSink), ("zenoh", ZenohSink)])
def test_a_missing_package_is_named(monkeypatch, package: str, make: Callable[[], Sink]) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=package):
        make().open(scene(1)[0], MODEL)


def test_targets_are_named_in_settings() -> None:
    settings = config.make(robot_points=True, robot_obstacle_heights=[-0.3, 0.2], camera_pitch=5, camera_height="1m")
    made = [robots.make_publisher(t, settings) for t in ("rerun", "foxglove:0.0.0.0:9000", "zenoh:tcp/robot:1", "ros")]
    assert [type(sink).__name__ for sink in made] == ["RerunViewerSink", "FoxgloveSink", "ZenohSink", "RosSink"]
    assert (made[1].host, made[1].requested_port, made[2].address) == ("0.0.0.0", "9000", "tcp/robot:1")
    options = made[0].options
    assert (options.points, options.zone.min_height_m, options.zone.pitch_degrees) == (True, -0.3, 5)
    assert robots.make_robot_options(settings, "front") == RobotOptions("/camera_front", points=True, zone=options.zone)
    with pytest.raises(ConfigError, match="rerun, foxglove, zenoh or ros"):
        robots.make_publisher("rviz", settings)
