"""NDI, sent and received on this machine by NDI's own library; against a fake of its package where that is missing."""

from __future__ import annotations

import json
import sys
import time
import types
from fractions import Fraction
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.sink_data import MODEL, stream

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame
from streamdepth.sinks.ndi import NdiSink


class FakeFrame:
    """A frame to be filled, with the members that are used."""

    def set_resolution(self, width: int, height: int) -> None:
        self.size = (width, height)

    def set_fourcc(self, fourcc: str) -> None:
        assert fourcc == "RGBX"

    def set_frame_rate(self, rate: Fraction) -> None:
        self.rate = rate


class FakeSender:
    """A sender that keeps what is sent."""

    def __init__(self, name: str, clock_video: bool) -> None:
        self.name, self.clock_video, self.sent, self.is_open = name, clock_video, list[np.ndarray](), False

    def set_video_frame(self, frame: FakeFrame) -> None:
        self.frame = frame

    def open(self) -> None:
        if self.name == "taken":
            raise RuntimeError("the name is in use")
        self.is_open = True

    def write_video(self, data: np.ndarray) -> None:
        if not self.is_open or data.shape != (4 * self.frame.size[0] * self.frame.size[1],):
            raise ValueError("wrong size")
        self.sent.append(data.reshape(self.frame.size[1], self.frame.size[0], 4)[..., :3].copy())

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> list[FakeSender]:
    """Those that were made."""
    made: list[FakeSender] = []

    def make(name: str, clock_video: bool) -> FakeSender:
        made.append(FakeSender(name, clock_video))
        return made[-1]

    package = types.ModuleType("cyndilib")
    package.__spec__ = ModuleSpec("cyndilib", loader=None, is_package=True)
    members = {
        "sender": {"Sender": make},
        "video_frame": {"VideoSendFrame": FakeFrame},
        "wrapper.ndi_structs": {"FourCC": types.SimpleNamespace(RGBX="RGBX")},
    }
    monkeypatch.setitem(sys.modules, "cyndilib", package)
    for name, values in members.items():
        monkeypatch.setitem(sys.modules, f"cyndilib.{name}", types.SimpleNamespace(**values))
    return made


@pytest.mark.parametrize(("style", "width"), [("overlay", 48), ("side-by-side", 96)])
def test_frames_are_sent_as_they_are_drawn(senders, style: str, width: int) -> None:
    info, items = stream(3)
    options = RenderOptions(style=style)
    sink = NdiSink("depth", options)
    sink.open(info, MODEL)
    for item in items:
        sink.write(item)
    sink.close()
    sink.close()
    (sender,) = senders
    assert (sender.name, sender.frame.size, sender.frame.rate) == ("depth", (width, 32), 30)
    assert sender.clock_video is not info.is_live
    assert all((sent == item.render(options)).all() for sent, item in zip(sender.sent, items, strict=True))
    assert not sender.is_open


def test_another_size_is_scaled_to_the_first(senders) -> None:
    with NdiSink() as sink:
        sink.open(stream(1)[0], MODEL)
        sink.write(stream(1, 80, 90)[1][0])
        assert senders[0].sent[0].shape == (32, 48, 3)


def test_failures_are_errors_of_the_sink(senders, monkeypatch) -> None:
    with raises_code(SinkOpenError, "ndi", naming="taken"):
        NdiSink("taken").open(stream(1)[0], MODEL)
    sink = NdiSink()
    sink.open(stream(1)[0], MODEL)
    monkeypatch.setattr(FakeSender, "write_video", lambda *_: (_ for _ in ()).throw(RuntimeError("gone")))
    with pytest.raises(SinkWriteError, match="gone"):
        sink.write(stream(1)[1][0])


def test_a_missing_package_is_said_with_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cyndilib", None)
    with raises_code(MissingDependencyError, "missing-dependency", naming=r"streamdepth\[ndi\]"):
        NdiSink().open(stream(1)[0], MODEL)


def test_from_the_command_line(cli, quick_model, senders, tmp_path) -> None:
    stats = tmp_path / "stats.json"
    done = cli("convert", "lavfi:testsrc2=size=64x48:rate=20:duration=0.5", "-o", "ndi:my depth", "--stats", stats)
    assert done.code == 0, done.err
    assert senders[0].name == "my depth"
    dropped = json.loads(stats.read_text())["dropped"].get("waiting_for_sink", 0)  # on a busy machine
    assert len(senders[0].sent) == 10 - dropped


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NDI that looks for sources on this machine, where no mDNS may run; it reads this when it is imported first."""
    (tmp_path / "ndi-config.v1.json").write_text(json.dumps({"ndi": {"networks": {"ips": "127.0.0.1"}}}))
    monkeypatch.setenv("NDI_CONFIG_DIR", str(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("cyndilib") is None, reason="no NDI; pip install streamdepth[ndi]")
def test_a_receiver_on_this_machine_gets_the_picture(loopback: None) -> None:
    """NDI compresses with loss: flat colors come back within 6 of 255."""
    info, (item,) = stream(1, 96, 64)
    name = f"streamdepth test {time.monotonic_ns()}"
    with NdiSink(name, RenderOptions(style="depth")) as sink:
        sink.open(info, MODEL)
        received = _receive(name, sink, item)
    expected = item.render(RenderOptions(style="depth")).astype(np.int16)
    assert received.shape == (*expected.shape[:2], 4)
    assert np.abs(received[..., :3] - expected).mean() < 6


def _receive(name: str, sink: NdiSink, item: DepthFrame) -> np.ndarray:
    """Sends the frame until a receiver has it; returns the picture as received, (H, W, 4) int16."""
    from cyndilib.finder import Finder
    from cyndilib.receiver import Receiver
    from cyndilib.video_frame import VideoFrameSync
    from cyndilib.wrapper.ndi_recv import RecvBandwidth, RecvColorFormat

    receiver = Receiver(color_format=RecvColorFormat.RGBX_RGBA, bandwidth=RecvBandwidth.highest)
    frame: Any = VideoFrameSync()
    receiver.frame_sync.set_video_frame(frame)
    deadline, source = time.monotonic() + 60, None
    with Finder() as finder:
        while not frame.xres:
            assert time.monotonic() < deadline
            sink.write(item)
            found = [full_name for full_name in finder.get_source_names() if name in full_name]
            if found and source is None:
                source = finder.get_source(found[0])
                receiver.set_source(source)
            if source is not None and receiver.is_connected():
                receiver.frame_sync.capture_video()
            time.sleep(0.02)
        picture = np.array(frame.get_array()).reshape(frame.yres, frame.xres, 4).astype(np.int16)
    receiver.disconnect()
    return picture
