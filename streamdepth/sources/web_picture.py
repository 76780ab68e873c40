"""Download of single pictures over http and https."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from streamdepth.core.errors import SourceOpenError, SourceTimeoutError
from streamdepth.utils.redact import redact_text

_MAX_BYTES = 256 * 2**20
_TIMEOUT_SECONDS = 10.0


def download_picture(address: str, name: str) -> io.BytesIO:
    """Returns the bytes at an http(s) address; `name` is the address without secrets, for messages.

    Raises SourceOpenError, or SourceTimeoutError when the server does not answer within 10 seconds.
    """
    try:
        opener = urllib.request.build_opener(_RedirectsWithPassword)
        with opener.open(_request(address), timeout=_TIMEOUT_SECONDS) as answer:
            data = answer.read(_MAX_BYTES + 1)
    except TimeoutError:
        raise SourceTimeoutError(f"{name} did not answer within {_TIMEOUT_SECONDS:g} seconds") from None
    except urllib.error.HTTPError as error:
        error.close()
        code = {401: "unauthorized", 403: "forbidden", 404: "not-found"}.get(error.code)
        raise SourceOpenError(f"{name} cannot be fetched: {error.code} {error.reason}", code=code) from None
    except (OSError, ValueError, HTTPException) as error:
        # `from None`: some of these errors quote the address, and with it a password.
        reason = getattr(error, "reason", None) or type(error).__name__
        raise SourceOpenError(f"{name} cannot be fetched: {redact_text(str(reason))}; check the address") from None
    if len(data) > _MAX_BYTES:
        raise SourceOpenError(
            f"{name} is larger than the {_MAX_BYTES // 2**20} MiB allowed for one picture", code="too-large"
        )
    return io.BytesIO(data)


def _request(address: str) -> urllib.request.Request:
    """Returns a request in which `user:password@` has become a header, as urllib does not understand it."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)), headers={"User-Agent": "streamdepth"})
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
