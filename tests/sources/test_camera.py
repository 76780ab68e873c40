"""CameraSource with a fake camera: its requests, what was granted, losses and error messages."""

from __future__ import annotations

import gc
import math
import random
import shutil
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.fake_camera import FakeCapture
from helpers.waiting import wait_until

from streamdepth.core.errors import SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.core.states import StateChange, StreamState
from streamdepth.sources import camera, camera_capture, camera_discovery
from streamdepth.sources.camera import CameraSource
from streamdepth.sources.camera_discovery import CameraDevice, CameraRequestError, list_cameras


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(camera_discovery.sys, "platform", "linux")
    monkeypatch.setattr(camera_discovery, "_V4L2_FOLDER", tmp_path / "video4linux")
    for number, index, name in ((0, 0, "HD Pro Webcam"), (1, 1, "HD Pro Webcam"), (2, 0, "Lab Camera")):
        add_device(tmp_path / "video4linux", number, index, name)
    FakeCapture.alive = 0
    yield
    assert FakeCapture.alive == 0, "a camera was not released"


def add_device(devices: Path, number: int, index: int, name: str) -> None:
    node = devices / f"video{number}"
    node.mkdir(parents=True)
    (node / "name").write_text(f"{name}\n")
    (node / "index").write_text(f"{index}\n")


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """Creates a fake of the folder where Linux lists its cameras."""
    return tmp_path / "video4linux"


def test_frames_are_rgb_with_times_in_microseconds() -> None:
    source = CameraSource(0)
    info = source.open()
    assert (info.width, info.height, info.fps, info.is_live) == (640, 480, 30, True)
    first = source.read()
    second, _, _, fifth = (source.read() for _ in range(4))
    assert first is not None
    assert second is not None
    assert fifth is not None
    assert first.image[0, 0].tolist() == [0, 0, 200]
    assert second.time - first.time > 0
    assert fifth.time - first.time == pytest.approx(fifth.captured_at - first.captured_at, abs=1e-5)
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
    with raises_code(CameraRequestError, "size-not-granted", naming=r"1920x1080 px.*1280x720 px.*640x480, 1280x720"):
        CameraSource(0, size=(1920, 1080), fourcc="MJPG").open()


def test_a_rate_or_format_that_is_not_granted() -> None:
    with raises_code(CameraRequestError, "fps-not-granted", naming="60.*30"):
        CameraSource(0, fps=60).open()
    with raises_code(CameraRequestError, "format-not-granted", naming="H264.*YUYV"):
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
    assert list_cameras() == [CameraDevice(0, "HD Pro Webcam"), CameraDevice(2, "Lab Camera")]
    with raises_code(SourceOpenError, "not-found", naming=r"0 \(HD Pro Webcam\), 2 \(Lab Camera\)"):
        CameraSource(5).open()
    with raises_code(SourceOpenError, "not-found", naming="'moon'"):
        CameraSource("moon").open()
    with raises_code(CameraRequestError, "ambiguous", naming="2 cameras"):
        CameraSource("cam").open()


def test_no_camera_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(camera_discovery, "_V4L2_FOLDER", tmp_path / "none")
    with raises_code(SourceOpenError, "not-found", naming="no camera"):
        CameraSource(5).open()


def test_elsewhere_the_first_indices_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_discovery.sys, "platform", "win32")
    assert [c.index for c in list_cameras()] == [0]


def test_elsewhere_no_camera_is_opened_to_see_whether_one_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_discovery.sys, "platform", "win32")
    monkeypatch.setattr(random, "uniform", lambda low, high: min(high, 1.0))
    opened, attempts = [], []
    real = camera_discovery.open_capture

    def looked(index: int | str) -> object:
        opened.append(index)
        return real(index)

    def attempted(index: int | str) -> object:
        attempts.append(index)
        return looked(index)

    monkeypatch.setattr(camera_discovery, "open_capture", looked)
    monkeypatch.setattr(camera_capture, "open_capture", attempted)
    source = CameraSource(0)
    source.open()
    assert opened == [0]
    source.states.add_listener(
        lambda change: (opened.clear(), attempts.clear()) if change.state == "reconnecting" else None
    )
    monkeypatch.setattr(FakeCapture, "present", set())
    timer = threading.Timer(1.0, lambda: monkeypatch.setattr(FakeCapture, "present", {0}))
    timer.start()
    for _ in range(5):
        assert source.read() is not None
    timer.join()
    source.close()
    assert len(opened) == len(attempts) + 8 * (len(attempts) - 1), "one that fails looks once, to tell what there is"


