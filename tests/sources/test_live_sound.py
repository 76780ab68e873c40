"""Sound of network cameras in recordings: flashes and beeps of one moment stay together, also across a reconnect."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from helpers import rtsp_server
from helpers.fault_proxy import proxy_to
from helpers.flash_and_beep import beeps, flashes, write_movie

import streamdepth
from streamdepth.core.live_sound import LiveSound, SoundFeed, SoundPacket
from streamdepth.core.sink import Sink
from streamdepth.testing import ConstantEstimator

PLAIN = {"style": "side-by-side", "legend": False, "smooth": "off", "find_bars": False}


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rtsp_server.Server]:
    if missing := rtsp_server.unavailable_reason():
        pytest.skip(missing)
    movie = write_movie(tmp_path_factory.mktemp("movie") / "movie.mov", seconds=12)
    with rtsp_server.running(movie=movie) as server:
        yield server


def offsets(path: Path) -> list[float]:
    """Returns for each flash by how many seconds its beep is late."""
    heard = beeps(path)
    seen = [flash for flash in flashes(path) if flash > 0.1]
    return [min((beep - flash for beep in heard), key=abs) for flash in seen]


AAC_DELAY = 1600 / 48000
"""Seconds by which the server's own encoder delays the sound."""


@pytest.mark.parametrize(
    ("path", "name", "codec", "delay"), [("movie", "cam.mp4", "aac", AAC_DELAY), ("call", "cam.mkv", "pcm_s16le", 0.0)]
)
def test_the_sound_of_a_camera_is_recorded_in_step(camera, tmp_path: Path, path, name, codec, delay) -> None:
    out = tmp_path / name
    streamdepth.convert(f"{camera.address}/{path}", out, model=ConstantEstimator(), max_seconds=2.1, **PLAIN)
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.name == codec
        assert container.streams.video[0].start_time in (0, None)
    late = offsets(out)
    assert late
    assert late == pytest.approx([delay] * len(late), abs=0.005)


def test_a_camera_that_refuses_its_sound_still_gives_pictures(camera) -> None:
    with proxy_to(camera.port) as proxy:
        proxy.fault = "no-sound"
        address = f"rtsp://127.0.0.1:{proxy.port}/movie"
        with streamdepth.stream(address, model=ConstantEstimator(), max_frames=3) as frames:
            assert list(frames)  # a live stream may drop some
            assert any("sound" in notice for notice in frames.report().notices)


class RestartsTheServer(Sink):
    """Stops the server for a moment once a stream has run for 1 s."""

    def __init__(self, server: rtsp_server.Server) -> None:
        super().__init__()
        self.server, self.is_done = server, False

    def on_write(self, item) -> None:
        if item.frame.time > 1.0 and not self.is_done:
            self.is_done = True
            self.server.stop()
            rtsp_server.start_thread(self.server.start)


def test_sound_stays_in_step_across_a_reconnect(camera, tmp_path: Path) -> None:
    out = tmp_path / "cam.mkv"
    report = streamdepth.convert(
        f"{camera.address}/call",
        out,
        model=ConstantEstimator(),
        sinks=[RestartsTheServer(camera)],
        max_seconds=4.5,
        **PLAIN,
    )
    assert report.reconnects == 1
    late, seen = offsets(out), flashes(out)
    assert min(seen) < 1.1
    assert max(seen) > 2.5
    assert late == pytest.approx([0.0] * len(late), abs=0.005)


def test_each_segment_has_its_own_sound(camera, tmp_path: Path) -> None:
    streamdepth.convert(
        f"{camera.address}/call",
        tmp_path / "cam.mkv",
        model=ConstantEstimator(),
        segment=1.3,
        max_seconds=2.8,
        **PLAIN,
    )
    first, second = tmp_path / "cam_000000.mkv", tmp_path / "cam_000001.mkv"
    for path in (first, second):
        late = offsets(path)
        assert late
        assert late == pytest.approx([0.0] * len(late), abs=0.005)
        with av.open(str(path)) as container:
            packets = [p for p in container.demux(audio=0) if p.size]
        start, end = (float(p.pts * p.time_base) for p in (packets[0], packets[-1]))
        assert start < 0.1
        assert 1.2 < end < 1.3


def packets(start: int, count: int) -> list[SoundPacket]:
    return [SoundPacket(Fraction(start + k), Fraction(1), bytes([k])) for k in range(count)]


def test_sound_follows_the_clock_of_the_pictures() -> None:
    """Sound that comes before the first picture waits; small repairs of the clock of pictures leave it alone."""
    sound, feed = LiveSound(b"format"), SoundFeed(b"format")
    assert feed.attach(sound)
    for packet in packets(100, 3):
        feed.add(packet)
    assert sound.packets_after(0) == ([], 0)
    feed.align(Fraction(-100))
    assert [float(packet.time) for packet in sound.packets_after(0)[0]] == [0, 1, 2]
    feed.align(Fraction(-9999, 100))
    feed.add(packets(103, 1)[0])
    feed.align(Fraction(-90))
    feed.add(packets(104, 1)[0])
    found, count = sound.packets_after(3)
    assert ([float(packet.time) for packet in found], count) == ([3, 14], 5)


def test_only_the_last_minute_is_kept_and_another_format_is_refused() -> None:
    sound = LiveSound(b"format")
    for packet in packets(0, 200):
        sound.add(packet)
    found, count = sound.packets_after(0)
    assert ([packet.time for packet in found], count) == (list(range(139, 200)), 200)
    assert [packet.time for packet in sound.packets_after(198)[0]] == [198, 199]
    assert not SoundFeed(b"other").attach(sound)
