"""The end of a WebSocket whose client has gone while the server was closing it."""

from __future__ import annotations

import asyncio

import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from streamdepth.apps.web import sockets


@pytest.mark.parametrize("error", [WebSocketDisconnect(1006), RuntimeError("closed")], ids=["gone", "closed"])
def test_a_client_that_has_gone_may_be_closed(error: Exception) -> None:
    sent = []

    async def send(message) -> None:
        sent.append(message["type"])
        raise error

    websocket = WebSocket({"type": "websocket"}, receive=None, send=send)
    websocket.application_state = websocket.client_state = WebSocketState.CONNECTED
    asyncio.run(sockets._close(websocket, 1001, "the stream is over"))
    assert sent == ["websocket.close"]
