"""RosbagSource: both storages of ROS 2, ROS 1, raw and compressed pictures, cameras, and damaged bags."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import zstandard
from helpers import bags
from helpers.errors import raises_code
from helpers.sink_data import fill
from mcap.reader import make_reader
from mcap.writer import Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.core.errors import MissingDependencyError, SourceError, SourceLostError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sinks.robots.mcap import McapSink
from streamdepth.sources.mcap_bag import ros_type_name
from streamdepth.sources.ros_decoding import decode_image
from streamdepth.sources.rosbag import RosbagSource

RAW, INFO = "/cam/image_raw", "/cam/camera_info"
PLUGINS = [StoragePlugin.SQLITE3, StoragePlugin.MCAP]


def read(source: RosbagSource) -> tuple[StreamInfo, list[Frame]]:
    info, frames = source.open(), []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return info, frames


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("make", [bags.image, bags.compressed])
def test_pictures_stamps_frame_and_camera(tmp_path, plugin, make) -> None:
    topic = RAW if make is bags.image else f"{RAW}/compressed"
    bag = bags.write_bag(tmp_path / "bag", {topic: map(make, range(4)), INFO: [bags.camera_info()]}, plugin)
    info, frames = read(RosbagSource(bag))
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, bags.picture(index))
        assert info.epoch_ns + frame.pts == bags.START_NS + index * bags.STEP_NS
    assert len(frames) == info.frame_count == 4
    assert info.frame_id == "cam_optical_frame"
    assert info.intrinsics == Intrinsics(40, 41, 23, 15, 48, 32, (0.1, -0.2, 0, 0, 0))
    assert info.fps == pytest.approx(30, rel=0.02)
    assert not info.is_live


def test_a_bag_of_ros_1(tmp_path) -> None:
    bag = bags.write_bag1(tmp_path / "a.bag", {RAW: [bags1_image(i) for i in range(3)]})
    info, frames = read(RosbagSource(bag))
    np.testing.assert_array_equal([f.image for f in frames], [bags.picture(i) for i in range(3)])
    assert info.epoch_ns == bags.START_NS


def bags1_image(index: int) -> object:
    """Returns an image message with a header of ROS 1, which has a sequence number."""
    from rosbags.typesys import Stores, get_typestore

    kinds, message = get_typestore(Stores.ROS1_NOETIC).types, bags.image(index)
    old = message.header
    stamp = kinds["builtin_interfaces/msg/Time"](old.stamp.sec, old.stamp.nanosec)
    head = kinds["std_msgs/msg/Header"](index, stamp, old.frame_id)
    return kinds["sensor_msgs/msg/Image"](
        head, message.height, message.width, message.encoding, 0, message.step, message.data
    )


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_single_file_of_a_bag_is_enough(tmp_path, plugin) -> None:
    bag = bags.write_bag(tmp_path / "bag", {RAW: map(bags.image, range(2))}, plugin)
    (file,) = [p for p in bag.iterdir() if p.suffix in (".mcap", ".db3")]
    assert len(read(RosbagSource(file))[1]) == 2


def two_cameras(folder: Path) -> Path:
    topics = {"/left/image_raw": map(bags.image, range(2)), "/right/image_raw": map(bags.image, range(3))}
    return bags.write_bag(folder / "bag", topics)


def test_several_cameras_are_listed(tmp_path) -> None:
    with raises_code(
        SourceOpenError, "ambiguous", naming=r"/left/image_raw \(Image, 2\), /right/image_raw \(Image, 3\).*bag#/"
    ):
        RosbagSource(two_cameras(tmp_path)).open()


def test_a_topic_is_chosen_in_the_address(tmp_path) -> None:
    bag = two_cameras(tmp_path)
    source = factory.make_source(f"{bag}#/right/image_raw", Settings())
    assert len(read(source)[1]) == 3
    with raises_code(SourceOpenError, "no-topic", naming=r"'/middle'.*/left/image_raw"):
        factory.make_source(f"{bag}#/middle", Settings()).open()


def test_depth_is_no_picture(tmp_path) -> None:
    depth = bags.image(0, "32FC1", np.ones((32, 48), np.float32))
    topics = {RAW: map(bags.image, range(2)), "/cam/depth/image_rect_raw": [depth]}
    info, frames = read(RosbagSource(bags.write_bag(tmp_path / "bag", topics)))
    assert info.name.endswith(f"#{RAW}")
    assert len(frames) == 2
    only_depth = bags.write_bag(tmp_path / "depth", {"/cam/depth/image_rect_raw": [depth]})
    for topic in (None, "/cam/depth/image_rect_raw"):
        with raises_code(SourceOpenError, "holds-depth", naming="--depth-from /cam/depth/image_rect_raw"):
            RosbagSource(only_depth, topic).open()


@pytest.mark.parametrize("kind", [*PLUGINS, "ROS 1"])
def test_the_rate_is_of_the_time_in_which_the_topic_has_pictures(tmp_path, kind) -> None:
    """Other topics of a bag may go on long after its camera."""
    make = bags1_image if kind == "ROS 1" else bags.image
    topics = {RAW: map(make, range(7)), "/later": map(make, range(200)), "/single": map(make, range(1))}
    bag = (
        bags.write_bag1(tmp_path / "a.bag", topics)
        if kind == "ROS 1"
        else bags.write_bag(tmp_path / "bag", topics, kind)
    )
    for topic, fps in ((RAW, 30), ("/later", 30), ("/single", None)):
        source = RosbagSource(bag, topic)
        assert source.open().fps == fps
        source.close()


def test_a_bag_without_an_index_gives_each_picture_once(tmp_path) -> None:
    topics = {INFO: [bags.camera_info()], RAW: map(bags.image, range(4))}
    bag = bags.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP)
    info, frames = read(RosbagSource(bags.without_index(bag, tmp_path / "plain.mcap")))
    assert [f.pts for f in frames] == [i * bags.STEP_NS for i in range(4)]
    assert info.intrinsics is not None


def test_depth_in_a_compressed_message_is_no_picture(tmp_path) -> None:
    depth = bags.compressed(0)
    depth.data = cv2.imencode(".png", np.full((32, 48), 1500, np.uint16))[1].ravel()
    for depth.format in ("16UC1; png compressed", "32FC1; compressedDepth png", "16UC1; compressedDepth"):
        with pytest.raises(ValueError, match=r"it holds depth .*; choose the camera's topic with colors"):
            decode_image(depth)
    depth.format = "16UC1; png compressed"
    topics = {f"{RAW}/compressed": map(bags.compressed, range(2)), "/cam/depth/compressed": [depth]}
    info, _ = read(RosbagSource(bags.write_bag(tmp_path / "bag", topics)))
    assert info.name.endswith(f"#{RAW}/compressed")


def test_a_long_topic_without_pictures_is_not_read_to_its_end(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("streamdepth.sources.rosbag._MAX_TRIED", 5)
    unknown = [bags.image(i, "unheard_of") for i in range(20)]
    source = RosbagSource(bags.write_bag(tmp_path / "bag", {"/cam/image": unknown}), "/cam/image")
    with raises_code(SourceOpenError, "no-video", naming=r"\b5\b.*/cam/image \(Image, 20\)"):
        source.open()
    assert "unheard_of" in source.notices[0]


def test_what_streamdepth_recorded_is_a_bag_itself(tmp_path) -> None:
    from helpers.robot_scene import EPOCH_NS, scene, stamped

    info, items = scene(3)
    fill(McapSink(tmp_path / "a.mcap"), stamped(info), items)
    read_info, frames = read(factory.make_source(str(tmp_path / "a.mcap"), Settings()))
    assert (read_info.epoch_ns, read_info.frame_id) == (EPOCH_NS, "head_optical_frame")
    assert read_info.intrinsics == items[0].intrinsics
    assert np.abs(frames[2].image.astype(int) - items[2].frame.image).mean() < 12


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"k": np.zeros(9)}, None),
        ({"width": 96, "height": 64, "binning_x": 2, "binning_y": 2}, (20, 20.5)),
        (
            {"width": 640, "height": 480, "roi": bags.T["sensor_msgs/msg/RegionOfInterest"](10, 20, 32, 48, True)},
            (40, 41),
        ),
        ({"width": 24, "height": 16}, (80, 82)),
        ({"width": 48, "height": 48}, None),
        ({"distortion_model": "unheard_of"}, (40, 41)),
    ],
)
def test_the_camera_is_that_of_the_pictures(tmp_path, changed, wanted) -> None:
    bag = bags.write_bag(tmp_path / "bag", {RAW: [bags.image(0)], INFO: [bags.camera_info(**changed)]})
    camera = read(RosbagSource(bag))[0].intrinsics
    assert (camera and (camera.fx, camera.fy)) == wanted


def test_a_rectified_picture_has_the_projections_camera(tmp_path) -> None:
    bag = bags.write_bag(tmp_path / "bag", {"/cam/image_rect": [bags.image(0)], INFO: [bags.camera_info()]})
    assert read(RosbagSource(bag))[0].intrinsics == Intrinsics(38, 39, 22, 14, 48, 32)


def gray(index: int = 0) -> np.ndarray:
    return cv2.cvtColor(bags.picture(index), cv2.COLOR_RGB2GRAY)


ENCODED = {
    "bgr8": lambda rgb: rgb[..., ::-1].reshape(32, -1),
    "rgba8": lambda rgb: np.dstack([rgb, rgb[..., :1]]).reshape(32, -1),
    "bgra8": lambda rgb: np.dstack([rgb[..., ::-1], rgb[..., :1]]).reshape(32, -1),
    "rgb16": lambda rgb: (rgb.astype("<u2") * 257).reshape(32, -1),
    "mono8": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY),
    "mono16": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype("<u2") * 257,
    "yuv422": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_UYVY).reshape(32, -1),
    "yuv422_yuy2": lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_YUYV).reshape(32, -1),
    "bayer_rggb8": lambda rgb: mosaic(rgb, "rggb"),
    "bayer_gbrg8": lambda rgb: mosaic(rgb, "gbrg"),
}


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Returns the picture that a sensor sees behind a Bayer filter."""
    raw = np.zeros(rgb.shape[:2], np.uint8)
    for i, color in enumerate(pattern):
        raw[i // 2 :: 2, i % 2 :: 2] = rgb[i // 2 :: 2, i % 2 :: 2, "rgb".index(color)]
    return raw


@pytest.mark.parametrize("encoding", ENCODED)
def test_encodings(encoding: str) -> None:
    smooth = cv2.GaussianBlur(bags.picture(3), (9, 9), 4)
    message = bags.image(0, encoding, ENCODED[encoding](smooth))
    wanted = np.repeat(cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)[..., None], 3, 2) if "mono" in encoding else smooth
    error = np.abs(decode_image(message).astype(int) - wanted)
    assert error[2:-2, 2:-2].mean() < (3 if "yuv" in encoding or "bayer" in encoding else 0.01)


