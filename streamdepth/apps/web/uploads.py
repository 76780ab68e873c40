"""The routes of uploaded videos: one takes a video, the others show and cancel its conversion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from starlette.requests import ClientDisconnect

from streamdepth.apps.web.conversions import Conversion
from streamdepth.apps.web.routes import current_state, error_responses, find_stream
from streamdepth.apps.web.schemas import ConversionOut, ConversionsOut
from streamdepth.apps.web.session import WebStream
from streamdepth.config import Settings
from streamdepth.core.errors import SinkError, SourceOpenError

PATH = "/api/conversions"
_SILENCE_SECONDS = 20.0
"""Longest time between two parts of an upload."""
_MIN_BYTES_PER_SECOND = 20_000
"""Mean rate below which an upload is cut off."""
_STATUS_BY_CODE = {"too-large": 413, "too-many": 429}
_BODY = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}

router = APIRouter(responses=error_responses(400, 401, 403, 411, 413, 422), tags=["conversions"])


@router.get(PATH)
async def conversions(request: Request) -> ConversionsOut:
    """Uploaded videos and how far their conversions are."""
    queue = current_state(request).session.conversions
    return ConversionsOut(conversions=[_describe(c) for c in queue.conversions()], max_upload_bytes=queue.max_bytes)


@router.post(
    PATH, status_code=201, responses=error_responses(404, 408, 415, 429, 507), openapi_extra={"requestBody": _BODY}
)
async def upload(
    request: Request,
    name: Annotated[str, Query(max_length=300, description="The video's file name, for people.")],
    stream: Annotated[str, Query(max_length=200, description="The stream whose look the result gets.")],
) -> ConversionOut:
    """Takes a video, which is the whole body, and queues its conversion. The result appears among the files."""
    session = current_state(request).session
    if not session.conversions.max_bytes:
        raise HTTPException(403, "uploads are turned off; start the server with --max-upload-mb above 0")
    settings = _settings_of(find_stream(request, stream), session.conversion_settings)
    size = int(request.headers.get("content-length") or 0)
    try:
        with ExitStack() as stack:
            conversion = stack.enter_context(session.conversions.upload(name, size, settings))
            async with _cut_off_slow_uploads(size):
                await _receive(request, conversion)
            # libav reads the head of the file, which may take a moment
            await asyncio.to_thread(stack.pop_all().close)
    except SinkError as error:
        text = session.conversions.hide_folders(str(error))
        raise HTTPException(_STATUS_BY_CODE.get(error.code, 507), text) from error
    except SourceOpenError as error:
        raise HTTPException(415, str(error)) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the upload was broken off") from error
    return _describe(conversion)


@router.delete(PATH + "/{conversion_id}", status_code=204, responses=error_responses(404))
async def cancel(request: Request, conversion_id: Annotated[str, Path(max_length=100)]) -> None:
    """Cancels a conversion and deletes what it has written, or takes a finished one off the list."""
    if not current_state(request).session.conversions.cancel(conversion_id):
        raise HTTPException(404, "there is no such conversion; the list names them")


@asynccontextmanager
async def _cut_off_slow_uploads(size: int) -> AsyncIterator[None]:
    """Raises HTTPException 408 if the block takes longer than a slow but honest upload of `size` bytes."""
    try:
        async with asyncio.timeout(_SILENCE_SECONDS + size / _MIN_BYTES_PER_SECOND):
            yield
    except TimeoutError as error:
        raise HTTPException(408, "the upload is too slow; try again in a better network") from error


async def _receive(request: Request, conversion: Conversion) -> None:
    """Writes the body of a request to the conversion's file.

    Raises TimeoutError, ClientDisconnect, HTTPException 507 for a disk that takes no more, and 400 for an empty body.
    """
    parts = request.stream().__aiter__()
    is_empty = True
    try:
        with await asyncio.to_thread(conversion.path.open, "xb") as file:
            while part := await asyncio.wait_for(anext(parts, b""), _SILENCE_SECONDS):
                is_empty = False
                await asyncio.to_thread(file.write, part)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        raise HTTPException(507, f"the upload cannot be kept: {error.strerror}") from error
    if is_empty:
        raise HTTPException(400, "the body of the request is the video; it was empty")


def _settings_of(stream: WebStream, settings: Settings) -> Settings:
    """Returns the settings of a conversion that is drawn like a stream is now."""
    drawn, controls = stream.render_options, stream.controls.value
    return settings.replace(
        style=drawn.style, colormap=drawn.colormap, alpha=drawn.alpha, invert=False, smooth=controls.smooth
    )


def _describe(conversion: Conversion) -> ConversionOut:
    return ConversionOut(
        id=conversion.id,
        name=conversion.name,
        state=conversion.state,
        share=conversion.share,
        reason=conversion.reason,
        result=conversion.result,
    )
