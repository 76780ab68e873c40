"""The page's web server: its socket, its thread, its start and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from streamdepth.apps.web.access import Access, make_access
from streamdepth.apps.web.session import WebSession
from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.threads import WorkerThread
from streamdepth.utils.cache import cache_folder

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Server

    from streamdepth.apps.web.app_state import AppState

_log = logging.getLogger(__name__)

_START_TIMEOUT_SECONDS = 30.0
_STOP_TIMEOUT_SECONDS = 10.0
_CONNECTIONS_BESIDE_VIEWERS = 64
"""Allowed connections besides those of viewers; more are refused with 503."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The address of a server, and its access rules."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free port."""
    token: str | None = None
    """Secret that visitors must know; None makes one, unless only this machine can reach the server."""
    host_names: tuple[str, ...] = ()
    """Further names by which browsers may address this machine."""
    certificate: Path | None = None
    """PEM file; with it the server speaks HTTPS."""
    key: Path | None = None
    """PEM file of the certificate's key; None if it is in the same file."""
    max_viewers: int = 32


class WebServer:
    """The server of the page, which serves within `with`.

    It listens once it is made, so that a used port is an error at once. If it fails while it serves, it stops the
    streams, which nobody could see any more.

    Raises:
        ConfigError: for an address that cannot be used ("cannot-listen"), a certificate that cannot be read
            ("bad-certificate") or a bad token ("bad-token").
        MissingDependencyError: if the page's packages are not installed.
        SinkOpenError: at the beginning of `with`, if it does not start ("server-start").
        SinkWriteError: at the end of `with`, if it has failed ("server-failed").
    """

    def __init__(self, session: WebSession, options: ServerOptions) -> None:
        _require_packages()
        self.options = options
        self._socket = _listen(options.host, options.port)
        self.port: int = self._socket.getsockname()[1]
        try:
            self.access: Access = make_access(
                options.host,
                options.token,
                options.host_names,
                port=self.port,
                is_secure=options.certificate is not None,
            )
            self._app, self._server = _make_server(session, options, self.access)
        except BaseException:
            self._socket.close()
            raise
        self._pipeline = session.pipeline
        self._worker = WorkerThread("web", self._run, self._on_ended)
        self._error: BaseException | None = None
        self._has_ended = False

    @property
    def address(self) -> str:
        """Address of the page; if the server listens everywhere, with this machine's address in the network."""
        scheme = "https" if self.options.certificate else "http"
        host = self.options.host
        if host in ("0.0.0.0", "::", ""):
            host = _network_address()
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{self.port}/"

    @property
    def address_with_token(self) -> str:
        """Address of the page with the token, if there is one."""
        token = self.access.token
        return f"{self.address}?token={quote(token, safe='')}" if token else self.address

    def write_token_file(self) -> Path:
        """Writes the token into a file that only this user can read, and returns its path."""
        path = cache_folder() / f"serve_{self.port}.token"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{self.access.token}\n")
        return path

    def __enter__(self) -> Self:
        self._worker.start()
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not self._server.started and not self._has_ended and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._server.started:
            self._stop()
            raise SinkOpenError(
                f"the page at {self.address} did not start: {self._error or 'it took too long'}; try again",
                code="server-start",
            ) from self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._error is None:
            return
        failure = f"the page at {self.address} failed: {self._error}; its streams were stopped with it"
        if error is None:
            raise SinkWriteError(failure, code="server-failed") from self._error
        _log.warning("%s", failure)

    def _stop(self) -> None:
        state: AppState | None = getattr(self._app.state, "shared", None)
        if state is not None:
            state.broadcaster.end()  # a response of motion JPEG would never end by itself
        self._server.should_exit = True
        self._worker.join(time.monotonic() + _STOP_TIMEOUT_SECONDS)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _on_ended(self, error: BaseException | None) -> None:
        self._error, self._has_ended = error, True
        self._socket.close()
        if error is not None:
            self._pipeline.stop()


def _require_packages() -> None:
    """Raises MissingDependencyError if one of the page's packages is not installed."""
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(error.name or "fastapi", "web", "the page") from error


def _make_server(session: WebSession, options: ServerOptions, access: Access) -> tuple[FastAPI, Server]:
    import uvicorn

    from streamdepth.apps.web.app import make_app
    from streamdepth.apps.web.sockets import MAX_MESSAGE_BYTES
    from streamdepth.apps.web.uvicorn_server import (
        SHUTDOWN_SECONDS,
        GracefulServer,
        IdleTimeoutProtocol,
        ViewerProtocol,
    )

    if options.key and not options.certificate:
        raise ConfigError(
            f"the key '{options.key}' needs its certificate; give both as PEM files", code="bad-certificate"
        )
    app = make_app(session, access, max_viewers=options.max_viewers)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",  # finer levels quote headers, which have tokens
        access_log=False,  # a first visit has the token in its address
        server_header=False,
        proxy_headers=False,
        http=IdleTimeoutProtocol,
        ws=ViewerProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # pictures and packed depth do not get smaller
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        limit_concurrency=options.max_viewers + _CONNECTIONS_BESIDE_VIEWERS,
        timeout_graceful_shutdown=round(5 * SHUTDOWN_SECONDS),
    )
    try:
        config.load()
    except OSError as error:
        raise ConfigError(
            f"the certificate '{options.certificate}' or its key cannot be used: {error.strerror or error}; give both "
            "as PEM files",
            code="bad-certificate",
        ) from error
    return app, GracefulServer(config)


def _listen(host: str, port: int) -> socket.socket:
    """Opens the listening socket. Raises ConfigError ("cannot-listen")."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # without it, a server at :: would not be there for those who come by IPv4
        has_both_families = host == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=has_both_families)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot listen at {host}:{port}: {reason}; choose another --port or --host", code="cannot-listen"
        ) from error
    listener.setblocking(False)
    return listener


def _network_address() -> str:
    """Returns this machine's address in its network, or its name if that cannot be found out. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that is reserved for documentation
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
