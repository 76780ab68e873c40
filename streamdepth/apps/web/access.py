"""Access rules of the page's server: the token, and the names by which browsers may address this machine."""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streamdepth.apps.web.sessions import SessionStore, TokenThrottle
from streamdepth.core.errors import ConfigError

_log = logging.getLogger(__name__)

MIN_TOKEN_LENGTH = 8
_GOOD_TOKEN_LENGTH, _GOOD_TOKEN_VARIETY = 16, 8
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""The b64token of RFC 6750, which passes through a header unchanged."""


@dataclass(frozen=True, slots=True)
class Access:
    """The access rules of a server."""

    token: str | None
    """None allows everybody who can reach the server, which is only this machine then."""
    host_names: frozenset[str]
    """Names of this machine that a Host header may have besides numeric addresses, in lower case."""
    cookie: str = "streamdepth"
    """Name of the cookie that holds the session; cookies are shared by all ports of a host."""
    is_secure: bool = False
    """True if the server speaks HTTPS only."""
    sessions: SessionStore = field(default_factory=SessionStore, compare=False)
    throttle: TokenThrottle = field(default_factory=TokenThrottle, compare=False)

    def allows_host(self, host: str) -> bool:
        """True if a Host header names this machine.

        This stops DNS rebinding, where another site's name leads to this machine and its pages would count as
        ours.
        """
        name = _host_name(host)
        return name in self.host_names or _is_numeric(name)

    def accepts(self, token: str) -> bool:
        """True if the token is right; the comparison takes constant time."""
        return self.token is None or secrets.compare_digest(token.encode(), self.token.encode())


def make_access(host: str, token: str | None, host_names: Iterable[str], *, port: int, is_secure: bool) -> Access:
    """Returns the access rules of a server that listens at `host`, with a new token if others can reach it.

    Raises ConfigError ("bad-token") for a token that is too short or would not pass through a header.
    """
    if token is not None and (len(token) < MIN_TOKEN_LENGTH or not _TOKEN.fullmatch(token)):
        raise ConfigError(
            f"a token has at least {MIN_TOKEN_LENGTH} characters, letters, digits and any of -._~+/ with = at the end "
            "only; leave it out and one is made",
            code="bad-token",
        )
    if token is not None and (len(token) < _GOOD_TOKEN_LENGTH or len(set(token)) < _GOOD_TOKEN_VARIETY):
        _log.warning(
            "the token is easy to guess; take one of at least %d different characters, or leave it out and one is made",
            _GOOD_TOKEN_LENGTH,
        )
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    if token is not None and not is_secure and not is_loopback(host):
        _log.warning(
            "the token and the pictures travel to other machines unencrypted; in a network that you do not trust, give "
            "--certificate and --key"
        )
    machine = socket.gethostname().lower()
    names = {"localhost", host, machine, f"{machine}.local", *host_names}
    return Access(token, frozenset(name.lower() for name in names), f"streamdepth_{port}", is_secure)


def is_loopback(host: str) -> bool:
    """True if only this machine can reach a server that listens at `host`."""
    return host == "localhost" or (_is_numeric(host) and ipaddress.ip_address(host).is_loopback)


def _host_name(host: str) -> str:
    """Returns the name in a Host header without the port; empty if it is malformed."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
