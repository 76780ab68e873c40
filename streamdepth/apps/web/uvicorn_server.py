"""A uvicorn server that ends in time, and closes connections that send no request."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

SHUTDOWN_SECONDS = 1.0
"""Time that connections have to close when the server ends."""
IDLE_TIMEOUT_SECONDS = 10.0
"""Longest time that a connection may be open without a request, at its beginning and between two requests."""


class GracefulServer(uvicorn.Server):
    """A server that closes all connections at its end, and aborts those that do not answer, as of a sleeping phone."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        timer = asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, self._abort_connections)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class IdleTimeoutProtocol(H11Protocol):
    """HTTP that aborts connections which send no request, so that idle ones cannot use up all places.

    uvicorn's own limit starts only after the first response, and ends with the next byte.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._schedule_check()

    def _schedule_check(self) -> None:
        self.loop.call_later(IDLE_TIMEOUT_SECONDS, self._check_idle, self.cycle)

    def _check_idle(self, previous: RequestResponseCycle | None) -> None:
        """Aborts the connection if nothing has happened since the last check.

        previous: the request that was the newest one at the last check.
        """
        if self not in self.connections:  # it is closed, or has become a WebSocket
            return
        is_responding = self.cycle is not None and not self.cycle.response_complete
        if is_responding or self.cycle is not previous:
            self._schedule_check()
        else:
            self.transport.abort()
