"""NetworkSource against real servers on loopback: GStreamer's RTSP, an HTTP server, MPEG-TS over UDP."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import http_server, media, rtsp_server
from helpers.errors import raises_code

import streamdepth
from streamdepth.core.errors import ConfigError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.core.types import Frame
from streamdepth.sources.decoder import DecodedFrame
from streamdepth.sources.frame_converter import FrameConverter
from streamdepth.sources.looped import LoopedSource
from streamdepth.sources.network import NetworkSource
from streamdepth.sources.network_address import NetworkAddress
from streamdepth.sources.network_connection import explain
from streamdepth.sources.unsized_file import ReceivedVideo
from streamdepth.testing import ConstantEstimator
from streamdepth.utils.redact import redact_text


def take(source: NetworkSource, count: int) -> list[Frame]:
    frames = []
    for _ in range(count):
        frame = source.read()
        assert frame is not None
        frames.append(frame)
    return frames


def increasing(frames: list[Frame]) -> bool:
    return all(a.pts < b.pts and a.index + 1 == b.index for a, b in pairwise(frames))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("web")
    media.write_video(folder / "a.mp4", count=20, container_options={"movflags": "faststart"})
    media.truncate(media.write_video(folder / "cut.mp4", count=100, container_options={"movflags": "faststart"}), 0.5)
    media.write_video(
        folder / "list.m3u8", count=50, options={"g": "10"}, container_options={"hls_time": "0.4", "hls_list_size": "0"}
    )
    media.write_video(folder / "endless.mkv", container_options={"live": "1"})
    media.write_video(folder / "pictures.mjpeg", codec="mjpeg", pixel_format="yuvj420p", container_format="mjpeg")
    media.write_video(folder / "long.mkv", count=300, container_options={"live": "1"}, options={"g": "10"})
    media.write_video(folder / "sound.mp4", audio_offset_seconds=0.0)
    playlist = (folder / "list.m3u8").read_text()
    (folder / "live.m3u8").write_text(playlist.replace("#EXT-X-ENDLIST", ""))
    media.write_video(folder / "long.ts", count=150, rate=5, container_format="mpegts")
    media.write_video(folder / "short.ts", count=45, rate=5, container_format="mpegts")
    (folder / "text.mp4").write_text("no video\n" * 100)
    with http_server.serve(folder) as address:
        yield address


@pytest.mark.parametrize("method_name", ["open", "wait_until_open"])
def test_an_unknown_transport_is_refused_however_it_is_opened(method_name: str) -> None:
    with raises_code(ConfigError, "unknown-transport"):
        getattr(NetworkSource("rtsp://127.0.0.1:1/x", transport="carrier pigeon"), method_name)()  # type: ignore[arg-type]


def test_a_file_that_is_repeated_never_ended(web: str) -> None:
    source = LoopedSource(NetworkSource(f"{web}/a.mp4"))
    source.open()
    assert [source.read() is None for _ in range(50)] == [False] * 50
    assert "ended" not in [change.state for change in source.states.changes]
    source.close()


def test_http_file(web: str) -> None:
    source = NetworkSource(f"{web}/a.mp4")
    info = source.open()
    assert (info.width, info.height, info.frame_count, info.is_live) == (64, 48, 20, False)
    frames = take(source, 20)
    assert increasing(frames)
    assert source.read() is None
    assert source.read() is None
    assert source.reconnects == 0


def test_http_file_that_is_cut_off(web: str) -> None:
    source = NetworkSource(f"{web}/cut.mp4")
    source.open()
    frames: list[Frame] = []
    with raises_code(SourceLostError, "cut-off"):
        frames.extend(frame for frame in iter(source.read, None) if frame)
    assert 10 < len(frames) < 90
    assert source.read() is None


@pytest.mark.parametrize("name", ["endless.mkv", "pictures.mjpeg"])
def test_a_file_without_a_duration_is_not_live(web: str, name: str) -> None:
    """WebM by a browser's recorder and raw MJPEG have no duration."""
    source = NetworkSource(f"{web}/{name}", reconnect_seconds=1)
    assert not source.open().is_live
    assert increasing(take(source, 20))
    assert source.read() is None
    assert source.reconnects == 0


def test_a_stream_of_unknown_length_is_live_unless_told_otherwise(web: str) -> None:
    for live, expected in ((None, True), (False, False)):
        source = NetworkSource(f"{web}/unsized/endless.mkv", live=live)
        assert source.open().is_live is expected
        source.close()
    source = NetworkSource(f"{web}/endless.mkv", live=True)
    assert source.open().is_live
    source.close()


def test_a_file_of_unknown_length_is_read_to_its_end(web: str) -> None:
    source = NetworkSource(f"{web}/unsized/a.mp4")
    assert not source.open().is_live
    assert increasing(take(source, 20))
    assert source.read() is None


