"""Download of single pictures over http and https."""

from __future__ import annotations

import queue
import string
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException, InvalidURL
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from streamdepth.core.errors import SourceOpenError, SourceTimeoutError, StreamDepthError
from streamdepth.sources.network_address import ESCAPES, NetworkAddress
from streamdepth.utils.redact import redact_text

_MAX_BYTES = 256 * 2**20
_CHUNK_BYTES = 2**16
_TIMEOUT_SECONDS = 10.0
"""Longest silence of a server."""
_MIN_BYTES_PER_SECOND = 16_000
"""Slowest pace of a download, on average; a slower one is given up once it has taken _TIMEOUT_SECONDS."""
_MAX_SECONDS = 300.0
"""Longest time for one picture, at any pace."""


def download_picture(address: str, name: str) -> bytes:
    """Returns the bytes at an http(s) address; `name` is the address without secrets, for messages.

    The address may have spaces and letters of any language, as browsers show it. Raises SourceOpenError, or
    SourceTimeoutError when the server does not answer within 10 seconds, sends less than 16 kB a second after that, or
    takes longer than 5 minutes.
    """
    NetworkAddress(address, "tcp", _TIMEOUT_SECONDS).check_password()
    # On a thread of its own: a server that sends a header's letters one by one, or a resolver that hangs, ends no wait.
    download = _Download(address, name)
    threading.Thread(target=download.run, name="picture download", daemon=True).start()
    started_at = time.monotonic()
    while (waited := time.monotonic() - started_at) < download.seconds_allowed():
        try:
            result = download.result.get(timeout=min(0.2, max(0.01, download.seconds_allowed() - waited)))
        except queue.Empty:
            continue
        if isinstance(result, bytes):
            return result
        raise result
    download.is_abandoned.set()
    raise SourceTimeoutError(
        f"{name} did not arrive within {waited:.0f} seconds ({download.received} bytes came); check the network, or "
        "fetch it with another program first"
    )


class _Download:
    """A download on a thread of its own, which ends soon after it was abandoned."""

    def __init__(self, address: str, name: str) -> None:
        self._address, self._name = address, name
        self.result: queue.SimpleQueue[bytes | StreamDepthError] = queue.SimpleQueue()
        """Gets one item: the bytes, or the error."""
        self.is_abandoned = threading.Event()
        self.received = 0
        """Number of bytes so far."""

    def seconds_allowed(self) -> float:
        """Returns how long it may have taken in all, by the bytes that came."""
        return min(_TIMEOUT_SECONDS + self.received / _MIN_BYTES_PER_SECOND, _MAX_SECONDS)

    def run(self) -> None:
        """Puts the bytes or an error into `result`."""
        try:
            self.result.put(self._fetch())
        except StreamDepthError as error:
            self.result.put(error)

    def _fetch(self) -> bytes:
        try:
            opener = urllib.request.build_opener(_RedirectsWithPassword)
            with opener.open(_request(self._address), timeout=_TIMEOUT_SECONDS) as answer:
                data = bytearray()
                while len(data) <= _MAX_BYTES and not self.is_abandoned.is_set():
                    if not (chunk := answer.read1(_CHUNK_BYTES)):
                        break
                    data += chunk
                    self.received = len(data)
                if missing := answer.length:
                    raise SourceOpenError(
                        f"{self._name} is cut off: the connection ended {missing} bytes too early; try again",
                        code="cut-off",
                    )
        except TimeoutError:
            raise SourceTimeoutError(f"{self._name} did not answer within {_TIMEOUT_SECONDS:g} seconds") from None
        except urllib.error.HTTPError as error:
            error.close()
            code = {401: "unauthorized", 403: "forbidden", 404: "not-found"}.get(error.code)
            raise SourceOpenError(f"{self._name} cannot be fetched: {error.code} {error.reason}", code=code) from None
        except (OSError, ValueError, HTTPException) as error:
            # `from None`: some of these errors quote the address, and with it a password.
            raise SourceOpenError(f"{self._name} cannot be fetched: {_reason(error)}; check the address") from None
        if len(data) > _MAX_BYTES:
            raise SourceOpenError(
                f"{self._name} is larger than the {_MAX_BYTES // 2**20} MiB allowed for one picture", code="too-large"
            )
        return bytes(data)


def _reason(error: Exception) -> str:
    """Returns the reason of a failed download, without secrets."""
    if isinstance(error, (ValueError, InvalidURL)):  # these quote parts of the address
        return f"the address is not valid; special characters of a user name or password are written as {ESCAPES}"
    return redact_text(str(getattr(error, "reason", None) or error) or type(error).__name__)


def _request(address: str) -> urllib.request.Request:
    """Returns a request for an address as browsers show it, with spaces and letters of any language.

    `user:password@` becomes a header, as urllib does not understand it.
    """
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    escaped = parts._replace(
        netloc=host if host.isascii() else host.encode("idna").decode(),
        path=quote(parts.path, safe=string.punctuation),
        query=quote(parts.query, safe=string.punctuation),
        fragment="",
    )
    request = urllib.request.Request(urlunsplit(escaped), headers={"User-Agent": "streamdepth"})
    if user:
        request.add_unredirected_header("Authorization", "Basic " + b64encode(unquote(user).encode()).decode())
    return request


class _RedirectsWithPassword(urllib.request.HTTPRedirectHandler):
    """A redirect handler that sends the password on to the same host, and to no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if request and new.netloc == old.netloc and new.scheme in (old.scheme, "https"):
            request.unredirected_hdrs.update(req.unredirected_hdrs)
        return request
