"""The depth in zones and their events as plain data for JSON: the one place that decides its keys."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any, Literal, get_args, get_type_hints

from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other

from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.zones import Unit
from streamdepth.geometry.zone_monitor import ZoneState


class ZoneDepth(TypedDict):
    """The depth in a zone at one frame. Depth that is unknown, or too far to be measured, is null."""

    unit: str
    """m, or % of the steady display range: 0 is its far end or farther, 100 its near end or nearer."""
    nearest: float | None
    """Depth of the nearest object in the zone."""
    median: float | None
    """Median of the known depth in the zone."""
    trend: float | None
    """Change of `nearest` per second."""
    known: float
    """Share of the zone's pixels whose depth is known, 0 to 1; if it is high and `nearest` is null, all is too far."""
    occupied: bool
    """True while something is in the zone."""


class ZoneRecord(ZoneDepth):
    """One line about a zone: the depth in it at a frame, or the event that something entered or left it."""

    type: Literal["values", "entered", "left"]
    stream: str
    zone: str
    time: float
    """Seconds on the clock of the frames; of an event, when it began."""
    at: str | None
    """The same in UTC by ISO 8601; null for a recording without a clock."""
    index: int
    """Index of the frame whose depth this is; an event became certain with it."""


_JSON_TYPES = {str: "string", float: "number", int: "integer", bool: "boolean", type(None): "null"}


def _json_type(kind: Any) -> str | list[str]:
    """Returns the JSON type of a plain type or of a union; a Literal is a string."""
    if kind in _JSON_TYPES:
        return _JSON_TYPES[kind]
    return "string" if isinstance(get_args(kind)[0], str) else [_JSON_TYPES[part] for part in get_args(kind)]


RECORD_SCHEMA: dict[str, Any] = {
    "title": "streamdepth.Zone",
    "type": "object",
    "properties": {key: {"type": _json_type(kind)} for key, kind in get_type_hints(ZoneRecord).items()},
}
"""The JSON schema of a ZoneRecord, for recordings."""


def make_records(state: ZoneState, stream: str, epoch: float | None) -> list[ZoneRecord]:
    """Returns the values of a zone at a frame, and the event that became certain with it before them.

    Args:
        state: the state of the zone.
        stream: name of the stream.
        epoch: seconds since 1970 at time 0 of the frames; None where it is unknown.
    """
    values = _record("values", state, state.time, stream, epoch)
    if state.event is None:
        return [values]
    return [_record(state.event.kind, state, state.event.time, stream, epoch), values]


def _record(
    kind: Literal["values", "entered", "left"], state: ZoneState, seconds: float, stream: str, epoch: float | None
) -> ZoneRecord:
    at = None if epoch is None else datetime.fromtimestamp(epoch + seconds, UTC).isoformat(timespec="milliseconds")
    return {
        "type": kind,
        "stream": stream,
        "zone": state.zone.name,
        "time": round(seconds, 6),
        "at": at,
        "index": state.index,
        **zone_depth(state),
    }


def zone_depth(state: ZoneState) -> ZoneDepth:
    """Returns the depth in a zone as plain data."""
    return {
        "unit": state.unit,
        "nearest": depth_figure(state.depth.nearest, state.unit),
        "median": depth_figure(state.depth.median, state.unit),
        "trend": finite(state.trend),
        "known": round(state.depth.known, 4),
        "occupied": state.is_occupied,
    }


def depth_figure(depth: float, unit: Unit) -> float | None:
    """Returns depth with four digits, percent limited to 0 to 100 as the colors are; None where it is not finite."""
    return finite(min(max(depth, 0.0), 100.0) if unit == "%" and math.isfinite(depth) else depth)


def finite(value: float | None) -> float | None:
    """Returns a number rounded to four digits; None if it is None, infinite or NaN, which JSON does not have."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def epoch_of(info: StreamInfo, frame: Frame) -> float | None:
    """Returns the seconds since 1970 at time 0 of a stream's frames; None for a recording without a clock."""
    if info.epoch_ns is not None:
        return info.epoch_ns / 1e9
    if not info.is_live:
        return None
    return time.time() - (time.monotonic() - frame.captured_at) - frame.time
