"""The process in which `PushSink` encodes and sends a video; run as `python -m streamdepth.sinks.sender`.

FFmpeg's libraries connect while they hold Python's global lock, and may wait forever for a server that stays silent. In
the process that reads cameras this would stop everything; here a watchdog ends the process.

    standard input:  a SenderJob as one line of JSON; then for each picture its PTS (int64, 1/90000 s) and its planes
    standard output: "ready" once the server has accepted the stream; at a failure one line, its type and its message
"""

from __future__ import annotations

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
from streamdepth.sinks.encoders import open_encoder

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

TIME_BASE = Fraction(1, 90000)
"""Seconds per tick of the times that are sent: the clock of MPEG-TS and RTP."""
PTS_FORMAT = struct.Struct("<q")


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
    timeout_seconds: float
    """Time limit for connecting, and for sending one picture."""


def send(job: SenderJob, pictures: IO[bytes], answers: IO[str]) -> None:
    """Sends all `pictures`, and ends this process where the server is silent for too long. Raises FFmpeg's errors."""
    with _watchdog(job["timeout_seconds"]):
        output, stream = _connect(job)
    answers.write("ready\n")
    answers.flush()
    try:
        for frame in _frames(job, pictures):
            with _watchdog(job["timeout_seconds"]):
                output.mux(stream.encode(frame))
        with _watchdog(job["timeout_seconds"]):
            output.mux(stream.encode(None))
    finally:
        with _watchdog(job["timeout_seconds"]):
            output.close()


def _connect(job: SenderJob) -> tuple[OutputContainer, VideoStream]:
    output = av.open(job["url"], "w", format=job["format"], container_options=job["container_options"])
    output.flags |= Flags.flush_packets.value  # type: ignore[operator]  # an int; each picture leaves at once
    rate = Fraction(*job["fps"])
    stream: Any = output.add_stream(job["encoder"], rate=rate, options=job["encoder_options"])
    stream.time_base = TIME_BASE
    stream.codec_context.gop_size = max(1, round(rate))  # a viewer who joins waits a second at most
    stream.codec_context.max_b_frames = 0
    open_encoder(stream.codec_context, *job["size"], TIME_BASE)
    output.start_encoding()
    return output, stream


def _frames(job: SenderJob, pictures: IO[bytes]) -> Iterator[av.VideoFrame]:
    width, height = job["size"]
    rows = height * 3 // 2
    while len(head := pictures.read(PTS_FORMAT.size)) == PTS_FORMAT.size:
        planes = np.frombuffer(pictures.read(rows * width), np.uint8)
        if planes.size < rows * width:
            return
        frame = av.VideoFrame.from_ndarray(planes.reshape(rows, width), format=job["pixel_format"])
        (frame.pts,), frame.time_base = PTS_FORMAT.unpack(head), TIME_BASE
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
