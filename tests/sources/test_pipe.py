"""Pipes: what another program writes is read once, its sound is kept, and nothing waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.media import write_other_tracks, write_video
from helpers.sink_data import MODEL

from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.track_feed import TrackFeed
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.sinks.video import VideoSink
from streamdepth.sources import pipe
from streamdepth.sources.file import FileSource


@contextmanager
def piped(path: Path) -> Iterator[int]:
    """Yields the descriptor of a pipe into which the content of `path` is written."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as file, suppress(BrokenPipeError):
            file.write(path.read_bytes())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield reading
    finally:
        os.close(reading)
        writer.join()


def convert(source: FileSource, output: Path, *, max_frames: int | None = None) -> VideoSink:
    """Writes the frames of `source`, with made-up depth, as the pipeline does."""
    sink = VideoSink(output, preset="ultrafast")
    with source:
        sink.open(source.open(), MODEL)
        for frame in iter(source.read, None):
            sink.write(DepthFrame(frame, np.ones((12, 16), np.float32), DepthKind.METRIC, range=(0.5, 4.0)))
            if frame.index + 1 == max_frames:
                break
        sink.close()
    return sink


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Returns (time in seconds, content) of each packet of the track of a kind."""
    with av.open(str(path)) as container:
        found = [p for p in container.demux() if p.stream.type == kind and p.size]
        return [(p.pts * p.time_base, bytes(p)) for p in found]


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_sound_of_a_pipe_is_that_of_the_file(suffix: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / f"in{suffix}", audio_offset_seconds=0.1, metadata={"title": "Sea"})
    by_file = convert(FileSource(path), tmp_path / "file.mp4")
    with piped(path) as descriptor:
        by_pipe = convert(FileSource("-", descriptor=descriptor), tmp_path / "pipe.mp4")
    for kind in ("audio", "video"):
        assert [p[0] for p in packets(by_pipe.path, kind)] == [p[0] for p in packets(by_file.path, kind)]
    assert packets(by_pipe.path, "audio") == packets(by_file.path, "audio") != []
    with av.open(str(by_pipe.path)) as container:
        assert container.metadata.get("title") == ("Sea" if suffix != ".ts" else None)
    assert not by_pipe.notices


def test_an_index_at_the_end_is_read_too(tmp_path: Path) -> None:
    """As phones write it: the file has to be stored before it can be read, and is removed afterwards."""
    path = write_video(tmp_path / "in.mp4", count=5, audio_offset_seconds=0)
    data = path.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    with piped(path) as descriptor:
        source = FileSource("-", name="standard input", descriptor=descriptor)
        info = source.open()
        assert info.file_path is not None
        assert info.file_path.exists()
        assert sum(1 for _ in iter(source.read, None)) == 5
        source.close()
    assert not info.file_path.parent.exists()


def test_an_index_at_the_front_is_read_without_a_copy(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mp4", count=5, container_options={"movflags": "faststart"})
    with piped(path) as descriptor, FileSource("-", descriptor=descriptor) as source:
        assert source.open().file_path is None
        assert sum(1 for _ in iter(source.read, None)) == 5


def test_recordings_joined_with_other_tracks_end_where_the_first_does(tmp_path: Path) -> None:
    with (
        piped(write_other_tracks(tmp_path / "joined.ts")) as descriptor,
        FileSource("-", descriptor=descriptor) as source,
    ):
        source.open()
        frames = [source.read() for _ in range(30)]
        with raises_code(SourceLostError, "cut-off"):
            source.read()
    assert None not in frames


def test_sound_ends_where_the_pictures_are_stopped(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.ts", count=20, audio_offset_seconds=0)
    with piped(path) as descriptor:
        sink = convert(FileSource("-", descriptor=descriptor), tmp_path / "out.mkv", max_frames=5)
    assert len(packets(sink.path, "video")) == 5
    times = [time for time, _ in packets(sink.path, "audio")]
    assert times
    assert times[-1] < Fraction(5, 25) + Fraction(1, 10)


def test_a_second_output_says_that_it_has_no_sound(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mkv", count=5, audio_offset_seconds=0)
    with piped(path) as descriptor, FileSource("-", descriptor=descriptor) as source:
        info = source.open()
        first, second = VideoSink(tmp_path / "a.mp4"), VideoSink(tmp_path / "b.mp4")
        first.open(info, MODEL)
        second.open(info, MODEL)
        assert [len(first.notices), len(second.notices)] == [0, 1]
        first.discard()
        second.discard()


def test_sound_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A recording of depth alone may go on for days; its sound must not fill the memory."""
    monkeypatch.setattr("streamdepth.core.track_feed._MAX_UNCLAIMED_BYTES", 1000)
    path = write_video(tmp_path / "in.mkv", count=20, audio_offset_seconds=0)
    with piped(path) as descriptor, FileSource("-", descriptor=descriptor) as source:
        feed = source.open().track_feed
        assert isinstance(feed, TrackFeed)
        assert sum(1 for _ in iter(source.read, None)) == 20
        assert feed.take() is None
        assert not feed.claim()


@pytest.mark.parametrize("kind", ["named", "standard input"])
def test_a_silent_writer_is_waited_for_until_interrupted(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading, writing = os.pipe()
    source = FileSource(path, descriptor=None if kind == "named" else reading)
    timer = threading.Timer(0.3, source.interrupt)
    timer.start()
    with raises_code(SourceOpenError, "interrupted"):
        source.open()
    source.close()
    os.close(reading)
    os.close(writing)


def test_a_pipe_without_a_byte_is_empty(tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    with piped(tmp_path / "nothing") as descriptor, raises_code(SourceOpenError, "empty"):
        FileSource("-", descriptor=descriptor).open()


def test_windows_gets_every_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Windows would end a pipe at byte 26 and change line ends, unless the descriptor is set to binary."""
    modes: list[tuple[int, int]] = []

    class FakeRuntime:
        @staticmethod
        def setmode(descriptor: int, flags: int) -> None:
            modes.append((descriptor, flags))

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", FakeRuntime)
    monkeypatch.setattr(os, "O_BINARY", 32768, raising=False)
    (tmp_path / "a").write_bytes(b"\x1a\r\n")
    with piped(tmp_path / "a") as descriptor:
        reader = pipe.PipeReader(Path("-"), descriptor, threading.Event())
        assert reader.peek(3) == reader.read(10) == b"\x1a\r\n"
        assert reader.read(10) == b""
        assert modes == [(descriptor, 32768)]


@pytest.mark.slow
def test_a_named_pipe_and_standard_input_keep_their_sound(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.ts", count=20, audio_offset_seconds=0)
    os.mkfifo(tmp_path / "pipe")
    command = f"'{sys.executable}' -m streamdepth convert"
    options = "--model nano -q"
    script = f"cat in.ts | {command} - -o a.mp4 {options} && (cat in.ts > pipe & {command} pipe -o b.mp4 {options})"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, timeout=120)
    sound = packets(path, "audio")
    for name in ("a.mp4", "b.mp4"):
        assert len(packets(tmp_path / name, "audio")) == len(sound)
