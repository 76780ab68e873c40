"""Events as POST requests, to a real server that refuses, fails, falls silent and comes back."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from helpers.errors import raises_code
from helpers.rtsp_server import free_port
from helpers.sink_data import MODEL, fill, stream, write
from helpers.waiting import wait_until

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.zones import Zone
from streamdepth.sinks.zones.webhook import WebhookOutput
from streamdepth.sinks.zones.zone_sink import ZoneSink

ZONE = Zone.parse("door=20,8,10,14@2m")
EVENTS = [("entered", 11), ("left", 30)]
"""Kind and frame of what happens in `stream(38, 48, 32)`."""


@dataclass
class Receiver:
    """A server that keeps the requests, and answers with the given statuses first."""

    statuses: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Method, headers and JSON of each request."""
    is_silent: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def events(self) -> list[tuple[str, int]]:
        return [(body["type"], round(body["time"] * 30)) for _, _, body in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if found.is_silent:
                found.released.wait(30)
                return
            found.requests.append((self.command, dict(self.headers), body))
            self.send_response(found.statuses.pop(0) if found.statuses else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.released.set()
        server.shutdown()
        thread.join()


def sink_to(port: int, login: str = "", **options: Any) -> ZoneSink:
    url = f"http://{login}127.0.0.1:{port}/hook?token=t0psecret"
    return ZoneSink([ZONE], [WebhookOutput(url, **options)], stream="hall", hold_seconds=0.1)


def test_each_event_is_one_request(receiver: Receiver) -> None:
    fill(sink_to(receiver.port, "me:pass%2Fword@"), *stream(38, 48, 32))
    assert receiver.events == EVENTS
    method, headers, body = receiver.requests[0]
    assert (method, headers["Content-Type"]) == ("POST", "application/json")
    assert headers["Authorization"] == "Basic bWU6cGFzcy93b3Jk"  # me:pass/word
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert (body["zone"], body["stream"], body["unit"], body["nearest"]) == ("door", "hall", "m", 1.5)


def test_failed_requests_are_repeated_in_order(receiver: Receiver) -> None:
    receiver.statuses = [503, 429, 204]
    waits: list[float] = []
    sink = sink_to(receiver.port, on_wait=waits.append, timeout_seconds=30)
    fill(sink, *stream(38, 48, 32))
    assert receiver.events == [EVENTS[0]] * 3 + [EVENTS[1]]
    assert len(waits) == 2
    assert "t0psecret" not in str(sink.notices)
    assert sink.notices


@pytest.mark.parametrize("status", [400, 404, 302])
def test_a_refused_event_is_not_repeated_and_is_an_error_at_the_end(receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    sink = sink_to(receiver.port, "me:hidden@", timeout_seconds=30)
    with raises_code(SinkWriteError, "undelivered", naming="127.0.0.1") as error:
        fill(sink, *stream(38, 48, 32))
    assert receiver.events == EVENTS
    assert not [secret for secret in ("hidden", "t0psecret") if secret in f"{sink.notices} {error.value}"]


def test_nothing_waits_for_a_server_that_is_silent(receiver: Receiver) -> None:
    receiver.is_silent = True
    info, items = stream(38, 48, 32)
    sink = sink_to(receiver.port, timeout_seconds=0.2)
    sink.open(info, MODEL)
    write(sink, items)  # all frames, while the first request is still waiting for its answer
    assert not receiver.released.is_set()
    with raises_code(SinkWriteError, "undelivered"):
        sink.close()
    assert receiver.requests == []


def test_events_wait_for_a_server_that_is_not_there() -> None:
    info, items = stream(38, 48, 32)
    sink = sink_to(free_port(), timeout_seconds=0.2)
    sink.open(info, MODEL)
    write(sink, items)
    wait_until(lambda: sink.notices)
    with raises_code(SinkWriteError, "undelivered"):
        sink.close()


def test_a_server_that_is_not_there_is_noticed_without_an_event() -> None:
    info, _ = stream(1, 48, 32)
    port = free_port()
    sink = sink_to(port, "me:hidden@")
    sink.open(info, MODEL)
    wait_until(lambda: sink.notices)
    sink.close()
    assert f"127.0.0.1:{port}" in sink.notices[0]
    assert not [secret for secret in ("hidden", "t0psecret") if secret in sink.notices[0]]


def test_a_server_that_is_there_is_sent_nothing_without_an_event() -> None:
    info, _ = stream(1, 48, 32)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = sink_to(server.getsockname()[1])
        sink.open(info, MODEL)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""
        sink.close()
    assert sink.notices == []
