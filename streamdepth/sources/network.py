"""Network streams, by PyAV: RTSP, HTTP, HLS, RTMP, SRT and MPEG-TS over UDP."""

from __future__ import annotations

from streamdepth.core.errors import ConfigError, SourceLostError
from streamdepth.core.types import StreamInfo
from streamdepth.sources.decoder import MAX_SIDE_PX
from streamdepth.sources.live import LiveSource
from streamdepth.sources.network_connection import (
    NetworkAddress,
    NetworkConnection,
    Transport,
    connect,
    explain,
    is_final,
    is_refused,
)
from streamdepth.utils.redact import redact


class NetworkSource(LiveSource[NetworkConnection]):
    """A stream from the network. `open` waits for an answer for `timeout_seconds`, and so does `read` for a picture.

    A live stream that stops answering, ends or breaks is opened again, as LiveSource tells: so long `read` may block,
    and `interrupt` ends the wait. Wrong or missing passwords (401, 403) are final, and so is a stream that is not found
    (404) in several attempts. Once a frame was delivered, whatever ends the stream raises SourceLostError.

    `live` None: live unless the stream has a known duration or, over HTTP, is a file of known size. Secrets in the
    address appear neither in the stream's name nor in messages. After a reconnect, timestamps go on by the time that
    passed.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: Transport = "tcp",
        timeout_seconds: float = 5.0,
        reconnect_seconds: float = 300.0,
        live: bool | None = None,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        super().__init__(redact(url), timeout_seconds=timeout_seconds, reconnect_seconds=reconnect_seconds)
        self.url, self.transport, self.live, self.max_side_px = url, transport, live, max_side_px

    def _prepare(self) -> None:
        if self.transport not in ("tcp", "udp"):
            raise ConfigError(f"the transport {self.transport!r} is unknown; use tcp or udp")

    def _connect(self) -> NetworkConnection:
        return connect(self._address, self.add_notice, self.max_side_px)

    @property
    def _address(self) -> NetworkAddress:
        return NetworkAddress(self.url, self.transport, self.timeout_seconds)

    @property
    def _opening_seconds(self) -> float:
        return 2 * self.timeout_seconds + self._silence_seconds  # to connect, to look into it, for a picture

    @property
    def _silence_seconds(self) -> float:
        return self._address.silence_seconds

    def _describe(self, connection: NetworkConnection) -> StreamInfo:
        if connection.has_sound:
            self.add_notice(
                f"the sound of {self.name} is not copied: only files keep theirs; record it to a file first"
            )
        is_live = self._seems_live(connection) if self.live is None else self.live
        return StreamInfo(
            self.name,
            connection.width,
            connection.height,
            fps=connection.fps,
            frame_count=None if is_live else connection.frame_count,
            is_live=is_live,
            time_base=connection.time_base,
        )

    def _seems_live(self, connection: NetworkConnection) -> bool:
        is_file = connection.has_duration or (self._address.scheme in ("http", "https") and connection.is_sized)
        return self._address.is_live or not is_file

    def _fault(self, connection: NetworkConnection) -> Exception | None:
        return connection.failure

    def _explain(self, fault: Exception) -> str:
        return explain(fault)

    def _is_final(self, error: Exception, times: int) -> bool:
        return is_final(error, times)

    def _is_back(self, after: Exception | None) -> bool:
        return is_refused(after) and self._address.is_listening()

    def _at_end(self, connection: NetworkConnection) -> bool:
        if connection.failure is not None:
            return False
        if connection.missing:
            self.undelivered["missing"] += connection.missing
        if connection.damage:
            raise SourceLostError(connection.damage)
        return True

    def _settle(self, connection: NetworkConnection) -> None:
        if connection.undecodable:
            self.undelivered["undecodable"] += connection.undecodable
