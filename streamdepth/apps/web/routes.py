"""The JSON API, and pictures for everything that is not a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from streamdepth.apps.web.hub import Hub, TooManyError
from streamdepth.apps.web.live_sink import Shot
from streamdepth.apps.web.packets import rendered_jpeg
from streamdepth.apps.web.recorder import keep_snapshot
from streamdepth.apps.web.schemas import (
    ColormapOut,
    ColormapsOut,
    ControlsIn,
    ErrorOut,
    FileOut,
    FilesOut,
    HealthOut,
    ModelIn,
    NamesOut,
    StatusOut,
    StreamOut,
)
from streamdepth.apps.web.served import ServedStream
from streamdepth.apps.web.state import State
from streamdepth.core.errors import ConfigError, SinkError, StreamDepthError
from streamdepth.core.render_options import RenderOptions
from streamdepth.render.colors import colormap_names, lookup_table

_BOUNDARY = "frame"


def _says(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ErrorOut} for code in codes}


router = APIRouter(responses=_says(400, 401, 403, 411, 413, 422))
StreamName = Annotated[str, Path(max_length=200, description="A stream's name, as the status says.")]


def _state(request: Request) -> State:
    state: State = request.app.state.own
    return state


def _stream(request: Request, name: str) -> ServedStream:
    try:
        return _state(request).served.streams[name]
    except KeyError:
        raise HTTPException(404, "there is no such stream; the status names them") from None


def _newest(stream: ServedStream) -> Shot:
    if stream.live.newest is None:
        raise HTTPException(409, "the stream has no picture yet; try again when it is live")
    return stream.live.newest


def _render_options(stream: ServedStream) -> RenderOptions:
    wanted = stream.control.value
    return RenderOptions(wanted.style, wanted.colormap)  # type: ignore[arg-type]  # the styles are checked words


@router.get("/healthz", tags=["service"])
async def health() -> HealthOut:
    """Whether the server is there. Needs no token."""
    return HealthOut(status="ok")


@router.get("/metrics", tags=["service"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """For Prometheus; all names begin with `streamdepth_`."""
    from streamdepth.apps.web.metrics import CONTENT_TYPE, exposition

    return Response(exposition(_state(request).status(), _state(request).served), media_type=CONTENT_TYPE)


@router.get("/api/status", tags=["streams"])
async def status(request: Request) -> StatusOut:
    """Everything that the page shows beside the pictures."""
    return _state(request).status()


@router.get("/api/streams/{name}", tags=["streams"], responses=_says(404))
async def stream(request: Request, name: StreamName) -> StreamOut:
    """One stream of the status."""
    _stream(request, name)
    return next(s for s in _state(request).status().streams if s.name == name)


@router.patch("/api/streams/{name}/controls", tags=["streams"], responses=_says(404))
async def change(request: Request, name: StreamName, wanted: ControlsIn) -> StatusOut:
    """Changes how a stream is steadied and drawn, from the next frame on."""
    control = _stream(request, name).control
    try:
        await asyncio.to_thread(control.change, **wanted.model_dump(exclude_none=True))
    except ConfigError as error:
        raise HTTPException(422, str(error)) from error
    return _state(request).status()


@router.patch("/api/model", tags=["streams"])
async def change_model(request: Request, wanted: ModelIn) -> StatusOut:
    """Loads the model at another size beside the streams, and exchanges it between two frames."""
    served = _state(request).served
    if wanted.size not in served.choices.size:
        allowed = ", ".join(map(str, served.choices.size)) or "it has one size only"
        raise HTTPException(422, f"the model is not offered at {wanted.size} px; allowed: {allowed}")
    served.model_failures.clear()
    served.model.change(size=wanted.size)
    return _state(request).status()


@router.post("/api/streams/{name}/snapshots", tags=["files"], status_code=201, responses=_says(404, 409, 507))
async def snapshot(request: Request, name: StreamName) -> NamesOut:
    """Keeps the newest picture: as it came, as it is shown, and its depth with 16 bits."""
    stream, state = _stream(request, name), _state(request)
    async with state.keeping[name]:
        shot = _newest(stream)
        try:
            paths = await asyncio.to_thread(
                keep_snapshot, shot.item, state.served.folder, name, _render_options(stream)
            )
        except SinkError as error:
            raise HTTPException(507, stream.discreet(str(error))) from error
    return NamesOut(files=[path.name for path in paths])


@router.put("/api/streams/{name}/recording", tags=["files"], responses=_says(404, 409))
async def record(request: Request, name: StreamName) -> StatusOut:
    """Begins to record: a video as it is shown, and the depth without loss."""
    stream = _stream(request, name)
    await _recorder(stream, stream.recorder.start, _render_options(stream))
    return _state(request).status()


@router.delete("/api/streams/{name}/recording", tags=["files"], responses=_says(404, 409))
async def stop_recording(request: Request, name: StreamName) -> StatusOut:
    """Completes the recording's files."""
    stream = _stream(request, name)
    await _recorder(stream, stream.recorder.stop)
    return _state(request).status()


