"""The server's socket and thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from streamdepth.apps.web.security import Access, make_access
from streamdepth.apps.web.served import Served
from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.threads import WorkerThread

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Server

_log = logging.getLogger(__name__)

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_MORE_CONNECTIONS = 64
"""Besides those of viewers; more are refused with 503."""


@dataclass(frozen=True, slots=True)
class Bind:
    """Where a server listens, and who may use it."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    token: str | None = None
    """None: none on this machine alone, else one is made."""
    names: tuple[str, ...] = ()
    """Further names of this machine that browsers may use."""
    certificate: Path | None = None
    """PEM; with it the page is HTTPS."""
    key: Path | None = None
    most_viewers: int = 32


class WebServer:
    """Listens from construction on, so that a port in use is known at once, and serves within `with`.

    A server that fails while it serves stops the streams: nobody could see them.

    Raises:
        ConfigError: for an address that cannot be had, a certificate that cannot be read or a bad token.
        MissingDependencyError: without the page's packages.
        SinkOpenError: from `with`, when it does not start.
        SinkWriteError: at the end of `with`, when it has failed.
    """

    def __init__(self, served: Served, bind: Bind) -> None:
        _require_packages()
        self.bind = bind
        self._socket = _listen(bind.host, bind.port)
        self.port: int = self._socket.getsockname()[1]
        try:
            self.access: Access = make_access(
                bind.host, bind.token, bind.names, port=self.port, is_secure=bind.certificate is not None
            )
            self._app, self._server = _made(served, bind, self.access)
        except BaseException:
            self._socket.close()
            raise
        self._pipeline = served.pipeline
        self._worker = WorkerThread("web", self._run, self._ended)
        self._error: BaseException | None = None
        self._is_over = False

    @property
    def address(self) -> str:
        """Where to find the page; of a server that listens everywhere, this machine's name in the network."""
        scheme = "https" if self.bind.certificate else "http"
        host = self.bind.host
        if host in ("0.0.0.0", "::", ""):
            host = _own_address()
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{self.port}/"

    @property
    def first_address(self) -> str:
        """The same, with the token where there is one."""
        token = self.access.token
        return f"{self.address}?token={quote(token, safe='')}" if token else self.address

    def __enter__(self) -> Self:
        self._worker.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started and not self._is_over and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._server.started:
            self._end()
            raise SinkOpenError(
                f"the page at {self.address} did not start: {self._error or 'it took too long'}; try again"
            ) from self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if self._error is None:
            return
        failure = f"the page at {self.address} failed: {self._error}; its streams were stopped with it"
        if error is None:
            raise SinkWriteError(failure) from self._error
        _log.warning("%s", failure)

    def _end(self) -> None:
        if own := getattr(self._app.state, "own", None):
            own.hub.end()  # motion JPEG has no end of its own
        self._server.should_exit = True
        self._worker.join(time.monotonic() + _STOP_SECONDS)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _ended(self, error: BaseException | None) -> None:
        self._error, self._is_over = error, True
        self._socket.close()
        if error is not None:
            self._pipeline.stop()


def _require_packages() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(error.name or "fastapi", "web", "the page") from error


def _made(served: Served, bind: Bind, access: Access) -> tuple[FastAPI, Server]:
    import uvicorn

    from streamdepth.apps.web.app import make_app
    from streamdepth.apps.web.graceful import GRACE_SECONDS, GracefulServer, PromptProtocol
    from streamdepth.apps.web.sockets import LARGEST_MESSAGE

    if bind.key and not bind.certificate:
        raise ConfigError(f"the key '{bind.key}' needs its certificate; give both as PEM files")
    app = make_app(served, access, most_viewers=bind.most_viewers)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",  # its finer words quote headers
        access_log=False,  # a first visit has the token in its address
        server_header=False,
        proxy_headers=False,
        http=PromptProtocol,
        ws="websockets-sansio",
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,  # pictures and packed depth do not get smaller
        ssl_certfile=bind.certificate,
        ssl_keyfile=bind.key,
        limit_concurrency=bind.most_viewers + _MORE_CONNECTIONS,
        timeout_graceful_shutdown=round(5 * GRACE_SECONDS),
    )
    try:
        config.load()
    except OSError as error:
        raise ConfigError(
            f"the certificate '{bind.certificate}' or its key cannot be used: {error.strerror or error}; give both as "
            "PEM files"
        ) from error
    return app, GracefulServer(config)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        for_all = host == "::" and socket.has_dualstack_ipv6()  # and not those who come by IPv6 only
        listening = socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=for_all)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot listen at {host}:{port}: {reason}; choose another --port or --host") from error
    listening.setblocking(False)
    return listening


def _own_address() -> str:
    """This machine's address in its network, as far as it can tell; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of the range that is kept for documentation
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
