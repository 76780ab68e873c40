"""A uvicorn server that ends in time, and closes connections that send no request."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SHUTDOWN_SECONDS = 1.0
"""Time that connections have to close when the server ends."""
IDLE_TIMEOUT_SECONDS = 10.0
"""Longest time that a connection may be open without a request, at its beginning and between two requests."""
SLOW_READER_SECONDS = 20.0
"""Longest time that a client may read nothing of the data sent to it."""
_SEND_BUFFER_BYTES = 256 * 1024


class GracefulServer(uvicorn.Server):
    """A server that closes all connections at its end, and aborts those of clients that do not answer."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        timer = asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, self._abort_connections)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _SlowReaderTimeout(asyncio.Protocol):
    """A mixin for protocols that aborts a connection whose client reads nothing of the data sent to it.

    Such a viewer would otherwise occupy a place and memory for ever.
    """

    loop: asyncio.AbstractEventLoop
    _is_paused = False
    _pauses = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connection = transport
        connected: socket.socket | None = transport.get_extra_info("socket")
        if connected is not None:  # else the system takes megabytes before it says that nobody reads
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_paused, self._pauses = True, self._pauses + 1
        self.loop.call_later(SLOW_READER_SECONDS, self._check_reader, self._pauses)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_paused = False

    def _check_reader(self, pause: int) -> None:
        if self._is_paused and self._pauses == pause and isinstance(self._connection, asyncio.WriteTransport):
            self._connection.abort()


class ViewerProtocol(_SlowReaderTimeout, WebSocketsSansIOProtocol):
    """WebSockets that are aborted when the viewer reads nothing."""


class IdleTimeoutProtocol(_SlowReaderTimeout, H11Protocol):
    """HTTP that aborts connections without a request or with an unread response, so that they do not use up all places.

    uvicorn's own limit starts only after the first response, and ends with the next byte.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._schedule_check()

    def _schedule_check(self) -> None:
        self.loop.call_later(IDLE_TIMEOUT_SECONDS, self._check_idle, self.cycle)

    def _check_idle(self, previous: RequestResponseCycle | None) -> None:
        """Aborts the connection if nothing has happened since the last check.

        `previous` is the newest request at the last check.
        """
        if self not in self.connections:  # it is closed, or has become a WebSocket
            return
        is_responding = self.cycle is not None and not self.cycle.response_complete
        if is_responding or self.cycle is not previous:
            self._schedule_check()
        else:
            self.transport.abort()
