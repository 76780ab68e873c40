"""From settings to recordings that go on for days: in segments, and with room left on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamdepth.config import Settings
from streamdepth.errors import ConfigError
from streamdepth.stages import Sink


def recorded(path: Path, make: Callable[[Path], Sink], settings: Settings) -> Sink:
    """The sink that `make` gives for `path`, in segments where the settings say so, and ended before the disk is full.

    Raises ConfigError for numbered pictures in segments, and for resume without segments.
    """
    from streamdepth.sinks.room import RoomGuard

    return RoomGuard(_in_segments(path, make, settings), path, min_free_bytes=settings.min_free_mb * 1e6)


def _in_segments(path: Path, make: Callable[[Path], Sink], settings: Settings) -> Sink:
    first = make(path)
    if settings.segment is None:
        if settings.resume:
            raise ConfigError("resume goes on with a recording in segments; add --segment 10m")
        return first
    if path.suffix.lower() in (".png", ".exr", ".npz"):
        raise ConfigError(f"segments are files such as .mp4, .mkv or .mcap; '{path}' is one picture for each frame")
    from streamdepth.sinks.segments import SegmentedSink

    return SegmentedSink(path, make, seconds=settings.segment, overwrite=settings.overwrite, resume=settings.resume)
