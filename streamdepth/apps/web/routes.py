"""The JSON API, and pictures for everything that is not a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from streamdepth.apps.web.access import Access
from streamdepth.apps.web.app_state import AppState
from streamdepth.apps.web.broadcast import Broadcaster, TooManyViewersError
from streamdepth.apps.web.live_sink import LiveResult
from streamdepth.apps.web.media_folder import write_snapshot
from streamdepth.apps.web.packets import rendered_jpeg
from streamdepth.apps.web.schemas import (
    ColormapOut,
    ColormapsOut,
    ControlsIn,
    ErrorOut,
    FileOut,
    FilesOut,
    HealthOut,
    ModelIn,
    SessionOut,
    SnapshotOut,
    StatusOut,
    StreamOut,
)
from streamdepth.apps.web.session import WebStream
from streamdepth.core.errors import ConfigError, SinkError, StreamDepthError
from streamdepth.render.colors import colormap_names, hex_colors

_BOUNDARY = "frame"


def error_responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Describes for OpenAPI that these status codes come with an ErrorOut."""
    return {code: {"model": ErrorOut} for code in codes}


router = APIRouter(responses=error_responses(400, 401, 403, 411, 413, 422))
StreamName = Annotated[str, Path(max_length=200, description="A stream's name, as the status has it.")]

FileName = Annotated[str, Path(max_length=300, description="A file's name, as the list of files has it.")]


def current_state(request: Request) -> AppState:
    state: AppState = request.app.state.shared
    return state


def find_stream(request: Request, name: str) -> WebStream:
    """Returns the stream. Raises HTTPException 404."""
    try:
        return current_state(request).session.streams[name]
    except KeyError:
        raise HTTPException(404, "there is no such stream; the status names them") from None


def _newest(stream: WebStream) -> LiveResult:
    """Returns the newest result. Raises HTTPException 409 before the first one."""
    if stream.live.newest is None:
        raise HTTPException(409, "the stream has no picture yet; try again when it is live")
    return stream.live.newest


@router.get("/healthz", tags=["service"])
async def health() -> HealthOut:
    """Answers while the server runs. Needs no token."""
    return HealthOut(status="ok")


@router.get("/api/session", tags=["service"])
async def session(request: Request) -> SessionOut:
    """Says whether this browser has signed in with the token."""
    access: Access = request.app.state.access
    return SessionOut(signed_in=access.sessions.is_valid(request.cookies.get(access.cookie, "")))


@router.delete("/api/session", tags=["service"], status_code=204)
async def sign_out(request: Request) -> Response:
    """Ends the session of this browser; its cookie is no longer valid."""
    access: Access = request.app.state.access
    access.sessions.end(request.cookies.get(access.cookie, ""))
    response = Response(status_code=204)
    response.delete_cookie(access.cookie, secure=access.is_secure, httponly=True, samesite="lax")
    return response


