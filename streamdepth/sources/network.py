"""Network streams, by PyAV: RTSP, HTTP, HLS, RTMP, SRT and MPEG-TS over UDP."""

from __future__ import annotations

import random
import threading
import time
from errno import ETIMEDOUT
from typing import Literal

import av
from av import error as av_error
from av.error import FFmpegError

from streamdepth.errors import ConfigError, SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.redact import redact
from streamdepth.sources.decode import MAX_SIDE_PX, DecodedSource, reason_of, without_secrets
from streamdepth.sources.picture import Painter
from streamdepth.sources.track import Track
from streamdepth.states import StreamState
from streamdepth.types import Frame, StreamInfo

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 4.0
_ANALYSE_MICROSECONDS = 2_000_000
_ALWAYS_LIVE = {"rtmp", "rtmps", "udp", "rtp", "srt", "tcp"}
_TIMEOUTS = (av_error.ExitError, av_error.TimeoutError)  # by PyAV's interrupt, by the protocol's own clock
_PLAYLISTS = {"hls", "dash"}
_FINAL = (av_error.HTTPClientError, av_error.ProtocolNotFoundError)


class NetworkSource(DecodedSource[Track]):
    """A stream from the network. `open` waits for an answer for `timeout_seconds`, and so does `read` for a picture.

    That limit is libav's; looking up a host's name may last longer, as long as the system allows. A live stream that
    stops answering, ends or breaks is opened again, with growing pauses, for up to `reconnect_seconds` (0: never): so
    long `read` may block, and `interrupt` ends the wait. Refusals (401, 403, 404...) are final. Once a frame was
    delivered, whatever ends the stream raises SourceLostError.

    `live` None: live unless the stream has a known duration or, over HTTP, is a file of known size. Secrets in the
    address appear neither in the stream's name nor in messages. After a reconnect, timestamps go on by the time that
    passed.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: Literal["tcp", "udp"] = "tcp",
        timeout_seconds: float = 5.0,
        reconnect_seconds: float = 30.0,
        live: bool | None = None,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        super().__init__()
        self.url, self.name, self.transport = url, redact(url), transport
        self.timeout_seconds, self.reconnect_seconds = timeout_seconds, reconnect_seconds
        self.live, self.max_side_px = live, max_side_px
        self._is_live = False
        self._fresh_at = 0.0
        self._closing = threading.Event()
        self._lock = threading.RLock()

    @property
    def _scheme(self) -> str:
        return self.url.partition("://")[0].lower()

    def open(self) -> StreamInfo:
        if self.transport not in ("tcp", "udp"):
            raise ConfigError(f"the transport {self.transport!r} is unknown; use tcp or udp")
        self.close()
        self._closing.clear()
        self.states.enter(StreamState.CONNECTING)
        track = self._connect()
        self.states.enter(StreamState.LIVE)
        self._is_live = self._seems_live(track) if self.live is None else self.live
        self._begin(track, is_live=self._is_live)
        self._fresh_at = time.monotonic()
        if track.container.streams.audio:
            self.notice(f"the sound of {self.name} is not copied: only files keep theirs; record it to a file first")
        return StreamInfo(
            self.name,
            track.width,
            track.height,
            fps=track.fps,
            frame_count=None if self._is_live else track.frame_count,
            is_live=self._is_live,
            time_base=track.time_base,
        )

    def _seems_live(self, track: Track) -> bool:
        if self._scheme in _ALWAYS_LIVE:
            return True
        return not (track.container.duration or (self._scheme in ("http", "https") and _is_whole_file(track)))

    def read(self) -> Frame | None:
        with self._lock:
            if self._pictures is None:
                return None
            try:
                frame = self._next(self._pictures) or self._recover(self._pictures)
            except SourceLostError:
                super().close()
                raise
            self._fresh_at = time.monotonic()
            return frame

    def interrupt(self) -> None:
        self._closing.set()

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            super().close()

    def _connect(self, painter: Painter | None = None) -> Track:
        timeout, began = self.timeout_seconds, time.monotonic()
        try:
            container = av.open(
                self.url, options=self._options(), timeout=(timeout, timeout), metadata_errors="replace"
            )
            return Track(
                container,
                self.name,
                self.notice,
                painter=painter,
                max_side_px=self.max_side_px,
                threads="SLICE",
                patience_seconds=timeout,
            )
        except FFmpegError as error:
            # RTSP calls it invalid data when a server stays silent.
            silent = time.monotonic() - began >= timeout and isinstance(error, av_error.InvalidDataError)
            told = av_error.ExitError(ETIMEDOUT, "no answer") if silent else error
            raise self._explained(told) from without_secrets(error)
        except ValueError as error:
            raise self._explained(error) from without_secrets(error)

    def _options(self) -> dict[str, str]:
        limit = str(int(self.timeout_seconds * 1e6))
        options = {"analyzeduration": str(_ANALYSE_MICROSECONDS)}
        if self._scheme in ("rtsp", "rtsps"):
            options |= {"rtsp_transport": self.transport, "timeout": limit, "allowed_media_types": "video"}
            options |= {"max_delay": "500000"}
        elif self._scheme in ("http", "https"):
            options |= {"rw_timeout": limit, "reconnect": "1", "reconnect_delay_max": "2"}
        elif self._scheme == "udp":
            options |= {"timeout": limit, "overrun_nonfatal": "1"}
        elif self._scheme == "srt":
            options |= {"timeout": limit}
        else:
            options |= {"rw_timeout": limit}
        return options

    def _recover(self, track: Track) -> Frame | None:
        """The track has no more frames: for a live stream the first one after a reconnect, else the end."""
        failure = track.failure
        if not self._is_live and failure is None:
            self._finish(track)
            return None
        super().close()
        if not self._is_live or not self.reconnect_seconds:
            raise self._lost(failure, "")
        return self._reconnect(track, failure)

    def _lost(self, failure: Exception | None, effort: str) -> SourceLostError:
        reason = _reason(failure) if failure else "the stream ended"
        lost = SourceLostError(f"{self.name} was lost after {self._index} frames{effort}: {reason}")
        lost.__cause__ = without_secrets(failure) if failure else None
        return lost

    def _reconnect(self, old: Track, failure: Exception | None) -> Frame | None:
        self.states.enter(StreamState.RECONNECTING, _reason(failure) if failure else "the stream ended")
        deadline = time.monotonic() + self.reconnect_seconds
        wait, attempts = _FIRST_WAIT_SECONDS, 0
        while (left := deadline - time.monotonic()) > 0:
            if self._closing.wait(min(random.uniform(0, wait), left)):
                return None
            attempts += 1
            try:
                return self._resume(self._connect(old.painter))
            except SourceError as error:
                super().close()
                if isinstance(error.__cause__, _FINAL):
                    raise self._lost(error.__cause__, "") from error.__cause__
                failure = error.__cause__ if isinstance(error.__cause__, FFmpegError) else failure
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        raise self._lost(failure, f" and did not come back in {self.reconnect_seconds:g} seconds ({attempts} attempts)")

    def _resume(self, track: Track) -> Frame | None:
        self.states.enter(StreamState.LIVE)
        self._pictures = track
        self._timeline.resume(time.monotonic() - self._fresh_at)
        return self._next(track)

    def _explained(self, error: Exception) -> SourceError:
        if isinstance(error, _TIMEOUTS):
            return SourceTimeoutError(
                f"{self.name} did not answer within {self.timeout_seconds:g} seconds; check the address and the "
                "network, or allow more time"
            )
        return SourceOpenError(f"{self.name} cannot be opened: {_reason(error)}")


def _is_whole_file(track: Track) -> bool:
    """True for a file whose size the server states. That of a playlist says nothing, and cameras make theirs up."""
    name = track.container.format.name.split(",")[0]
    return name not in {*_PLAYLISTS, "mpjpeg"} and track.container.size > 0


def _reason(error: Exception) -> str:
    reasons: dict[type[Exception], str] = {
        av_error.HTTPUnauthorizedError: "user name or password is missing or wrong (401); put them in the address: "
        "rtsp://USER:PASSWORD@HOST/PATH",
        av_error.HTTPForbiddenError: "access is forbidden (403); check the rights of the user",
        av_error.HTTPNotFoundError: "there is no such stream (404); check the path in the address",
        av_error.ConnectionRefusedError: "nothing listens at that address and port; check both",
        av_error.ProtocolNotFoundError: "FFmpeg here does not know such addresses; use rtsp, http, https, rtmp or udp",
        av_error.InvalidDataError: "what it sends is not video that FFmpeg knows; check the path in the address",
        av_error.ExitError: "no answer in time",
    }
    return reasons.get(type(error), reason_of(error))
