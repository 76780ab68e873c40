"""The camera for LeRobot, through LeRobot's own interface, or a stand-in for it where it is not installed."""

from __future__ import annotations

import importlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.lerobot_package import lerobot_package

import streamdepth
from streamdepth import factory
from streamdepth.core.errors import ConfigError, SourceLostError
from streamdepth.core.types import DepthKind
from streamdepth.geometry.camera_files import read_camera_file
from streamdepth.sources.camera_discovery import CameraDevice
from streamdepth.testing import ConstantEstimator, SyntheticSource


class Stage:
    """A live source of 64x48 px, whose frames after the first one come while `frame_due` is set, and a model.

    Depth in meters is the brightness of the picture, plus 0.1.
    """

    def __init__(self) -> None:
        self.count, self.kind, self.frame_due = 1000, DepthKind.METRIC, threading.Event()
        self.frame_due.set()

    def source(self, *_: object, **__: object) -> SyntheticSource:
        return SyntheticSource(self.count, is_live=True, delay_seconds=0.005, before_read=self.wait)

    def wait(self, index: int) -> None:
        if index > 0:
            self.frame_due.wait(20)

    def estimator(self, *_: object) -> ConstantEstimator:
        return ConstantEstimator(self.kind, size=(48, 64), from_brightness=True)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage()
    monkeypatch.setattr("streamdepth.sources.camera.CameraSource", stage.source)
    monkeypatch.setattr(factory, "make_estimator", stage.estimator)
    yield stage
    stage.frame_due.set()


@pytest.fixture
def make_camera(stage: Stage) -> Iterator[Callable[..., Any]]:
    """Makes a camera as LeRobot does: its package is imported, then the type is found by its name."""
    cameras: list[Any] = []

    def make(**fields: Any) -> Any:
        importlib.import_module("streamdepth.apps.lerobot.camera")
        configs = importlib.import_module("lerobot.cameras.configs")
        find = importlib.import_module("lerobot.utils.import_utils").make_device_from_device_class
        choice = configs.CameraConfig.get_choice_class("streamdepth")
        cameras.append(find(choice(**{"source": "0", **fields})))
        return cameras[-1]

    with lerobot_package():
        yield make
        for camera in cameras:
            if camera.is_connected:
                camera.disconnect()


def test_a_robot_reads_pictures_and_their_depth_in_millimeters(make_camera) -> None:
    camera = make_camera(width=64, height=48)
    with camera:
        assert (camera.width, camera.height, camera.use_rgb, camera.use_depth) == (64, 48, True, True)
        picture, depth = camera.read_latest(max_age_ms=20_000), camera.read_latest_depth(max_age_ms=20_000)
        assert (picture.shape, picture.dtype, picture.flags.writeable) == ((48, 64, 3), np.uint8, True)
        assert (depth.shape, depth.dtype) == ((48, 64, 1), np.uint16)
    assert not camera.is_connected


