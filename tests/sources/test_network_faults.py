"""Network cameras that fail as real ones do: a real RTSP server that is killed, frozen and cut off, behind a proxy."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise

import pytest
from helpers import fault_proxy, rtsp_server
from helpers.errors import raises_code
from helpers.waiting import wait_until

from streamdepth.core.errors import SourceError, SourceLostError, SourceTimeoutError
from streamdepth.core.states import StateChange, StreamState
from streamdepth.core.types import Frame
from streamdepth.sources.network import NetworkSource

pytestmark = pytest.mark.slow

LIMIT_SECONDS = 60
"""However busy the machine is."""


@pytest.fixture
def server() -> Iterator[rtsp_server.Server]:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    with rtsp_server.running() as server:
        yield server


@pytest.fixture
def camera(server: rtsp_server.Server) -> Iterator[NetworkSource]:
    source = NetworkSource(f"{server.address}/h264", timeout_seconds=2, reconnect_seconds=LIMIT_SECONDS)
    yield source
    source.close()


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Checks that a test leaves no thread and no file descriptor behind."""
    threads, files = threading.active_count(), open_files()
    yield
    wait_until(lambda: threading.active_count() <= threads and open_files() <= files)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def read_until(source: NetworkSource, is_so: Callable[[], bool]) -> list[Frame]:
    """Returns the frames read until the condition is true, and one more."""
    frames, deadline = [], time.monotonic() + LIMIT_SECONDS
    while True:
        done = is_so()
        frame = source.read()
        assert frame is not None
        frames.append(frame)
        if done:
            return frames
        assert time.monotonic() < deadline


def states(source: NetworkSource) -> list[str]:
    return [change.state.value for change in source.states.changes]


def turns(source: NetworkSource) -> list[str]:
    """Returns the states without stalls, which a busy machine may cause."""
    return [state for state, _ in groupby(state for state in states(source) if state != "stalled")]


def in_order(frames: list[Frame]) -> bool:
    return all(a.pts < b.pts and a.index + 1 == b.index for a, b in pairwise(frames))


def test_a_server_that_is_killed_and_started_again_and_again(server: rtsp_server.Server, camera: NetworkSource) -> None:
    camera.open()
    frames: list[Frame] = []
    for times in (1, 2):
        frames += [read_until(camera, lambda: True)[0] for _ in range(20)]
        server.stop()
        starter = threading.Timer(0.3, server.start)
        starter.start()
        frames += read_until(camera, lambda: camera.reconnects == times)  # noqa: B023 - used within the round
        starter.join()
    assert in_order(frames)
    assert turns(camera)[2:] == ["live"] + ["reconnecting", "live"] * 2
    assert camera.states.abandoned_readers == 0


def test_another_size_after_a_restart(server: rtsp_server.Server, camera: NetworkSource) -> None:
    info = camera.open()
    assert (info.width, info.height) == (160, 120)
    read_until(camera, lambda: True)
    server.stop()
    server.size = (208, 160)
    server.start()
    frames = read_until(camera, lambda: camera.reconnects == 1)
    assert frames[-1].image.shape == (160, 208, 3)
    news = camera.take_changed_info()
    assert news is not None
    assert (news.width, news.height) == (208, 160)
    assert camera.take_changed_info() is None


def test_another_codec_after_a_restart(server: rtsp_server.Server, camera: NetworkSource) -> None:
    camera.open()
    frames = read_until(camera, lambda: True)
    server.stop()
    camera.url = f"{server.address}/h265"
    server.start()
    frames += read_until(camera, lambda: camera.reconnects == 1)
    assert in_order(frames)
    assert camera.take_changed_info() is None


def test_a_server_that_freezes_is_stalled_then_lost_and_comes_back(
    server: rtsp_server.Server, camera: NetworkSource
) -> None:
    camera.open()
    read_until(camera, lambda: True)
    server.freeze()
    camera.states.add_listener(lambda change: server.thaw() if change.state is StreamState.RECONNECTING else None)
    frames = read_until(camera, lambda: camera.reconnects == 1)
    assert [s for s in states(camera)[3:] if s != "live"] == ["stalled", "reconnecting"]
    assert in_order(frames)
    assert "no answer in time" in camera.states.changes[-2].reason


