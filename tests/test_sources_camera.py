"""CameraSource against a camera that is not there: what it asks, reads back, and says when something fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_camera import FakeCapture

from streamdepth.errors import SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.sources import camera
from streamdepth.sources.camera import Camera, CameraSource, list_cameras


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(camera.sys, "platform", "linux")
    monkeypatch.setattr(camera, "_DEVICES", tmp_path / "video4linux")
    for number, index, name in ((0, 0, "HD Pro Webcam"), (1, 1, "HD Pro Webcam"), (2, 0, "Lab Camera")):
        node = tmp_path / "video4linux" / f"video{number}"
        node.mkdir(parents=True)
        (node / "name").write_text(f"{name}\n")
        (node / "index").write_text(f"{index}\n")
    FakeCapture.alive = 0
    yield
    assert FakeCapture.alive == 0, "a camera was not released"


def test_frames_are_rgb_with_times_in_microseconds() -> None:
    source = CameraSource(0)
    info = source.open()
    assert (info.width, info.height, info.fps, info.is_live) == (640, 480, 30, True)
    first = source.read()
    time.sleep(0.02)
    second = source.read()
    assert first is not None
    assert second is not None
    assert first.image[0, 0].tolist() == [0, 0, 200]
    assert 0.02 <= second.time - first.time < 1
    assert (first.index, second.index) == (0, 1)
    source.close()


def test_gray_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "gray", True)
    source = CameraSource(0)
    source.open()
    frame = source.read()
    assert frame is not None
    assert np.all(frame.image == 90)
    source.close()


def test_a_size_that_needs_mjpg_is_granted_with_it() -> None:
    source = CameraSource(0, size=(1280, 720), fps=30, fourcc="MJPG")
    assert source.open().width == 1280
    source.close()


def test_a_size_that_is_not_granted_lists_what_is_offered() -> None:
    with pytest.raises(SourceOpenError, match=r"asked for 1920x1080 px and gives 1280x720 px.*640x480, 1280x720"):
        CameraSource(0, size=(1920, 1080), fourcc="MJPG").open()


def test_a_rate_or_format_that_is_not_granted() -> None:
    with pytest.raises(SourceOpenError, match="asked for 60 frames per second and gives 30"):
        CameraSource(0, fps=60).open()
    with pytest.raises(SourceOpenError, match="asked for H264 and gives YUYV"):
        CameraSource(0, fourcc="H264").open()


@pytest.mark.parametrize("device", ["0", "HD Pro", "webcam"])
def test_devices_by_number_and_name(device: str) -> None:
    source = CameraSource(device)
    source.open()
    source.close()


def test_a_path_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "present", {"/dev/video7"})
    source = CameraSource("/dev/video7")
    source.open()
    source.close()


def test_missing_cameras_name_those_found() -> None:
    assert list_cameras() == [Camera(0, "HD Pro Webcam"), Camera(2, "Lab Camera")]
    with pytest.raises(SourceOpenError, match=r"found: 0 \(HD Pro Webcam\), 2 \(Lab Camera\)"):
        CameraSource(5).open()
    with pytest.raises(SourceOpenError, match="no camera found by the name 'moon'"):
        CameraSource("moon").open()
    with pytest.raises(SourceOpenError, match="2 cameras found"):
        CameraSource("cam").open()


def test_no_camera_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(camera, "_DEVICES", tmp_path / "none")
    with pytest.raises(SourceOpenError, match="no camera was found on this machine"):
        CameraSource(5).open()


def test_elsewhere_the_first_indices_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera.sys, "platform", "win32")
    assert [c.index for c in list_cameras()] == [0]


def test_a_camera_that_stalls_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "fails_after", 2)
    source = CameraSource(0, timeout_seconds=0.1)
    source.open()
    assert source.read() is not None
    assert source.read() is not None
    with pytest.raises(SourceLostError, match=r"no picture for 0\.1 seconds") as caught:
        source.read()
    assert isinstance(caught.value.__cause__, SourceTimeoutError)
    assert source.read() is None


def test_an_error_within_opencv_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    source = CameraSource(0)
    source.open()
    source.read()
    monkeypatch.setattr(FakeCapture, "read", lambda self: (_ for _ in ()).throw(cv2.error("bad jpeg")))
    with pytest.raises(SourceLostError, match="bad jpeg"):
        source.read()
    assert source.read() is None
    with pytest.raises(SourceOpenError, match="bad jpeg"):
        source.open()


def test_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "fails_after", 1)
    monkeypatch.setattr(FakeCapture, "unplugged", True)
    source = CameraSource(0)
    source.open()
    source.read()
    with pytest.raises(SourceLostError, match="unplugged"):
        source.read()


def test_a_camera_that_gives_nothing_fails_on_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "fails_after", 0)
    with pytest.raises(SourceTimeoutError):
        CameraSource(0, timeout_seconds=0.1).open()
    monkeypatch.setattr(FakeCapture, "unplugged", True)
    with pytest.raises(SourceOpenError):
        CameraSource(0, timeout_seconds=0.1).open()
