"""Several cameras in one run: each has its name, camera, measurements and mount, and all go into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers import bags
from helpers.errors import raises_code
from helpers.rerun_server import columns
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory as ProtobufDecoder
from mcap_ros2.decoder import DecoderFactory

from streamdepth import config, factory
from streamdepth.apps.batch.tasks import is_batch
from streamdepth.core.errors import ConfigError
from streamdepth.factory.robots import make_robot_options
from streamdepth.factory.streams import plan_streams

LEFT, RIGHT = "/left/image_raw", "/right/image_raw"


def two_cameras(folder: Path) -> Path:
    """Returns a bag of two cameras with frames of their own, and a depth topic of each."""
    topics: dict[str, Any] = {}
    for side, meters in (("left", 2.0), ("right", 3.0)):
        frame = f"{side}_optical_frame"
        pictures = [bags.image(i) for i in range(3)]
        depth = [bags.image(i, "16UC1", np.full((32, 48), meters * 1000, np.uint16)) for i in range(3)]
        for i in range(3):
            pictures[i].header = depth[i].header = bags.header(i, frame)
        info = bags.camera_info(header=bags.header(0, frame), d=np.zeros(5))
        topics |= {f"/{side}/image_raw": pictures, f"/{side}/camera_info": [info], f"/{side}/depth": depth}
    return bags.write_bag(folder / "bag", topics)


def run(settings: config.Settings) -> None:
    with factory.open_pipeline(settings) as pipeline:
        pipeline.run()


def messages(path: Path) -> dict[str, list[Any]]:
    """Returns topic -> decoded messages."""
    found: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory(), ProtobufDecoder()])
        for _, channel, _, message in reader.iter_decoded_messages():
            found.setdefault(channel.topic, []).append(message)
    return found


def test_several_topics_of_one_bag_go_into_one_mcap(tmp_path) -> None:
    bag, out = two_cameras(tmp_path), tmp_path / "all.mcap"
    streams = [
        {"source": f"{bag}#{LEFT}", "mount": "0.2,0.1,1", "metric": {"depth_from": "/left/depth"}},
        {"source": f"{bag}#{RIGHT}", "mount": "0.2,-0.1,1,0,20,0", "metric": {"depth_from": "/right/depth"}},
    ]
    settings = config.make(streams=streams, depth_out=out, depth_from="/left/depth", smooth="off")
    assert not is_batch(settings)
    run(settings)
    found = messages(out)
    for side, meters in (("left", 2.0), ("right", 3.0)):
        images = found[f"/camera_{side}/depth/image_rect_raw"]
        assert len(images) == len(found[f"/camera_{side}/scan"]) == 3
        assert {message.header.frame_id for message in images} == {f"{side}_optical_frame"}
        np.testing.assert_allclose(np.frombuffer(bytes(images[0].data), "<f4"), meters)
    transforms = {t.child_frame_id: t for message in found["/tf"] for t in message.transforms}
    assert set(transforms) == {f"{side}_optical_frame{end}" for side in ("left", "right") for end in ("", "_level")}
    place = transforms["right_optical_frame"]
    assert (place.header.frame_id, place.transform.translation.y) == ("base_link", -0.1)
    assert transforms["left_optical_frame_level"].transform.rotation.w == pytest.approx(0.5)


def test_several_topics_of_one_bag_go_into_one_rrd(tmp_path) -> None:
    bag, out = two_cameras(tmp_path), tmp_path / "all.rrd"
    streams = [
        {"source": f"{bag}#/{side}/image_raw", "metric": {"depth_from": f"/{side}/depth"}} for side in ("left", "right")
    ]
    settings = config.make(streams=streams, depth_out=out, depth_from="/left/depth", smooth="off")
    assert not is_batch(settings)
    run(settings)
    read = columns(out)
    for side, meters in (("left", 2.0), ("right", 3.0)):
        depth = read[f"/camera_{side}/depth"]["DepthImage:buffer"]
        assert len(depth) == 3
        np.testing.assert_allclose(np.array(depth[0][0], np.uint8).view("<f4"), meters)


def test_foxgloves_schemas_have_the_mount_too(tmp_path) -> None:
    bag, out = two_cameras(tmp_path), tmp_path / "one.mcap"
    run(
        config.make(
            source=f"{bag}#{LEFT}", mount="0.2,0.1,1", depth_from="/left/depth", depth_out=out, robot_schemas="foxglove"
        )
    )
    place, level = messages(out)["/tf"][0].transforms
    assert (level.parent_frame_id, level.child_frame_id) == ("left_optical_frame", "left_optical_frame_level")
    assert (place.parent_frame_id, place.child_frame_id) == ("base_link", "left_optical_frame")
    assert (place.translation.x, place.translation.y, place.translation.z) == (0.2, 0.1, 1)
    assert place.rotation.w == pytest.approx(0.5)


def test_each_stream_has_settings_of_its_own(tmp_path) -> None:
    streams = [
        {"source": "rtsp://a/1", "name": "front", "camera": {"fx": 700}, "metric": {"camera_height": "1.2m"}},
        {"source": "rtsp://b/1", "mount": "0,0,2,0,30,0@base_footprint"},
    ]
    settings = config.make(streams=streams, fx=500, camera_height="0.8m", camera_info="calibration/{name}.yaml")
    front, other = plan_streams(settings)
    assert (front.address, front.name, other.name) == ("rtsp://a/1", "front", "b_1")
    assert (front.settings.camera.fx, other.settings.camera.fx) == (700, 500)
    assert (front.settings.metric.camera_height, other.settings.metric.camera_height) == ("1.2m", "0.8m")
    assert [str(plan.settings.camera.info) for plan in (front, other)] == [
        "calibration/front.yaml",
        "calibration/b_1.yaml",
    ]
    options = [make_robot_options(plan.settings, plan.name) for plan in (front, other)]
    assert [o.namespace for o in options] == ["/camera_front", "/camera_b_1"]
    assert options[0].mount is None
    assert options[1].mount.parent == "base_footprint"
    assert [o.zone.pitch_degrees for o in options] == [0.0, 30.0]


def test_names_and_mounts_are_repeated_flags(tmp_path, cli) -> None:
    bag, out = two_cameras(tmp_path), tmp_path / "all.mcap"
    flags = ("--name", "l", "--name", "r", "--mount", "0,0.1,1", "--mount", "0,-0.1,1")
    done = cli(
        *("convert", f"{bag}#{LEFT}", f"{bag}#{RIGHT}", "--depth-from", f"{bag}#/left/depth", *flags),
        *("--depth-out", out, "--smooth", "off"),
    )
    assert done.code == 3, "the right camera is elsewhere than the depth of the left"
    assert {topic.split("/")[1] for topic in messages(out)} == {"camera_l", "tf"}


@pytest.mark.parametrize(
    "values",
    [
        {"source": ("a", "b"), "name": "front"},
        {"source": ("a", "b"), "mount": "0,0,1"},
        {"source": "c", "streams": [{"source": "a"}]},
        {"streams": [{"source": "a"}], "name": "front"},
    ],
)
def test_what_does_not_fit_together_is_refused(values) -> None:
    with raises_code(ConfigError, "conflict"):
        config.make(**values)


def test_places_in_one_cameras_picture_are_not_taken_for_those_of_all(tmp_path) -> None:
    bag = two_cameras(tmp_path)
    sources = (f"{bag}#{LEFT}", f"{bag}#{LEFT.replace('left', 'right')}")
    with raises_code(ConfigError, "conflict", naming=r"streams: \[\{source: .*metric"):
        run(config.make(source=sources, anchor="1,1=2m", depth_out=tmp_path / "o.mcap"))


def test_a_misspelt_key_of_a_stream_is_named(tmp_path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump({"streams": [{"source": "0", "nmae": "front"}]}))
    with raises_code(ConfigError, "unknown-setting", naming=r"streams\.0\.nmae.*did you mean"):
        config.load(file)


def test_segments_of_several_streams_need_a_folder(tmp_path) -> None:
    settings = config.make(
        source=("rtsp://a/1", "rtsp://b/1"), depth_out=tmp_path / "x.mcap", segment="10s", camera_height="1m"
    )
    with raises_code(ConfigError, "segment"), factory.open_pipeline(settings):
        pass
