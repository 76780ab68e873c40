"""Events of zones as POST requests to a web address."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from streamdepth.core.threads import WorkerThread
from streamdepth.core.version import __version__
from streamdepth.sinks.zones.output import ZoneOutput, is_event, undelivered_error
from streamdepth.sinks.zones.records import ZoneRecord
from streamdepth.utils.backoff import Backoff
from streamdepth.utils.redact import redact

_MAX_WAITING = 1000
"""Largest number of events that wait for a server; beyond it the oldest are lost."""
_TRY_AGAIN = {408, 425, 429}
"""Status codes below 500 after which the same request may succeed later."""


class WebhookOutput(ZoneOutput):
    """Sends each event as JSON in a POST request, on a thread of its own; values are not sent.

    A request that fails is repeated, after pauses that grow to 30 s, until it succeeds or the stream ends; the order of
    events is kept. An answer of 400 to 499 is final, but for 408, 425 and 429. Redirects are not followed. An event
    whose answer was lost is sent twice; its `stream`, `zone`, `type` and `time` identify it. A server that cannot be
    reached is noticed when the stream begins: a connection is made and closed, without a request.

    Args:
        url: http:// or https:// address; USER:PASSWORD@ before the host is sent as basic authentication.
        timeout_seconds: longest time to wait for an answer, and at the end for events that were not sent yet.
        on_wait: called with the seconds of each pause before a request is repeated.
    """

    def __init__(
        self, url: str, *, timeout_seconds: float = 5.0, on_wait: Callable[[float], None] = lambda _: None
    ) -> None:
        self.name, self.timeout_seconds = redact(url), timeout_seconds
        self._url, self._headers = _without_user(url)
        self._on_wait = on_wait
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._changed = threading.Condition()
        self._waiting: deque[ZoneRecord] = deque()
        self._lost = 0
        self._deadline: float | None = None
        """Time by the monotonic clock at which the thread gives up; None while the stream runs."""

    def open(self, stream: str, on_notice: Callable[[str], None]) -> None:
        self._waiting.clear()
        self._lost, self._deadline, self._on_notice = 0, None, on_notice
        self._worker = WorkerThread("webhook", self._run, lambda _: None)
        self._worker.start()

    def write(self, records: Sequence[ZoneRecord]) -> None:
        events = [record for record in records if is_event(record)]
        if not events:
            return
        with self._changed:
            self._waiting += events
            while len(self._waiting) > _MAX_WAITING:
                self._waiting.popleft()
                self._lost += 1
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._deadline = time.monotonic() + self.timeout_seconds
            self._changed.notify_all()
        self._worker.has_ended(self._deadline + self.timeout_seconds + 1)
        with self._changed:
            lost = self._lost + len(self._waiting)
            self._waiting.clear()
        if lost:
            raise undelivered_error(lost, self.name)

    def _run(self) -> None:
        self._check_reachable()
        backoff = Backoff()
        while (record := self._next()) is not None:
            reason, is_final = self._post(record)
            if reason is None or is_final:
                backoff = Backoff()
                self._on_done(record, is_lost=reason is not None)
            if reason is not None:
                then = "the event is lost" if is_final else "it is tried again"
                self._on_notice(f"{self.name} did not take an event of a zone ({reason}); {then}")
                if not is_final:
                    self._wait(backoff.next_wait_seconds())

    def _check_reachable(self) -> None:
        """Adds a notice if the server refuses a connection; nothing is sent. Servers behind a proxy are skipped."""
        address = urlsplit(self._url)
        scheme, host = address.scheme.lower(), address.hostname or ""
        if scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
            return
        port = address.port or (443 if scheme == "https" else 80)
        try:
            socket.create_connection((host, port), self.timeout_seconds).close()
        except OSError as error:
            self._on_notice(f"{self.name} cannot be reached ({error}); it is tried again with the first event")

    def _next(self) -> ZoneRecord | None:
        """Waits for the oldest event that was not sent; None when the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._deadline is not None)
            is_late = self._deadline is not None and time.monotonic() > self._deadline
            return self._waiting[0] if self._waiting and not is_late else None

    def _on_done(self, record: ZoneRecord, *, is_lost: bool) -> None:
        with self._changed:
            if self._waiting and self._waiting[0] is record:  # it may have been pushed out meanwhile
                self._waiting.popleft()
                self._lost += is_lost

    def _wait(self, seconds: float) -> None:
        """Waits for some time, or until the stream ends."""
        self._on_wait(seconds)
        with self._changed:
            is_ending = self._deadline is not None
            self._changed.wait_for(lambda: (self._deadline is not None) != is_ending, seconds)

    def _post(self, record: ZoneRecord) -> tuple[str | None, bool]:
        """Sends one event. Returns the reason of a failure, or None, and True if the failure is final."""
        body = json.dumps(record, allow_nan=False).encode()
        request = urllib.request.Request(self._url, body, self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=self.timeout_seconds):
                return None, False
        except urllib.error.HTTPError as error:
            error.close()
            return f"status {error.code}", error.code < 500 and error.code not in _TRY_AGAIN
        except (OSError, HTTPException) as error:
            return str(getattr(error, "reason", error)), False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an error: it would become a GET request, and perhaps take credentials elsewhere."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Any:
        return None


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """Returns the URL without user and password, and the headers of requests, which have them."""
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "User-Agent": f"streamdepth/{__version__}"}
    if parts.username is None:
        return url, headers
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), headers