async def _recorder(stream: ServedStream, action: Any, *arguments: RenderOptions) -> None:
    try:
        await asyncio.to_thread(action, *arguments)
    except StreamDepthError as error:
        raise HTTPException(409, stream.discreet(str(error))) from error


@router.get("/api/files", tags=["files"])
async def files(request: Request) -> FilesOut:
    """What was kept, newest first."""
    found = await asyncio.to_thread(_state(request).served.folder.files)
    return FilesOut(files=[FileOut(name=p.name, bytes=s.st_size, seconds=s.st_mtime) for p, s in found])


@router.get("/api/files/{name}", tags=["files"], response_class=FileResponse, responses=_says(404))
async def file(request: Request, name: Annotated[str, Path(max_length=300)]) -> FileResponse:
    """One of them."""
    path = await asyncio.to_thread(_state(request).served.folder.find, name)
    if path is None:
        raise HTTPException(404, "there is no such file; the list of files names them")
    return FileResponse(path)


@router.get("/api/colormaps", tags=["colors"])
async def colormaps() -> ColormapsOut:
    """The names of all colour maps."""
    return ColormapsOut(names=list(colormap_names()))


@router.get("/api/colormaps/{name}", tags=["colors"], responses=_says(404))
async def colormap(name: Annotated[str, Path(max_length=80)]) -> ColormapOut:
    """The colours of one map, for those who draw depth themselves."""
    try:
        table = await asyncio.to_thread(lookup_table, name)
    except ConfigError as error:
        raise HTTPException(404, str(error)) from error
    return ColormapOut(name=name, colors=["#" + bytes(color[0]).hex() for color in table])


_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}


@router.get("/streams/{name}/picture", tags=["pictures"], response_class=Response, responses=_JPEG | _says(404, 409))
async def picture(request: Request, name: StreamName) -> Response:
    """The newest picture as it is shown, a JPEG."""
    stream = _stream(request, name)
    jpeg = await asyncio.to_thread(rendered_jpeg, _newest(stream).item, _render_options(stream))
    return Response(jpeg, media_type="image/jpeg")


_MOVING: dict[int | str, dict[str, Any]] = {200: {"content": {"multipart/x-mixed-replace": {}}}}
_MJPEG = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"


@router.get(
    "/streams/{name}/mjpeg",
    tags=["pictures"],
    response_class=StreamingResponse,
    responses=_MOVING | _says(404, 429),
)
async def mjpeg(request: Request, name: StreamName) -> StreamingResponse:
    """The stream as it is shown, as motion JPEG: for `<img>`, VLC, OBS, OpenCV and ffmpeg."""
    stream, hub = _stream(request, name), _state(request).hub
    if hub.is_full:
        raise HTTPException(429, "too many look on already; close another viewer")
    return StreamingResponse(_parts(stream, hub), media_type=_MJPEG)


async def _parts(stream: ServedStream, hub: Hub) -> AsyncIterator[bytes]:
    with suppress(TooManyError), hub.viewer(stream.name) as feed:
        async for shot in feed.shots():
            options = _render_options(stream)
            jpeg = await feed.encode(shot, options, partial(rendered_jpeg, options=options))
            yield f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            yield jpeg + b"\r\n"
