"""Sending the video to a server while it is made: RTSP, RTMP, SRT, or MPEG-TS over UDP and TCP."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, rendered_size
from streamdepth.sinks.encoders import choose_pixel_format, encoder_options, find_encoder, low_latency_options
from streamdepth.sinks.sender import CLOCK, TIME, Job
from streamdepth.sinks.video_frames import render_video_frame
from streamdepth.utils.backoff import Backoff
from streamdepth.utils.redact import redact, redact_text

if TYPE_CHECKING:
    import av

FORMATS = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "srt": "mpegts",
    "udp": "mpegts",
    "tcp": "mpegts",
    "rtp": "rtp_mpegts",
}
"""Scheme of an address -> libav's container for it."""
_USUAL_FPS = Fraction(30)
_LONGEST_WAIT_SECONDS = 8.0
_HEALTHY_SECONDS = 10.0
"""A connection that lasted so long was a good one."""
_REASONS = {
    "ConnectionRefusedError": "nothing listens at that address and port; check both",
    "HTTPUnauthorizedError": "user name or password is missing or wrong (401)",
    "HTTPForbiddenError": "access is forbidden (403); check the rights of the user",
    "HTTPNotFoundError": "there is no such path (404)",
    "ProtocolNotFoundError": "FFmpeg here does not know such addresses; PyAV's wheels come without SRT, a PyAV built "
    "with it has it",
}


class PushSink(Sink):
    """Encodes what a window would show for low latency, and sends it to `url`.

    - Times are the stream's own, from 0 at each connection on. Every second has a key frame; no frame waits for one
      that comes after it.
    - A server that goes away is tried again, with growing pauses, for `reconnect_seconds`; frames are skipped
      meanwhile, and `notices` says how many. Encoding and sending happen in a process of their own (`sender`), so that
      a server that hangs stops nothing here but this sink's own thread, for `timeout_seconds` at most.
    - A stream that comes back with another size is sent anew with it. Odd sizes get their last row or column twice.

    Args:
        url: rtsp:// rtsps:// rtmp:// rtmps:// srt:// udp:// tcp:// or rtp://; secrets in it appear nowhere.
        transport: of RTSP.
        options: how depth is drawn.
        codec, crf, preset: as for VideoSink.

    Raises:
        ConfigError: the scheme is unknown, or an option of drawing is wrong.
        SinkOpenError: from `open`, where the server cannot be reached or refuses.
        SinkWriteError: from `write`, once the server has been away for too long.
    """

    can_drop_frames = True

    def __init__(
        self,
        url: str,
        options: RenderOptions = RenderOptions(),
        *,
        codec: str = "h264",
        crf: int = 23,
        preset: str = "veryfast",
        transport: Literal["tcp", "udp"] = "tcp",
        timeout_seconds: float = 5.0,
        reconnect_seconds: float = 30.0,
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.url, self.name, self.scheme = url, redact(url), url.partition("://")[0].lower()
        if self.scheme not in FORMATS:
            raise ConfigError(f"cannot send to '{self.name}'; use {', '.join(f'{s}://' for s in FORMATS)}")
        self.options, self.codec, self.crf, self.preset, self.transport = options, codec, crf, preset, transport
        self.timeout_seconds, self.reconnect_seconds = timeout_seconds, reconnect_seconds
        self.skipped = 0
        """Frames that were not sent, since the server was away."""
        self._job: Job | None = None
        self._sender: _Sender | None = None
        self._away: _Away | None = None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        self.discard()
        self._job, self._away, self.skipped = self._make_job(info), None, 0
        try:
            self._sender = _Sender(self._job)
        except _GoneError as error:
            self._job = None
            raise SinkOpenError(f"cannot send to {self.name}: {error}") from None

    def _make_job(self, info: StreamInfo) -> Job:
        encoder = find_encoder(self.codec)
        width, height = rendered_size((info.width, info.height), self.options.style)
        rate = info.fps or _USUAL_FPS
        return {
            "url": self._address,
            "format": FORMATS[self.scheme],
            "container_options": self._container_options(),
            "encoder": encoder,
            "encoder_options": encoder_options(encoder, self.crf, self.preset) | low_latency_options(encoder),
            "pixel_format": choose_pixel_format(encoder),
            "size": (width + width % 2, height + height % 2),
            "fps": (rate.numerator, rate.denominator),
            "timeout_seconds": self.timeout_seconds,
        }

    @property
    def _address(self) -> str:
        """For UDP with whole packets of MPEG-TS in each datagram."""
        if self.scheme != "udp" or "pkt_size=" in self.url:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}pkt_size=1316"

    def _container_options(self) -> dict[str, str]:
        if FORMATS[self.scheme] == "rtsp":
            return {"rtsp_transport": self.transport, "timeout": str(round(self.timeout_seconds * 1e6))}
        if FORMATS[self.scheme] == "flv":
            return {"flvflags": "no_duration_filesize"}
        return {"omit_video_pes_length": "0"}  # a receiver sees where a picture ends, and need not wait for the next

    def on_stream_changed(self, info: StreamInfo) -> None:
        if self._job is None:
            return
        self._job = self._make_job(info)
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
            self._away = _Away(self.reconnect_seconds)

    def write(self, item: DepthFrame) -> None:
        if self._job is None:
            raise SinkWriteError(f"{self.name} is not open; call open first")
        sender = self._sender or self._reconnect(self._job)
        if sender is None:
            self.skipped += 1
            return
        frame = render_video_frame(item, self._job["pixel_format"], self._job["size"], self.options)
        try:
            sender.send(frame, item.frame.pts * item.frame.time_base)
        except _GoneError as error:
            self.skipped += 1
            self._sender = None
            if self._away is None or sender.age_seconds > _HEALTHY_SECONDS:
                self._away = _Away(self.reconnect_seconds)
            else:
                self._away.was_back_for(sender.age_seconds)
                self._note_failure(self._away, str(error))

    def _reconnect(self, job: Job) -> _Sender | None:
        """The connection once the server is back; None while it is not, and in the pauses between two attempts."""
        assert self._away is not None
        if not self._away.is_due:
            return None
        try:
            self._sender = _Sender(job)
        except _GoneError as error:
            self._note_failure(self._away, str(error))
        return self._sender

    def _note_failure(self, away: _Away, reason: str) -> None:
        if away.failed():
            self.discard()
            raise SinkWriteError(
                f"{self.name} went away ({reason}) and did not come back for good in {self.reconnect_seconds:g} seconds"
            )

    def close(self) -> None:
        sender, self._sender, self._job = self._sender, None, None
        if sender is not None:
            sender.close()
        if self.skipped:
            self.add_notice(f"{self.name} was away: {self.skipped} frames were not sent to it")
            self.skipped = 0

    def discard(self) -> None:
        sender, self._sender, self._job = self._sender, None, None
        if sender is not None:
            sender.kill()


