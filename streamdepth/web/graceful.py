"""A server that ends in time."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

GRACE_SECONDS = 1.0


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
