"""The routes that add, change and remove zones while a stream runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request

from streamdepth.apps.web.routes import StreamName, current_state, error_responses, find_stream
from streamdepth.apps.web.schemas import StatusOut, ZoneIn
from streamdepth.apps.web.session import WebStream
from streamdepth.core.errors import SinkOpenError
from streamdepth.core.zones import Zone, unit_of
from streamdepth.sinks.zones.zone_sink import check_zone

router = APIRouter(responses=error_responses(400, 401, 403, 411, 413, 422))
ZoneName = Annotated[str, Path(max_length=40, description="A zone's name: letters, digits and single underscores.")]
_MAX_ZONES = 32


@router.put("/api/streams/{name}/zones/{zone}", tags=["zones"], responses=error_responses(404, 409))
async def put_zone(request: Request, name: StreamName, zone: ZoneName, wanted: ZoneIn) -> StatusOut:
    """Adds or replaces a zone from the next frame on, for all viewers until the server ends."""
    stream = find_stream(request, name)
    made = _make_zone(stream, zone, wanted)
    zones = {known.name: known for known in stream.zones.zones} | {zone: made}
    if len(zones) > _MAX_ZONES:
        raise HTTPException(422, f"a stream has at most {_MAX_ZONES} zones; remove another one")
    stream.zones.watch(zones.values())
    return current_state(request).status()


@router.delete("/api/streams/{name}/zones/{zone}", tags=["zones"], responses=error_responses(404))
async def delete_zone(request: Request, name: StreamName, zone: ZoneName) -> StatusOut:
    """Removes a zone."""
    sink = find_stream(request, name).zones
    if zone not in [known.name for known in sink.zones]:
        raise HTTPException(404, "there is no such zone; the status names them")
    sink.watch(known for known in sink.zones if known.name != zone)
    return current_state(request).status()


def _make_zone(stream: WebStream, name: str, wanted: ZoneIn) -> Zone:
    """Makes the zone. Raises HTTPException 409 before the first picture, and 422 for an impossible zone."""
    info, newest = stream.live.info, stream.live.newest
    if info is None or newest is None:
        raise HTTPException(409, "the stream has no picture yet; try again when it is live")
    kind = newest.item.kind
    try:
        zone = Zone(name, tuple(wanted.corners), wanted.near, None if wanted.near is None else unit_of(kind))
        check_zone(zone, info, kind)
    except (ValueError, SinkOpenError) as error:
        raise HTTPException(422, str(error)) from error
    return zone
