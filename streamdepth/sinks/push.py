"""Pushes live video to a server: RTSP, RTMP, SRT, or MPEG-TS over UDP, TCP and RTP."""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

from streamdepth.core.errors import ConfigError, SinkOpenError, SinkWriteError
from streamdepth.core.live_sound import LiveSound, SoundPacket
from streamdepth.core.render_options import RenderOptions
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.render.overlay import check_render_options, rendered_size
from streamdepth.sinks.automatic_encoder import resolve_encoder
from streamdepth.sinks.encoders import (
    AUTOMATIC,
    EncodingOptions,
    choose_pixel_format,
    encoder_options,
    low_latency_options,
)
from streamdepth.sinks.frame_packing import frame_packing_options
from streamdepth.sinks.sender import SenderJob
from streamdepth.sinks.sender_process import ConnectionLostError, SenderProcess
from streamdepth.sinks.sound_copier import open_format
from streamdepth.sinks.video_frames import render_video_frame
from streamdepth.utils.backoff import Backoff
from streamdepth.utils.redact import redact

PUSH_FORMATS = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "rtmp": "flv",
    "rtmps": "flv",
    "srt": "mpegts",
    "udp": "mpegts",
    "tcp": "mpegts",
    "rtp": "rtp_mpegts",
}
"""Scheme of an address -> FFmpeg's name of the container for it."""
_SOUND_CODECS = {
    "rtsp": ("aac", "opus", "mp3", "mp3float", "ac3", "g722"),
    "flv": ("aac", "mp3", "mp3float"),
    "mpegts": ("aac", "opus", "mp3", "mp3float", "mp2", "mp2float", "ac3", "eac3"),
}
"""Container -> audio codecs that receivers understand in it; rtp_mpegts is treated like mpegts."""
_DEFAULT_FPS = Fraction(30)
_MAX_WAIT_SECONDS = 8.0
_HEALTHY_SECONDS = 10.0
"""After a connection that lasted this long, the time to reconnect starts from the beginning."""