def test_nv12() -> None:
    i420 = cv2.cvtColor(bags.picture(0), cv2.COLOR_RGB2YUV_I420)
    chroma = i420[32:].reshape(2, 16, 24).transpose(1, 2, 0).reshape(16, 48)
    wanted = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
    np.testing.assert_array_equal(decode_image(bags.image(0, "nv12", np.vstack([i420[:32], chroma]))), wanted)


def test_rows_may_be_padded_and_big_endian() -> None:
    padded = np.pad(bags.picture(0).reshape(32, -1), ((0, 0), (0, 7)))
    np.testing.assert_array_equal(decode_image(bags.image(0, "rgb8", padded)), bags.picture(0))
    message = bags.image(0, "mono16", gray().astype(">u2") * 257)
    message.is_bigendian = 1
    np.testing.assert_array_equal(decode_image(message)[..., 0], gray())


def test_messages_without_pictures_are_counted_and_reported_at_the_end(tmp_path) -> None:
    messages = [bags.image(0), bags.image(1, "unheard_of"), bags.image(2), bags.image(3)]
    messages[3].data = messages[3].data[:99]
    source = RosbagSource(bags.write_bag(tmp_path / "bag", {RAW: messages}))
    source.open()
    assert [source.read().pts for _ in range(2)] == [0, 2 * bags.STEP_NS]
    with raises_code(SourceLostError, "damaged", naming=r"2 messages.* 2 "):
        source.read()
    assert source.undelivered == {"undecodable": 2}
    assert "unheard_of" in source.notices[0]
    assert "cut off" in source.notices[1]


