"""Times of pictures in streams that have none: as they arrive, at the rate that is stated, or at the user's."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.media import moving, write_video

from streamdepth.config import make
from streamdepth.config.values import exact_frame_rate
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame
from streamdepth.factory.sources import make_source
from streamdepth.sources.file import FileSource
from streamdepth.sources.network import NetworkSource


def read_all(source: Source) -> list[Frame]:
    with source:
        source.open()
        return list(iter(source.read, None))


def write_raw(path: Path, codec: str, rate: Fraction, options: dict[str, str]) -> Path:
    """Writes a bare stream, whose only clock is what its header states."""
    quiet = {"x265-params": "log-level=error"} if codec == "libx265" else {}
    return write_video(
        path, count=12, codec=codec, rate=rate, options=options | quiet, container_format=path.suffix[1:]
    )


@pytest.mark.parametrize(
    "rate", [Fraction(40), Fraction(30000, 1001), Fraction(10), Fraction(12), Fraction(25, 2), Fraction(60)]
)
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.h264", "libx264", {"bf": "0"}), ("b.h264", "libx264", {"bf": "2"}), ("c.hevc", "libx265", {})],
)
def test_a_raw_stream_plays_at_the_rate_that_it_states(
    name: str, codec: str, options: dict[str, str], rate: Fraction, tmp_path: Path
) -> None:
    source = FileSource(write_raw(tmp_path / name, codec, rate, options))
    frames = read_all(source)
    assert source.open().fps == rate
    source.close()
    assert [f.pts * f.time_base for f in frames] == [i / rate for i in range(12)]


@pytest.mark.parametrize("rate", [Fraction(25, 2), Fraction(25), Fraction(30000, 1001)])
def test_a_raw_interlaced_stream_plays_at_the_rate_of_its_frames(rate: Fraction, tmp_path: Path) -> None:
    source = FileSource(write_raw(tmp_path / "in.h264", "libx264", rate, {"x264-params": "tff=1"}))
    assert [f.pts * f.time_base for f in read_all(source)] == [i / rate for i in range(12)]
    assert any("interlaced" in notice for notice in source.notices)


def test_a_raw_stream_that_states_no_rate_plays_at_25(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mjpeg", count=5, codec="mjpeg", pixel_format="yuvj420p", container_format="mjpeg")
    assert [f.time for f in read_all(FileSource(path))] == pytest.approx([i / 25 for i in range(5)])


@pytest.mark.parametrize("name", ["in.mp4", "in.h264", "%03d.png"])
@pytest.mark.parametrize(("text", "rate"), [("10", Fraction(10)), ("29.97", Fraction(30000, 1001))])
def test_the_users_rate_wins(name: str, text: str, rate: Fraction, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".png":
        for index in range(5):
            av.VideoFrame.from_ndarray(moving(32, 32, index)).to_image().save(tmp_path / f"{index:03d}.png")
    else:
        write_video(path, count=5, container_format=path.suffix[1:])
    source = make_source(str(path), make(source=str(path), input_fps=text))  # type: ignore[arg-type]  # as flags give it
    frames = read_all(source)
    assert [f.pts * f.time_base for f in frames] == [i / rate for i in range(5)]
    assert source.open().fps == rate
    source.close()


def test_sound_is_left_out_at_another_rate_and_that_is_announced(tmp_path: Path) -> None:
    source = FileSource(write_video(tmp_path / "in.mp4", audio_offset_seconds=0), input_fps=Fraction(5))
    assert source.open().file_path is None
    source.close()
    assert any("sound" in notice for notice in source.notices)


@pytest.mark.parametrize("address", ["lavfi:testsrc2", "screen:"])
def test_what_has_a_rate_of_its_own_refuses_another(address: str) -> None:
    with raises_code(ConfigError, "input-fps"):
        make_source(address, make(source=address, input_fps=10))


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (25, Fraction(25)),
        (30, Fraction(30)),
        (12.5, Fraction(25, 2)),
        (0.5, Fraction(1, 2)),
    ],
)
def test_rates_are_what_people_mean(fps: float, rate: Fraction) -> None:
    assert exact_frame_rate(fps) == rate


class _Camera(BaseHTTPRequestHandler):
    """Sends motion JPEG without end, ten pictures a second, in the form that its path names."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind = "image/jpeg" if self.path == "/plain" else "multipart/x-mixed-replace;boundary=123456789"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for index in itertools.count():
                for part in self._parts(_jpeg(index)):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass

    def _parts(self, jpeg: bytes) -> tuple[bytes, ...]:
        length = "" if self.path == "/bare" else f"Content-Length: {len(jpeg)}\r\n"
        kind = {"/jpg": "image/jpg", "/charset": "image/jpeg; charset=utf-8"}.get(self.path, "image/jpeg")
        header = f"Content-Type: {kind}\r\n{length}\r\n".encode()
        boundary = b"\r\n--123456789\r\n"
        return {"/plain": (jpeg,), "/late": (header, jpeg, boundary)}.get(self.path, (boundary, header, jpeg))

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing."""


def _jpeg(index: int) -> bytes:
    codec = av.VideoCodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 48, "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(moving(64, 48, index)).reformat(format="yuvj420p")
    return b"".join(bytes(p) for p in [*codec.encode(frame), *codec.encode(None)])


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Camera) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["good", "bare", "late", "plain"])
def test_motion_jpeg_is_timed_by_its_arrival(path: str, camera: str) -> None:
    with NetworkSource(f"{camera}/{path}", timeout_seconds=2) as source:
        info = source.open()
        assert info.is_live
        assert info.fps is None, "it states none"
        frames = [frame for _ in range(40) if (frame := source.read())]
    assert len(frames) == 40
    assert frames[0].time == 0
    arrivals = [f.captured_at - frames[0].captured_at for f in frames]
    assert [f.time for f in frames] == pytest.approx(arrivals, abs=0.05)
    assert frames[-1].time > 1, "40 pictures take 4 s, of which some waited while the stream was analyzed"


@pytest.mark.parametrize("path", ["jpg", "charset"])
def test_motion_jpeg_whose_parts_are_named_otherwise_is_read(path: str, camera: str) -> None:
    with NetworkSource(f"{camera}/{path}", timeout_seconds=2, reconnect_seconds=0) as source:
        source.open()
        frame = source.read()
    assert frame is not None
    assert np.abs(frame.image.astype(int) - moving(64, 48, frame.index)).mean() < 12


@pytest.mark.slow
def test_the_users_rate_wins_over_arrival(camera: str) -> None:
    with NetworkSource(f"{camera}/good", input_fps=Fraction(5)) as source:
        assert source.open().fps == 5
        times = [frame.time for _ in range(5) if (frame := source.read())]
    assert times == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
