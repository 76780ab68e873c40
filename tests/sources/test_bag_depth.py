"""A bag's depth topic for the pictures of its camera: matched by stamp, registered by /tf, and taken as the depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers import bags
from helpers.errors import raises_code
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

import streamdepth as sd
from streamdepth import factory
from streamdepth.config import make
from streamdepth.core.errors import ConfigError, SourceOpenError
from streamdepth.core.types import Frame, StreamInfo

COLOR, DEPTH = "/cam/color/image_raw", "/cam/depth/image_rect_raw"
FLAT = bags.camera_info(
    d=np.zeros(5),
    k=np.array([40.0, 0, 23.5, 0, 40, 15.5, 0, 0, 1]),
    p=np.array([40.0, 0, 23.5, 0, 0, 40, 15.5, 0, 0, 0, 1, 0]),
)


def depth_image(index: int, meters: float, frame_id: str = "cam_optical_frame", *, late_ms: float = 0.0) -> Any:
    """Returns depth in 16UC1 of a wall, with a square one meter nearer in its middle."""
    values = np.full((32, 48), round(meters * 1000), np.uint16)
    values[12:20, 20:28] -= 1000
    message = bags.image(index, "16UC1", values)
    message.header = bags.header(index, frame_id)
    shift(message, late_ms)
    return message


def shift(message: Any, late_ms: float) -> None:
    stamp = message.header.stamp
    total = stamp.sec * 10**9 + stamp.nanosec + round(late_ms * 1e6)
    stamp.sec, stamp.nanosec = divmod(total, 10**9)


def tf(child: str, parent: str, x: float, *, index: int = 0) -> Any:
    kinds = bags.T
    place = kinds["geometry_msgs/msg/Transform"](
        kinds["geometry_msgs/msg/Vector3"](x, 0.0, 0.0), kinds["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    )
    stamped = kinds["geometry_msgs/msg/TransformStamped"](bags.header(index, parent), child, place)
    return kinds["tf2_msgs/msg/TFMessage"]([stamped])


def topics(count: int = 4, **changed: Any) -> dict[str, Any]:
    return {
        COLOR: [bags.image(i) for i in range(count)],
        "/cam/color/camera_info": [FLAT],
        DEPTH: [depth_image(i, 2.0 + i) for i in range(count)],
        "/cam/depth/camera_info": [FLAT],
    } | changed


def read(bag: Path, topic: str = DEPTH, **settings: Any) -> tuple[StreamInfo, list[Frame], list[str]]:
    source = factory.make_source(f"{bag}#{COLOR}", make(depth_from=topic, **settings))
    with source:
        info, frames = source.open(), []
        while (frame := source.read()) is not None:
            frames.append(frame)
        return info, frames, source.notices


def decoded(path: Path, topic: str) -> list[Any]:
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [message for *_, message in reader.iter_decoded_messages(topics=[topic])]


def test_each_picture_gets_the_depth_of_its_stamp(tmp_path) -> None:
    _, frames, notices = read(bags.write_bag(tmp_path / "bag", topics()))
    for index, frame in enumerate(frames):
        assert frame.sensor_depth.dtype == np.float32
        assert frame.sensor_depth[0, 0] == pytest.approx(2.0 + index)
        assert frame.sensor_depth[15, 24] == pytest.approx(1.0 + index)
    assert notices == [
        f"4 of 4 frames have depth of {DEPTH} within 50 ms, 0.0 ms apart in the median; it has the pictures' frame "
        "'cam_optical_frame'"
    ]


def test_the_nearest_stamp_within_the_tolerance_counts_also_out_of_order(tmp_path) -> None:
    maps = [depth_image(i, 2.0 + i, late_ms=12) for i in (0, 2, 1)]
    bag = bags.write_bag(tmp_path / "bag", topics(**{DEPTH: maps}))
    _, frames, notices = read(bag, depth_tolerance=0.015)
    assert [f.sensor_depth is not None and round(float(f.sensor_depth[0, 0])) for f in frames] == [2, 3, 4, False]
    assert notices[0].startswith(f"3 of 4 frames have depth of {DEPTH} within 15 ms, 12.0 ms apart")
    assert [f.sensor_depth for f in read(bag, depth_tolerance=0.005)[1]] == [None] * 4


def test_depth_of_another_camera_is_registered_by_tf_static(tmp_path) -> None:
    """The color camera is 0.1 m to the right of the depth camera: 2 px at 2 m, 4 px at 1 m, to the left."""
    maps = [depth_image(0, 2.0, "depth_frame")]
    places = [tf("depth_frame", "base", 0.0), tf("cam_optical_frame", "base", 0.1)]
    bag = bags.write_bag(tmp_path / "bag", topics(1, **{DEPTH: maps, "/tf_static": places}))
    _, (frame,), notices = read(bag)
    depth = cv2.resize(frame.sensor_depth, (48, 32), interpolation=cv2.INTER_NEAREST)
    assert set(np.unique(depth[np.isfinite(depth)]).round(3)) == {1.0, 2.0}
    columns = np.flatnonzero(depth[15] < 1.5)
    assert (columns[0], columns[-1]) == (pytest.approx(16, abs=1), pytest.approx(23, abs=1))
    assert "registered to the pictures' camera by /tf from 'depth_frame' to 'cam_optical_frame', 100 mm" in notices[0]


def test_a_moving_frame_is_looked_up_at_the_stamp_of_the_depth(tmp_path) -> None:
    maps = [depth_image(i, 2.0, "depth_frame") for i in range(3)]
    moving = [tf("depth_frame", "cam_optical_frame", 0.0), tf("depth_frame", "cam_optical_frame", 0.2, index=2)]
    bag = bags.write_bag(tmp_path / "bag", topics(3, **{DEPTH: maps, "/tf": moving}))
    starts = []
    for frame in read(bag)[1]:
        depth = cv2.resize(frame.sensor_depth, (48, 32), interpolation=cv2.INTER_NEAREST)
        starts.append(np.flatnonzero(depth[15] < 1.5)[0])
    assert starts == pytest.approx([20, 24, 28], abs=1)


def test_an_unknown_place_of_the_sensor_is_refused(tmp_path) -> None:
    other = bags.camera_info(d=np.zeros(5), k=np.array([60.0, 0, 23.5, 0, 60, 15.5, 0, 0, 1]))
    maps = {DEPTH: [depth_image(0, 2.0, "depth_frame")], "/cam/depth/camera_info": [other]}
    with raises_code(SourceOpenError, "no-extrinsics", naming="'depth_frame'.*'cam_optical_frame'"):
        read(bags.write_bag(tmp_path / "bag", topics(1, **maps)))


def test_realsenses_own_recorder_has_units_and_extrinsics(tmp_path) -> None:
    color, depth = "/device_0/sensor_1/Color_0", "/device_0/sensor_0/Depth_0"
    kinds = bags.T
    values = np.full((32, 48), 20000, np.uint16)
    values[12:20, 20:28] = 10000
    unit = kinds["std_msgs/msg/Float32"](1e-4)
    place = kinds["geometry_msgs/msg/Transform"](
        kinds["geometry_msgs/msg/Vector3"](0.1, 0.0, 0.0), kinds["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    )
    level = kinds["geometry_msgs/msg/Transform"](
        kinds["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0), kinds["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    )
    bag = bags.write_bag(
        tmp_path / "bag",
        {
            f"{depth}/image/data": [bags.image(0, "mono16", values)],
            f"{depth}/info/camera_info": [FLAT],
            f"{depth}/tf/0": [level],
            "/device_0/sensor_0/option/Depth_Units/value": [unit],
            f"{color}/image/data": [bags.image(0)],
            f"{color}/info/camera_info": [FLAT],
            f"{color}/tf/0": [place],
        },
    )
    source = factory.make_source(str(bag), make(depth_from=f"{depth}/image/data"))
    with source:
        source.open()
        frame = source.read()
    depth_m = cv2.resize(frame.sensor_depth, (48, 32), interpolation=cv2.INTER_NEAREST)
    assert set(np.unique(depth_m[np.isfinite(depth_m)]).round(3)) == {1.0, 2.0}


@pytest.mark.parametrize(
    ("source", "text", "code"),
    [("bag", "/nowhere", "no-topic"), ("bag", COLOR, "not-depth"), ("clip.mp4", DEPTH, "not-a-bag")],
)
def test_what_cannot_be_is_refused_with_the_reason(tmp_path, source, text, code) -> None:
    bag = bags.write_bag(tmp_path / "bag", topics(1))
    with raises_code((ConfigError, SourceOpenError), code):
        factory.make_source(f"{bag}#{COLOR}" if source == "bag" else source, make(depth_from=text)).open()
    with raises_code(ConfigError, "conflict"):
        sd.convert(str(bag), depth_out=tmp_path / "a.mkv", depth_from=DEPTH, camera_height="1m")


def test_pictures_without_dates_have_no_depth_in_a_bag(tmp_path) -> None:
    bag = bags.write_bag(tmp_path / "bag", topics(1))
    with raises_code(SourceOpenError, "no-clock"):
        factory.make_source("samples/room.mp4", make(depth_from=f"{bag}#{DEPTH}")).open()


def test_the_sensors_depth_is_the_depth_and_no_network_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.factory.make_estimator", pytest.fail)
    maps = [depth_image(i, 2.0 + i / 10) for i in range(4)]
    for message in maps:
        message.data.view(np.uint16).reshape(32, 48)[5, 7] = 0
    bag = bags.write_bag(tmp_path / "bag", topics(**{DEPTH: maps}))
    out = tmp_path / "depth.mcap"
    report = sd.convert(f"{bag}#{COLOR}", depth_out=out, depth_from=DEPTH, smooth="off")
    assert (report.written, report.model) == (4, f"sensor depth ({DEPTH})")
    assert any("4 of 4 frames have depth" in notice for notice in report.notices)
    images = decoded(out, "/camera/depth/image_rect_raw")
    for index, message in enumerate(images):
        found = np.frombuffer(bytes(message.data), "<f4").reshape(message.height, message.width)
        assert found[5, 7] == pytest.approx(2.0 + index / 10, abs=1e-3), "the hole is filled"
        assert found[15, 24] == pytest.approx(1.0 + index / 10, abs=1e-3)
    scans = decoded(out, "/camera/scan")
    assert len(scans) == 4
    assert np.nanmin([r for r in scans[0].ranges if np.isfinite(r)]) == pytest.approx(1.0, abs=0.05)


@pytest.mark.usefixtures("quick_model")
def test_a_topic_gives_relative_depth_its_meters(tmp_path) -> None:
    bag = bags.write_bag(tmp_path / "bag", topics())
    with sd.stream(f"{bag}#{COLOR}", sparse=DEPTH, smooth="off") as items:
        kinds = [(item.kind.value, item.metric_fit is not None) for item in items]
    assert kinds == [("metric", True)] * 4


def test_a_folder_of_png_is_the_depth(tmp_path) -> None:
    folder, rgb = tmp_path / "depth", tmp_path / "rgb"
    folder.mkdir()
    rgb.mkdir()
    for index in range(3):
        cv2.imwrite(str(rgb / f"{index + 7}.png"), bags.picture(index))
        cv2.imwrite(str(folder / f"d{index + 8}.png"), np.full((32, 48), 1500 + 100 * index, np.uint16))
    for given in (folder, f"{folder}/*.png"):
        with sd.stream(str(rgb), depth_from=given, smooth="off") as items:
            found = [float(item.depth[3, 3]) for item in items]
        assert found == pytest.approx([1.5, 1.6, 1.7])
    (folder / "d10.png").unlink()
    with sd.stream(str(rgb), depth_from=folder, smooth="off") as items:
        assert [bool(np.isfinite(item.depth).any()) for item in items] == [True, True, False]
    assert any("1 of 3 frames have no depth" in notice for notice in items.report().notices)


def test_a_single_picture_has_its_depth_in_a_png(tmp_path, cli) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), bags.picture(0))
    values = np.full((32, 48), 1500, np.uint16)
    values[4, 5] = 0
    cv2.imwrite(str(tmp_path / "d.png"), values)
    done = cli("image", tmp_path / "a.png", "--depth-from", tmp_path / "d.png", "-o", tmp_path / "o.png")
    assert done.code == 0, done.err
    assert (cv2.imread(str(tmp_path / "o.png"), cv2.IMREAD_UNCHANGED) == 1500).all()
    for text, code in ((tmp_path / "none.png", "not-found"), (DEPTH, "not-a-bag")):
        with raises_code(ConfigError, code):
            sd.estimate(str(tmp_path / "a.png"), depth_from=text)


def test_a_bag_without_pictures_is_drawn_from_its_depth(tmp_path) -> None:
    depth = "/device_0/sensor_0/Depth_0/image/data"
    maps = [bags.image(i, "mono16", np.full((32, 48), 2000 + i, np.uint16)) for i in range(3)]
    info = "/device_0/sensor_0/Depth_0/info/camera_info"
    bag = bags.write_bag(tmp_path / "bag", {depth: maps, info: [FLAT]})
    for address in (str(bag), f"{bag}#{depth}"):
        with sd.stream(address, depth_from=depth, smooth="off") as items:
            found = [(float(item.depth[3, 3]), item.frame.image[0, 0, 0], item.intrinsics.fx) for item in items]
        assert [meters for meters, *_ in found] == pytest.approx([2.0, 2.001, 2.002])
        assert found[0][1:] == (127, 40)
    assert any("no pictures" in notice for notice in items.report().notices)
