"""Network streams by PyAV: RTSP, HTTP, HLS, RTMP, SRT, and MPEG-TS over UDP."""

from __future__ import annotations

from fractions import Fraction

from streamdepth.core.errors import ConfigError, SourceLostError
from streamdepth.core.live_sound import LiveSound
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.decoder import DecodedFrame
from streamdepth.sources.limits import MAX_SIDE_PX
from streamdepth.sources.live import LiveSource
from streamdepth.sources.network_address import NetworkAddress, Transport
from streamdepth.sources.network_connection import (
    NetworkConnection,
    connect,
    error_code,
    explain,
    is_permanent,
    is_refused,
)
from streamdepth.sources.unsized_file import ReceivedVideo
from streamdepth.utils.redact import redact

_FRAMES_WITHOUT_TIME = 100
"""Number of first frames without timestamps after which none are expected any more."""


class NetworkSource(LiveSource[NetworkConnection]):
    """A stream from the network.

    A live stream that stops answering, ends or breaks is opened again as described at `LiveSource`; `read` may block
    for that long, and `interrupt` ends the wait. Wrong or missing passwords (401, 403) are permanent, and so is a
    stream that is not found (404) in several attempts. After a reconnect, timestamps continue after the time that has
    passed. The sound of a stream is passed on (`StreamInfo.live_sound`), on the clock of its pictures, also after a
    reconnect. Secrets in the address appear neither in the stream's name nor in messages.

    Args:
        timeout_seconds: how long `open` waits for an answer, and `read` for a frame.
        input_fps: frames per second, whatever the timestamps say; None: as they say, or as the frames arrive.
        deinterlaces: True rebuilds interlaced frames from the fields around them, one frame later.
        device: an NVIDIA GPU, such as cuda or cuda:1, that decodes what it can; frames then lie in its memory.
        live: None: live, unless the stream has a known duration or, over HTTP, is a file of known size.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: Transport = "tcp",
        timeout_seconds: float = 5.0,
        reconnect_seconds: float = 300.0,
        live: bool | None = None,
        input_fps: Fraction | None = None,
        deinterlaces: bool = False,
        max_side_px: int = MAX_SIDE_PX,
        device: str | None = None,
    ) -> None:
        super().__init__(redact(url), timeout_seconds=timeout_seconds, reconnect_seconds=reconnect_seconds)
        self.url, self.transport, self.live = url, transport, live
        self.input_fps, self.deinterlaces, self.max_side_px = input_fps, deinterlaces, max_side_px
        self.device = device

    def _prepare(self) -> None:
        self._sound: LiveSound | None = None
        self._received: ReceivedVideo | None = None
        self._address.check_password()
        if self.transport not in ("tcp", "udp"):
            raise ConfigError(f"the transport {self.transport!r} is unknown; use tcp or udp", code="unknown-transport")

    def _connect(self) -> NetworkConnection:
        return connect(self._address, self.add_notice, self.max_side_px, self.input_fps)

    @property
    def _address(self) -> NetworkAddress:
        return NetworkAddress(self.url, self.transport, self.timeout_seconds, self.deinterlaces, self.device)

    @property
    def _has_fixed_rate(self) -> bool:
        return self.input_fps is not None

    @property
    def _open_limit_seconds(self) -> float:
        return 2 * self.timeout_seconds + self._silence_limit_seconds  # to connect, to analyze, and for a frame

    @property
    def _silence_limit_seconds(self) -> float:
        return self._address.silence_seconds

    def _stream_info(self, connection: NetworkConnection) -> StreamInfo:
        self._attach_sound(connection)
        is_live = self._seems_live(connection) if self.live is None else self.live
        return StreamInfo(
            self.name,
            connection.width,
            connection.height,
            fps=connection.fps,
            frame_count=None if is_live else connection.frame_count,
            is_live=is_live,
            time_base=connection.time_base,
            live_sound=self._sound,
            device=self.device if connection.is_on_device else None,
        )

    def _attach_sound(self, connection: NetworkConnection) -> None:
        """Connects the sound of a new connection to the stream's sound."""
        if connection.sound is None:
            if connection.has_sound:
                self.add_notice(f"the sound of {self.name} is left out: its format is unknown to FFmpeg here")
            return
        self._sound = self._sound or LiveSound(connection.sound.header)
        if not connection.sound.attach(self._sound):
            self.add_notice(f"{self.name} came back with another format of sound, which is left out")

    def _make_frame(self, decoded: DecodedFrame) -> Frame:
        frame, sound = super()._make_frame(decoded), self._connection and self._connection.sound
        if sound and decoded.pts is not None:
            sound.align(frame.pts * frame.time_base - decoded.pts * decoded.time_base)
        elif sound and frame.index > _FRAMES_WITHOUT_TIME and not sound.is_aligned:
            self.add_notice(f"the sound of {self.name} is left out: its pictures have no timestamps")
        return frame

    def _seems_live(self, connection: NetworkConnection) -> bool:
        address = self._address
        is_file = connection.has_duration or (address.scheme in ("http", "https") and connection.has_file_size)
        return address.is_live or not is_file

    def _check_is_live(self, connection: NetworkConnection) -> None:
        previous, self._received = self._received, connection.received
        is_unsure = self.live is None and self._address.scheme in ("http", "https")
        if is_unsure and connection.received.is_of_file(previous):
            raise SourceLostError(
                f"{self.name} ended after {self._index} frames: it seems to be a file whose server does not state its "
                "length, and was read as a live stream, of which frames may be left out; read all of it with "
                "--set network.live=false, or have it read again and again with network.live=true",
                code="not-live",
            )

    def _explain(self, error: Exception) -> str:
        return explain(error)

    def _error_code(self, error: Exception) -> str | None:
        return error_code(error)

    def _is_permanent(self, error: Exception, attempts: int) -> bool:
        return is_permanent(error, attempts)

    def _seems_back(self, error: Exception | None) -> bool:
        return is_refused(error) and self._address.accepts_connections()

    def _has_ended(self, connection: NetworkConnection) -> bool:
        if connection.failure is not None:
            return False
        if connection.missing_count:
            self.undelivered["missing"] += connection.missing_count
        if connection.damage:
            raise connection.damage.error()
        return True

    def _count_losses(self, connection: NetworkConnection) -> None:
        if connection.undecodable_count:
            self.undelivered["undecodable"] += connection.undecodable_count
