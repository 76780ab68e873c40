"""The middleware that checks host, origin and token of every request before anything else sees it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import URL, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamdepth.apps.web.access import Access
from streamdepth.apps.web.sessions import SESSION_SECONDS

MAX_BODY_BYTES = 64 * 1024
"""Limit of a request's body; the page sends far less."""
BODY_TIMEOUT_SECONDS = 10.0
"""Longest time that the body of a request may take to arrive."""
_HSTS = "max-age=31536000"
_PATHS_WITHOUT_TOKEN = ("/healthz",)
_METHODS_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_SIGN_IN_PAGE = Path(__file__).with_name("static") / "sign_in.html"

SECURITY_HEADERS = {
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
"""Headers of every response, unless it sets them itself."""


class AccessMiddleware:
    """ASGI middleware that refuses requests that `Access` does not allow, and adds SECURITY_HEADERS to every response.

    streamed_bodies: paths whose routes read the body themselves, and the limit of its bytes; a body of any other path
        is small, and read here.
    """

    def __init__(self, app: ASGIApp, access: Access, streamed_bodies: Mapping[str, float]) -> None:
        self._app, self._access = app, access
        self._streamed_bodies = streamed_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if self._access.is_secure:
                    headers.setdefault("strict-transport-security", _HSTS)
            await send(message)

        refusal = self._checked_refusal(HTTPConnection(scope))
        if refusal is None and _has_body(scope) and scope["path"] not in self._streamed_bodies:
            try:
                receive = await _read_body(receive)
            except TimeoutError:
                refusal = _error(408, f"the body of a request arrives within {BODY_TIMEOUT_SECONDS:g} seconds")
                refusal.headers["connection"] = "close"
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before the handshake: the answer is a 403
        else:
            await refusal(scope, receive, send_with_headers)

    def _checked_refusal(self, request: HTTPConnection) -> Response | None:
        """Returns `_refusal`, or a 400 for headers that cannot be parsed."""
        try:
            return self._refusal(request)
        except ValueError:
            return _error(400, "a header of the request is malformed")

    def _refusal(self, request: HTTPConnection) -> Response | None:
        """Returns the response to a request that is not allowed; None if it is allowed."""
        if not self._access.allows_host(request.headers.get("host", "")):
            return _error(
                403, "this server is not known by that name; use its numeric address, or allow the name: --allow-host"
            )
        if request.scope["path"] in _PATHS_WITHOUT_TOKEN:
            return None
        if _is_from_another_site(request):
            return _error(403, "pages of other sites may not use this server")
        limit = self._streamed_bodies.get(request.scope["path"], MAX_BODY_BYTES)
        return self._token_refusal(request) or _body_refusal(request, limit)

    def _token_refusal(self, request: HTTPConnection) -> Response | None:
        access = self._access
        if access.token is None:
            return None
        is_get, is_start_page = _method(request) == "GET", request.scope["path"] == "/"
        in_query = request.query_params.get("token", "") if is_get else ""
        has_session = access.sessions.is_valid(request.cookies.get(access.cookie, ""))
        if has_session and not (in_query and is_start_page):
            return None
        tokens = [token for token in (_bearer_token(request), in_query) if token]
        if tokens:
            address = request.client.host if request.client else ""
            seconds = access.throttle.seconds_to_wait(address)
            if seconds:
                return _too_many_tokens(seconds)
            if any(access.accepts(token) for token in tokens):
                access.throttle.forget(address)
                return self._start_session(request) if in_query and is_start_page else None
            access.throttle.add_failure(address)
        return _sign_in() if is_start_page else _unauthorized()

    def _start_session(self, request: HTTPConnection) -> Response:
        """Redirects to the address without the token, which stays neither in the history nor on the screen."""
        access = self._access
        query = request.scope["query_string"].decode("latin-1")
        address = URL(f"./?{query}").remove_query_params("token")  # relative: a proxy may serve a sub-path
        response = RedirectResponse(str(address), 303)
        response.set_cookie(
            access.cookie,
            access.sessions.start(),
            max_age=SESSION_SECONDS,
            secure=access.is_secure,
            httponly=True,
            samesite="lax",
        )
        return response


def _has_body(scope: Scope) -> bool:
    is_checked = scope["type"] == "http" and scope["path"] not in _PATHS_WITHOUT_TOKEN
    return is_checked and scope["method"] not in _METHODS_WITHOUT_BODY


async def _read_body(receive: Receive) -> Receive:
    """Reads the small body of a request, and returns the function from which the application receives it.

    Raises TimeoutError if it does not arrive in time.
    """
    messages: list[Message] = []
    async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())

    async def receive_again() -> Message:
        return messages.pop(0) if messages else await receive()

    return receive_again


def _method(request: HTTPConnection) -> str:
    """Returns the method of a request; a WebSocket's handshake is a GET."""
    method: str = request.scope.get("method", "GET")
    return method


def _is_from_another_site(request: HTTPConnection) -> bool:
    """True if another site's page makes the request; pages of other sites may only link to this one."""
    headers = request.headers
    origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
    is_link = _method(request) == "GET" and headers.get("sec-fetch-mode") == "navigate"
    has_other_origin = bool(origin) and _origin_host(origin) != headers.get("host", "").lower()
    return has_other_origin or (site in ("cross-site", "same-site") and not is_link)


def _origin_host(origin: str) -> str:
    """Returns the host and port of an Origin header; empty, which matches no host, if it is malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _bearer_token(request: HTTPConnection) -> str:
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    return token.strip() if scheme.lower() == "bearer" else ""


def _body_refusal(request: HTTPConnection, max_bytes: float) -> Response | None:
    """Returns a response if the request's body is too large, or its length is not known beforehand."""
    if _method(request) in _METHODS_WITHOUT_BODY:
        return None
    if request.headers.get("transfer-encoding"):
        return _error(411, "say the length of the body")
    length = request.headers.get("content-length") or "0"
    if not length.isdecimal() or int(length) > max(max_bytes, MAX_BODY_BYTES):
        return _error(413, f"a request has at most {max_bytes:.0f} bytes")
    return None


def _error(status: int, reason: str) -> Response:
    return JSONResponse({"detail": reason}, status)


def _too_many_tokens(seconds: float) -> Response:
    wait = math.ceil(seconds)
    response = _error(429, f"too many wrong tokens came from your address; try again in {wait} s")
    response.headers["retry-after"] = str(wait)
    return response


def _unauthorized() -> Response:
    reason = "a token is needed; open the address that was printed at the start, or send it as Bearer"
    return JSONResponse({"detail": reason}, 401, {"www-authenticate": "Bearer"})


def _sign_in() -> Response:
    """Returns the page that asks for the token."""
    page, style = _sign_in_page()
    policy = SECURITY_HEADERS["content-security-policy"].replace("style-src 'self'", style)
    return HTMLResponse(page, 401, {"www-authenticate": "Bearer", "content-security-policy": policy})


@cache
def _sign_in_page() -> tuple[str, str]:
    """Returns the page and its content security policy, which allows its inline style, since it can load no file."""
    page = _SIGN_IN_PAGE.read_text(encoding="utf-8")
    style = page.partition("<style>")[2].partition("</style>")[0]
    return page, f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
