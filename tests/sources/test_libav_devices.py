"""GeneratedSource, with and without libavdevice, and ScreenSource."""

from __future__ import annotations

import traceback

import pytest
from helpers import rtsp_server
from helpers.errors import raises_code

from streamdepth.core.errors import SourceOpenError
from streamdepth.sources import generated, screen
from streamdepth.sources.generated import GeneratedSource
from streamdepth.sources.libav_device import has_device
from streamdepth.sources.screen import ScreenSource


@pytest.fixture(params=["libavdevice", "libavfilter alone"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "libavfilter alone":
        monkeypatch.setattr(generated, "has_device", lambda name: False)
    elif not has_device("lavfi"):
        pytest.skip("this PyAV is built without libavdevice's lavfi")


@pytest.mark.usefixtures("device")
def test_options_are_honoured() -> None:
    source = GeneratedSource("lavfi:testsrc2=size=160x90:rate=10:duration=2")
    info = source.open()
    assert (info.width, info.height, info.fps, info.is_live) == (160, 90, 10, False)
    frames = list(iter(source.read, None))
    assert [frame.time for frame in frames if frame] == [index / 10 for index in range(20)]
    assert frames[0] is not None
    assert frames[0].image.std() > 30
    assert source.read() is None


@pytest.mark.usefixtures("device")
def test_endless_without_a_duration() -> None:
    source = GeneratedSource("lavfi:testsrc2")
    source.open()
    assert all(source.read() for _ in range(50))
    source.close()
    assert source.read() is None


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("address", ["lavfi:nosuch", "lavfi:testsrc2=nosuch=1", "lavfi:testsrc2=size=0x0", "lavfi:"])
def test_mistakes_are_answered_with_an_example(address: str) -> None:
    with raises_code(SourceOpenError, "unknown-device", naming="lavfi:testsrc2=size=640x360:rate=30") as caught:
        GeneratedSource(address).open()
    assert address in str(caught.value)


@pytest.mark.usefixtures("device")
def test_secrets_in_filters_stay_secret() -> None:
    source = GeneratedSource(rf"lavfi:movie=http\\://admin\:hunter2@127.0.0.1\:{rtsp_server.free_port()}/x")
    with raises_code(SourceOpenError, "unknown-device", naming="movie=http") as caught:
        source.open()
    shown = "".join(traceback.format_exception(caught.value)) + source.name
    assert "hunter2" not in shown


def test_no_screen_grabber(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "has_device", lambda name: False)
    with raises_code(SourceOpenError, "no-screen-grabber"):
        ScreenSource("screen:").open()


def test_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "has_device", lambda name: True)
    monkeypatch.setattr(screen.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with raises_code(SourceOpenError, "no-display"):
        ScreenSource("screen:").open()


def test_a_display_that_does_not_answer() -> None:
    if not has_device("x11grab"):
        pytest.skip("this PyAV is built without x11grab")
    with raises_code(SourceOpenError, "unknown-device"):
        ScreenSource("screen::99").open()