def test_depth_is_that_of_the_picture_in_millimeters(make_camera, stage, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text("smooth: 'off'\n")
    with make_camera(config_path=tmp_path / "run.yaml") as camera:
        for _ in range(5):
            picture = camera.read_latest(max_age_ms=60_000)
            read_two(camera)
            depth = camera.read_latest_depth(max_age_ms=60_000)
            expected = 1000 * (0.1 + picture.mean(axis=2) / 255)
            np.testing.assert_allclose(depth[..., 0], expected, atol=0.51)
            assert len(np.unique(depth)) > 10


def test_a_picture_that_is_too_old_gives_its_place_to_newer_depth(make_camera, stage, monkeypatch, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text("smooth: 'off'\n")
    stage.frame_due.clear()
    with make_camera(config_path=tmp_path / "run.yaml") as camera:
        picture = camera.read_latest(max_age_ms=60_000)
        stage.frame_due.set()
        read_two(camera)
        monkeypatch.setattr("streamdepth.apps.lerobot.camera.camera.age_seconds", lambda _: 61.0)
        depth = camera.read_latest_depth(max_age_ms=60_000)
    assert np.abs(depth[..., 0] - 1000 * (0.1 + picture.mean(axis=2) / 255)).max() > 1


def read_two(camera: Any) -> None:
    """Waits until another frame has come; the first read may return one that was there before."""
    camera.read()
    camera.read()


def test_the_readme_names_a_camera_that_lerobot_can_make(make_camera, tmp_path, monkeypatch) -> None:
    text = (Path(streamdepth.__file__).parent / "apps/lerobot/README.md").read_text(encoding="utf-8")
    (package,) = re.findall(r"--robot.discover_packages_path=(\S+)", text)
    (cameras,) = re.findall(r"--robot.cameras='(.*)'", text)
    ((name, fields),) = yaml.safe_load(cameras).items()
    assert (name, fields.pop("type"), package) == ("front", "streamdepth", "streamdepth.apps.lerobot.camera")
    monkeypatch.chdir(tmp_path)
    Path("scene.yaml").write_text("camera: {fov: 70}\n")
    Path("DATASET/meta").mkdir(parents=True)
    paths = {name: Path(fields[name]) for name in ("config_path", "intrinsics_path")}
    with make_camera(**fields | paths | {"width": 64, "height": 48}) as camera:
        assert camera.fps == 30
    written = read_camera_file(paths["intrinsics_path"])
    assert (written.width, written.height) == (64, 48)


def test_async_reads_return_each_frame_once(make_camera, stage) -> None:
    with make_camera() as camera:
        first = camera.async_read(timeout_ms=20_000)
        assert not np.array_equal(first, camera.async_read(timeout_ms=20_000))
        assert camera.async_read_depth(timeout_ms=20_000).dtype == np.uint16
        assert camera.read().shape == (48, 64, 3)


def test_a_stale_frame_is_a_timeout(make_camera, stage) -> None:
    stage.frame_due.clear()
    with make_camera() as camera:
        with pytest.raises(TimeoutError):
            camera.async_read(timeout_ms=100)
        with pytest.raises(TimeoutError):
            camera.read_latest(max_age_ms=50)
        with pytest.raises(TimeoutError):
            camera.read_latest_depth(max_age_ms=50)
        assert camera.read_latest(max_age_ms=60_000).shape == (48, 64, 3)
        stage.frame_due.set()


def test_relative_depth_is_refused_and_its_pictures_are_not(make_camera, stage) -> None:
    stage.kind = DepthKind.RELATIVE
    camera = make_camera()
    with pytest.raises(ConfigError) as refused:
        camera.connect()
    assert (refused.value.code, camera.is_connected) == ("relative-depth", False)
    with make_camera(use_depth=False) as pictures:
        assert pictures.read().shape == (48, 64, 3)
        with pytest.raises(RuntimeError):
            pictures.read_latest_depth()


def test_intrinsics_are_written_and_read_back_by_streamdepth(make_camera, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text("camera: {fov: 90}\n")
    path = tmp_path / "front_camera.json"
    with make_camera(config_path=tmp_path / "run.yaml", intrinsics_path=path) as camera:
        assert camera.intrinsics.fx == pytest.approx(32)  # half the width over tan 45 degrees
    facts = json.loads(path.read_text())
    assert (facts["cx"], facts["cy"], facts["width"], facts["height"]) == (31.5, 23.5, 64, 48)
    assert read_camera_file(path) == camera.intrinsics


def test_intrinsics_of_an_unknown_camera_are_not_invented(make_camera, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        make_camera(intrinsics_path=tmp_path / "camera.json").connect()
    assert refused.value.code == "no-camera"
    assert not list(tmp_path.iterdir())


def test_another_size_than_the_robot_announces_is_an_error(make_camera) -> None:
    with pytest.raises(RuntimeError, match="64x48"):
        make_camera(width=640, height=480).connect()


def test_reading_before_connecting_and_connecting_twice_are_lerobots_errors(make_camera) -> None:
    camera = make_camera()
    errors = importlib.import_module("lerobot.utils.errors")
    for read in (camera.read, camera.async_read, camera.read_latest, camera.read_latest_depth, camera.disconnect):
        with pytest.raises(errors.DeviceNotConnectedError):
            read()
    with camera, pytest.raises(errors.DeviceAlreadyConnectedError):
        camera.connect()


def read_on(camera: Any) -> None:
    while True:
        camera.async_read(timeout_ms=20_000)


def test_the_end_of_the_stream_is_an_error_of_the_next_read(make_camera, stage) -> None:
    stage.count = 3
    with make_camera() as camera:
        with pytest.raises(SourceLostError) as ended:
            read_on(camera)
        with pytest.raises(SourceLostError):
            camera.read_latest(max_age_ms=60_000)
    assert ended.value.code == "ended"


def test_webcams_are_listed_as_lerobot_lists_them(make_camera, monkeypatch) -> None:
    monkeypatch.setattr(
        "streamdepth.sources.camera_discovery.read_v4l2_cameras", lambda: [CameraDevice(2, "HD Webcam")]
    )
    monkeypatch.setattr("sys.platform", "linux")
    assert make_camera().find_cameras() == [{"type": "streamdepth", "id": 2, "name": "HD Webcam"}]
