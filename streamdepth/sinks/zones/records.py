"""The depth in zones and their events as plain data for JSON: the one place that decides its keys."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.zones import Unit
from streamdepth.geometry.zone_monitor import ZoneState


class ZoneRecord(TypedDict):
    """One line about a zone; depth that is unknown, or too far to be measured, is null."""

    type: Literal["values", "entered", "left"]
    stream: str
    zone: str
    time: float
    """Seconds on the clock of the frames; of an event, when it began."""
    at: str | None
    """The same in UTC by ISO 8601; null for a recording without a clock."""
    index: int
    """Index of the frame whose depth this is; an event became certain with it."""
    unit: str
    """m, or % of the steady range from 0, the far end and beyond, to 100, the near end and beyond."""
    nearest: float | None
    median: float | None
    trend: float | None
    """Change of `nearest` per second."""
    known: float
    """Share of the zone's pixels whose depth is known; where it is high and `nearest` is null, it is too far."""
    occupied: bool


RECORD_SCHEMA: dict[str, Any] = {
    "title": "streamdepth.Zone",
    "type": "object",
    "properties": {
        **{key: {"type": "string"} for key in ("type", "stream", "zone", "unit")},
        **{key: {"type": ["number", "null"]} for key in ("nearest", "median", "trend")},
        **{key: {"type": "number"} for key in ("time", "known")},
        "at": {"type": ["string", "null"]},
        "index": {"type": "integer"},
        "occupied": {"type": "boolean"},
    },
}
"""The record as a JSON schema, for recordings."""


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
        "unit": state.unit,
        "nearest": depth_figure(state.depth.nearest, state.unit),
        "median": depth_figure(state.depth.median, state.unit),
        "trend": finite(state.trend),
        "known": round(state.depth.known, 4),
        "occupied": state.is_occupied,
    }


def depth_figure(depth: float, unit: Unit) -> float | None:
    """Returns depth in a zone as `finite` does; percent end at 0 and 100, as the colors do."""
    return finite(min(max(depth, 0.0), 100.0) if unit == "%" and math.isfinite(depth) else depth)


def finite(value: float) -> float | None:
    """Returns a figure with four digits; None where it is not finite, which JSON cannot say."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def epoch_of(info: StreamInfo, frame: Frame) -> float | None:
    """Returns the seconds since 1970 at time 0 of a stream's frames; None for a recording without a clock."""
    if info.epoch_ns is not None:
        return info.epoch_ns / 1e9
    if not info.is_live:
        return None
    return time.time() - (time.monotonic() - frame.captured_at) - frame.time
