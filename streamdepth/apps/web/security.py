"""Who may talk to the page: hosts, origins and the token are checked before anything else sees a request."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
"""Bytes of a request; what the page sends is far smaller."""
SHORTEST_TOKEN = 8
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""Of RFC 6750: what passes through a header and a cookie as it is."""
_COOKIE_SECONDS = 30 * 24 * 3600
_OPEN = ("/healthz",)
_SAFE = ("GET", "HEAD", "OPTIONS")

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Go with every answer."""

_SIGN_IN = Path(__file__).with_name("static") / "sign_in.html"
"""Has its style within: nothing else is given to a stranger."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a server. token None: everybody who reaches it, which is this machine only."""

    token: str | None
    names: frozenset[str]
    """By which browsers may know this machine, besides numeric addresses, in lower case."""
    cookie: str = "streamdepth"
    is_secure: bool = False

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this machine.

        A stranger's name that leads here (DNS rebinding) would make a stranger's page one of ours.
        """
        name = _name_of(host)
        return name in self.names or _is_numeric(name)

    def accepts(self, token: str) -> bool:
        """Compares in constant time."""
        return self.token is None or secrets.compare_digest(token.encode(), self.token.encode())


def make_access(host: str, token: str | None, names: Iterable[str], *, port: int, is_secure: bool) -> Access:
    """Access to a server that listens at `host`; away from this machine there is always a token. Raises ConfigError."""
    if token is not None and (len(token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(token)):
        raise ConfigError(
            f"a token has at least {SHORTEST_TOKEN} characters, letters, digits and any of -._~+/ with = at the end "
            "only; leave it out and one is made"
        )
    if token is None and not is_this_machine(host):
        token = secrets.token_urlsafe(24)
    own = socket.gethostname().lower()
    known = {"localhost", host, own, f"{own}.local", *names}
    return Access(token, frozenset(n.lower() for n in known), f"streamdepth_{port}", is_secure)


def is_this_machine(host: str) -> bool:
    """Whether only this machine can reach a server that listens at `host`."""
    return host == "localhost" or (_is_numeric(host) and ipaddress.ip_address(host).is_loopback)


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
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


class Refused(Exception):  # noqa: N818 - a refusal, not a failure
    """An answer instead of what was asked for."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or {}


class Guard:
    """Lets through what is allowed, and puts HEADERS on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(_Request(scope))
        except Refused as refused:
            await _refuse(scope, send, refused)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _check(self, request: _Request) -> None:
        if not self._access.knows_host(request.header("host")):
            raise Refused(
                403, "this server is not known by that name; use its numeric address, or allow the name: --allow-host"
            )
        if request.path in _OPEN:
            return
        self._check_origin(request)
        self._check_token(request)
        _check_body(request)

    def _check_origin(self, request: _Request) -> None:
        """Other sites' pages may lead here by a link, and nothing else."""
        origin, site = request.header("origin"), request.header("sec-fetch-site")
        is_link = request.method == "GET" and request.header("sec-fetch-mode") == "navigate"
        is_foreign = bool(origin) and urlsplit(origin).netloc.lower() != request.header("host").lower()
        if is_foreign or (site in ("cross-site", "same-site") and not is_link):
            raise Refused(403, "pages of other sites may not use this server")

    def _check_token(self, request: _Request) -> None:
        access = self._access
        if access.token is None:
            return
        in_address = request.query_token
        if in_address and request.method == "GET" and request.path == "/" and access.accepts(in_address):
            # the token leaves the address, and with it the history and the screen
            raise Refused(303, "", {"location": request.address_without_token, "set-cookie": self._cookie()})
        given = [request.bearer, request.cookie(access.cookie), in_address if request.method == "GET" else ""]
        if not any(token and access.accepts(token) for token in given):
            reason = "a token is needed; open the address that was printed at the start, or send it as Bearer"
            raise Refused(401, reason, {"www-authenticate": "Bearer"})

    def _cookie(self) -> str:
        access = self._access
        secure = "; Secure" if access.is_secure else ""
        return f"{access.cookie}={access.token}; Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}"


class _Request:
    """What the checks ask of a request."""

    def __init__(self, scope: Scope) -> None:
        self._headers: dict[str, str] = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        self.path: str = scope["path"]
        self.method: str = scope.get("method", "GET")
        self._query: str = scope["query_string"].decode("latin-1")

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    @property
    def bearer(self) -> str:
        scheme, _, token = self.header("authorization").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def query_token(self) -> str:
        return parse_qs(self._query).get("token", [""])[0]

    @property
    def address_without_token(self) -> str:
        rest = {k: v for k, v in parse_qs(self._query).items() if k != "token"}
        return f"{self.path}?{urlencode(rest, doseq=True)}" if rest else self.path

    def cookie(self, name: str) -> str:
        """Whatever other applications of this host have set beside it."""
        pairs = (pair.strip().partition("=") for pair in self.header("cookie").split(";"))
        return next((value for key, _, value in pairs if key == name), "")


def _check_body(request: _Request) -> None:
    if request.method in _SAFE:
        return
    if request.header("transfer-encoding"):
        raise Refused(411, "say the length of the body")
    length = request.header("content-length") or "0"
    if not length.isdecimal() or int(length) > LARGEST_BODY:
        raise Refused(413, f"a request has at most {LARGEST_BODY} bytes")


@cache
def _sign_in() -> tuple[str, str]:
    """The page that asks for a token, and the directive that allows its style."""
    page = _SIGN_IN.read_text(encoding="utf-8")
    style = page.partition("<style>")[2].partition("</style>")[0]
    return page, f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refused.reason})
        return
    from starlette.responses import HTMLResponse, JSONResponse, Response

    headers = HEADERS | refused.headers
    response: Response = JSONResponse({"detail": refused.reason}, refused.status, headers)
    if refused.status == 401 and scope["path"] == "/":
        page, style = _sign_in()
        headers["content-security-policy"] = headers["content-security-policy"].replace("style-src 'self'", style)
        response = HTMLResponse(page, 401, headers)

    async def no_more() -> Message:
        return {"type": "http.disconnect"}

    await response(scope, no_more, send)
