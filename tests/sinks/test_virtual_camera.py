"""A virtual webcam, against a fake pyvirtualcam: this needs a driver that test machines do not have."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, stream

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.sinks.virtual_camera import VirtualCameraSink


class FakeCamera:
    """Checks what the real one checks: size, type and layout of the pictures."""

    def __init__(self, width: int, height: int, fps: float, *, fmt: str, device: str | None) -> None:
        if device == "/dev/video99":
            raise RuntimeError("device not found")
        self.width, self.height, self.fps, self.device = width, height, fps, device
        self.frames: list[np.ndarray] = []
        self.closed = False
        assert fmt == "RGB"

    def send(self, frame: np.ndarray) -> None:
        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"unexpected frame {frame.shape} {frame.dtype}")
        assert not self.closed
        self.frames.append(frame)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> list[FakeCamera]:
    """Those that were made."""
    made: list[FakeCamera] = []

    def make(*size: int, **options: str | None) -> FakeCamera:
        made.append(FakeCamera(*size, **options))
        return made[-1]

    fake = types.ModuleType("pyvirtualcam")
    fake.__spec__ = ModuleSpec("pyvirtualcam", loader=None)
    fake.Camera, fake.PixelFormat = make, types.SimpleNamespace(RGB="RGB")
    monkeypatch.setitem(sys.modules, "pyvirtualcam", fake)
    return made


@pytest.mark.parametrize(("style", "width"), [("overlay", 48), ("side-by-side", 96)])
def test_pictures_come_at_the_size_and_rate_that_were_told(cameras, style, width) -> None:
    info, items = stream(3)
    sink = VirtualCameraSink(None, RenderOptions(style=style))
    sink.open(info, MODEL)
    for item in items:
        sink.write(item)
    sink.close()
    sink.close()
    (camera,) = cameras
    assert (camera.width, camera.height, camera.fps, camera.device) == (width, 32, 30, None)
    assert len(camera.frames) == 3
    assert camera.closed


def test_another_size_is_scaled_to_the_first(cameras) -> None:
    sink = VirtualCameraSink("/dev/video10")
    sink.open(stream(1)[0], MODEL)
    sink.write(stream(1, 80, 90)[1][0])
    assert cameras[0].frames[0].shape == (32, 48, 3)
    assert cameras[0].device == "/dev/video10"
    sink.close()


def test_a_missing_device_is_said_with_what_to_do(cameras) -> None:
    with raises_code(SinkOpenError, "not-found", naming=r"/dev/video99.*modprobe"):
        VirtualCameraSink("/dev/video99").open(stream(1)[0], MODEL)


def test_a_missing_package_is_said_with_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[virtualcam\]"):
        VirtualCameraSink().open(stream(1)[0], MODEL)


def test_a_camera_that_fails_is_a_sink_error(cameras, monkeypatch) -> None:
    sink = VirtualCameraSink()
    with raises_code(SinkWriteError, "not-open"):
        sink.write(stream(1)[1][0])
    sink.open(stream(1)[0], MODEL)
    monkeypatch.setattr(FakeCamera, "send", lambda *_: (_ for _ in ()).throw(RuntimeError("driver gone")))
    with pytest.raises(SinkWriteError, match="driver gone"):
        sink.write(stream(1)[1][0])


def test_from_the_command_line(cli, quick_model, cameras) -> None:
    done = cli("convert", "lavfi:testsrc2=size=64x48:rate=20:duration=0.5", "-o", "virtualcam:/dev/video10")
    assert done.code == 0, done.err
    assert cameras[0].device == "/dev/video10"
    assert len(cameras[0].frames) > 3
