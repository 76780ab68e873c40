"""A small HTTP server on 127.0.0.1 for tests: files, refusals and servers that fall silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    """`/status/404` refuses, `/silent` never answers, everything else is a file of the folder."""

    def do_GET(self) -> None:
        if self.path.startswith("/status/"):
            self.send_error(int(self.path.rpartition("/")[2]))
        elif self.path.startswith("/silent"):
            self.server.released.wait(20)  # type: ignore[attr-defined]
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Tests stay quiet."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serves a folder; gives the address without a slash at its end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.daemon_threads = True
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
