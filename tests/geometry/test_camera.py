"""Cameras: where they come from, and that they stay with the pictures."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers import media
from helpers.errors import raises_code
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import streamdepth
from streamdepth import config, factory
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.camera import (
    CameraSpec,
    Undistorter,
    camera_info_yaml,
    intrinsics_from_35mm,
    intrinsics_from_exif,
    intrinsics_from_metadata,
)
from streamdepth.geometry.camera_files import read_camera_file
from streamdepth.geometry.projection import project
from streamdepth.sources.browser import BrowserSource
from streamdepth.sources.calibrated import CalibratedSource
from streamdepth.sources.file import FileSource
from streamdepth.sources.images import ImagesSource
from streamdepth.testing import SyntheticSource

CAMERA = Intrinsics(500.0, 510.0, 322.0, 241.0, 640, 480, (-0.3, 0.1, 0.001, -0.002, 0.02))
FISHEYE = replace(CAMERA, distortion=(0.05, -0.02, 0.004, 0.0), distortion_model="equidistant")
IDEAL_FISHEYE = replace(FISHEYE, distortion=(0.0, 0.0, 0.0, 0.0))
"""Angles from the axis are distances in the picture, which is far from a pinhole."""


@pytest.mark.parametrize(
    "camera", [CAMERA, FISHEYE, IDEAL_FISHEYE, CAMERA.pinhole], ids=["radial", "fisheye", "ideal", "pinhole"]
)
def test_camera_info_comes_back_as_it_was_written(camera: Intrinsics, tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(camera_info_yaml(camera))
    assert read_camera_file(tmp_path / "camera.yaml") == camera


ECHO = """header: {stamp: {sec: 1, nanosec: 0}, frame_id: front}
height: 480
width: 640
distortion_model: plumb_bob
d: [-0.3, 0.1, 0.001, -0.002, 0.02]
k: [500.0, 0.0, 322.0, 0.0, 510.0, 241.0, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [500.0, 0.0, 322.0, 0.0, 0.0, 510.0, 241.0, 0.0, 0.0, 0.0, 1.0, 0.0]
---
"""


def test_what_ros2_topic_echo_prints_is_a_camera(tmp_path: Path) -> None:
    (tmp_path / "echo.yaml").write_text(ECHO)
    assert read_camera_file(tmp_path / "echo.yaml") == CAMERA


def test_flat_json_is_a_camera(tmp_path: Path) -> None:
    facts = {"width": 640, "height": 480, "fx": 500, "fy": 510, "cx": 322, "cy": 241}
    (tmp_path / "camera.json").write_text(json.dumps(facts))
    assert read_camera_file(tmp_path / "camera.json") == CAMERA.pinhole


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "camera_matrix"),
        ("a: [", "YAML"),
        ("image_width: 640\nimage_height: 480", "camera_matrix"),
        (ECHO.replace("plumb_bob", "odd"), "odd"),
        (ECHO.replace("0.02]", "0.02, 1, 1]"), "4 or 5"),
        (ECHO.replace("k: [500.0", "k: [-500.0"), "focal lengths"),
        (ECHO.replace("k: [500.0", "k: [.nan"), "focal lengths"),
        (ECHO.replace("k: [500.0, ", "k: ["), "9 numbers"),
    ],
)
def test_a_file_that_is_no_camera_says_why(text: str, fact: str, tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(text)
    with raises_code(ConfigError, "bad-camera") as caught:
        read_camera_file(tmp_path / "camera.yaml")
    assert fact in str(caught.value)


def test_a_camera_file_that_is_not_there(tmp_path: Path) -> None:
    with raises_code(ConfigError, "unreadable"):
        CameraSpec(tmp_path / "none.yaml").intrinsics(640, 480)


def test_a_field_of_view_and_a_focal_length_are_the_same_camera() -> None:
    camera, same = CameraSpec(fov=90).intrinsics(640, 480), CameraSpec(fx=320.0).intrinsics(640, 480)
    assert camera is not None
    assert same is not None
    assert (camera.fx, camera.fy) == pytest.approx((same.fx, same.fy))
    assert (camera.cx, camera.cy) == (same.cx, same.cy) == (319.5, 239.5)
    assert math.degrees(2 * math.atan(320 / camera.fx)) == pytest.approx(90)


def test_a_camera_of_another_size_is_resized_and_of_another_shape_refused(tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(camera_info_yaml(CAMERA))
    spec = CameraSpec(tmp_path / "camera.yaml")
    assert spec.intrinsics(320, 240) == CAMERA.resized(320, 240)
    with raises_code(ConfigError, "wrong-shape"):
        spec.intrinsics(640, 360)


@pytest.mark.parametrize("given", [{"fov": 60, "fx": 300}, {"file": Path("a"), "fov": 60}, {"cx": 3}])
def test_a_camera_given_twice_or_in_part_is_refused(given: dict[str, float]) -> None:
    with raises_code(ConfigError, "conflict"):
        CameraSpec(**given)  # type: ignore[arg-type]


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(0, 100), st.integers(0, 100))
def test_a_point_stays_where_it_is_when_the_picture_is_resized_or_cropped(w: int, h: int, x: int, y: int) -> None:
    """The ray of a pixel's corner, which is at the same place of the picture at every size."""
    resized, cropped = CAMERA.resized(w, h), CAMERA.cropped(x, y, 500, 300)
    corner = (-0.5 - CAMERA.cx) / CAMERA.fx
    assert (-0.5 - resized.cx) / resized.fx == pytest.approx(corner)
    assert (-0.5 - x - cropped.cx) / cropped.fx == pytest.approx(corner)
    assert cropped.distortion == resized.distortion == CAMERA.distortion


def test_exif_tells_the_camera_and_orientation_keeps_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    exif[0x0112] = 6
    Image.new("RGB", (400, 300)).save(tmp_path / "a.jpg", exif=exif)
    source = ImagesSource(tmp_path / "a.jpg")
    camera = source.open().intrinsics
    source.close()
    assert camera == intrinsics_from_35mm(26, 300, 400)
    assert camera is not None
    assert math.degrees(2 * math.atan(math.hypot(300, 400) / 2 / camera.fx)) == pytest.approx(79.5, abs=0.1)


@pytest.mark.parametrize("value", [0, -3, "x", None, float("nan"), (1, 0)])
def test_damaged_exif_is_no_camera(value: object) -> None:
    class Exif:
        def get_ifd(self, _: int) -> dict[int, object]:
            return {0xA405: value}

    assert intrinsics_from_exif(Exif(), 400, 300) is None


def test_a_phones_video_tells_its_camera(tmp_path: Path) -> None:
    tag = "com.apple.quicktime.camera.focal_length.35mm_equivalent"
    media.write_video(tmp_path / "plain.mp4", count=2)
    with (
        av.open(tmp_path / "plain.mp4") as source,
        av.open(tmp_path / "a.mov", "w", options={"movflags": "use_metadata_tags"}) as copy,
    ):
        copy.metadata[tag] = "28"
        track = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                copy.mux(packet)
    opened = FileSource(tmp_path / "a.mov")
    info = opened.open()
    opened.close()
    assert info.intrinsics == intrinsics_from_35mm(28, info.width, info.height)
    assert intrinsics_from_metadata({tag: "long"}, 4, 3) is None


@pytest.mark.parametrize("camera", [CAMERA, FISHEYE, IDEAL_FISHEYE], ids=["radial", "fisheye", "ideal"])
def test_undistorting_puts_a_point_where_a_pinhole_would_see_it(camera: Intrinsics) -> None:
    points, zero = np.array([[[-0.3, 0.2, 1.0]], [[0.25, -0.3, 1.0]], [[0.0, 0.0, 1.0]]]), np.zeros(3)
    project = cv2.fisheye.projectPoints if camera.is_fisheye else cv2.projectPoints
    seen = project(points, zero, zero, camera.matrix, np.array(camera.distortion))[0].reshape(-1, 2)
    straight = cv2.projectPoints(points, zero, zero, camera.matrix, None)[0].reshape(-1, 2)
    image = np.zeros((480, 640, 3), np.uint8)
    for x, y in seen:
        cv2.circle(image, (round(x), round(y)), 4, (255, 255, 255), -1)
    undone = Undistorter(camera)(image)[..., 0] > 127
    count, _, _, centers = cv2.connectedComponentsWithStats(undone.astype(np.uint8))
    assert count == 1 + len(straight)
    for point in straight:
        assert np.linalg.norm(centers[1:] - point, axis=1).min() < 1.5


@pytest.mark.parametrize(
    ("model", "numbers"),
    [("omnidirectional", (1.2, -0.2, 0.03, 0.001, 0.0)), ("double_sphere", (-0.2, 0.57)), ("fov", (0.9,))],
)
def test_undistorting_other_lenses_makes_a_line_straight(model: str, numbers: tuple[float, ...]) -> None:
    """The picture of a straight line in space lies on the line that the pinhole sees, to a pixel."""
    camera = Intrinsics(500, 500, 319.5, 239.5, 640, 480, numbers, model)
    along = np.linspace(-1, 1, 400)
    points = np.stack([along, 0.2 + 0.1 * along, np.ones_like(along)], axis=-1)
    image = np.zeros((480, 640, 3), np.uint8)
    for x, y in np.rint(project(points, camera)).astype(int):
        cv2.circle(image, (x, y), 2, (255, 255, 255), -1)
    rows, columns = np.nonzero(Undistorter(camera)(image)[..., 0] > 127)
    straight = camera.pinhole
    x = (columns - straight.cx) / straight.fx
    assert np.ptp(columns) > 300
    assert np.abs((rows - straight.cy) / straight.fy - 0.2 - 0.1 * x).max() * straight.fy < 4


def test_a_lens_source_gives_every_frame_undistorted_with_its_pinhole(tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(camera_info_yaml(CAMERA))
    plain, choice = SyntheticSource(count=2), CameraSpec(tmp_path / "camera.yaml")
    source = CalibratedSource(SyntheticSource(count=2), choice, undistort=True)
    info = source.open()
    assert info.intrinsics == CAMERA.resized(64, 48).pinhole
    frame = source.read()
    assert frame is not None
    assert (frame.image != plain.image_at(0)).any()
    source.close()


def test_another_size_has_another_camera_and_opening_again_forgets_it(tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text(camera_info_yaml(CAMERA))
    page = BrowserSource(size=(64, 48))
    source = CalibratedSource(page, CameraSpec(tmp_path / "camera.yaml"), undistort=True)
    assert source.open().intrinsics == CAMERA.resized(64, 48).pinhole
    for size, known in (((128, 96), CAMERA.resized(128, 96).pinhole), ((50, 50), None)):
        page.put_image(np.full((*size[::-1], 3), 200, np.uint8))
        frame, news = source.read(), source.take_changed_info()
        assert frame is not None
        assert news is not None
        assert frame.image.shape == (*size[::-1], 3)
        assert (news.width, news.intrinsics) == (size[0], known)
    assert "camera is unknown" in source.notices[0]
    page.put_image(np.full((48, 64, 3), 200, np.uint8))
    source.read()
    source.open()
    assert source.take_changed_info() is None
    source.close()


def test_undistorting_nothing_says_so() -> None:
    source = CalibratedSource(SyntheticSource(count=1), CameraSpec(fov=60), undistort=True)
    source.open()
    source.close()
    assert "no distortion is known" in source.notices[0]


@pytest.mark.slow
def test_the_settings_camera_reaches_every_item_and_wins(tmp_path: Path) -> None:
    media.write_video(tmp_path / "a.mp4", count=2)
    items = list(streamdepth.stream(tmp_path / "a.mp4", fov=70, smooth="off"))
    width, height = items[0].frame.image.shape[1::-1]
    assert [item.intrinsics for item in items] == [Intrinsics.from_fov(70, width, height)] * 2


@pytest.mark.slow
def test_a_pictures_camera_comes_with_its_depth() -> None:
    depth = streamdepth.estimate(Image.new("RGB", (64, 48)), fov=50)
    assert depth.intrinsics == Intrinsics.from_fov(50, 64, 48)


@pytest.mark.usefixtures("quick_model")
def test_probe_says_the_camera_and_a_wrong_one_ends_with_2(cli, tmp_path: Path) -> None:
    media.write_video(tmp_path / "a.mp4", count=2)
    assert "unknown; --fov" in cli("probe", tmp_path / "a.mp4").out
    assert "fx 100.0" in cli("probe", tmp_path / "a.mp4", "--fx", 100).out
    done = cli("probe", tmp_path / "a.mp4", "--fov", 60, "--fx", 100)
    assert done.code == 2
    assert "given twice" in done.err


def test_no_camera_adds_no_stage() -> None:
    assert isinstance(factory.make_source("x.mp4", config.make()), FileSource)
