"""A server that ends in time, and connections that do."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

GRACE_SECONDS = 1.0
HEAD_SECONDS = 10.0
"""So long may a connection be open before it has asked for something, and then again."""


class GracefulServer(uvicorn.Server):
    """Says goodbye to all connections, and cuts off those that do not answer: a phone may be asleep by then."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        cut = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class PromptProtocol(H11Protocol):
    """Hangs up on those who ask for nothing: silent strangers would take the places of all others for ever.

    uvicorn's own limit begins with the first answer, and ends with the next byte.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look_again()

    def _look_again(self) -> None:
        self.loop.call_later(HEAD_SECONDS, self._look, self.cycle)

    def _look(self, last: RequestResponseCycle | None) -> None:
        """last: the request that was answered last when it was looked at before."""
        if self not in self.connections:  # it is over, or a WebSocket now
            return
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.cycle is not last:
            self._look_again()
        else:
            self.transport.abort()