def test_stamps_that_do_not_increase_are_repaired_and_zero_stamps_are_the_recorders(tmp_path) -> None:
    messages = [bags.image(0), bags.image(2), bags.image(1), bags.image(3)]
    source = RosbagSource(bags.write_bag(tmp_path / "bag", {RAW: messages}))
    pts = [f.pts for f in read(source)[1]]
    assert pts == sorted(set(pts))
    assert "repaired" in source.notices[0]
    assert [f.stamp_ns for f in read(source)[1]] == [bags.START_NS + i * bags.STEP_NS for i in (0, 2, 1, 3)]
    unstamped = [bags.image(0), bags.image(1)]
    for message in unstamped:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    info, frames = read(RosbagSource(bags.write_bag(tmp_path / "unstamped", {RAW: unstamped})))
    assert info.epoch_ns == bags.START_NS + 10**6
    assert frames[1].pts == bags.STEP_NS


def test_simulated_time_begins_at_0(tmp_path) -> None:
    messages = [bags.image(i) for i in range(3)]
    for index, message in enumerate(messages):
        message.header.stamp = bags.T["builtin_interfaces/msg/Time"](*divmod(index * 10**8, 10**9))
    info, frames = read(RosbagSource(bags.write_bag(tmp_path / "bag", {RAW: messages})))
    assert info.epoch_ns == 0
    assert [f.stamp_ns for f in frames] == [0, 10**8, 2 * 10**8]
    assert frames[1].logged_ns == bags.START_NS + bags.STEP_NS + 10**6


