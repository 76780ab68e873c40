"""MCAP, read by readers that are not ours: mcap with mcap-ros2-support and mcap-protobuf-support, and rosbags."""

from __future__ import annotations

import builtins
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.robot_scene import CAMERA, EPOCH_NS, scene, stamped
from helpers.sink_data import MODEL, fill, stream
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory as ProtobufDecoder
from mcap_ros2.decoder import DecoderFactory as Ros2Decoder
from rosbags.highlevel import AnyReader

from streamdepth.core.errors import MissingDependencyError, SinkOpenError
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.core.zones import Zone
from streamdepth.geometry.obstacles import ObstacleZone, obstacle_ranges
from streamdepth.sinks.robots.mcap import McapSink
from streamdepth.sinks.robots.observation import RobotOptions

DEPTH, DEPTH_CAMERA = "/camera/depth/image_raw", "/camera/depth/camera_info"
PICTURE, PICTURE_CAMERA = "/camera/color/image_raw/compressed", "/camera/color/camera_info"
ALL = RobotOptions(points=True, zone=ObstacleZone(-0.5, 0.5))


def written(path: Path, given: tuple[StreamInfo, list[DepthFrame]], **options: Any) -> Path:
    fill(McapSink(path / "a.mcap", **options), *given)
    return path / "a.mcap"


def messages(path: Path, topic: str) -> list[Any]:
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[Ros2Decoder(), ProtobufDecoder()])
        return [decoded for *_, decoded in reader.iter_decoded_messages(topics=[topic])]


def topics(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    return {c.topic: summary.schemas[c.schema_id].name for c in summary.channels.values()}


def image_of(message: Any, dtype: str) -> np.ndarray:
    return np.frombuffer(bytes(message.data), dtype).reshape(message.height, message.width)


def test_depth_is_meters_with_its_unknown_and_far_pixels(tmp_path) -> None:
    info, items = scene()
    read = messages(written(tmp_path, (info, items)), DEPTH)
    assert len(read) == 3
    for item, message in zip(items, read, strict=True):
        assert (message.encoding, message.is_bigendian, message.step) == ("32FC1", 0, 4 * message.width)
        np.testing.assert_array_equal(image_of(message, "<f4"), item.depth)
        assert message.header.frame_id == "camera_optical_frame"


def test_depth_in_millimeters_has_zero_where_it_is_unknown_or_does_not_fit(tmp_path) -> None:
    info, items = scene(1)
    items[0].depth[0, 2:5] = 65.5351, 65.6, 0.0004
    (message,) = messages(written(tmp_path, (info, items), options=RobotOptions(encoding="16UC1")), DEPTH)
    assert (message.encoding, message.step) == ("16UC1", 2 * message.width)
    values = image_of(message, "<u2")
    assert values[0, :5].tolist() == [0, 0, 65535, 0, 0]
    np.testing.assert_allclose(values[1:] / 1000, items[0].depth[1:], atol=0.00051)


def test_all_topics_are_there_with_their_types(tmp_path) -> None:
    assert topics(written(tmp_path, scene(1), options=ALL)) == {
        DEPTH: "sensor_msgs/msg/Image",
        DEPTH_CAMERA: "sensor_msgs/msg/CameraInfo",
        PICTURE: "sensor_msgs/msg/CompressedImage",
        PICTURE_CAMERA: "sensor_msgs/msg/CameraInfo",
        "/camera/depth/points": "sensor_msgs/msg/PointCloud2",
        "/camera/scan": "sensor_msgs/msg/LaserScan",
        "/camera/obstacles": "sensor_msgs/msg/LaserScan",
        "/tf": "tf2_msgs/msg/TFMessage",
    }


def test_stamps_are_the_streams_own(tmp_path) -> None:
    info, items = scene(4)
    path = written(tmp_path, (info, items), options=replace(ALL, scan=False))
    for topic in topics(path):
        stamps = [m.header.stamp.sec + m.header.stamp.nanosec / 1e9 for m in messages(path, topic)]
        assert stamps == pytest.approx([item.frame.time for item in items], abs=1e-9)


def test_stamps_and_frame_of_a_robots_recording_are_kept_exactly(tmp_path) -> None:
    info, items = scene(2)
    read = messages(written(tmp_path, (stamped(info), items)), DEPTH)
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in read]
    assert stamps == [EPOCH_NS, EPOCH_NS + round(1e9 / 30)]
    assert {m.header.frame_id for m in read} == {"head_optical_frame"}


