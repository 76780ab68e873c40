"""A small HTTP server on 127.0.0.1 for tests: files, refusals and servers that fall silent."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

logins: list[tuple[str, str | None]] = []
"""Address of the server and Authorization header of each request."""


class _Handler(SimpleHTTPRequestHandler):
    """Serves the files of a folder, and misbehaves at some paths.

    `/status/404` refuses, `/moved/URL` redirects, `/silent` never answers, `/stalling/FILE` stops half-way,
    `/unsized/FILE` does not state its length.
    """

    is_sized = True

    def do_GET(self) -> None:
        logins.append((f"http://{self.headers['Host']}", self.headers["Authorization"]))
        if self.path.startswith("/status/"):
            self.send_error(int(self.path.rpartition("/")[2]))
        elif self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved/"))
            self.end_headers()
        elif self.path.startswith("/silent"):
            self.server.released.wait(20)  # type: ignore[attr-defined]
        elif self.path.startswith("/stalling/"):
            self._send_half(Path(self.translate_path(self.path.removeprefix("/stalling"))).read_bytes())
        else:
            self.is_sized = not self.path.startswith("/unsized/")
            self.path = self.path.removeprefix("/unsized")
            super().do_GET()

    def _send_half(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        self.server.released.wait(20)  # type: ignore[attr-defined]

    def end_headers(self) -> None:
        for name, value in self.server.headers.items():  # type: ignore[attr-defined]
            super().send_header(name, value)
        super().end_headers()

    def send_header(self, keyword: str, value: str) -> None:
        if self.is_sized or keyword != "Content-Length":
            super().send_header(keyword, value)

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing."""


@contextmanager
def serve(folder: Path, headers: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """Runs a server of a folder, and yields its address without a slash at the end. headers: of every response."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.daemon_threads = True
    server.headers = headers  # type: ignore[attr-defined]
    server.released = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def dripping(head: bytes, drop: bytes, seconds: float, *, count: int | None = None) -> Iterator[str]:
    """Runs a server that answers one request with `head`, and then `drop` after `drop`; yields its address.

    Without a `count` it goes on until the client or the test ends.
    """
    released = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def answer() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as client:
                client.recv(9999)
                client.sendall(head)
                for _ in range(count) if count is not None else itertools.count():
                    client.sendall(drop)
                    if released.wait(seconds):
                        break

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            released.set()
            thread.join()