@pytest.mark.parametrize(("encoding", "bits"), [("mono16", 12), ("mono16", 10), ("bayer_rggb16", 12)])
def test_ten_and_twelve_bits_in_sixteen_fill_the_picture(tmp_path, encoding, bits) -> None:
    """The range is that of the first pictures, and one for the whole topic."""
    full = np.linspace(0, 2**bits - 1, 48 * 32).reshape(32, 48).astype("<u2")
    messages = [bags.image(i, encoding, full // (1 + i)) for i in range(3)]
    source = RosbagSource(bags.write_bag(tmp_path / "bag", {RAW: messages}))
    _, frames = read(source)
    assert frames[0].image.max() > 240
    assert 120 <= frames[1].image.max() <= 130
    assert f"0 to {2**bits - 1}" in source.notices[0]


def test_a_thermal_cameras_counts_are_stretched_from_their_own_range(tmp_path) -> None:
    counts = np.linspace(7000, 9000, 48 * 32).reshape(32, 48).astype("<u2")
    _, frames = read(RosbagSource(bags.write_bag(tmp_path / "bag", {RAW: [bags.image(0, "mono16", counts)]})))
    assert frames[0].image.min() == 0
    assert frames[0].image.max() == 255


def rewritten_mcap(bag: Path, path: Path, *, profile: str, rename=lambda name: name, definitions: bool = True) -> Path:
    """Writes the messages of `bag` to one MCAP file as other recorders do."""
    (file,) = bag.glob("*.mcap")
    with file.open("rb") as old, path.open("wb") as new:
        writer = Writer(new)
        writer.start(profile, library="some recorder")
        other = writer.register_schema("foxglove.Log", "jsonschema", b"{}")
        writer.add_message(writer.register_channel("/log", "json", other), 0, b"{}", 0)
        channels: dict[int, int] = {}
        for schema, channel, message in make_reader(old).iter_messages():
            if channel.id not in channels:
                text = schema.data if definitions else b""
                number = writer.register_schema(rename(schema.name), schema.encoding, text)
                channels[channel.id] = writer.register_channel(channel.topic, channel.message_encoding, number)
            writer.add_message(channels[channel.id], message.log_time, message.data, message.publish_time)
        writer.finish()
    return path


@pytest.mark.parametrize("profile", ["", "mcap-video-viewer", "ros2"])
@pytest.mark.parametrize("rename", [lambda name: name, lambda name: name.replace("/msg/", "/")], ids=["msg", "no-msg"])
@pytest.mark.parametrize("definitions", [True, False])
def test_mcap_of_any_recorder(tmp_path, profile, rename, definitions) -> None:
    topics = {RAW: map(bags.image, range(3)), INFO: [bags.camera_info()]}
    bag = bags.write_bag(tmp_path / "bag", topics, StoragePlugin.MCAP)
    path = rewritten_mcap(bag, tmp_path / "a.mcap", profile=profile, rename=rename, definitions=definitions)
    info, frames = read(RosbagSource(path))
    assert info.intrinsics is not None
    assert info.frame_count == 3
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, bags.picture(index))


def test_names_of_types_as_any_recorder_spells_them() -> None:
    for name in ("sensor_msgs/Image", "sensor_msgs/msg/Image", "sensor_msgs::msg::dds_::Image_", "sensor_msgs::Image"):
        assert ros_type_name(name) == "sensor_msgs/msg/Image"


@pytest.mark.parametrize("suffix", [".db3", ".mcap", ".bag"])
def test_a_compressed_file_of_a_bag(tmp_path, suffix, monkeypatch) -> None:
    topics = {RAW: map(bags.image, range(3))}
    if suffix == ".bag":
        file = bags.write_bag1(tmp_path / "a.bag", {RAW: map(bags1_image, range(3))})
    else:
        plugin = StoragePlugin.MCAP if suffix == ".mcap" else StoragePlugin.SQLITE3
        (file,) = bags.write_bag(tmp_path / "bag", topics, plugin).glob(f"*{suffix}")
    packed = tmp_path / f"alone{suffix}.zst"
    packed.write_bytes(zstandard.compress(file.read_bytes()))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    _, frames = read(RosbagSource(packed))
    assert [f.index for f in frames] == [0, 1, 2]
    assert not list((tmp_path / "temporary").iterdir())
    packed.write_bytes(b"nonsense" * 99)
    with raises_code(SourceOpenError, "damaged"):
        RosbagSource(packed).open()


def test_messages_that_were_compressed_one_by_one(tmp_path) -> None:
    bag = bags.Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3)
    bag.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with bag:
        connection = bag.add_connection(RAW, "sensor_msgs/msg/Image", typestore=bags.STORE)
        for index in range(3):
            bag.write(connection, index, bags.STORE.serialize_cdr(bags.image(index), "sensor_msgs/msg/Image"))
    for path in (tmp_path / "bag", *tmp_path.glob("bag/*.db3*")):
        assert len(read(RosbagSource(path))[1]) == 3