def test_stamps_that_go_back_keep_their_value_and_their_order(tmp_path) -> None:
    """Messages are logged at the recorder's times, so that readers give them in the order of the recording."""
    info, items = scene(3)
    times = zip((200, 0, 100), (1000, 1001, 1002), strict=True)
    items = [
        replace(item, frame=replace(item.frame, stamp_ns=stamp, logged_ns=logged))
        for item, (stamp, logged) in zip(items, times, strict=True)
    ]
    path = written(tmp_path, (info, items))
    assert [m.header.stamp.nanosec for m in messages(path, DEPTH)] == [200, 0, 100]
    with path.open("rb") as file:
        assert [m.log_time for *_, m in make_reader(file).iter_messages(topics=[DEPTH])] == [1000, 1001, 1002]


def test_a_live_stream_has_wall_clock_stamps_spaced_as_it_says(tmp_path) -> None:
    info, items = scene(3)
    now = time.monotonic()
    items = [replace(i, frame=replace(i.frame, captured_at=now - 5 + i.frame.time)) for i in items]
    before = time.time_ns()
    first, second, third = messages(written(tmp_path, (replace(info, is_live=True), items)), DEPTH)
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in (first, second, third)]
    assert before - 5e9 - 1e8 < stamps[0] < time.time_ns() - 5e9 + 1e8
    assert np.diff(stamps) == pytest.approx([1e9 / 30] * 2, abs=1e6)


def test_the_picture_and_both_cameras_are_beside_it(tmp_path) -> None:
    info, items = scene(2)
    small = [replace(i, depth=np.ascontiguousarray(i.depth[::2, ::2])) for i in items]
    path = written(tmp_path, (info, small))
    picture = messages(path, PICTURE)[0]
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(bytes(picture.data), np.uint8), 1), cv2.COLOR_BGR2RGB)
    assert np.abs(decoded.astype(int) - items[0].frame.image).mean() < 12
    of_picture, of_depth = (messages(path, t)[0] for t in (PICTURE_CAMERA, DEPTH_CAMERA))
    assert list(of_picture.k) == [40, 0, 23.5, 0, 41, 15.5, 0, 0, 1]
    assert (of_picture.width, of_picture.height, of_picture.distortion_model) == (48, 32, "plumb_bob")
    assert list(of_picture.d) == list(CAMERA.distortion)
    assert list(of_depth.k) == [20, 0, 11.5, 0, 20.5, 7.5, 0, 0, 1]
    assert (of_depth.width, of_depth.height) == (24, 16)