def test_a_device_that_vanishes_while_it_is_listed_is_left_out(devices: Path) -> None:
    add_device(devices, 4, 0, "gone")
    (devices / "video4" / "name").unlink()
    assert [c.index for c in list_cameras()] == [0, 2]


@pytest.mark.parametrize(
    ("device", "request_", "code"),
    [
        (0, {"size": (1920, 1080), "fourcc": "MJPG"}, "size-not-granted"),
        (0, {"fps": 60}, "fps-not-granted"),
        (0, {"fourcc": "H264"}, "format-not-granted"),
        ("cam", {}, "ambiguous"),
    ],
)
def test_a_request_that_cannot_be_granted_is_not_waited_for(device, request_, code) -> None:  # type: ignore[no-untyped-def]
    source = CameraSource(device, reconnect_seconds=math.inf, **request_)
    with raises_code(CameraRequestError, code):
        source.wait_until_open()
    assert source.state.value == "failed"


def test_a_camera_that_is_missing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "present", set())
    source = CameraSource(0, reconnect_seconds=math.inf)
    source.states.add_listener(
        lambda change: monkeypatch.setattr(FakeCapture, "present", {0}) if change.reason else None
    )
    assert source.wait_until_open() is not None
    assert [(c.state.value, bool(c.reason)) for c in source.states.changes[1:]] == [
        ("connecting", False),
        ("connecting", True),
        ("live", False),
    ]
    source.close()


def drained(source: CameraSource) -> Exception:
    """Reads until the source is lost, and returns the error; some pictures are read ahead."""
    with pytest.raises(SourceLostError) as caught:
        list(iter(source.read, None))
    assert source.read() is None
    return caught.value


def states(source: CameraSource) -> list[str]:
    return [change.state.value for change in source.states.changes]


def test_a_camera_that_stalls_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "fails_after", 2)
    source = CameraSource(0, timeout_seconds=0.1, reconnect_seconds=0)
    source.open()
    error = drained(source)
    assert "no picture for 0.1 seconds" in str(error)
    assert isinstance(error.__cause__, SourceTimeoutError)