@router.get("/metrics", tags=["service"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus; all names begin with `streamdepth_`."""
    from streamdepth.apps.web.prometheus import CONTENT_TYPE, metrics_text

    return Response(
        metrics_text(current_state(request).status(), current_state(request).session), media_type=CONTENT_TYPE
    )


@router.get("/api/status", tags=["streams"])
async def status(request: Request) -> StatusOut:
    """Everything that the page shows beside the pictures."""
    return current_state(request).status()


@router.get("/api/streams/{name}", tags=["streams"], responses=error_responses(404))
async def stream(request: Request, name: StreamName) -> StreamOut:
    """The part of the status that is about one stream."""
    find_stream(request, name)
    return next(s for s in current_state(request).status().streams if s.name == name)


@router.patch("/api/streams/{name}/controls", tags=["streams"], responses=error_responses(404))
async def set_controls(request: Request, name: StreamName, changes: ControlsIn) -> StatusOut:
    """Changes how a stream is stabilized and drawn, from the next frame on."""
    controls = find_stream(request, name).controls
    try:
        await asyncio.to_thread(controls.update, **changes.model_dump(exclude_none=True))
    except ConfigError as error:
        raise HTTPException(422, str(error)) from error
    return current_state(request).status()


@router.patch("/api/model", tags=["streams"])
async def set_model(request: Request, changes: ModelIn) -> StatusOut:
    """Loads the model at another size while the streams go on, and swaps it in between two frames."""
    session = current_state(request).session
    if changes.size not in session.choices.size:
        allowed = ", ".join(map(str, session.choices.size)) or "it has one size only"
        raise HTTPException(422, f"the model is not offered at {changes.size} px; allowed: {allowed}")
    session.model_failures.clear()
    session.model_controls.update(size=changes.size)
    return current_state(request).status()


@router.post("/api/streams/{name}/snapshots", tags=["files"], status_code=201, responses=error_responses(404, 409, 507))
async def snapshot(request: Request, name: StreamName) -> SnapshotOut:
    """Writes the newest picture: unchanged, as it is shown, and its depth with 16 bits."""
    stream, state = find_stream(request, name), current_state(request)
    async with state.snapshot_locks[name]:
        newest = _newest(stream)
        try:
            paths = await asyncio.to_thread(
                write_snapshot, newest.item, state.session.media, name, stream.render_options
            )
        except (SinkError, OSError) as error:
            raise HTTPException(507, stream.hide_folders(str(error))) from error
    return SnapshotOut(files=[path.name for path in paths])


@router.put("/api/streams/{name}/recording", tags=["files"], responses=error_responses(404, 409))
async def start_recording(request: Request, name: StreamName) -> StatusOut:
    """Starts a recording: a video as the page shows it, and the depth without loss."""
    stream = find_stream(request, name)
    await _call_recorder(stream, partial(stream.recorder.start, stream.render_options))
    return current_state(request).status()


@router.delete("/api/streams/{name}/recording", tags=["files"], responses=error_responses(404, 409))
async def stop_recording(request: Request, name: StreamName) -> StatusOut:
    """Completes the recording's files."""
    stream = find_stream(request, name)
    await _call_recorder(stream, stream.recorder.stop)
    return current_state(request).status()


async def _call_recorder(stream: WebStream, action: Callable[[], None]) -> None:
    """Runs an action of the recorder on another thread. Raises HTTPException 409 with its error."""
    try:
        await asyncio.to_thread(action)
    except (StreamDepthError, OSError) as error:
        raise HTTPException(409, stream.hide_folders(str(error))) from error


@router.get("/api/files", tags=["files"])
async def files(request: Request) -> FilesOut:
    """Complete recordings and snapshots, newest first."""
    media = current_state(request).session.media
    found = await asyncio.to_thread(media.files)
    files = [FileOut(name=p.name, bytes=s.st_size, modified_at=s.st_mtime) for p, s in found]
    return FilesOut(files=files, folder=media.path.resolve().name)


@router.get("/api/files/{name}", tags=["files"], response_class=FileResponse, responses=error_responses(404))
async def file(request: Request, name: FileName) -> FileResponse:
    """A recording or snapshot."""
    path = await asyncio.to_thread(current_state(request).session.media.find, name)
    if path is None:
        raise HTTPException(404, "there is no such file; the list of files names them")
    return FileResponse(path)


@router.delete("/api/files/{name}", tags=["files"], status_code=204, responses=error_responses(404, 507))
async def delete_file(request: Request, name: FileName) -> None:
    """Deletes a recording or snapshot; the description beside a depth video goes with it."""
    try:
        is_deleted = await asyncio.to_thread(current_state(request).session.media.delete, name)
    except SinkError as error:
        raise HTTPException(507, str(error)) from error
    if not is_deleted:
        raise HTTPException(404, "there is no such file; the list of files names them")


@router.get("/api/colormaps", tags=["colors"])
async def colormaps() -> ColormapsOut:
    """The names of all colormaps."""
    return ColormapsOut(names=list(colormap_names()))


@router.get("/api/colormaps/{name}", tags=["colors"], responses=error_responses(404))
async def colormap(name: Annotated[str, Path(max_length=80)]) -> ColormapOut:
    """The colors of a colormap, for programs that draw depth themselves."""
    try:
        colors = await asyncio.to_thread(hex_colors, name)
    except ConfigError as error:
        raise HTTPException(404, str(error)) from error
    return ColormapOut(name=name, colors=colors)


_JPEG_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}


@router.get(
    "/streams/{name}/picture",
    tags=["pictures"],
    response_class=Response,
    responses=_JPEG_RESPONSE | error_responses(404, 409),
)
async def picture(request: Request, name: StreamName) -> Response:
    """The newest picture as the page shows it, a JPEG."""
    stream = find_stream(request, name)
    jpeg = await asyncio.to_thread(rendered_jpeg, _newest(stream).item, stream.render_options)
    return Response(jpeg, media_type="image/jpeg")


_MJPEG_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"content": {"multipart/x-mixed-replace": {}}}}
_MJPEG_TYPE = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"


@router.get(
    "/streams/{name}/mjpeg",
    tags=["pictures"],
    response_class=StreamingResponse,
    responses=_MJPEG_RESPONSE | error_responses(404, 429),
)
async def mjpeg(request: Request, name: StreamName) -> StreamingResponse:
    """The stream as the page shows it, as motion JPEG: for `<img>`, VLC, OBS, OpenCV and ffmpeg."""
    stream, broadcaster = find_stream(request, name), current_state(request).broadcaster
    if broadcaster.is_full:
        raise HTTPException(429, "too many viewers; close another one")
    return StreamingResponse(_mjpeg_parts(stream, broadcaster), media_type=_MJPEG_TYPE)


async def _mjpeg_parts(stream: WebStream, broadcaster: Broadcaster) -> AsyncIterator[bytes]:
    with suppress(TooManyViewersError), broadcaster.viewer(stream.name) as broadcast:
        async for result in broadcast.results():
            options = stream.render_options
            jpeg = await broadcast.encode(result, options, partial(rendered_jpeg, options=options))
            yield f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            yield jpeg + b"\r\n"
