"""What nobody needs any more is gone at once, with Python's garbage collector off.

The collector counts objects, and knows nothing of the pictures and decoders behind them: it would come too late.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from helpers import fault_proxy, media, rtsp_server

from streamdepth import config, factory
from streamdepth.core.buffer import FrameBuffer, QueuePolicy
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.threads import WorkerThread
from streamdepth.core.types import DepthFrame, Frame
from streamdepth.sources.background_reader import BackgroundReader
from streamdepth.sources.file import FileSource
from streamdepth.sources.network import NetworkSource
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.utils.backoff import Backoff

LIMIT_SECONDS = 60
CONNECTION = (BackgroundReader, TrackDecoder, InputContainer, VideoCodecContext, av.VideoFrame)


@pytest.fixture(autouse=True)
def collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive(*kinds: type) -> int:
    return sum(type(thing) in kinds for thing in gc.get_objects())


@pytest.mark.parametrize("rotation", [None, 90])
def test_pictures_of_a_file(tmp_path: Path, rotation: int | None) -> None:
    before = alive(av.VideoFrame)
    source = FileSource(media.write_video(tmp_path / "a.mp4", count=60, rotation=rotation))
    source.open()
    for _ in range(59):
        frame = source.read()
        assert frame is not None
        assert frame.image.any()
    assert 0 < alive(av.VideoFrame) - before < 20
    source.close()


def test_a_file_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "a.ts", container_format="mpegts")
    path.write_bytes(path.read_bytes()[:600])
    before = alive(*CONNECTION)
    with pytest.raises(SourceOpenError):
        FileSource(path).open()
    assert alive(*CONNECTION) == before


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "truncate", "garbage", "stall", "silent", "killed"])
def test_connections_that_were_lost(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := rtsp_server.unavailable_reason():
        pytest.skip(reason)
    monkeypatch.setattr(Backoff, "next_wait_seconds", lambda _: 0.1)
    before = alive(*CONNECTION)
    with rtsp_server.running() as server, fault_proxy.proxy_to(server.port) as proxy:
        port = server.port if fault == "killed" else proxy.port
        source = NetworkSource(f"rtsp://127.0.0.1:{port}/h264", timeout_seconds=0.5, reconnect_seconds=60)
        source.open()
        for _ in range(2):
            lose_and_find(source, server, proxy, fault)
        now = alive(*CONNECTION) - before
        source.close()
    deadline = time.monotonic() + LIMIT_SECONDS
    while alive(*CONNECTION) != before:  # a reader that was connecting ends by itself
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert 0 < now < 20


def lose_and_find(source: NetworkSource, server: rtsp_server.Server, proxy: fault_proxy.FaultProxy, fault: str) -> None:
    """One fault, some attempts in vain, and another connection."""
    assert source.read() is not None
    known, heal = source.reconnects, lambda: setattr(proxy, "fault", "")
    if fault == "killed":
        server.stop()
        heal = server.start
    else:
        proxy.fault = fault
        if fault in ("garbage", "silent"):
            proxy.cut()
    healed = threading.Timer(1, heal)
    healed.start()
    deadline = time.monotonic() + LIMIT_SECONDS
    while source.reconnects == known:
        assert source.read() is not None
        assert time.monotonic() < deadline
    healed.join()


@pytest.mark.usefixtures("quick_model")
@pytest.mark.parametrize(
    "how", [{"smooth": "strong"}, {"smooth": "offline"}, {"range": "per-shot"}, {"inference_fps": 5}]
)
def test_pictures_of_a_run_that_is_over(how: dict[str, object], tmp_path: Path) -> None:
    source = media.write_video(tmp_path / "a.mp4", count=30, size=(64, 48))
    settings = config.make(source=source, output=tmp_path / "out.mp4", legend=False, **how)
    before = alive(Frame, DepthFrame, av.VideoFrame)
    with factory.open_pipeline(settings) as pipeline:
        assert pipeline.run().written == 30
    assert alive(Frame, DepthFrame, av.VideoFrame) == before


@pytest.mark.slow
@pytest.mark.usefixtures("quick_model")
def test_segments_that_are_complete(tmp_path: Path) -> None:
    settings = config.make(
        source="lavfi:testsrc2=size=64x48:rate=30",
        output=tmp_path / "out.mp4",
        segment=0.2,
        max_frames=120,
        video_preset="ultrafast",
        legend=False,
    )
    before, counts = alive(VideoCodecContext), []

    def look(item: DepthFrame) -> None:
        if item.frame.index % 24 == 23:
            counts.append(alive(VideoCodecContext) - before)

    with factory.open_pipeline(settings, look) as pipeline:
        assert pipeline.run().written == 120
    assert len(list(tmp_path.glob("*.mp4"))) == 20
    assert max(counts) <= 3, counts
    assert alive(VideoCodecContext) == before


class Owner:
    """Has a worker that works for it, as most do."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.worker = WorkerThread("owner", self.work, self.ended)

    def work(self) -> None:
        if self.error is not None:
            raise self.error

    def ended(self, error: BaseException | None) -> None:
        assert error is self.error


@pytest.mark.parametrize("error", [None, ValueError("no")])
def test_whom_a_thread_worked_for(error: Exception | None) -> None:
    owner = Owner(error)
    owner.worker.start()
    owner.worker.wait()
    if error is not None:
        error.with_traceback(None)
    del owner
    assert alive(Owner) == 0


class TravellingError(Exception):
    """Travels through a buffer."""


def test_an_error_that_was_raised_on_another_thread() -> None:
    buffer: FrameBuffer[int] = FrameBuffer(QueuePolicy(1))
    buffer.close(TravellingError())
    with pytest.raises(TravellingError) as caught:
        buffer.take()
    del caught
    assert alive(TravellingError) == 0
