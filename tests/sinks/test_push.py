"""Sending to real receivers on 127.0.0.1: libav and GStreamer listen; sockets that stay silent, stall, go and come."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import av
import pytest
from helpers import rtsp_recorder, rtsp_server
from helpers.errors import raises_code
from helpers.paths import PYTHONPATH
from helpers.rtsp_server import PASSWORD, USER, free_port
from helpers.sink_data import MODEL, later, live, write

from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.pipeline.pipeline import Pipeline, Stream
from streamdepth.sinks import push
from streamdepth.sinks.depth_video import DepthVideo
from streamdepth.sinks.push import PushSink
from streamdepth.stabilizers import make_stabilizer
from streamdepth.testing import ConstantEstimator, RecordingSink, SyntheticSource

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 60.0


def until(done, what: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


class Receiver:
    """Libav, which listens at an address and decodes what comes."""

    def __init__(self, address: str, format: str, **options: str) -> None:
        self.times: list[float] = []
        self.frames: list[av.VideoFrame] = []
        self._thread = threading.Thread(target=self._receive, args=(address, format, options), daemon=True)
        self._thread.start()

    def _receive(self, address: str, format: str, options: dict[str, str]) -> None:
        with suppress(av.FFmpegError, OSError), av.open(address, format=format, options=options) as container:
            container.streams.video[0].thread_type = "NONE"  # threads hold pictures back
            for frame in container.decode(video=0):
                self.frames.append(frame)
                self.times.append(frame.time)

    def join(self) -> None:
        self._thread.join(LIMIT_SECONDS)
        assert not self._thread.is_alive()


def receiving(kind: str) -> tuple[Receiver, str]:
    """A receiver by TCP or RTMP, and the address to send to."""
    address = f"{kind}://127.0.0.1:{free_port()}"
    if kind == "rtmp":
        return listening(f"{address}/live/x", "", "flv", listen="1"), f"{address}/live/x"
    return listening(address, "?listen=1&timeout=20000000"), address


def listening(address: str, query: str, format: str = "mpegts", **options: str) -> Receiver:
    """A receiver that waits at `address` already."""
    receiver = Receiver(address + query, format, **options)
    until(lambda: is_bound(urlsplit(address).port or 0), "a receiver")
    return receiver


def is_bound(port: int) -> bool:
    """Whether something listens there; asking it would take the one connection that libav accepts."""
    tables = (Path(f"/proc/net/{kind}").read_text() for kind in ("tcp", "udp"))
    listening = ("0A", "07")  # TCP_LISTEN; UDP knows no other state
    rows = (line.split() for table in tables for line in table.splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] in listening for row in rows)


def opened(sink: PushSink, stream: tuple) -> list[DepthFrame]:
    """Opens `sink`; gives back the items to send."""
    sink.open(stream[0], MODEL)
    return stream[1]


def uneven(count: int, *size: int) -> tuple:
    """A stream with a variable frame rate: each third frame is missing."""
    info, items = live(count, *size)
    return info, [item for item in items if item.frame.index % 3]


@pytest.mark.parametrize("kind", ["tcp", "rtmp", "udp"])
def test_what_is_sent_arrives_with_the_streams_own_times(kind) -> None:
    if kind == "udp":  # who listens there gives up after a while of silence: the sender is ready first
        address = f"udp://127.0.0.1:{free_port()}"
        sink = PushSink(address, timeout_seconds=20)
        items = opened(sink, uneven(45, 128, 96))
        receiver = listening(address, "?timeout=3000000")
    else:
        receiver, address = receiving(kind)
        sink = PushSink(address, timeout_seconds=20)
        items = opened(sink, uneven(45, 128, 96))
    write(sink, items)
    sink.close()
    receiver.join()
    first = items[0].frame.time
    expected = [item.frame.time - first for item in items]
    got = [t - receiver.times[0] for t in receiver.times]
    if kind == "udp":  # one that listens too late or is slow may lose some
        assert len(got) > 10
        assert all(min(abs(t + receiver.times[0] - e) for e in expected) < 0.002 for t in got)
    else:
        assert got == pytest.approx(expected, abs=0.002)
    frame = receiver.frames[-1]
    assert (frame.width, frame.height, frame.colorspace) == (128, 96, 1)  # BT.709
    assert sink.notices == []


def test_no_picture_waits_for_the_next_one() -> None:
    receiver, address = receiving("tcp")
    sink = PushSink(address, timeout_seconds=20)
    items = opened(sink, live(60, 128, 96))
    write(sink, items[:40])  # the receiver looks at enough of the stream to begin
    for sent, item in enumerate(items[40:], 41):
        sink.write(item)
        until(
            partial(lambda n: len(receiver.times) >= n - 1, sent), f"frame {sent - 1}"
        )  # libav wants the next's begin
    sink.close()
    receiver.join()
    assert len(receiver.times) == 60
    keys = [index for index, frame in enumerate(receiver.frames) if frame.key_frame]
    assert keys == [0, 30]  # one each second, for those who join


def test_a_stream_of_another_size_is_sent_anew() -> None:
    info, small = live(20, 128, 96)
    large_info, large = live(20, 160, 120)
    with socket_server() as server:
        sink = PushSink(server.address, timeout_seconds=20)
        sink.open(info, MODEL)
        write(sink, small)
        sink.on_stream_changed(large_info)
        write(sink, later(large, 20))
        sink.close()
        until(lambda: len(server.received) == 2 and all(server.ended), "the end of both")
    sizes = []
    for data in server.received:
        with av.open(Bytes(data), format="mpegts") as container:
            sizes += [{(f.width, f.height) for f in container.decode(video=0)}]
    assert sizes == [{(128, 96)}, {(160, 120)}]


class Bytes:
    def __init__(self, data: bytearray) -> None:
        self._data = bytes(data)

    def read(self, size: int) -> bytes:
        part, self._data = self._data[:size], self._data[size:]
        return part


class SocketServer:
    """Takes connections one after another, and reads what comes, or not."""

    def __init__(self, port: int, *, reads: bool) -> None:
        self.received: list[bytearray] = []
        self.ended: list[bool] = []
        self.connections: list[socket.socket] = []
        self._reads = reads
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                if self._reads:
                    threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        number = len(self.received)
        self.received.append(bytearray())
        self.ended.append(False)
        with suppress(OSError):
            while data := connection.recv(65536):
                self.received[number] += data
        self.ended[number] = True

    def hang_up(self) -> None:
        """Ends all connections at once, as a server that dies."""
        for connection in self.connections:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
        self._listener.close()
        self.hang_up()


@contextmanager
def socket_server(port: int = 0, *, reads: bool = True) -> Iterator[SocketServer]:
    server = SocketServer(port, reads=reads)
    try:
        yield server
    finally:
        server.stop()


def endless(width: int = 128, height: int = 96) -> Iterator[DepthFrame]:
    """Frames without end, 30 for each second."""
    _, items = live(30, width, height)
    for number in itertools.count():
        yield from later(items, 30 * number)


def test_a_server_that_comes_back_gets_the_stream_again() -> None:
    frames = endless()
    with socket_server() as server:
        sink = PushSink(server.address, timeout_seconds=20, reconnect_seconds=LIMIT_SECONDS)
        sink.open(live(1, 128, 96)[0], MODEL)
        until(lambda: sink.write(next(frames)) or server.received, "the first connection")
    until(lambda: sink.write(next(frames)) or sink.skipped_frames, "the loss")
    with socket_server(server.port) as back:
        until(lambda: sink.write(next(frames)) or (back.received and len(back.received[0]) > 20_000), "the return")
        sink.close()
        until(lambda: all(back.ended), "the end")
    with av.open(Bytes(back.received[0]), format="mpegts") as container:
        first = next(container.decode(video=0))
    assert first.key_frame
    assert "were not sent" in sink.notices[0]


def test_a_server_that_stays_away_is_an_error_with_its_reason() -> None:
    frames = endless()
    with socket_server() as server:
        address = server.address.replace("//", "//user:geheim@")
        sink = PushSink(address, timeout_seconds=20, reconnect_seconds=0.5)
        sink.open(live(1, 128, 96)[0], MODEL)
        write(sink, [next(frames) for _ in range(5)])
    with raises_code(SinkWriteError, "unreachable", naming="0.5 seconds") as caught:
        until(lambda: sink.write(next(frames)), "the error")
    assert "geheim" not in str(caught.value)
    sink.close()


def test_a_server_that_closes_each_connection_is_not_asked_without_end() -> None:
    frames = endless()
    with socket_server(reads=False) as server:
        sink = PushSink(server.address, timeout_seconds=20, reconnect_seconds=0.5)
        sink.open(live(1, 128, 96)[0], MODEL)

        def refuse() -> None:
            server.hang_up()
            sink.write(next(frames))

        with raises_code(SinkWriteError, "unreachable"):
            until(refuse, "the error")
    sink.close()


class BrieflyConnected:
    """A sender whose server takes two frames, a second each, and goes."""

    def __init__(self, now: list[float]) -> None:
        self._now, self._since = now, now[0]

    @property
    def age_seconds(self) -> float:
        return self._now[0] - self._since

    def send(self, *_: object) -> None:
        self._now[0] += 1
        if self.age_seconds > 2:
            raise push.ConnectionLostError("it hung up")

    def kill(self) -> None:
        pass


def test_the_time_in_which_a_server_is_back_does_not_count_as_away(monkeypatch) -> None:
    now, frames, sent = [0.0], endless(), []
    monkeypatch.setattr(push, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(push, "SenderProcess", lambda _: BrieflyConnected(now))
    sink = PushSink("tcp://127.0.0.1:1", reconnect_seconds=2.0)
    sink.open(live(1, 128, 96)[0], MODEL)

    def write_all() -> None:
        while now[0] < 100:
            before = sink.skipped_frames
            sink.write(next(frames))
            now[0] += 0.25 * (sink.skipped_frames > before)
            sent.append(sink.skipped_frames == before)

    with raises_code(SinkWriteError, "unreachable", naming="it hung up.*2 seconds"):
        write_all()
    assert sum(sent) > 4  # of more than two connections, whose seconds alone are more than those to be away


def test_a_sender_that_is_killed_is_started_again() -> None:
    frames = endless()
    with socket_server() as server:
        sink = PushSink(server.address, timeout_seconds=20, reconnect_seconds=LIMIT_SECONDS)
        sink.open(live(1, 128, 96)[0], MODEL)
        assert sink._sender is not None
        sink._sender._process.kill()
        until(lambda: sink.write(next(frames)) or len(server.received) == 2, "the second connection")
        sink.close()
    assert sink.notices


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp"])
def test_a_silent_server_stops_nothing_here(scheme) -> None:
    ticks: list[float] = []
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.01):
            ticks.append(time.monotonic())

    with socket_server(reads=False) as server:
        clock = rtsp_server.start_thread(tick)
        sink = PushSink(server.address.replace("tcp", scheme) + "/live/x", timeout_seconds=1.5)
        with pytest.raises(SinkOpenError, match=r"no answer in 1.5 seconds|not video|Invalid data"):
            sink.open(live(1)[0], MODEL)
        over.set()
        clock.join()
    assert len(ticks) > 20  # libav would have held Python's lock for all that time


def test_a_server_that_stalls_slows_no_recorder() -> None:
    with socket_server(reads=False) as server:
        recorder, sink = RecordingSink(), PushSink(server.address, timeout_seconds=1, reconnect_seconds=LIMIT_SECONDS)
        source = SyntheticSource(200, 320, 240, is_live=True, delay_seconds=0.005)
        report = Pipeline([Stream(source, make_stabilizer("off"), [recorder, sink])], ConstantEstimator()).run()
    assert len(recorder.items) == report.written
    assert report.written > 150


@pytest.fixture
def rtsp(tmp_path: Path) -> Path:
    if missing := rtsp_server.unavailable_reason():
        pytest.skip(missing)
    return tmp_path / "received.ts"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_an_rtsp_server_gets_every_picture(rtsp, transport) -> None:
    with rtsp_recorder.recording(rtsp) as address:
        sink = PushSink(address, transport=transport, timeout_seconds=20)
        items = opened(sink, live(60, 128, 96))
        for item in items:
            sink.write(item)
            time.sleep(0.01)
        until(lambda: rtsp.exists() and frames_of(rtsp) >= 50, "the recording")
        sink.close()
    assert frames_of(rtsp) <= 60


def frames_of(path: Path) -> int:
    with suppress(av.FFmpegError, OSError), av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
    return 0


def test_an_rtsp_server_with_a_password(rtsp) -> None:
    with rtsp_recorder.recording(rtsp, closed=True) as address:
        right, wrong = (address.replace("//", f"//{USER}:{word}@") for word in (PASSWORD, "wr0ng"))
        sink = PushSink(right, timeout_seconds=20)
        write(sink, opened(sink, live(10, 128, 96)))
        sink.close()
        with raises_code(SinkOpenError, "unreachable", naming="401") as caught:
            PushSink(wrong, timeout_seconds=20).open(live(1)[0], MODEL)
    assert "wr0ng" not in str(caught.value)


def test_the_password_is_not_in_the_list_of_processes() -> None:
    with socket_server() as server:
        sink = PushSink(server.address + "?password=geheim", timeout_seconds=20)
        sink.open(live(1)[0], MODEL)
        assert sink._sender is not None
        listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        sink.close()
    assert "streamdepth.sinks.sender" in listed
    assert "geheim" not in listed


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("rtsp://u:geheim@127.0.0.1:1/x", "nothing listens"),
        ("rtmp://127.0.0.1:1/live/geheim?key=geheim", "nothing listens"),
        ("srt://127.0.0.1:1?passphrase=geheimgeheim", "nothing listens|does not know such addresses|Input/output"),
    ],
)
def test_what_cannot_be_reached_is_said_at_once_and_without_secrets(address, words) -> None:
    with raises_code(SinkOpenError, "unreachable", naming=words) as caught:
        PushSink(address).open(live(1)[0], MODEL)
    assert ":geheim" not in str(caught.value)
    assert "=geheim" not in str(caught.value)


def test_an_unknown_scheme_is_a_wrong_setting() -> None:
    with raises_code(ConfigError, "unknown-scheme", naming=r"gopher://h/x.*rtsp://"):
        PushSink("gopher://u:p@h/x")


def test_write_before_open_is_an_error() -> None:
    sink = PushSink("udp://127.0.0.1:9")
    with raises_code(SinkWriteError, "not-open"):
        sink.write(live(1)[1][0])
    sink.close()
    sink.discard()


def test_an_unknown_rate_is_taken_as_usual(monkeypatch) -> None:
    made: list[push.SenderJob] = []
    monkeypatch.setattr(push, "SenderProcess", made.append)
    info, _ = live(1, 35, 61)
    PushSink("udp://127.0.0.1:9?ttl=2", RenderOptions(style="side-by-side")).open(replace(info, fps=None), MODEL)
    assert made[0]["fps"] == (30, 1)
    assert made[0]["size"] == (70, 62)
    assert made[0]["url"] == "udp://127.0.0.1:9?ttl=2&pkt_size=1316"
    assert made[0]["encoder_options"]["tune"] == "zerolatency"
    assert Fraction(*made[0]["fps"]) == 30


def test_from_the_command_line_at_the_files_own_pace(cli, quick_model, tmp_path) -> None:
    receiver, address = receiving("tcp")
    done = cli(
        *("convert", "lavfi:testsrc2=size=128x96:rate=20:duration=2", "-o", address, "--stats", tmp_path / "s.json"),
        *("--set", "network.timeout_seconds=20", "--depth-out", tmp_path / "d.mkv"),
    )
    assert done.code == 0, done.err
    receiver.join()
    assert receiver.times[-1] > 1.5
    assert len(list(DepthVideo(tmp_path / "d.mkv"))) == 40, "a recording of a file loses nothing"


def test_several_sources_need_several_places(cli, quick_model, tmp_path) -> None:
    done = cli("convert", "lavfi:testsrc2", "lavfi:testsrc", "-o", "rtsp://u:geheim@127.0.0.1/live")
    assert done.code == 2
    assert "{name}" in done.err
    assert "geheim" not in done.err


def test_a_server_that_is_not_there_ends_the_command_with_5(cli, quick_model, tmp_path) -> None:
    done = cli("convert", "lavfi:testsrc2=duration=1", "--push", "rtmp://127.0.0.1:1/live/x", "-o", tmp_path / "a.mp4")
    assert done.code == 5
    assert "nothing listens" in done.err
    assert not list(tmp_path.iterdir())


def test_a_killed_run_leaves_no_sender_behind() -> None:
    program = """
        import os, sys
        from helpers.sink_data import MODEL
        from helpers.sink_data import live, write
        from streamdepth.sinks.push import PushSink
        sink = PushSink(sys.argv[1], timeout_seconds=20)
        info, items = live(5)
        sink.open(info, MODEL)
        write(sink, items)
        os.kill(os.getpid(), 9)
    """
    paths = PYTHONPATH
    with socket_server() as server:
        command = [sys.executable, "-c", textwrap.dedent(program), server.address]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths})
        assert done.returncode == -9
        until(lambda: server.ended and all(server.ended), "the end of the connection")