def test_the_reason_is_said_where_no_topic_can_be_chosen(tmp_path) -> None:
    short = bags.image(0)
    short.data = short.data[:99]
    topics = {"/a/image": [bags.image(0, "unheard_of")], "/b/image": [short]}
    with raises_code(SourceOpenError, "no-topic", naming=r"'/a/image'.*unheard_of.*'/b/image'.*cut off"):
        RosbagSource(bags.write_bag(tmp_path / "bag", topics)).open()
    with raises_code(SourceOpenError, "no-video", naming="unheard_of"):
        RosbagSource(tmp_path / "bag", "/a/image").open()


@pytest.mark.parametrize(
    ("name", "numbers", "wanted"),
    [
        ("none", [], ("plumb_bob", 0)),
        ("Inverse Brown Conrady", [0.0] * 5, ("plumb_bob", 0)),
        ("radtan", [0.1, -0.2, 0.01, 0.0], ("plumb_bob", 4)),
        ("Brown-Conrady", [0.1, -0.2, 0.01, 0.0, 0.0], ("plumb_bob", 5)),
        ("plumb_bob", [0.1, -0.2, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0], ("rational_polynomial", 8)),
        ("plumb_bob", [0.1, -0.2, 0.0, 0.0, 0.0, 0.0], ("plumb_bob", 5)),
        ("kannala_brandt", [0.1, 0.0, 0.0, 0.0], ("equidistant", 4)),
        ("fisheye", [0.1, 0.0, 0.0, 0.0, 0.0], ("equidistant", 4)),
        ("Inverse Brown Conrady", [0.1, 0.0, 0.0, 0.0, 0.0], ("plumb_bob", 0)),
        ("plumb_bob", [0.1, 0.2], ("plumb_bob", 0)),
    ],
)
def test_unusual_names_of_lenses_never_cost_the_focal_length(tmp_path, name, numbers, wanted) -> None:
    info = bags.camera_info(distortion_model=name, d=np.array(numbers))
    source = RosbagSource(bags.write_bag(tmp_path / "bag", {RAW: [bags.image(0)], INFO: [info]}))
    camera = read(source)[0].intrinsics
    assert camera is not None
    assert camera.fx == 40
    assert (camera.distortion_model, len(camera.distortion)) == wanted
    assert bool(source.notices) == (any(numbers) and not camera.distortion)


