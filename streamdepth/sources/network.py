"""Network streams, by PyAV: RTSP, HTTP, HLS, RTMP, SRT and MPEG-TS over UDP."""

from __future__ import annotations

from streamdepth.core.errors import ConfigError, SourceLostError
from streamdepth.core.types import StreamInfo
from streamdepth.sources.connection import Address, Connection, Transport, connect, explain, is_final, is_refused
from streamdepth.sources.decode import MAX_SIDE_PX
from streamdepth.sources.live import LiveSource
from streamdepth.utils.redact import redact


class NetworkSource(LiveSource[Connection]):
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

    def _connect(self) -> Connection:
        return connect(self._address, self.notice, self.max_side_px)

    @property
    def _address(self) -> Address:
        return Address(self.url, self.transport, self.timeout_seconds)

    @property
    def _opening_seconds(self) -> float:
        return 2 * self.timeout_seconds + self._silence_seconds  # to connect, to look into it, for a picture

    @property
    def _silence_seconds(self) -> float:
        return self._address.silence_seconds

    def _describe(self, feed: Connection) -> StreamInfo:
        if feed.has_sound:
            self.notice(f"the sound of {self.name} is not copied: only files keep theirs; record it to a file first")
        is_live = self._seems_live(feed) if self.live is None else self.live
        return StreamInfo(
            self.name,
            feed.width,
            feed.height,
            fps=feed.fps,
            frame_count=None if is_live else feed.frame_count,
            is_live=is_live,
            time_base=feed.time_base,
        )

    def _seems_live(self, feed: Connection) -> bool:
        is_file = feed.has_duration or (self._address.scheme in ("http", "https") and feed.is_sized)
        return self._address.is_live or not is_file

    def _fault(self, feed: Connection) -> Exception | None:
        return feed.failure

    def _explain(self, fault: Exception) -> str:
        return explain(fault)

    def _is_final(self, error: Exception, times: int) -> bool:
        return is_final(error, times)

    def _is_back(self, after: Exception | None) -> bool:
        return is_refused(after) and self._address.is_listening()

    def _at_end(self, feed: Connection) -> bool:
        if feed.failure is not None:
            return False
        if feed.missing:
            self.lost["missing"] += feed.missing
        if feed.damage:
            raise SourceLostError(feed.damage)
        return True

    def _settle(self, feed: Connection) -> None:
        if feed.undecodable:
            self.lost["undecodable"] += feed.undecodable