@pytest.mark.slow
def test_a_camera_that_stalls_is_noticed_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stall is noticed after a second; the camera is unplugged then."""
    monkeypatch.setattr(FakeCapture, "fails_after", 2)

    def go_on(change: StateChange) -> None:
        if change.state is StreamState.STALLED:
            monkeypatch.setattr(FakeCapture, "unplugged", True)
        if change.state is StreamState.RECONNECTING:
            monkeypatch.setattr(FakeCapture, "unplugged", False)
            monkeypatch.setattr(FakeCapture, "fails_after", None)

    source = CameraSource(0, timeout_seconds=30)
    source.states.add_listener(go_on)
    source.open()
    times = [frame.time for frame in (source.read() for _ in range(6)) if frame]
    assert states(source) == ["closed", "connecting", "live", "stalled", "reconnecting", "live"]
    assert times == sorted(set(times))
    assert len(times) == 6
    source.close()


@pytest.mark.slow
def test_a_read_that_hangs_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    source = CameraSource(0, timeout_seconds=0.1)

    def go_on(change: StateChange) -> None:
        if change.state is StreamState.RECONNECTING:
            monkeypatch.setattr(FakeCapture, "hangs", None)
            monkeypatch.setattr(camera, "_DRIVER_SECONDS", 30)

    source.states.add_listener(go_on)
    source.open()
    assert source.read() is not None
    monkeypatch.setattr(FakeCapture, "hangs", release)
    monkeypatch.setattr(camera, "_DRIVER_SECONDS", 0.1)
    for _ in range(6):
        assert source.read() is not None
    assert source.states.abandoned_readers == 1
    assert source.reconnects == 1
    source.close()
    release.set()
    wait_until(lambda: FakeCapture.alive == 0)


def test_an_error_within_opencv_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    source = CameraSource(0, reconnect_seconds=0)
    source.open()
    source.read()
    monkeypatch.setattr(FakeCapture, "read", lambda self: (_ for _ in ()).throw(cv2.error("bad jpeg")))
    assert "bad jpeg" in str(drained(source))
    with raises_code(SourceOpenError, "undecodable", naming="bad jpeg"):
        source.open()


def test_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    source = CameraSource(0, reconnect_seconds=0)
    source.open()
    source.read()
    monkeypatch.setattr(FakeCapture, "present", set())
    assert "unplugged" in str(drained(source))


@pytest.mark.parametrize("number", [0, 4])
def test_unplugged_and_plugged_in_again(monkeypatch: pytest.MonkeyPatch, devices: Path, number: int) -> None:
    """The camera may come back under another number, and is found by its name."""
    source = CameraSource(0, timeout_seconds=1)

    def plug_in() -> None:
        shutil.rmtree(devices / "video0")
        shutil.rmtree(devices / "video1")
        add_device(devices, number, 0, "HD Pro Webcam")
        monkeypatch.setattr(FakeCapture, "present", {number})

    source.states.add_listener(lambda change: plug_in() if change.state == "reconnecting" else None)
    source.open()
    source.read()
    monkeypatch.setattr(FakeCapture, "present", set())
    times = [frame.time for frame in (source.read() for _ in range(6)) if frame]
    assert len(times) == 6
    assert times == sorted(set(times))
    assert source.reconnects == 1
    assert "unplugged" in source.states.changes[-2].reason
    source.close()


def test_a_lost_connection_is_gone_without_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    source = CameraSource(0, timeout_seconds=1)
    source.states.add_listener(
        lambda change: monkeypatch.setattr(FakeCapture, "present", {0}) if change.state == "reconnecting" else None
    )
    gc.disable()
    try:
        source.open()
        assert source.read() is not None
        assert source._connection is not None
        lost = weakref.ref(source._connection)
        monkeypatch.setattr(FakeCapture, "present", set())
        while source.reconnects == 0:
            assert source.read() is not None
        assert lost() is None
    finally:
        gc.enable()
    source.close()


def test_a_camera_that_changes_its_size_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = CameraSource(0)
    source.open()
    assert source.read() is not None
    assert source._connection is not None
    monkeypatch.setattr(FakeCapture, "default_size", (1280, 720))
    source._connection._capture._size = (1280, 720)
    while (news := source.take_changed_info()) is None:
        frame = source.read()
        assert frame is not None
    assert (news.width, news.height) == frame.size == (1280, 720)
    assert "another size" in source.states.changes[-2].reason
    source.close()


@pytest.mark.slow
def test_the_return_of_a_camera_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch, devices: Path) -> None:
    """The next attempt comes at once, however long the wait would have been."""
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0 if high < 1 else 1000.0)
    source = CameraSource(0, timeout_seconds=1)
    source.open()
    source.read()
    shutil.move(devices / "video0", devices.parent / "away")
    monkeypatch.setattr(FakeCapture, "present", set())

    def plug_in() -> None:
        monkeypatch.setattr(FakeCapture, "present", {0})
        shutil.move(devices.parent / "away", devices / "video0")

    timer = threading.Timer(1.0, plug_in)
    timer.start()
    for _ in range(5):
        assert source.read() is not None
    timer.join()
    source.close()


def test_a_camera_that_gives_nothing_fails_on_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "fails_after", 0)
    with pytest.raises(SourceTimeoutError):
        CameraSource(0, timeout_seconds=0.1).open()
    monkeypatch.setattr(FakeCapture, "unplugged", True)
    with pytest.raises(SourceOpenError):
        CameraSource(0, timeout_seconds=0.1).open()