def test_points_are_where_the_camera_sees_them(tmp_path) -> None:
    info, items = scene(1, CAMERA.pinhole)
    (cloud,) = messages(written(tmp_path, (info, items), options=ALL), "/camera/depth/points")
    assert (cloud.width, cloud.height, cloud.point_step, cloud.is_dense) == (48, 32, 16, False)
    fields = [(f.name, f.offset, f.datatype) for f in cloud.fields]
    assert fields == [("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("rgb", 12, 7)]
    data = np.frombuffer(bytes(cloud.data), [("xyz", "<f4", (3,)), ("rgb", "<u4")]).reshape(32, 48)
    u, v = 30, 20
    z = items[0].depth[v, u]
    np.testing.assert_allclose(data["xyz"][v, u], [(u - 23.5) / 40 * z, (v - 15.5) / 41 * z, z], rtol=1e-6)
    red, green, blue = (int(c) for c in items[0].frame.image[v, u])
    assert data["rgb"][v, u] == red << 16 | green << 8 | blue
    assert np.isnan(data["xyz"][0, :2]).all()


def test_scan_and_obstacles_lie_in_a_level_frame(tmp_path) -> None:
    info, items = scene(1)
    zone = ObstacleZone(-0.5, 0.5, pitch_degrees=10)
    path = written(tmp_path, (info, items), options=RobotOptions(zone=zone))
    (laser,), (sectors,), (tf,) = (messages(path, t) for t in ("/camera/scan", "/camera/obstacles", "/tf"))
    ranges = obstacle_ranges(items[0].depth, CAMERA, zone)
    np.testing.assert_array_equal(np.float32(laser.ranges), ranges.laser_scan().ranges_m)
    assert laser.angle_max == pytest.approx(laser.angle_min + laser.angle_increment * (len(laser.ranges) - 1), abs=1e-5)
    assert laser.range_max == 10
    found = ranges.nearest()
    np.testing.assert_array_equal(np.float32(sectors.ranges), np.float32([o.distance_m for o in found]))
    np.testing.assert_allclose(sectors.intensities, [o.confidence for o in found], rtol=1e-6)
    assert sectors.angle_min == pytest.approx((found[0].sector_start + found[0].sector_end) / 2)
    (transform,) = tf.transforms
    assert transform.header.frame_id == "camera_optical_frame"
    assert laser.header.frame_id == sectors.header.frame_id == transform.child_frame_id
    turn = transform.transform.rotation
    np.testing.assert_allclose(rotation(turn.x, turn.y, turn.z, turn.w), zone.axes(), atol=1e-9)


def rotation(x: float, y: float, z: float, w: float) -> np.ndarray:
    """The matrix of a unit quaternion, by its definition."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_without_a_floor_there_is_no_scan_above_it(tmp_path) -> None:
    sink = McapSink(tmp_path / "a.mcap", options=RobotOptions(floor=True))
    info, items = scene(1)
    fill(sink, info, [replace(items[0], depth=np.full((32, 48), 3, np.float32))])
    assert not messages(tmp_path / "a.mcap", "/camera/scan")
    assert "no floor" in sink.notices[-1]


def test_a_floor_that_is_out_of_view_lasts_for_a_moment(tmp_path) -> None:
    info, items = scene(4)
    wall = np.full((32, 48), 3, np.float32)
    later = [replace(item, depth=wall) for item in items[1:3]]
    late = replace(items[3], depth=wall, frame=replace(items[3].frame, pts=90))
    path = written(tmp_path, (info, [items[0], *later, late]), options=RobotOptions(floor=True))
    assert len(messages(path, "/camera/scan")) == 3
    assert len(messages(path, DEPTH)) == 4
    cut = [items[0], replace(later[0], cut=True), late]
    fill(McapSink(tmp_path / "b.mcap", options=RobotOptions(floor=True)), info, cut)
    assert len(messages(tmp_path / "b.mcap", "/camera/scan")) == 1


def test_an_unknown_camera_has_zeros_and_neither_points_nor_scan(tmp_path) -> None:
    sink = McapSink(tmp_path / "a.mcap", options=ALL)
    fill(sink, *scene(1, None))
    (camera,) = messages(tmp_path / "a.mcap", DEPTH_CAMERA)
    assert not any(camera.k)
    assert not messages(tmp_path / "a.mcap", "/camera/depth/points")
    assert not messages(tmp_path / "a.mcap", "/camera/scan")
    assert "--fov" in sink.notices[0]


def test_rosbags_reads_it_too(tmp_path) -> None:
    info, items = scene(2)
    path = written(tmp_path, (stamped(info), items), options=ALL)
    with AnyReader([path]) as reader:
        connections = [c for c in reader.connections if c.topic == DEPTH]
        read = [(time_ns, reader.deserialize(data, c.msgtype)) for c, time_ns, data in reader.messages(connections)]
        assert reader.message_count == 2 * 8
    assert [t for t, _ in read] == [EPOCH_NS, EPOCH_NS + round(1e9 / 30)]
    np.testing.assert_array_equal(image_of(read[0][1], "<f4"), items[0].depth)


def trusted(count: int) -> tuple[StreamInfo, list[DepthFrame]]:
    """The scene with a confidence and a known scale, the last frame with meters withheld."""
    info, items = scene(count)
    half = np.full(items[0].depth.shape, 0.5, np.float32)
    known = {"confidence": half, "scale_sigma": 0.08, "metric_residual": 0.02, "evidence_age_seconds": 0.0}
    items = [replace(item, metric_fit=(1.0, 0.0), **known) for item in items]
    items[-1] = replace(items[-1], metric_fit=None, scale_sigma=0.4, evidence_age_seconds=3.0)
    return info, items


def test_confidence_and_the_error_of_the_scale_are_messages_of_their_own(tmp_path) -> None:
    path = written(tmp_path, trusted(2))
    assert (
        topics(path).items()
        >= {
            "/camera/depth/confidence": "sensor_msgs/msg/Image",
            "/camera/depth/scale_sigma": "std_msgs/msg/Float32",
            "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
        }.items()
    )
    confidence = image_of(messages(path, "/camera/depth/confidence")[0], "<f4")
    assert confidence[0, 0] == 0  # its depth is unknown
    assert (confidence.ravel()[1:] == 0.5).all()
    assert [m.data for m in messages(path, "/camera/depth/scale_sigma")] == pytest.approx([0.08, 0.4])
    good, bad = (message.status[0] for message in messages(path, "/diagnostics"))
    assert (int(good.level), int(bad.level)) == (0, 1)
    assert {pair.key: pair.value for pair in bad.values} == {
        "scale_sigma": "0.4",
        "metric_residual": "0.02",
        "evidence_age_seconds": "3",
    }


def test_the_error_of_the_scale_in_foxgloves_schemas(tmp_path) -> None:
    path = written(tmp_path, trusted(2), schemas="foxglove")
    assert messages(path, "/camera/depth/confidence")[0].encoding == "32FC1"
    good, bad = messages(path, "/camera/diagnostics")
    assert (good.level, bad.level) == (2, 3), "information and warning"
    assert "scale_sigma 0.4" in bad.message


def test_foxglove_schemas_say_the_same(tmp_path) -> None:
    info, items = scene(2, CAMERA.pinhole)
    path = written(tmp_path, (stamped(info), items), schemas="foxglove", options=ALL)
    assert topics(path) == {
        "/camera/depth/image": "foxglove.RawImage",
        "/camera/depth/calibration": "foxglove.CameraCalibration",
        "/camera/color/image": "foxglove.CompressedImage",
        "/camera/color/calibration": "foxglove.CameraCalibration",
        "/camera/depth/points": "foxglove.PointCloud",
        "/camera/scan": "foxglove.LaserScan",
        "/camera/obstacles": "foxglove.LaserScan",
    }
    depth, cloud, laser = (messages(path, f"/camera/{t}")[0] for t in ("depth/image", "depth/points", "scan"))
    assert (depth.encoding, depth.step, depth.frame_id) == ("32FC1", 4 * depth.width, "head_optical_frame")
    assert depth.timestamp.seconds * 10**9 + depth.timestamp.nanos == EPOCH_NS
    np.testing.assert_array_equal(image_of(depth, "<f4"), items[0].depth)
    calibration = messages(path, "/camera/depth/calibration")[0]
    assert list(calibration.K) == [40, 0, 23.5, 0, 41, 15.5, 0, 0, 1]
    assert cloud.point_stride == 16
    points = np.frombuffer(cloud.data, "<f4").reshape(-1, 4)[:, :3]
    assert len(points) == 48 * 32 - 2
    assert np.sort(points[:, 2])[0] == 1.5
    turn = laser.pose.orientation
    np.testing.assert_allclose(rotation(turn.x, turn.y, turn.z, turn.w), ObstacleZone().axes(), atol=1e-9)
    assert len(laser.ranges) > 30


@pytest.mark.parametrize("schemas", ["ros2", "foxglove"])
def test_relative_depth_is_refused(tmp_path, schemas) -> None:
    with raises_code(SinkOpenError, "relative-depth", naming="--anchor"):
        McapSink(tmp_path / "a.mcap", schemas=schemas).open(scene(1)[0], ModelInfo("nano", DepthKind.RELATIVE))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("package", "schemas"), [("mcap", "ros2"), ("rosbags", "ros2"), ("foxglove", "foxglove")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package: str, schemas) -> None:
    real = builtins.__import__

    def fake(name: str, *rest, **more):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", fake)
    with raises_code(MissingDependencyError, "missing-dependency", naming=rf"(?s){package}.*\[robot\]"):
        McapSink(tmp_path / "a.mcap", schemas=schemas).open(scene(1)[0], MODEL)
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())


def test_depth_is_called_rectified_only_where_the_lens_is_undone(tmp_path) -> None:
    ideal_fisheye = replace(CAMERA, distortion=(0.0,) * 4, distortion_model="equidistant")
    straight = replace(CAMERA, distortion=(0.0,) * 5)
    cameras = ((CAMERA, "image_raw"), (ideal_fisheye, "image_raw"), (straight, "image_rect_raw"))
    for number, (camera, name) in enumerate(cameras):
        sink = McapSink(tmp_path / f"{number}.mcap")
        fill(sink, *scene(1, camera))
        assert len(messages(sink.path, f"/camera/depth/{name}")) == 1
        assert any("--undistort" in notice for notice in sink.notices) == (camera is not straight)


def test_zones_are_ranges_and_events(tmp_path) -> None:
    """A box at 1.5 m is in the zone from frame 11 to 30."""
    options = RobotOptions(depth_zones=(Zone.parse("door=20,8,10,14@2m"),), zone_hold_seconds=0.1)
    info, items = stream(38, 48, 32)
    items = [replace(item, intrinsics=CAMERA) for item in items]
    path = written(tmp_path, (info, items), options=options)
    ranges = messages(path, "/camera/zones/door/nearest")
    assert len(ranges) == 38
    assert [i for i, found in enumerate(ranges) if found.range == 1.5] == list(range(11, 30))
    assert ranges[0].field_of_view == pytest.approx(2 * np.arctan(5 / CAMERA.fx))
    events = [json.loads(message.data) for message in messages(path, "/camera/zones/events")]
    assert [(e["type"], round(e["time"] * 30), e["zone"]) for e in events] == [
        ("entered", 11, "door"),
        ("left", 30, "door"),
    ]


def test_zones_in_foxglove_are_json(tmp_path) -> None:
    options = RobotOptions(depth_zones=(Zone.parse("door=20,8,10,14@2m"),), zone_hold_seconds=0.1)
    path = written(tmp_path, stream(38, 48, 32), options=options, schemas="foxglove")
    with path.open("rb") as file:
        found = [
            (schema.name, channel.message_encoding, json.loads(message.data))
            for schema, channel, message in make_reader(file).iter_messages(topics=["/camera/zones"])
        ]
    assert {(name, encoding) for name, encoding, _ in found} == {("streamdepth.Zone", "json")}
    assert [r["index"] for *_, r in found if r["type"] == "values"] == list(range(38))
    assert [(r["type"], round(r["time"] * 30)) for *_, r in found if r["type"] != "values"] == [
        ("entered", 11),
        ("left", 30),
    ]
