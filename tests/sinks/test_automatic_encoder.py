"""The encoder of video.codec=auto, with hardware that is made up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, fill, frames_of_video, stream

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.render_options import Style
from streamdepth.sinks import automatic_encoder, encoders
from streamdepth.sinks.automatic_encoder import resolve_encoder
from streamdepth.sinks.encoders import EncodingOptions, check_encoder, encoder_options, encodes
from streamdepth.sinks.video import VideoSink

AUTO = EncodingOptions("auto")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes each test begin as a new process does."""
    monkeypatch.setattr(automatic_encoder, "_chosen", {})


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[tuple[str, tuple[int, int]]]]]:
    """Returns a function that gives the machine encoders, and the list of what is tried from then on."""

    def make(*working: str) -> list[tuple[str, tuple[int, int]]]:
        tried: list[tuple[str, tuple[int, int]]] = []

        def fake(name: str, size: tuple[int, int], _encoding: EncodingOptions) -> bool:
            tried.append((name, size))
            return name in working

        monkeypatch.setattr(automatic_encoder, "encodes", fake)
        return tried

    return make


@pytest.mark.parametrize(
    ("working", "chosen", "tried_count"),
    [
        (("h264_nvenc", "h264_qsv"), "h264_nvenc", 1),
        (("h264_amf",), "h264_amf", 3),
        (("h264_videotoolbox",), "h264_videotoolbox", 4),
        ((), "libx264", 4),
    ],
)
def test_the_first_encoder_that_works_is_taken_and_said_once(
    hardware: Callable[..., list[Any]], working: tuple[str, ...], chosen: str, tried_count: int
) -> None:
    tried, notices = hardware(*working), list[str]()
    for size in ((1280, 720), (1279, 719), (1100, 600)):
        assert resolve_encoder(AUTO, size, "overlay", notices.append) == chosen
    assert len(tried) == tried_count
    assert len(notices) == (chosen != "libx264")
    assert all(chosen in text for text in notices)


def test_another_class_of_sizes_is_tried_anew(hardware: Callable[..., list[Any]]) -> None:
    tried = hardware("h264_nvenc")
    for size in ((1280, 720), (639, 359), (3840, 2160)):
        resolve_encoder(AUTO, size, "overlay", lambda _: None)
    assert [size for _, size in tried] == [(1280, 720), (640, 360), (3840, 2160)]


@pytest.mark.parametrize(
    ("codec", "style", "chosen"),
    [("h264", "overlay", "libx264"), ("h264_nvenc", "overlay", "h264_nvenc"), ("auto", "sbs", "libx264")],
)
def test_nothing_is_tried_for_other_codecs_and_stereo(
    hardware: Callable[..., list[Any]], codec: str, style: Style, chosen: str
) -> None:
    tried = hardware("h264_qsv")
    assert resolve_encoder(EncodingOptions(codec), (64, 48), style, pytest.fail) == chosen
    assert tried == []


def test_software_is_logged_and_no_notice(hardware: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture) -> None:
    hardware()
    with caplog.at_level(logging.INFO):
        resolve_encoder(AUTO, (64, 48), "overlay", pytest.fail)
    assert "libx264" in caplog.text


def test_an_encoder_counts_if_it_encodes() -> None:
    assert encodes("libx264", (64, 48), AUTO)
    assert not encodes("libx264", (0, 48), AUTO)
    assert not encodes("h264_no_such", (64, 48), AUTO)
    assert not encodes("aac", (64, 48), AUTO)


def test_an_encoder_that_opens_and_gives_nothing_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    create = av.CodecContext.create

    class Silent:
        """An encoder that opens and then takes pictures without giving packets."""

        def __init__(self, real: Any) -> None:
            object.__setattr__(self, "_real", real)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self._real, name, value)

        def encode(self, _frame: Any) -> list[Any]:
            return []

    monkeypatch.setattr(encoders.av, "CodecContext", type("Fake", (), {"create": lambda *a: Silent(create(*a))}))
    assert not encodes("libx264", (64, 48), AUTO)


def _broken_hardware() -> str:
    return next(name for name in encoders._HARDWARE if encoders._is_encoder(name) and not encoders._works(name))


def test_a_name_of_hardware_that_is_not_here_is_refused_with_what_is() -> None:
    with raises_code(SinkOpenError, "encoder-failed", naming="libx264"):
        check_encoder(_broken_hardware())


def test_hardware_that_takes_no_further_video_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As with NVIDIA's drivers, which allow so many encoders at a time: a test passed, the real one does not open."""
    monkeypatch.setattr(automatic_encoder, "_chosen", {(6, 6): _broken_hardware()})
    info, items = stream(3, 64, 48)
    sink = VideoSink(tmp_path / "out.mp4", codec="auto")
    fill(sink, info, items)
    assert frames_of_video(tmp_path / "out.mp4") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    (notice,) = sink.notices
    assert "libx264" in notice


def test_hardware_asked_for_by_name_is_not_replaced(tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "encoder-failed"):
        VideoSink(tmp_path / "out.mp4", codec=_broken_hardware()).open(stream()[0], MODEL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("encoder", "crf", "expected"),
    [
        ("h264_nvenc", 20, {"rc": "vbr", "cq": "20", "preset": "p3"}),
        ("h264_nvenc", 0, {"cq": "1"}),
        ("hevc_nvenc", 60, {"cq": "51"}),
        ("av1_nvenc", 60, {"cq": "60"}),
        ("h264_qsv", 20, {"global_quality": "20", "preset": "veryfast"}),
        ("h264_amf", 20, {"rc": "cqp", "qp_i": "20", "qp_p": "20", "quality": "speed"}),
        ("h264_videotoolbox", 20, {"flags": "+qscale", "global_quality": str(60 * 118)}),
    ],
)
def test_qualities_of_hardware_are_on_x264_s_scale(encoder: str, crf: int, expected: dict[str, str]) -> None:
    assert expected.items() <= encoder_options(encoder, crf, "veryfast").items()
