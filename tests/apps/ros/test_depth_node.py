"""The ROS 2 node with a stand-in for rclpy: lifecycle, parameters, messages in and out, diagnostics. No ROS ran it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers import bags, fake_rclpy
from helpers.fake_rclpy import Result

from streamdepth.apps.ros.diagnostics import ERROR, OK, STALE
from streamdepth.apps.ros.message_source import MessageSource
from streamdepth.apps.ros.parameters import PARAMETERS, settings_from_parameters
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthKind
from streamdepth.testing import ConstantEstimator

STORE = bags.STORE


@pytest.fixture
def make_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes nodes whose depth is a ramp from 0.5 to 2 m, and shuts them down."""
    fake_rclpy.install(monkeypatch)
    from streamdepth.apps.ros import depth_node

    nodes: list[Any] = []

    def make(kind: DepthKind = DepthKind.METRIC, **overrides: Any) -> Any:
        monkeypatch.setattr(depth_node, "make_estimator", lambda settings: ConstantEstimator(kind))
        nodes.append(depth_node.DepthNode(overrides=overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        assert node.on_shutdown(None) is Result.SUCCESS
    monkeypatch.undo()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def send(node: Any, index: int, topic: str = "image") -> None:
    node.subscriptions["camera_info"][1](bags.camera_info(d=np.zeros(5)))
    node.subscriptions[topic][1](bags.image(index) if topic == "image" else bags.compressed(index))


def activated(node: Any) -> Any:
    assert node.on_configure(None) is Result.SUCCESS
    assert node.on_activate(None) is Result.SUCCESS
    return node


def test_a_picture_becomes_depth_camera_info_points_and_scans_with_its_stamp(make_node) -> None:
    node = activated(make_node())
    send(node, 3)
    wait_for(lambda: "obstacles" in node.publishers and bool(node.publishers["obstacles"].sent))
    types = {topic: publisher.kind.__name__ for topic, publisher in node.publishers.items()}
    assert types == {
        "/diagnostics": "DiagnosticArray",
        "/tf": "TFMessage",
        "depth/image_rect_raw": "Image",
        "depth/camera_info": "CameraInfo",
        "depth/confidence": "Image",
        "depth/scale_sigma": "Float32",
        "color/image_raw/compressed": "CompressedImage",
        "color/camera_info": "CameraInfo",
        "depth/points": "PointCloud2",
        "scan": "LaserScan",
        "obstacles": "LaserScan",
    }
    depth = STORE.deserialize_cdr(node.publishers["depth/image_rect_raw"].sent[0], "sensor_msgs/msg/Image")
    assert depth.header == bags.header(3)
    values = np.frombuffer(depth.data.tobytes(), "<f4")
    assert (np.nanmin(values), np.nanmax(values)) == (0.5, 2.0)
    camera = STORE.deserialize_cdr(node.publishers["color/camera_info"].sent[0], "sensor_msgs/msg/CameraInfo")
    assert camera.k[0] == 40
    scan = STORE.deserialize_cdr(node.publishers["scan"].sent[0], "sensor_msgs/msg/LaserScan")
    assert scan.header.stamp == bags.header(3).stamp
    assert 0.5 <= np.nanmin(scan.ranges) <= 2.5


def test_deactivating_stops_and_activating_begins_again(make_node) -> None:
    node = activated(make_node())
    send(node, 0)
    wait_for(lambda: any(p.sent for p in node.publishers.values()))
    assert node.on_deactivate(None) is Result.SUCCESS
    assert not node.subscriptions
    assert not any(p.is_active for topic, p in node.publishers.items() if topic != "/diagnostics")
    node.publishers.clear()
    assert node.on_activate(None) is Result.SUCCESS
    send(node, 7)
    wait_for(lambda: "scan" in node.publishers and bool(node.publishers["scan"].sent))
    depth = STORE.deserialize_cdr(node.publishers["depth/image_rect_raw"].sent[0], "sensor_msgs/msg/Image")
    assert depth.header.stamp == bags.header(7).stamp
    assert node.on_cleanup(None) is Result.SUCCESS
    assert not node.timers


def test_compressed_pictures_and_reliable_subscriptions(make_node) -> None:
    node = activated(make_node(transport="compressed", reliability="reliable", points=False))
    kind, _, quality = node.subscriptions["image/compressed"]
    assert (kind.__name__, quality.reliability, quality.depth) == ("CompressedImage", "reliable", 1)
    send(node, 1, "image/compressed")
    wait_for(lambda: "depth/image_rect_raw" in node.publishers and bool(node.publishers["depth/image_rect_raw"].sent))
    assert "depth/points" not in node.publishers


def test_diagnostics_say_how_it_goes(make_node) -> None:
    node = activated(make_node(settings=["find_bars=false"]))  # the left of the pictures is dark

    def status() -> Any:
        node.timers[0]()
        return node.publishers["/diagnostics"].sent[-1].status[0]

    assert status().level == bytes([STALE])
    send(node, 0)
    wait_for(lambda: status().level != bytes([STALE]))
    found = status()
    assert found.message == "depth is published"
    assert found.level == bytes([OK])
    assert found.name == "/camera/streamdepth"
    assert {pair.key for pair in found.values} >= {"frames", "latency", "known depth"}
    assert node.publishers["/diagnostics"].sent[-1].header.stamp == (12, 34)


def test_relative_depth_without_evidence_is_an_error_and_never_meters(make_node) -> None:
    node = activated(make_node(kind=DepthKind.RELATIVE))
    send(node, 0)
    wait_for(lambda: bool(node.errors))
    node.timers[0]()
    assert node.publishers["/diagnostics"].sent[-1].status[0].level == bytes([ERROR])
    assert "depth/image_rect_raw" not in node.publishers


def test_parameters_that_do_not_fit_fail_the_configuration(make_node) -> None:
    node = make_node(camera_height="tall")
    assert node.on_configure(None) is Result.FAILURE
    assert node.errors


def test_parameters_become_settings(tmp_path) -> None:
    given = {**PARAMETERS, "fov": 70.0, "camera_height": "1.2m", "obstacle_heights": [0.1, 1.0], "sectors": 7}
    settings = settings_from_parameters(given)
    assert (settings.camera.fov, settings.metric.camera_height, settings.robot.sectors) == (70, "1.2m", 7)
    assert settings.robot.obstacle_heights == (0.1, 1.0)
    assert settings.robot.namespace == ""
    (tmp_path / "a.yaml").write_text("model: {name: other}\nrobot: {sectors: 3}\n")
    settings = settings_from_parameters(
        {**PARAMETERS, "config_file": str(tmp_path / "a.yaml"), "settings": ["robot.floor=true"]}
    )
    assert (settings.model.name, settings.robot.sectors, settings.robot.floor) == ("other", 3, True)
    with pytest.raises(ConfigError):
        settings_from_parameters({**PARAMETERS, "settings": ["robot.unheard_of=1"]})


def test_the_newest_message_counts_and_what_is_no_picture_is_left_out() -> None:
    source = MessageSource("image", camera_info_wait_seconds=0)
    source.put_image(bags.image(0))
    source.put_image(bags.image(1, "unheard_of"))
    source.put_image(bags.image(2))
    info = source.open()
    frame = source.read()
    assert (info.width, info.height, info.frame_id, info.intrinsics) == (48, 32, "cam_optical_frame", None)
    assert frame.stamp_ns == bags.START_NS + 2 * bags.STEP_NS
    assert source.undelivered["overtaken"] == 2
    source.put_image(bags.image(3, "unheard_of"))
    source.interrupt()
    assert source.read() is None
    source.close()


def test_simulated_time_that_begins_anew_keeps_its_stamps() -> None:
    """A bag that is played in a loop: the stamps go back to 0, the stream's own times go on."""
    source = MessageSource("image", camera_info_wait_seconds=0)
    frames = []
    for second in (0, 1, 0):
        message = bags.image(0)
        message.header.stamp = bags.T["builtin_interfaces/msg/Time"](second, 5)
        source.put_image(message)
        if not frames:
            source.open()
        frames.append(source.read())
    assert [f.stamp_ns for f in frames] == [5, 10**9 + 5, 5]
    assert frames[0].pts < frames[1].pts < frames[2].pts
    source.close()
