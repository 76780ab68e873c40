"""One connection to a network address: how libav is asked for it, and what its refusals mean."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from errno import EPERM
from typing import Literal
from urllib.parse import urlsplit

import av
from av import error as av_error
from av.error import FFmpegError

from streamdepth.core.errors import SourceError, SourceOpenError, SourceTimeoutError
from streamdepth.sources.decoder import DecodedFrame, error_reason, redact_error
from streamdepth.sources.track_decoder import TrackDecoder
from streamdepth.utils.redact import redact

Transport = Literal["tcp", "udp"]

_RTSP_ANALYSE, _ANALYSE = 100_000, 2_000_000
"""Microseconds; an RTSP server says beforehand what it sends, and each of them delays the first picture."""
_PLAYLIST_SECONDS = 30.0
_KNOCK_SECONDS = 0.2
_ALWAYS_LIVE = {"rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"}
_SIZELESS = {"hls", "dash", "mpjpeg"}
_TIMEOUTS = (av_error.ExitError, av_error.TimeoutError)  # by PyAV's interrupt, by the protocol's own clock
_REFUSALS = (av_error.HTTPUnauthorizedError, av_error.HTTPForbiddenError, av_error.ProtocolNotFoundError)
_MOST_NOT_FOUND = 4
"""Attempts in which a stream that was there is not found before that is believed: servers start one by one."""


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    """A network address and how long it may stay silent."""

    url: str
    transport: Transport
    timeout_seconds: float

    @property
    def name(self) -> str:
        """Without secrets."""
        return redact(self.url)

    @property
    def scheme(self) -> str:
        """In small letters, such as rtsp."""
        return self.url.partition("://")[0].lower()

    @property
    def is_live(self) -> bool:
        """Whether what has this scheme is always live."""
        return self.scheme in _ALWAYS_LIVE

    @property
    def silence_seconds(self) -> float:
        """How long no picture may come: playlists give some seconds of video at a time."""
        is_playlist = re.search(r"\.(m3u8?|mpd)(?:[?#]|$)", self.url, re.IGNORECASE)
        return max(self.timeout_seconds, _PLAYLIST_SECONDS) if is_playlist else self.timeout_seconds

    def options(self) -> dict[str, str]:
        """What libav is told; it takes text and microseconds."""
        limit = str(int(self.timeout_seconds * 1e6))
        options = {"analyzeduration": str(_ANALYSE)}
        if self.scheme in ("rtsp", "rtsps"):
            options |= {"rtsp_transport": self.transport, "timeout": limit, "allowed_media_types": "video"}
            options |= {"max_delay": "500000", "analyzeduration": str(_RTSP_ANALYSE)}
        elif self.scheme in ("http", "https"):
            options |= {"rw_timeout": limit, "reconnect": "1", "reconnect_delay_max": "2"}
        elif self.scheme == "udp":
            options |= {"timeout": limit, "overrun_nonfatal": "1"}
        elif self.scheme == "srt":
            options |= {"timeout": limit}
        else:
            options |= {"rw_timeout": limit}
        return options

    def is_listening(self) -> bool:
        """Whether something accepts connections there now; only asked of what runs over TCP."""
        try:
            parts = urlsplit(self.url)
            port = parts.port or {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935}.get(self.scheme)
            if not parts.hostname or not port:
                return False
            socket.create_connection((parts.hostname, port), _KNOCK_SECONDS).close()
        except (OSError, ValueError):
            return False
        return True


class NetworkConnection:
    """An open address. All is asked of libav on the thread that opened it; the facts can be read on any."""

    def __init__(self, track: TrackDecoder) -> None:
        self._track = track
        self.width, self.height, self.fps = track.width, track.height, track.fps
        self.time_base, self.frame_count = track.time_base, track.frame_count
        self.has_sound = bool(track.container.streams.audio)
        self.has_duration = bool(track.container.duration)
        self.is_sized = _is_sized(track)
        self.missing = 0
        """Frames that a file should have had, known at its end."""
        self.damage: str | None = None
        """What a file, once read to its end, turned out to lack."""

    @property
    def failure(self) -> Exception | None:
        """What ended it before its end."""
        return redact_error(self._track.failure) if self._track.failure else None

    @property
    def undecodable(self) -> int:
        """Frames that came and could not be decoded."""
        return self._track.undecodable

    def read(self) -> DecodedFrame | None:
        """The next picture; None at the end. Raises SourceLostError."""
        picture = self._track.read()
        if picture is None and self._track.failure is None:
            self.missing, self.damage = self._track.missing, self._track.damage
        return picture

    def close(self) -> None:
        """Lets go of it."""
        self._track.close()


def _is_sized(track: TrackDecoder) -> bool:
    """True for a file whose size is stated. That of a playlist says nothing, and cameras make theirs up."""
    name = track.container.format.name.split(",")[0]
    return name not in _SIZELESS and track.container.size > 0


def connect(address: NetworkAddress, notice: Callable[[str], None], max_side_px: int) -> NetworkConnection:
    """Opens it. Raises SourceOpenError and SourceTimeoutError; what libav said is their cause."""
    began = time.monotonic()
    try:
        container = av.open(
            address.url,
            options=address.options(),
            timeout=(address.timeout_seconds, address.silence_seconds),
            metadata_errors="replace",
        )
        track = TrackDecoder(
            container,
            address.name,
            notice,
            max_side_px=max_side_px,
            threads="SLICE",
            patience_seconds=address.silence_seconds,
        )
        return NetworkConnection(track)
    except (FFmpegError, ValueError) as error:
        raise _explained(address, error, time.monotonic() - began) from redact_error(error)


def is_final(error: Exception, times: int) -> bool:
    """Whether what `connect` met so many times will not pass: a refusal, or nothing to be found there."""
    return isinstance(error, _REFUSALS) or (isinstance(error, av_error.HTTPNotFoundError) and times >= _MOST_NOT_FOUND)


def is_refused(error: Exception | None) -> bool:
    """Whether nothing listens there."""
    return isinstance(error, av_error.ConnectionRefusedError)


def _explained(address: NetworkAddress, error: Exception, after_seconds: float) -> SourceError:
    # RTSP calls it invalid data when a server stays silent.
    is_silent = isinstance(error, av_error.InvalidDataError) and after_seconds >= address.timeout_seconds
    if is_silent or isinstance(error, _TIMEOUTS):
        return SourceTimeoutError(
            f"{address.name} did not answer within {address.timeout_seconds:g} seconds; check the address and the "
            "network, or allow more time"
        )
    return SourceOpenError(f"{address.name} cannot be opened: {explain(error)}")


def explain(error: Exception) -> str:
    """A reason for people, without secrets."""
    if getattr(error, "errno", None) == EPERM:  # -1: libav's RTSP meant no error in particular
        return "the connection broke off while it was made; is there a camera at that address?"
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
    return reasons.get(type(error), error_reason(error))