def test_a_file_of_unknown_length_that_is_cut_off_says_so(web: str) -> None:
    source = NetworkSource(f"{web}/unsized/cut.mp4")
    source.open()
    with raises_code(SourceLostError, "cut-off", naming="of 100 frames"):
        list(iter(source.read, None))


@pytest.mark.parametrize(("name", "frames", "requests"), [("long.ts", 150, 1), ("short.ts", 90, 2)])
def test_a_file_that_was_taken_for_a_live_stream_is_not_read_again_and_again(
    web: str, name: str, frames: int, requests: int
) -> None:
    http_server.logins.clear()
    source = NetworkSource(f"{web}/unsized/{name}")
    assert source.open().is_live
    received: list[Frame] = []
    with raises_code(SourceLostError, "not-live", naming="network.live=false"):
        received.extend(frame for frame in iter(source.read, None) if frame)
    assert (len(received), len(http_server.logins)) == (frames, requests)
    whole = NetworkSource(f"{web}/unsized/{name}", live=False)
    whole.open()
    assert len(list(iter(whole.read, None))) == frames // requests


def received(frames: int, seconds_passed: float, *, first_second: int = 0) -> ReceivedVideo:
    """Returns a connection's video of 10 frames per second, of which the last came after `seconds_passed`."""
    video, now = ReceivedVideo(), time.monotonic()
    for index in range(frames):
        decoded_at = now + seconds_passed * index / frames
        video.add(DecodedFrame(np.zeros((1, 1, 3), np.uint8), first_second * 10 + index, Fraction(1, 10), decoded_at))
    return video


def test_a_live_stream_is_no_file_though_it_ends_like_one() -> None:
    """A server of a live stream may send several seconds at once, and close the connection whenever it likes."""
    in_real_time = received(600, 60)
    assert not in_real_time.is_of_file(in_real_time)
    burst, next_burst = received(80, 0.1), received(80, 0.1, first_second=8)
    assert not next_burst.is_of_file(burst)
    jumping = ReceivedVideo()
    for pts in (0, 1, 100_000, 100_001):
        jumping.add(DecodedFrame(np.zeros((1, 1, 3), np.uint8), pts, Fraction(1, 10), time.monotonic()))
    assert not jumping.is_of_file(None)
    assert burst.is_of_file(received(80, 0.1))
    assert received(600, 3).is_of_file(None)


def test_a_page_of_unknown_length_is_no_video(web: str) -> None:
    with raises_code(SourceOpenError, "no-video", naming="check the path"):
        NetworkSource(f"{web}/unsized/text.mp4").open()


def test_a_playlist_that_goes_on_is_live(web: str) -> None:
    source = NetworkSource(f"{web}/live.m3u8")
    assert source.open().is_live
    source.close()


def sound_of(path: Path | str) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_sound_of_a_file_on_a_server_is_copied(web: str, tmp_path: Path) -> None:
    address, out = f"{web}/sound.mp4", tmp_path / "out.mp4"
    report = streamdepth.convert(address, out, model=ConstantEstimator())
    copied, whole = sound_of(out), sound_of(address)
    assert not report.notices
    assert copied == whole[len(whole) - len(copied) :]
    assert len(copied) >= len(whole) - 2  # what is heard before the first picture is left out


def test_a_server_that_falls_silent_in_mid_stream_loses_the_stream(web: str) -> None:
    source = NetworkSource(f"{web}/stalling/long.mkv", timeout_seconds=0.5)
    source.open()
    frames: list[Frame] = []
    with raises_code(SourceLostError, "source-timeout") as caught:
        frames.extend(frame for frame in iter(source.read, None) if frame)
    assert 50 < len(frames) < 300
    assert isinstance(caught.value.__cause__, av.error.ExitError)
    assert source.read() is None


@pytest.mark.slow
def test_a_refusal_after_frames_came_loses_the_stream(web: str) -> None:
    source = NetworkSource(f"{web}/unsized/endless.mkv", reconnect_seconds=10)
    source.open()
    source.url = f"{web}/status/404"
    with raises_code(SourceLostError, "not-found", naming=r"\b20\b") as caught:
        take(source, 21)
    assert isinstance(caught.value.__cause__, av.error.HTTPNotFoundError)
    assert source.read() is None