@pytest.mark.parametrize("fault", ["drop", "truncate", "garbage", "silent"])
def test_a_network_that_fails_for_a_while(server: rtsp_server.Server, fault: str) -> None:
    with fault_proxy.proxy_to(server.port) as proxy:
        source = NetworkSource(f"rtsp://127.0.0.1:{proxy.port}/h264", timeout_seconds=1.5, reconnect_seconds=60)
        source.open()
        frames = read_until(source, lambda: True)
        proxy.fault = fault
        if fault in ("garbage", "silent"):
            proxy.cut()
        healed = threading.Timer(1.0, lambda: setattr(proxy, "fault", ""))
        source.states.add_listener(
            lambda change: healed.start() if change.state is StreamState.RECONNECTING and healed.ident is None else None
        )
        frames += read_until(source, lambda: source.reconnects >= 1)
        healed.join()
        assert in_order(frames)
        assert source.states.abandoned_readers == 0
        source.close()


def test_a_network_that_stalls_and_goes_on(server: rtsp_server.Server) -> None:
    """A stall shorter than the timeout does not end the connection."""
    with fault_proxy.proxy_to(server.port) as proxy:
        source = NetworkSource(f"rtsp://127.0.0.1:{proxy.port}/h264", timeout_seconds=30)
        source.open()
        frames = read_until(source, lambda: True)
        source.states.add_listener(lambda change: setattr(proxy, "fault", ""))
        proxy.fault = "stall"
        frames += read_until(source, lambda: "stalled" in states(source))
        assert states(source)[3:] == ["stalled", "live"]
        assert in_order(frames)
        source.close()


def test_a_slow_network_is_no_fault(server: rtsp_server.Server) -> None:
    with fault_proxy.proxy_to(server.port) as proxy:
        proxy.delay_seconds, proxy.fault = 0.05, "delay"
        source = NetworkSource(f"rtsp://127.0.0.1:{proxy.port}/h264", timeout_seconds=20)
        source.open()
        started = source.read()
        assert started is not None
        assert in_order(read_until(source, lambda: time.monotonic() - started.captured_at > 1))
        assert source.reconnects == 0
        source.close()


@pytest.mark.parametrize("fault", ["garbage", "silent", "drop"])
def test_what_is_no_camera_is_refused_in_time(server: rtsp_server.Server, fault: str) -> None:
    with fault_proxy.proxy_to(server.port) as proxy:
        proxy.fault = fault
        source = NetworkSource(f"rtsp://127.0.0.1:{proxy.port}/h264", timeout_seconds=0.5)
        with pytest.raises(SourceTimeoutError if fault == "silent" else SourceError):
            source.open()
        assert states(source) == ["closed", "connecting", "failed"]


def test_a_password_that_changes_while_the_camera_is_away_is_final() -> None:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    with rtsp_server.running() as server:
        source = NetworkSource(f"{server.address}/h264", timeout_seconds=2, reconnect_seconds=LIMIT_SECONDS)
        source.open()
        read_until(source, lambda: True)
        server.stop()
        server.closed = "digest"
        server.start()
        with raises_code(SourceLostError, "unauthorized"):
            read_until(source, lambda: False)
        assert source.state.value == "failed"
        assert isinstance(source.states.current.reason, str)


def test_a_library_that_hangs_is_abandoned(
    server: rtsp_server.Server, camera: NetworkSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libav hangs in some decoders and name lookups, which none of its own timeouts ends."""
    release, hangs = threading.Event(), iter([True])

    def hang(*_: object) -> None:
        if next(hangs, False):
            release.wait(LIMIT_SECONDS)

    def be_patient_again(change: StateChange) -> None:
        if change.state is StreamState.RECONNECTING:
            camera.timeout_seconds = LIMIT_SECONDS

    camera.timeout_seconds = LIMIT_SECONDS
    camera.states.add_listener(be_patient_again)
    camera.open()
    read_until(camera, lambda: True)
    camera.timeout_seconds = 0.5
    monkeypatch.setattr("streamdepth.sources.track_decoder.TrackDecoder._update_end", hang)
    read_until(camera, lambda: camera.reconnects == 1)
    assert camera.states.abandoned_readers == 1
    assert "hangs" in camera.states.changes[-2].reason
    release.set()
