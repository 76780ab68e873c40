"""The page's WebSockets: one sends a stream to a viewer, one receives a browser's camera."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from streamdepth.apps.web.app_state import AppState
from streamdepth.apps.web.broadcast import StreamBroadcast, TooManyViewersError
from streamdepth.apps.web.packets import DetailLevel, encode_packet
from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceOpenError
from streamdepth.sources.untrusted_picture import open_picture

router = APIRouter()

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""Limit of a WebSocket message, which is a picture of a browser's camera."""
MAX_SIDE_PX = 1920
_MAX_UNACKNOWLEDGED = 2
"""Pictures that are sent before the viewer has shown them; more would only add latency."""
_STATUS_INTERVAL_SECONDS = 1.0

CLOSE_UNKNOWN_STREAM = 4404
CLOSE_TOO_MANY_VIEWERS = 4429
CLOSE_INVALID_MESSAGE = 4400
CLOSE_CAMERA_IN_USE = 4409


class _InvalidMessageError(Exception):
    """A message of the client violates the protocol."""


@router.websocket("/api/streams/{name}/live")
async def live(websocket: WebSocket, name: str, detail: Annotated[DetailLevel, Query()] = DetailLevel.FULL) -> None:
    """Sends pictures with depth as `encode_packet` makes them, and once a second the status as JSON text.

    The client sends `ready` for each picture that it has shown. A slow client gets fewer pictures, never older ones.
    """
    state: AppState = websocket.app.state.shared
    await websocket.accept()
    if name not in state.broadcaster.streams:
        await _close(websocket, CLOSE_UNKNOWN_STREAM, "there is no such stream")
        return
    try:
        with state.broadcaster.viewer(name) as broadcast:
            await _run_viewer(websocket, _ViewerConnection(websocket, broadcast, detail, state))
    except TooManyViewersError:
        await _close(websocket, CLOSE_TOO_MANY_VIEWERS, "too many viewers; close another page")


async def _run_viewer(websocket: WebSocket, viewer: _ViewerConnection) -> None:
    """Runs the three tasks of a connection until one of them ends, and closes the socket."""
    tasks = [
        asyncio.create_task(coroutine)
        for coroutine in (viewer.send_pictures(), viewer.send_status(), viewer.receive_acknowledgements())
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    errors = [task.exception() for task in done]
    if any(isinstance(error, _InvalidMessageError) for error in errors):
        await _close(websocket, CLOSE_INVALID_MESSAGE, "not understood")
    elif not any(errors):
        await _close(websocket, 1001, "the stream is over")
    for error in errors:
        if error is not None and not isinstance(error, (_InvalidMessageError, WebSocketDisconnect, RuntimeError)):
            raise error


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """Closes the connection, unless the client has closed it already."""
    if websocket.application_state is WebSocketState.CONNECTED:
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(code, reason)


class _ViewerConnection:
    """The connection of one page that watches one stream."""

    def __init__(self, websocket: WebSocket, broadcast: StreamBroadcast, detail: DetailLevel, state: AppState) -> None:
        self._websocket, self._broadcast, self._detail, self._state = websocket, broadcast, detail, state
        self._may_send = asyncio.Semaphore(_MAX_UNACKNOWLEDGED)
        self._unacknowledged = 0

    async def send_pictures(self) -> None:
        """Sends the newest picture whenever the viewer is ready; ends with the broadcast."""
        await self._may_send.acquire()
        async for result in self._broadcast.results():
            packet = await self._broadcast.encode(result, self._detail, lambda item: encode_packet(item, self._detail))
            self._unacknowledged += 1
            await self._websocket.send_bytes(packet)
            await self._may_send.acquire()

    async def send_status(self) -> None:
        """Sends the status once a second."""
        while True:
            await self._websocket.send_text(self._state.status_json())
            await asyncio.sleep(_STATUS_INTERVAL_SECONDS)

    async def receive_acknowledgements(self) -> None:
        """Receives `ready` for each picture. Raises _InvalidMessageError for anything else."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            if message.get("text") != "ready" or not self._unacknowledged:
                raise _InvalidMessageError
            self._unacknowledged -= 1
            self._may_send.release()


@router.websocket("/api/streams/{name}/camera")
async def camera(websocket: WebSocket, name: str) -> None:
    """Receives JPEG, PNG or WebP pictures of at most 2 MiB and 1920 px a side; answers `ready` for the next one."""
    state: AppState = websocket.app.state.shared
    await websocket.accept()
    stream = state.session.streams.get(name)
    if stream is None or stream.browser_source is None:
        await _close(websocket, CLOSE_UNKNOWN_STREAM, "this stream takes no browser's camera")
        return
    if name in state.connected_cameras:
        await _close(websocket, CLOSE_CAMERA_IN_USE, "another page shows its camera already")
        return
    state.connected_cameras.add(name)
    try:
        while True:
            image = await asyncio.to_thread(_decode_picture, await _receive_picture(websocket))
            stream.browser_source.put_image(image)
            await websocket.send_text("ready")
    except _InvalidMessageError:
        await _close(websocket, CLOSE_INVALID_MESSAGE, f"not a picture of at most {MAX_SIDE_PX} px a side")
    except (WebSocketDisconnect, RuntimeError):  # the client has gone, perhaps while we answered
        return
    finally:
        state.connected_cameras.discard(name)
        stream.browser_source.on_disconnected()


async def _receive_picture(websocket: WebSocket) -> bytes:
    """Returns the next binary message. Raises WebSocketDisconnect and _InvalidMessageError."""
    message: Any = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    if not message.get("bytes"):
        raise _InvalidMessageError
    data: bytes = message["bytes"]
    return data


def _decode_picture(data: bytes) -> Image:
    """Decodes a picture to (H, W, 3) RGB, after its size has been checked in its header.

    Raises _InvalidMessageError.
    """
    try:
        size = open_picture(data, "the picture", max_side_px=MAX_SIDE_PX, formats=("JPEG", "PNG", "WEBP")).size
    except SourceOpenError as error:
        raise _InvalidMessageError from error
    if min(size) < 2:
        raise _InvalidMessageError
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise _InvalidMessageError from error
    if image is None or max(image.shape) > MAX_SIDE_PX:
        raise _InvalidMessageError
    return np.ascontiguousarray(image, np.uint8)