def test_any_error_of_libav_on_opening_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ValueError(f"cannot take {args[0]}")

    def open_with_secret() -> None:
        NetworkSource("rtsp://u:" + "2retnuh"[::-1] + "@host/").open()  # a traceback shows this line

    monkeypatch.setattr(av, "open", fail)
    with raises_code(SourceOpenError, "source-open", naming="cannot take") as caught:
        open_with_secret()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_an_unspecific_error_of_libav_is_not_shown_as_a_permission_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """libav's RTSP returns -1 for "no error in particular", which reads as "operation not permitted"."""

    def fail(*args: object, **options: object) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(av, "open", fail)
    with raises_code(SourceOpenError, "broken-off"):
        NetworkSource("rtsp://127.0.0.1/x").open()


def test_a_picture_that_cannot_be_converted_loses_the_stream(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = NetworkSource(f"{web}/a.mp4")
    source.open()
    take(source, 2)
    monkeypatch.setattr(FrameConverter, "convert", lambda *_: (_ for _ in ()).throw(ValueError("no such format")))
    with raises_code(SourceLostError, "undecodable", naming="no such format"):
        take(source, 20)  # some are read ahead
    assert source.read() is None


def test_hls(web: str) -> None:
    source = NetworkSource(f"{web}/list.m3u8")
    assert not source.open().is_live
    assert increasing(take(source, 50))
    assert source.read() is None


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("status/404", "not-found"),
        ("status/401", "unauthorized"),
        ("status/403", "forbidden"),
        ("status/500", "source-open"),
        ("text.mp4", "no-video"),
    ],
)
def test_refusals_have_codes_of_their_own(web: str, path: str, code: str) -> None:
    with raises_code(SourceOpenError, code):
        NetworkSource(f"{web}/{path}").open()


def test_a_silent_server_times_out(web: str) -> None:
    began = time.monotonic()
    with raises_code(SourceTimeoutError, "source-timeout", naming=r"0\.5 seconds"):
        NetworkSource(f"{web}/silent", timeout_seconds=0.5).open()
    assert time.monotonic() - began < 15, "the server answers after 20 seconds"


def test_nothing_listens() -> None:
    with raises_code(SourceOpenError, "refused"):
        NetworkSource(f"rtsp://127.0.0.1:{rtsp_server.free_port()}/x", timeout_seconds=2).open()


def test_unknown_scheme_and_transport() -> None:
    with raises_code(SourceOpenError, "unknown-protocol"):
        NetworkSource("gopher2://127.0.0.1/x").open()
    with raises_code(ConfigError, "unknown-transport"):
        NetworkSource("rtsp://127.0.0.1/x", transport="carrier pigeon").open()  # type: ignore[arg-type]


def test_secrets_stay_secret() -> None:
    address = f"rtsp://admin:hunter2@127.0.0.1:{rtsp_server.free_port()}/x?token=abc123"
    source = NetworkSource(address, timeout_seconds=1)
    with pytest.raises(SourceOpenError) as caught:
        source.open()
    shown = "".join(traceback.format_exception(caught.value)) + source.name + repr(caught.value.__cause__)
    assert "hunter2" not in shown
    assert "abc123" not in shown


def test_udp_transport_stream(tmp_path: Path) -> None:
    """A sender loops a transport stream; the receiver joins in the middle."""
    port = rtsp_server.free_port()
    address = f"udp://127.0.0.1:{port}?pkt_size=1316"
    stopped = threading.Event()
    sender = threading.Thread(target=send_transport_stream, args=(address, stopped))
    sender.start()
    try:
        source = NetworkSource(address, timeout_seconds=5)
        assert source.open().is_live
        assert increasing(take(source, 20))
        source.close()
    finally:
        stopped.set()
        sender.join()


def send_transport_stream(address: str, stopped: threading.Event) -> None:
    with av.open(address, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=50, options={"g": "10", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"  # type: ignore[union-attr]
        index = 0
        while not stopped.wait(0.02):
            frame = av.VideoFrame.from_ndarray(media.moving(64, 48, index), "rgb24")
            frame.pts, frame.time_base, index = index, Fraction(1, 50), index + 1
            container.mux(stream.encode(frame))  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def cameras() -> Iterator[rtsp_server.Server]:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    with rtsp_server.running() as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "transport"), [("h264", "tcp"), ("h264", "udp"), ("h265", "tcp"), ("h265", "udp"), ("mjpeg", "tcp")]
)
def test_rtsp(cameras: rtsp_server.Server, path: str, transport: str) -> None:
    source = NetworkSource(f"{cameras.address}/{path}", transport=transport)  # type: ignore[arg-type]
    info = source.open()
    assert (info.width, info.height, info.is_live, info.frame_count) == (160, 120, True, None)
    frames = take(source, 15)
    assert increasing(frames)
    assert frames[-1].time - frames[0].time == pytest.approx(14 / 15, abs=0.1)
    source.close()


def test_rtsp_has_no_such_stream(cameras: rtsp_server.Server) -> None:
    with raises_code(SourceOpenError, "not-found"):
        NetworkSource(f"{cameras.address}/nosuch").open()


