"""Tracks besides the picture: what is copied, what is announced, and what no decoder here knows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.media import moving, write_video
from helpers.sink_data import MODEL

import streamdepth
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.sinks.timecode import advance_timecode
from streamdepth.sinks.video import VideoSink
from streamdepth.sources.file import FileSource
from streamdepth.testing import ConstantEstimator

UNKNOWN = {".mov": {b"mp4a": b"apac", b"esds": b"dapa"}, ".mkv": {b"A_AAC": b"A_ODD"}}
"""Bytes to replace in a file with AAC, so that the sound's format is unknown."""


def convert(source: Path, output: Path) -> VideoSink:
    """Writes every frame of `source`, with made-up depth, as the pipeline does."""
    sink = VideoSink(output, preset="ultrafast")
    with FileSource(source) as file:
        sink.open(file.open(), MODEL)
        while (frame := file.read()) is not None:
            sink.write(DepthFrame(frame, np.ones((12, 16), np.float32), DepthKind.METRIC, range=(0.5, 4.0)))
    sink.close()
    return sink


def kinds(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def write_teletext(path: Path) -> Path:
    """Writes a transport stream with a picture and a track of teletext, which FFmpeg cannot decode here."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        text = container.add_mux_stream("dvb_teletext")
        for index in range(10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(moving(64, 48, index))))
            packet = av.Packet(bytes([0x10]) + bytes(45))
            packet.stream, packet.time_base = text, Fraction(1, 25)
            packet.pts = packet.dts = index
            container.mux(packet)
        container.mux(video.encode(None))
    return path


def write_unknown_sound(path: Path) -> Path:
    """Writes a video whose sound claims to be in a format that nobody knows."""
    write_video(path, count=10, audio_offset_seconds=0)
    data = path.read_bytes()
    for old, new in UNKNOWN[path.suffix].items():
        assert old in data
        data = data.replace(old, new)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", ["apac.mov", "odd.mkv", "teletext.ts"])
def test_a_track_that_no_decoder_knows_is_announced(name: str, suffix: str, tmp_path: Path) -> None:
    source = tmp_path / name
    (write_teletext if name == "teletext.ts" else write_unknown_sound)(source)
    sink = convert(source, tmp_path / f"out{suffix}")
    assert kinds(sink.path) == ["video"]
    assert sum("track 1" in notice for notice in sink.notices) == 1


@pytest.mark.parametrize("timecode", ["10:21:33:07", "01:00:00;02"])
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_the_timecode_is_copied(timecode: str, suffix: str, tmp_path: Path) -> None:
    source = write_with_timecode(tmp_path / "in.mov", timecode)
    sink = convert(source, tmp_path / f"out{suffix}")
    with av.open(str(sink.path)) as container:
        tags = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
    assert tags["timecode"] == timecode
    assert sink.notices == []


@pytest.mark.parametrize("start", [None, 0.1])
def test_the_timecode_is_that_of_the_first_picture_of_a_clip(start: float | None, tmp_path: Path) -> None:
    source, out = write_with_timecode(tmp_path / "in.mov", "10:00:59;27"), tmp_path / "out.mov"
    streamdepth.convert(source, out, model=ConstantEstimator(), start=start, end=0.15)
    with av.open(str(out)) as container:
        assert container.streams.video[0].metadata["timecode"] == ("10:01:00;02" if start else "10:00:59;27")


def test_a_timecode_that_numbers_other_frames_is_left_out(tmp_path: Path) -> None:
    source, out = write_with_timecode(tmp_path / "in.mov", "10:21:33:07"), tmp_path / "out.mov"
    result = streamdepth.convert(source, out, model=ConstantEstimator(), fps=12)
    assert any("timecode is left out" in notice for notice in result.notices)
    with av.open(str(out)) as container:
        assert "timecode" not in container.streams.video[0].metadata


@pytest.mark.parametrize(
    ("timecode", "frames", "fps", "expected"),
    [
        ("10:21:33:07", 25, Fraction(25), "10:21:34:07"),
        ("23:59:59:23", 1, Fraction(24000, 1001), "00:00:00:00"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 17982 * 6 + 1800, Fraction(30000, 1001), "01:01:00;02"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
    ],
)
def test_timecodes_count_frames(timecode: str, frames: int, fps: Fraction, expected: str) -> None:
    assert advance_timecode(timecode, frames, fps) == expected


def write_with_timecode(path: Path, timecode: str) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=Fraction(30000, 1001), width=64, height=48, pix_fmt="yuv420p")
        video.metadata["timecode"] = timecode
        for index in range(5):
            container.mux(video.encode(av.VideoFrame.from_ndarray(moving(64, 48, index))))
        container.mux(video.encode(None))
    return path


def test_tracks_of_data_and_other_pictures_are_announced_in_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "in.ts"
    with av.open(str(source), "w") as container:
        videos = [container.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p") for _ in range(2)]
        data = container.add_mux_stream("klv")
        for index in range(5):
            for video in videos:
                container.mux(video.encode(av.VideoFrame.from_ndarray(moving(64, 48, index))))
            packet = av.Packet(b"\x06\x0e\x2b\x34" + bytes(20))
            packet.stream, packet.time_base, packet.pts, packet.dts = data, Fraction(1, 25), index, index
            container.mux(packet)
        for video in videos:
            container.mux(video.encode(None))
    sink = convert(source, tmp_path / "out.mp4")
    assert kinds(sink.path) == ["video"]
    (notice,) = sink.notices
    assert "track 1 (h264)" in notice
    assert "track 2 (klv)" in notice


def test_a_cover_picture_is_announced(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    cover = write_video(tmp_path / "cover.jpg", count=1, codec="mjpeg", pixel_format="yuvj420p").read_bytes()
    with av.open(str(source), "w") as container:
        video = container.add_stream("libx264", rate=25, width=64, height=48, pix_fmt="yuv420p")
        container.add_attachment("cover.jpg", "image/jpeg", cover)
        container.mux(video.encode(av.VideoFrame.from_ndarray(moving(64, 48, 0))))
        container.mux(video.encode(None))
    sink = convert(source, tmp_path / "out.mkv")
    assert kinds(sink.path) == ["video"]
    assert sum("left out" in notice and "cover picture 1 (mjpeg)" in notice for notice in sink.notices) == 1


DJI = "F/2.8, SS 206.14, ISO 100, EV 0, GPS (149.0251, -20.2533, 16), D 24.92m, H 6.00m, H.S 15.10m/s"
BRACKETS = "[iso : 110] [shutter : 1/200.0] [latitude: 22.53252] [longitude: 113.94270] [rel_alt: 1.300]"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "text", [DJI, BRACKETS, "HOME(8.54820,47.37690)", "48.85770N, 2.29500E", "$GPRMC,123519,A,4807.038,N"]
)
def test_the_flight_data_of_a_drone_is_no_subtitle_to_publish(text: str, suffix: str, tmp_path: Path) -> None:
    """A drone writes its position into a track of subtitles, which is copied with the sound otherwise."""
    spoken = "turn at latitude 48, at home in 5.1"
    source = write_video(
        tmp_path / f"in{suffix}", count=20, subtitles=[(0, 0.3, text), (0.3, 0.5, spoken), (0.5, 0.7, text)]
    )
    for keeps in (False, True):
        sink = VideoSink(tmp_path / f"{keeps}{suffix}", preset="ultrafast", keep_location=keeps)
        with FileSource(source) as file:
            sink.open(file.open(), MODEL)
            for frame in iter(file.read, None):
                sink.write(DepthFrame(frame, np.ones((12, 16), np.float32), DepthKind.METRIC, range=(0.5, 4.0)))
        sink.close()
        data = sink.path.read_bytes()
        assert spoken.encode() in data
        assert (text.encode() in data) == keeps
        assert [("position" in notice) for notice in sink.notices if "position" in notice] == [True] * (not keeps)
