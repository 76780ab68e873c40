"""The process in which `PushSink` encodes and sends a video; run as `python -m streamdepth.sinks.sender`.

FFmpeg's libraries connect while they hold Python's global lock, and may wait forever for a server that stays silent. In
the process that reads cameras this would stop everything; here a watchdog ends the process.

    standard input:  a SenderJob as one line of JSON; then messages, each with a head (HEAD_FORMAT): its time and its
                     duration in 1/90000 s, and the size of the sound that follows; 0: the planes of a picture follow
    standard output: "ready" once the server has accepted the stream; at a failure one line, its type and its message
"""

from __future__ import annotations

import base64
import faulthandler
import json
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any, TypedDict

import av
import numpy as np
from av.container import Flags

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.live_sound import SoundPacket
from streamdepth.sinks.encoders import open_encoder
from streamdepth.sinks.sound_copier import make_packet, open_format

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

TIME_BASE = Fraction(1, 90000)
"""Seconds per tick of the times that are sent: the clock of MPEG-TS and RTP."""
HEAD_FORMAT = struct.Struct("<qII")
"""Time and duration in ticks, and bytes of sound; a picture has none."""
_INTERLEAVING_US = 200_000
"""Microseconds that pictures wait for missing sound."""


class SenderJob(TypedDict):
    """The server, and how the video is encoded for it."""

    url: str
    format: str
    """FFmpeg's name of the container."""
    container_options: dict[str, str]
    encoder: str
    encoder_options: dict[str, str]
    pixel_format: str
    size: tuple[int, int]
    """Width and height in px, even."""
    fps: tuple[int, int]
    sound: str
    """Base 64 of the header of a `LiveSound`; empty without sound."""
    timeout_seconds: float
    """Time limit for connecting, and for sending one picture."""


def send(job: SenderJob, pictures: IO[bytes], answers: IO[str]) -> None:
    """Sends all `pictures`, and ends this process if the server is silent for too long. Raises FFmpeg's errors."""
    with _watchdog(job["timeout_seconds"]):
        output, stream, sound = _connect(job)
    answers.write("ready\n")
    answers.flush()
    try:
        for item in _messages(job, pictures):
            with _watchdog(job["timeout_seconds"]):
                if isinstance(item, av.VideoFrame):
                    output.mux(stream.encode(item))
                elif sound is not None:
                    output.mux_one(make_packet(item, item.time, sound))
        with _watchdog(job["timeout_seconds"]):
            output.mux(stream.encode(None))
    finally:
        with _watchdog(job["timeout_seconds"]):
            output.close()


def _connect(job: SenderJob) -> tuple[OutputContainer, VideoStream, Stream | None]:
    interleaving = {"max_interleave_delta": str(_INTERLEAVING_US)} if job["sound"] else {}
    options = job["container_options"] | interleaving
    output = av.open(job["url"], "w", format=job["format"], container_options=options)
    output.flags |= Flags.flush_packets.value  # type: ignore[operator]  # an int; each picture leaves at once
    rate = Fraction(*job["fps"])
    stream: Any = output.add_stream(job["encoder"], rate=rate, options=job["encoder_options"])
    stream.time_base = TIME_BASE
    stream.codec_context.gop_size = max(1, round(rate))  # a viewer who joins waits a second at most
    stream.codec_context.max_b_frames = 0
    open_encoder(stream.codec_context, *job["size"], TIME_BASE)
    sound: Stream | None = None
    if job["sound"]:
        with open_format(base64.b64decode(job["sound"])) as described:
            sound = output.add_stream_from_template(described.streams.audio[0])
            output.start_encoding()
    output.start_encoding()
    return output, stream, sound


def _messages(job: SenderJob, pictures: IO[bytes]) -> Iterator[av.VideoFrame | SoundPacket]:
    width, height = job["size"]
    rows = height * 3 // 2
    while len(head := pictures.read(HEAD_FORMAT.size)) == HEAD_FORMAT.size:
        pts, duration, sound_bytes = HEAD_FORMAT.unpack(head)
        data = pictures.read(sound_bytes or rows * width)
        if len(data) < (sound_bytes or rows * width):
            return
        if sound_bytes:
            yield SoundPacket(pts * TIME_BASE, duration * TIME_BASE, data)
            continue
        planes = np.frombuffer(data, np.uint8)
        frame = av.VideoFrame.from_ndarray(planes.reshape(rows, width), format=job["pixel_format"])
        frame.pts, frame.time_base = pts, TIME_BASE
        frame.color_primaries = frame.color_trc = frame.colorspace = frame.color_range = 1
        yield frame


@contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """Ends this process when the block takes longer than `seconds`.

    faulthandler's timer works while a library holds Python's global lock, which a thread would wait for.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the end of the input ends this one
    try:
        send(json.loads(sys.stdin.buffer.readline()), sys.stdin.buffer, sys.stdout)
    except (av.FFmpegError, OSError, ValueError, SinkOpenError) as error:
        sys.stdout.write(f"{type(error).__name__} {getattr(error, 'strerror', None) or error}\n")
        sys.exit(1)


if __name__ == "__main__":
    _main()