class _GoneError(Exception):
    """The server cannot be reached any more, for a reason in words without secrets."""


class _Away:
    """When to try again to reach a server: after pauses as `Backoff` says, for `limit_seconds` of its being away."""

    def __init__(self, limit_seconds: float) -> None:
        self._until = time.monotonic() + limit_seconds
        self._next, self._backoff = 0.0, Backoff(_LONGEST_WAIT_SECONDS)

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def was_back_for(self, seconds: float) -> None:
        """Does not count that time, in which it was there."""
        self._until += seconds

    def failed(self) -> bool:
        """Notes a failed attempt; whether it was the last one."""
        now = time.monotonic()
        self._next = now + self._backoff.next_wait_seconds()
        return now >= self._until


class _Sender:
    """A running process of `sender`. Raises _GoneError when it cannot connect, and from `send`."""

    def __init__(self, job: Job) -> None:
        self._job, self._first, self._last = job, Fraction(0), -1
        command = [sys.executable, "-m", "streamdepth.sinks.sender"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._pass_on(json.dumps(job).encode() + b"\n")
        answer = self._output.readline()
        if answer != b"ready\n":
            self.kill()
            raise _GoneError(self._reason(answer))
        self._connected_at = time.monotonic()

    @property
    def age_seconds(self) -> float:
        """How long the connection has lasted."""
        return time.monotonic() - self._connected_at

    def send(self, frame: av.VideoFrame, time_seconds: Fraction) -> None:
        """Passes on what `draw` made for the job, shown from `time_seconds` on; waits while the server is slow."""
        if self._last < 0:
            self._first = time_seconds
        self._last = max(self._last + 1, round((time_seconds - self._first) / CLOCK))
        self._pass_on(TIME.pack(self._last) + frame.to_ndarray().tobytes())

    def _pass_on(self, data: bytes) -> None:
        try:
            self._input.write(data)
            self._input.flush()
        except OSError:
            answer = self._output.readline()
            self.kill()
            raise _GoneError(self._reason(answer)) from None

    def _reason(self, answer: bytes) -> str:
        kind, _, text = answer.decode(errors="replace").strip().partition(" ")
        if not kind:
            return f"no answer in {self._job['timeout_seconds']:g} seconds"
        return _REASONS.get(kind) or redact_text(text)

    def close(self) -> None:
        """Sends what is left, and ends the process; it is killed where that takes too long."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._input.close()
            self._process.wait(self._job["timeout_seconds"])
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            with contextlib.suppress(OSError):  # what was buffered cannot be passed on any more
                pipe.close()