@pytest.mark.parametrize("method", ["basic", "digest"])
def test_rtsp_user_and_password(cameras: rtsp_server.Server, method: str) -> None:
    with rtsp_server.running(closed=method) as server:
        with raises_code(SourceOpenError, "unauthorized"):
            NetworkSource(f"{server.address}/h264").open()
        host = server.address.removeprefix("rtsp://")
        with raises_code(SourceOpenError, "unauthorized"):
            NetworkSource(f"rtsp://{rtsp_server.USER}:wrong@{host}/h264").open()
        source = NetworkSource(f"rtsp://{rtsp_server.USER}:{rtsp_server.PASSWORD}@{host}/h264")
        assert rtsp_server.PASSWORD not in source.open().name
        take(source, 3)
        source.close()


@pytest.mark.slow
def test_a_live_stream_that_ends_comes_back(cameras: rtsp_server.Server) -> None:
    source = NetworkSource(f"{cameras.address}/short", timeout_seconds=2, reconnect_seconds=10)
    source.open()
    frames = take(source, 20)
    assert source.reconnects == 1
    assert increasing(frames)
    source.close()


def test_no_reconnect_with_a_limit_of_zero(cameras: rtsp_server.Server) -> None:
    source = NetworkSource(f"{cameras.address}/short", timeout_seconds=2, reconnect_seconds=0)
    source.open()
    with raises_code(SourceLostError, "source-lost"):
        take(source, 30)
    assert source.read() is None


@pytest.mark.slow
def test_a_lost_server_is_given_up_after_the_limit(cameras: rtsp_server.Server) -> None:
    server = rtsp_server.Server(rtsp_server.free_port())
    server.start()
    source = NetworkSource(f"{server.address}/h264", timeout_seconds=2, reconnect_seconds=1.5)
    try:
        source.open()
        server.stop()
        with raises_code(SourceLostError, "refused", naming=r"1\.5 seconds"):
            take(source, 500)
    finally:
        server.stop()
        source.close()


@pytest.mark.slow
def test_close_ends_the_wait_for_a_lost_stream(cameras: rtsp_server.Server) -> None:
    server = rtsp_server.Server(rtsp_server.free_port())
    server.start()
    source = NetworkSource(f"{server.address}/h264", timeout_seconds=2, reconnect_seconds=60)
    source.open()
    server.stop()
    closer = threading.Timer(1, source.close)
    closer.start()
    began = time.monotonic()
    while source.read() is not None:
        pass
    assert time.monotonic() - began < 30
    closer.join()


@pytest.mark.parametrize(
    "password",
    [
        "a#b",
        "a?b",
        "a/b",
        "p@s#s",
        "p@s/s",
        "p@s:8/s",
        "/@",
        "@/",
        "8554/x@y",
        "1@2/3",
        "2024/spring",
        "2024?spring",
        "2024#spring",
        "20241231/x",
    ],
)
def test_a_password_that_must_be_escaped_is_said_at_once(password: str) -> None:
    with raises_code(SourceOpenError, "bad-address", naming="%23") as caught:
        NetworkSource(f"rtsp://admin:{password}@127.0.0.1:1/live").open()
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://host/path?email=a@b.c",
        "http://u:p@host/path?y=a@b.c",
        "rtsp://u:p@camera:554/cam@1",
        "rtsp://u:p@10.0.0.2/a@b/c",
        "http://social.example/@user/video.mp4",
        "rtsp://u:p%40s%2Fs@cam.local:554/live",
        "http://host:8080/a@b/c.mp4",
        "rtsp://host:554/user@site",
        "http://nas:8096/users/me@example.org/a.mp4",
        "http://nas:8096/rec@10:30/c.mp4",
        "http://nas:1984/api/stream.mp4?src=rtsp://u:p@10.0.0.5/live",
    ],
)
def test_an_at_sign_in_a_path_is_no_password(address: str) -> None:
    NetworkAddress(address, "tcp", 1.0).check_password()


def test_an_address_in_doubt_is_opened_and_its_error_tells_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str, **kwargs: object) -> None:
        raise av.error.ConnectionRefusedError(111, "Connection refused", address)

    monkeypatch.setattr(av, "open", refuse)
    with raises_code(SourceOpenError, "refused", naming="%2F for /") as caught:
        NetworkSource("rtsp://admin:2024/spring@cam.example.org/live").open()
    assert "spring" not in str(caught.value)


def test_the_example_of_an_address_survives_redaction() -> None:
    text = explain(av.error.HTTPUnauthorizedError(0, "", ""))
    assert "rtsp://USER:PASSWORD@HOST/PATH" in redact_text(text)
