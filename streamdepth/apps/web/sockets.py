"""The page's WebSockets: one shows a stream, one takes a browser's camera."""

from __future__ import annotations

import asyncio
import io
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from PIL import Image as Pillow
from starlette.websockets import WebSocketState

from streamdepth.apps.web.hub import Feed, TooManyError
from streamdepth.apps.web.packets import Detail, pack
from streamdepth.apps.web.state import State
from streamdepth.core.arrays import Image

router = APIRouter()

LARGEST_MESSAGE = 2 * 1024 * 1024
"""Bytes of one picture of a browser's camera."""
LARGEST_SIDE_PX = 1920
_AHEAD = 2
"""Pictures on their way to a viewer that it has not shown yet; more would only be older when they are shown."""
_STATUS_SECONDS = 1.0

UNKNOWN, TOO_MANY, WRONG, TAKEN = 4404, 4429, 4400, 4409
"""Codes that a WebSocket is closed with: no such stream, too many viewers, not understood, camera in use."""


class _WrongMessageError(Exception):
    """What a client sent is not understood."""


@router.websocket("/api/streams/{name}/live")
async def live(websocket: WebSocket, name: str, detail: Annotated[Detail, Query()] = Detail.FULL) -> None:
    """Pictures with depth as `sinks.web.packets.pack` says, and the status each second, as JSON text.

    The client sends `ready` after each picture that it has shown. A slow one gets fewer pictures, never older ones.
    """
    state: State = websocket.app.state.own
    await websocket.accept()
    if name not in state.hub.feeds:
        await websocket.close(UNKNOWN, "there is no such stream")
        return
    try:
        with state.hub.viewer(name) as feed:
            await _together(websocket, _Viewer(websocket, feed, detail, state))
    except TooManyError:
        await websocket.close(TOO_MANY, "too many look on already; close another page")


async def _together(websocket: WebSocket, viewer: _Viewer) -> None:
    """Runs a viewer's three parts until one of them ends, and closes the socket."""
    tasks = [asyncio.create_task(part) for part in (viewer.show(), viewer.tell(), viewer.listen())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    errors = [task.exception() for task in done]
    if any(isinstance(error, _WrongMessageError) for error in errors):
        await _close(websocket, WRONG, "not understood")
    elif not any(errors):
        await _close(websocket, 1001, "the stream is over")
    for error in errors:
        if error is not None and not isinstance(error, (_WrongMessageError, WebSocketDisconnect, RuntimeError)):
            raise error


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    if websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(code, reason)


class _Viewer:
    """One page that looks at one stream."""

    def __init__(self, websocket: WebSocket, feed: Feed, detail: Detail, state: State) -> None:
        self._websocket, self._feed, self._detail, self._state = websocket, feed, detail, state
        self._may_send = asyncio.Semaphore(_AHEAD)
        self._ahead = 0

    async def show(self) -> None:
        """Ends with the stream."""
        await self._may_send.acquire()
        async for shot in self._feed.shots():
            packet = await self._feed.encode(shot, self._detail, lambda item: pack(item, self._detail))
            self._ahead += 1
            await self._websocket.send_bytes(packet)
            await self._may_send.acquire()

    async def tell(self) -> None:
        while True:
            await self._websocket.send_text(self._state.status_json())
            await asyncio.sleep(_STATUS_SECONDS)

    async def listen(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            if message.get("text") != "ready" or not self._ahead:
                raise _WrongMessageError
            self._ahead -= 1
            self._may_send.release()


@router.websocket("/api/streams/{name}/camera")
async def camera(websocket: WebSocket, name: str) -> None:
    """Takes JPEG, PNG or WebP pictures of at most 2 MiB and 1920 px a side; answers each with `ready` for the next."""
    state: State = websocket.app.state.own
    await websocket.accept()
    stream = state.served.streams.get(name)
    if stream is None or stream.browser is None:
        await websocket.close(UNKNOWN, "this stream takes no browser's camera")
        return
    if name in state.cameras:
        await websocket.close(TAKEN, "another page shows its camera already")
        return
    state.cameras.add(name)
    try:
        while True:
            image = await asyncio.to_thread(_decoded, await _picture(websocket))
            stream.browser.put_image(image)
            await websocket.send_text("ready")
    except _WrongMessageError:
        await _close(websocket, WRONG, f"not a picture of at most {LARGEST_SIDE_PX} px a side")
    except (WebSocketDisconnect, RuntimeError):  # it has gone, perhaps while we answered
        return
    finally:
        state.cameras.discard(name)
        stream.browser.on_disconnected()


async def _picture(websocket: WebSocket) -> bytes:
    message: Any = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    if not message.get("bytes"):
        raise _WrongMessageError
    data: bytes = message["bytes"]
    return data


def _decoded(data: bytes) -> Image:
    """(H, W, 3) RGB. The size is read from the header, before anything is decoded. Raises _WrongMessageError."""
    try:
        with Pillow.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as header:
            size = header.size
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        raise _WrongMessageError from error
    if max(size) > LARGEST_SIDE_PX or min(size) < 2:
        raise _WrongMessageError
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise _WrongMessageError from error
    if image is None or max(image.shape) > LARGEST_SIDE_PX:
        raise _WrongMessageError
    return np.ascontiguousarray(image, np.uint8)