class PushSink(Sink):
    """Sends the rendered frames to a server, encoded for low latency.

        sink = PushSink("rtsp://127.0.0.1:8554/depth")

    - Times are the stream's own, from 0 at each connection on. There is a keyframe every second, and no frame waits
      for a later one (no B-frames).
    - A lost server is tried again, with growing pauses, for `reconnect_seconds`; frames are skipped meanwhile, and
      `notices` says how many. Encoding and sending happen in a process of their own (`sender`), so that a server that
      hangs blocks nothing but this sink's own thread, for `timeout_seconds` at most.
    - The sound of a stream from the network is sent, too, where the container has its codec; else it is announced.
    - A stream that comes back with another size is sent over a new connection. The last row or column of an odd size is
      repeated.

    Args:
        url: rtsp:// rtsps:// rtmp:// rtmps:// srt:// udp:// tcp:// or rtp://; secrets in it are never shown.
        transport: the transport of RTSP.
        options: how depth is drawn.
        codec, crf: as for VideoSink.
        preset: as for VideoSink; auto is veryfast, since without a lookahead superfast needs 50 % more bits.

    Raises:
        ConfigError: the scheme is unknown, or an option of drawing is wrong.
        SinkOpenError: from `open`, where the server cannot be reached or refuses ("unreachable").
        SinkWriteError: from `write`, once the server has been lost for too long ("unreachable").
    """

    can_drop_frames = True

    def __init__(
        self,
        url: str,
        options: RenderOptions = RenderOptions(),
        *,
        codec: str = "h264",
        crf: int = 23,
        preset: str = "auto",
        transport: Literal["tcp", "udp"] = "tcp",
        timeout_seconds: float = 5.0,
        reconnect_seconds: float = 30.0,
    ) -> None:
        super().__init__()
        check_render_options(options)
        self.url, self.name, self.scheme = url, redact(url), url.partition("://")[0].lower()
        if self.scheme not in PUSH_FORMATS:
            raise ConfigError(
                f"cannot send to '{self.name}'; use {', '.join(f'{s}://' for s in PUSH_FORMATS)}", code="unknown-scheme"
            )
        self.options, self.codec, self.crf, self.transport = options, codec, crf, transport
        self.preset = "veryfast" if preset == AUTOMATIC else preset
        self.timeout_seconds, self.reconnect_seconds = timeout_seconds, reconnect_seconds
        self.skipped_frames = 0
        """Frames that were not sent because the server was lost."""
        self._job: SenderJob | None = None
        self._sound: LiveSound | None = None
        self._sound_taken = 0
        self._sound_ahead: deque[SoundPacket] = deque()
        self._sender: SenderProcess | None = None
        self._reconnect_schedule: _ReconnectSchedule | None = None

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self._sound, self._sound_taken, self._sound_ahead = self._accepted_sound(info), 0, deque()
        self._job, self._reconnect_schedule, self.skipped_frames = self._make_job(info), None, 0
        try:
            self._sender = SenderProcess(self._job)
        except ConnectionLostError as error:
            raise SinkOpenError(f"cannot send to {self.name}: {error}", code="unreachable") from None

    def _accepted_sound(self, info: StreamInfo) -> LiveSound | None:
        """Returns the sound to send; None if there is none, or if receivers would not understand it."""
        if info.live_sound is None:
            return None
        with open_format(info.live_sound.header) as described:
            codec = described.streams.audio[0].codec_context.name
        holder = PUSH_FORMATS[self.scheme]
        if codec in _SOUND_CODECS[holder.removeprefix("rtp_")]:
            return info.live_sound
        self.add_notice(f"the sound ({codec}) is not sent to {self.name}: {holder} does not have it")
        return None

    def _make_job(self, info: StreamInfo) -> SenderJob:
        width, height = rendered_size((info.width, info.height), self.options.style)
        encoding = EncodingOptions(self.codec, self.crf, self.preset)
        encoder = resolve_encoder(encoding, (width, height), self.options.style, self.add_notice)
        rate = info.fps or _DEFAULT_FPS
        return {
            "url": self._full_url,
            "format": PUSH_FORMATS[self.scheme],
            "container_options": self._container_options(),
            "encoder": encoder,
            "encoder_options": encoder_options(encoder, self.crf, self.preset)
            | low_latency_options(encoder)
            | frame_packing_options(encoder, self.options.style),
            "pixel_format": choose_pixel_format(encoder),
            "size": (width + width % 2, height + height % 2),
            "fps": (rate.numerator, rate.denominator),
            "sound": base64.b64encode(self._sound.header).decode() if self._sound else "",
            "timeout_seconds": self.timeout_seconds,
        }

    @property
    def _full_url(self) -> str:
        """The URL; for UDP with the option that puts whole packets of MPEG-TS into each datagram."""
        if self.scheme != "udp" or "pkt_size=" in self.url:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}pkt_size=1316"

    def _container_options(self) -> dict[str, str]:
        if PUSH_FORMATS[self.scheme] == "rtsp":
            return {"rtsp_transport": self.transport, "timeout": str(round(self.timeout_seconds * 1e6))}
        if PUSH_FORMATS[self.scheme] == "flv":
            return {"flvflags": "no_duration_filesize"}
        return {"omit_video_pes_length": "0"}  # a receiver sees where a picture ends, and need not wait for the next

    def on_stream_changed(self, info: StreamInfo) -> None:
        if self._job is None:
            return
        self._job = self._make_job(info)
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()
            self._reconnect_schedule = _ReconnectSchedule(self.reconnect_seconds)

    def on_write(self, item: DepthFrame) -> None:
        assert self._job is not None
        sender = self._sender or self._reconnect(self._job)
        if sender is None:
            self.skipped_frames += 1
            return
        frame = render_video_frame(item, self._job["pixel_format"], self._job["size"], self.options)
        shown_at = item.frame.pts * item.frame.time_base
        try:
            sender.send(frame, shown_at)
            for packet in self._sound_until(shown_at):
                sender.send_sound(packet)
        except ConnectionLostError as error:
            self.skipped_frames += 1
            self._sender = None
            if self._reconnect_schedule is None or sender.age_seconds > _HEALTHY_SECONDS:
                self._reconnect_schedule = _ReconnectSchedule(self.reconnect_seconds)
            else:
                self._reconnect_schedule.extend(sender.age_seconds)
                self._on_failed_attempt(self._reconnect_schedule, str(error))

    def _sound_until(self, seconds: Fraction) -> Iterator[SoundPacket]:
        """Yields the packets of sound that begin before a time and have not been sent yet."""
        if self._sound is not None:
            packets, self._sound_taken = self._sound.packets_after(self._sound_taken)
            self._sound_ahead.extend(packets)
        while self._sound_ahead and self._sound_ahead[0].time < seconds:
            yield self._sound_ahead.popleft()

    def _reconnect(self, job: SenderJob) -> SenderProcess | None:
        """Returns a new connection; None while the server is lost, and in the pauses between two attempts."""
        assert self._reconnect_schedule is not None
        if not self._reconnect_schedule.is_due:
            return None
        try:
            self._sender = SenderProcess(job)
        except ConnectionLostError as error:
            self._on_failed_attempt(self._reconnect_schedule, str(error))
        return self._sender

    def _on_failed_attempt(self, schedule: _ReconnectSchedule, reason: str) -> None:
        if schedule.record_failure():
            raise SinkWriteError(
                f"{self.name} went away ({reason}) and did not come back for good in "
                f"{self.reconnect_seconds:g} seconds",
                code="unreachable",
            )

    def on_close(self) -> None:
        sender, self._sender, self._job = self._sender, None, None
        if sender is not None:
            sender.close()
        if self.skipped_frames:
            self.add_notice(f"{self.name} was unreachable: {self.skipped_frames} frames were not sent to it")
            self.skipped_frames = 0

    def on_discard(self) -> None:
        sender, self._sender, self._job = self._sender, None, None
        if sender is not None:
            sender.kill()


class _ReconnectSchedule:
    """The times of attempts to reconnect: pauses as in `Backoff`, until the server was lost for `limit_seconds`."""

    def __init__(self, limit_seconds: float) -> None:
        self._deadline = time.monotonic() + limit_seconds
        self._next_attempt, self._backoff = 0.0, Backoff(_MAX_WAIT_SECONDS)

    @property
    def is_due(self) -> bool:
        """True if it is time for the next attempt."""
        return time.monotonic() >= self._next_attempt

    def extend(self, seconds: float) -> None:
        """Moves the deadline by the duration of a short connection, which does not count as time of loss."""
        self._deadline += seconds

    def record_failure(self) -> bool:
        """Plans the next attempt after a failed one. Returns True if there is no time for another."""
        now = time.monotonic()
        self._next_attempt = now + self._backoff.next_wait_seconds()
        return now >= self._deadline
