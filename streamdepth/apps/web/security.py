"""The middleware that checks host, origin and token of every request before anything else sees it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import URL, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamdepth.apps.web.access import Access

MAX_BODY_BYTES = 64 * 1024
"""Limit of a request's body; the page sends far less."""
_COOKIE_SECONDS = 30 * 24 * 3600
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
    """ASGI middleware that refuses what `Access` does not allow, and adds SECURITY_HEADERS to every response."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(HTTPConnection(scope))
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before the handshake: the answer is a 403
        else:
            await refusal(scope, receive, send_with_headers)

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
        return self._token_refusal(request) or _body_refusal(request)

    def _token_refusal(self, request: HTTPConnection) -> Response | None:
        access = self._access
        if access.token is None:
            return None
        is_get, is_start_page = _method(request) == "GET", request.scope["path"] == "/"
        in_query = request.query_params.get("token", "") if is_get else ""
        if in_query and is_start_page and access.accepts(in_query):
            return self._move_token_to_cookie(request)
        tokens = [_bearer_token(request), request.cookies.get(access.cookie, ""), in_query]
        if any(token and access.accepts(token) for token in tokens):
            return None
        return _sign_in() if is_start_page else _unauthorized()

    def _move_token_to_cookie(self, request: HTTPConnection) -> Response:
        """Redirects to the address without the token, which stays neither in the history nor on the screen."""
        access = self._access
        query = request.scope["query_string"].decode("latin-1")
        address = URL(f"/?{query}").remove_query_params("token")
        response = RedirectResponse(str(address), 303)
        response.set_cookie(
            access.cookie,
            access.token or "",
            max_age=_COOKIE_SECONDS,
            secure=access.is_secure,
            httponly=True,
            samesite="lax",
        )
        return response


def _method(request: HTTPConnection) -> str:
    """Returns the method of a request; a WebSocket's handshake is a GET."""
    method: str = request.scope.get("method", "GET")
    return method


def _is_from_another_site(request: HTTPConnection) -> bool:
    """True if another site's page makes the request; pages of other sites may only link to this one."""
    headers = request.headers
    origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
    is_link = _method(request) == "GET" and headers.get("sec-fetch-mode") == "navigate"
    has_other_origin = bool(origin) and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    return has_other_origin or (site in ("cross-site", "same-site") and not is_link)


def _bearer_token(request: HTTPConnection) -> str:
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    return token.strip() if scheme.lower() == "bearer" else ""


def _body_refusal(request: HTTPConnection) -> Response | None:
    """Returns a response if the request's body is too large, or its length is not known beforehand."""
    if _method(request) in _METHODS_WITHOUT_BODY:
        return None
    if request.headers.get("transfer-encoding"):
        return _error(411, "say the length of the body")
    length = request.headers.get("content-length") or "0"
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return _error(413, f"a request has at most {MAX_BODY_BYTES} bytes")
    return None


def _error(status: int, reason: str) -> Response:
    return JSONResponse({"detail": reason}, status)


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
    """Returns the page and the policy that allows its inline style; it may load no file before the token is known."""
    page = _SIGN_IN_PAGE.read_text(encoding="utf-8")
    style = page.partition("<style>")[2].partition("</style>")[0]
    return page, f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
