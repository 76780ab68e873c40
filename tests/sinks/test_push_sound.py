"""Sound of live streams that is sent on: it arrives unchanged, at its own distance from the pictures."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from helpers.rtsp_server import free_port
from helpers.sink_data import MODEL, live
from helpers.waiting import wait_until

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.live_sound import LiveSound
from streamdepth.sinks.push import PushSink
from streamdepth.sources.sound import SoundReader

RATE = 48000
START = Fraction(10)
"""Time of the first picture and the first packet of sound on the stream's clock."""


def encoded(codec: str, path, seconds: float = 1.0) -> LiveSound:
    """Returns sound of a live stream, as its source passes it on."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        tone = (np.sin(np.arange(int(RATE * seconds)) * 0.05) * 9000).astype(np.int16)
        for begin in range(0, tone.size - 1023, 1024):
            frame = AudioFrame.from_ndarray(tone[None, begin : begin + 1024], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        reader = SoundReader(container.streams.audio[0])
        sound = LiveSound(reader.feed.header)
        assert reader.feed.attach(sound)
        reader.feed.align(START)
        for packet in container.demux(audio=0):
            reader.add(packet)
    return sound


class Receiver:
    """Libav, which listens and keeps the packets that come: time in seconds and content, pictures without content."""

    def __init__(self, address: str, format: str, options: dict[str, str]) -> None:
        self.pictures: list[float] = []
        self.sounds: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._receive, args=(address, format, options), daemon=True)
        self._thread.start()

    def _receive(self, address: str, format: str, options: dict[str, str]) -> None:
        with suppress(av.FFmpegError, OSError), av.open(address, format=format, options=options) as container:
            for packet in container.demux():
                if packet.size and packet.pts is not None:
                    time = float(packet.pts * packet.time_base)
                    if packet.stream.type == "video":
                        self.pictures.append(time)
                    else:
                        self.sounds.append((time, bytes(packet)))

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("kind", ["tcp", "rtmp"])
def test_sound_arrives_at_its_distance_from_the_pictures(kind: str, tmp_path) -> None:
    sound = encoded("aac", tmp_path / "sound.mp4")
    info, items = live(30, 64, 48)
    items = [replace(i, frame=replace(i.frame, pts=i.frame.pts + round(START / i.frame.time_base))) for i in items]
    address = f"{kind}://127.0.0.1:{free_port()}" + ("/live/x" if kind == "rtmp" else "")
    receiver = (
        Receiver(address, "flv", {"listen": "1"})
        if kind == "rtmp"
        else Receiver(f"{address}?listen=1&timeout=20000000", "mpegts", {})
    )
    sink = PushSink(address, timeout_seconds=20)
    wait_until(lambda: opens(sink, replace(info, live_sound=sound)))
    for item in items:
        sink.write(item)
    sink.close()
    receiver.join()
    assert not sink.notices
    assert len(receiver.pictures) == 30
    sent = [packet for packet in sound.packets_after(0)[0] if START <= packet.time < START + Fraction(28, 30)]
    first = receiver.pictures[0]
    got = [time - first for time, _ in receiver.sounds]
    assert got[: len(sent)] == pytest.approx([float(p.time - START) for p in sent], abs=0.0015)
    assert all(theirs.endswith(ours.data) for ours, (_, theirs) in zip(sent, receiver.sounds, strict=False))


def opens(sink: PushSink, info) -> bool:
    try:
        sink.open(info, MODEL)
    except SinkOpenError:
        return False
    return True


def test_sound_that_receivers_would_not_understand_is_left_out_and_told(tmp_path) -> None:
    sink = PushSink(f"udp://127.0.0.1:{free_port()}", timeout_seconds=20)
    info, items = live(3, 64, 48)
    sound = encoded("pcm_s16le", tmp_path / "sound.mov", seconds=0.2)
    sink.open(replace(info, live_sound=sound), MODEL)
    for item in items:
        sink.write(item)
    sink.close()
    assert any("pcm_s16le" in notice for notice in sink.notices)