def test_pictures_of_another_size_are_scaled_to_the_first(tmp_path) -> None:
    messages = [bags.image(0), bags.image(1, size=(96, 64))]
    source = RosbagSource(bags.write_bag(tmp_path / "bag", {RAW: messages}))
    assert {f.image.shape for f in read(source)[1]} == {(32, 48, 3)}
    assert "differ in size" in source.notices[0]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_damaged_bag_has_its_own_code(tmp_path, plugin) -> None:
    bag = bags.write_bag(tmp_path / "bag", {RAW: map(bags.image, range(30))}, plugin)
    (file,) = [p for p in bag.iterdir() if p.suffix in (".mcap", ".db3")]
    file.write_bytes(file.read_bytes()[:9000])
    with raises_code(SourceError, "damaged") as caught:
        read(RosbagSource(bag))
    assert isinstance(caught.value, SourceOpenError | SourceLostError)
    file.write_bytes(b"nonsense" * 99)
    with raises_code(SourceOpenError, "damaged"):
        RosbagSource(bag).open()


def test_nothing_there_and_nothing_in_it(tmp_path) -> None:
    with raises_code(SourceOpenError, "not-found"):
        RosbagSource(tmp_path / "missing.mcap").open()
    with raises_code(SourceOpenError, "no-topic"):
        RosbagSource(bags.write_bag(tmp_path / "bag", {})).open()


def test_a_missing_package_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rosbags.highlevel", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"rosbags.*\[robot\]"):
        RosbagSource(tmp_path / "a.mcap").open()


@pytest.mark.usefixtures("quick_model")
def test_on_the_command_line(tmp_path, cli) -> None:
    bag = bags.write_bag(tmp_path / "bag", {RAW: map(bags.image, range(5)), INFO: [bags.camera_info()]})
    done = cli("convert", f"{bag}#{RAW}", "-o", tmp_path / "out.mp4")
    assert done.code == 0, done.err
    done = cli("probe", bag)
    assert "fx 40.0" in done.out
    (tmp_path / "two").mkdir()
    done = cli("convert", two_cameras(tmp_path / "two"), "-o", tmp_path / "b.mp4")
    assert done.code == 3
    assert "/left/image_raw" in done.err
