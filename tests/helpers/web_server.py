"""`streamdepth serve` within the test's process, on a free port of 127.0.0.1, and a client for it."""

from __future__ import annotations

import http.client
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from helpers.waiting import wait_until
from websockets.sync.client import ClientConnection, connect

from streamdepth import config
from streamdepth.apps.web.server import WebServer
from streamdepth.apps.web.session import WebSession
from streamdepth.apps.web.session_factory import open_session, server_options

MOVING = "lavfi:testsrc2=size=320x240:rate=30"
"""An endless stream that moves."""


@dataclass(frozen=True)
class Answer:
    """The server's answer to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    """A running server."""

    address: str
    session: WebSession
    server: WebServer
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every call."""

    @property
    def place(self) -> str:
        """The host and the port, as HOST:PORT."""
        return urlsplit(self.address).netloc

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Sends one request. Keyword arguments are headers, with `_` for `-`."""
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        text = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if text is not None else {}
        sent |= self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, text, sent)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def stream(self, name: str) -> Any:
        """Returns the status of a stream."""
        return self.get(f"/api/streams/{name}").json

    def socket(self, path: str, **options: Any) -> ClientConnection:
        """Opens a WebSocket, without any proxy."""
        address = self.address.replace("http", "ws", 1).rstrip("/") + path
        return connect(address, proxy=None, max_size=None, compression=None, open_timeout=60, **options)


def unpack_codes(packed: bytes, width: int, height: int) -> np.ndarray:
    """Unpacks depth codes as the page does; the inverse of `pack_codes`."""
    planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(2, height, width).astype(np.int32)
    folded = planes[0] | planes[1] << 8
    return np.cumsum((folded >> 1) ^ -(folded & 1), axis=1).astype(np.int16)


def packet(data: bytes) -> tuple[dict[str, Any], bytes, np.ndarray]:
    """Splits a message into its header, JPEG, and depth with NaN for unknown."""
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    jpeg = data[4 + length : 4 + length + header["picture_bytes"]]
    (width, height), low, step = header["depth_size"], header["depth_low"], header["depth_step"]
    codes = unpack_codes(data[-header["depth_bytes"] :], width, height)
    return header, jpeg, np.where(codes > 0, low + (codes - 1.0) * step, np.nan)


def has_nothing_on_its_way(site: Site, name: str) -> bool:
    """True if the last picture from before a pause has come out of the pipeline."""
    told = site.stream(name)
    return "paused" in told["dropped"] and told["read"] == told["written"] + sum(told["dropped"].values())


@contextmanager
def running(folder: Path, *sources: str, port: int = 0, **settings: Any) -> Iterator[Site]:
    """Runs a site that shows `sources`, and yields it once it has pictures. `web`: settings of the page."""
    web = {"port": port, "folder": folder, **settings.pop("web", {})}
    chosen = config.make(source=sources, **web, **settings)
    with open_session(chosen) as session, WebServer(session, server_options(chosen)) as server:
        runner = threading.Thread(target=session.pipeline.run, name="streamdepth test run", daemon=True)
        runner.start()
        try:
            shown = [s for s, address in zip(session.streams.values(), sources, strict=False) if "rtsp:" not in address]
            wait_until(lambda: all(s.live.newest for s in shown))
            yield Site(server.address, session, server)
        finally:
            session.pipeline.stop()
            runner.join(60)
