"""Addresses of network streams: their options for libav, their limits, and a check of the password in them."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from streamdepth.core.errors import SourceOpenError
from streamdepth.utils.cut_passwords import is_cut, may_be_cut
from streamdepth.utils.redact import redact

Transport = Literal["tcp", "udp"]

_RTSP_ANALYSIS_US, _ANALYSIS_US = 100_000, 2_000_000
"""Microseconds of the stream that libav analyzes before the first frame; an RTSP server describes what it sends."""
_PLAYLIST_SECONDS = 30.0
_PROBE_SECONDS = 0.2
_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "tcp"}
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935}
ESCAPES = "%23 for #, %3F for ?, %2F for /, %40 for @, %3A for : and %25 for %"
"""Spelling of the special characters of a user name or password in an address."""


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    """A network address, the longest time that it may stay silent, and the way its frames are read."""

    url: str
    transport: Transport
    timeout_seconds: float
    deinterlaces: bool = False
    """True if interlaced frames are rebuilt from the fields around them."""
    device: str | None = None
    """The NVIDIA GPU that is to decode the pictures; None: the CPU."""

    @property
    def name(self) -> str:
        """The address without secrets."""
        return redact(self.url)

    @property
    def scheme(self) -> str:
        """The protocol in lower case, such as rtsp."""
        return self.url.partition("://")[0].lower()

    def check_password(self) -> None:
        """Raises SourceOpenError ("bad-address") if the password seems to contain an unescaped `#`, `?` or `/`.

        Such a character ends the part of an address in which FFmpeg looks for the host: it would take the user's name
        for a host, and the beginning of the password for its port.
        """
        if is_cut(self.url.partition("://")[2]):
            raise SourceOpenError(
                f"{self.name} cannot be opened: the password in the address holds a character that ends it; write "
                f"{ESCAPES}",
                code="bad-address",
            )

    @property
    def advice(self) -> str:
        """The advice for an address that may hold such a password, but may as well be right; empty for others."""
        is_doubtful = may_be_cut(self.url.partition("://")[2])
        return f"; if the password holds a special character, write {ESCAPES}" if is_doubtful else ""

    @property
    def is_live(self) -> bool:
        """True if streams of this protocol are always live."""
        return self.scheme in _LIVE_SCHEMES

    @property
    def silence_seconds(self) -> float:
        """Longest time without a frame; at least 30 s for playlists, which give some seconds of video at a time."""
        is_playlist = re.search(r"\.(m3u8?|mpd)(?:[?#]|$)", self.url, re.IGNORECASE)
        return max(self.timeout_seconds, _PLAYLIST_SECONDS) if is_playlist else self.timeout_seconds

    def libav_options(self) -> dict[str, str]:
        """Returns libav's options for this protocol; libav takes times in microseconds, as text."""
        limit = str(int(self.timeout_seconds * 1e6))
        options = {"analyzeduration": str(_ANALYSIS_US)}
        if self.scheme in ("rtsp", "rtsps"):
            options |= {"rtsp_transport": self.transport, "timeout": limit, "allowed_media_types": "video+audio"}
            options |= {"max_delay": "500000", "analyzeduration": str(_RTSP_ANALYSIS_US)}
        elif self.scheme in ("http", "https"):
            options |= {"rw_timeout": limit, "reconnect": "1", "reconnect_delay_max": "2"}
        elif self.scheme == "udp":
            options |= {"timeout": limit, "overrun_nonfatal": "1"}
        elif self.scheme == "srt":
            options |= {"timeout": limit}
        else:
            options |= {"rw_timeout": limit}
        return options

    def accepts_connections(self) -> bool:
        """True if something listens at the host and port now; for protocols over TCP only."""
        try:
            parts = urlsplit(self.url)
            port = parts.port or _PORTS.get(self.scheme)
            if not parts.hostname or not port:
                return False
            socket.create_connection((parts.hostname, port), _PROBE_SECONDS).close()
        except (OSError, ValueError):
            return False
        return True
