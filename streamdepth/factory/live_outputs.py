"""From settings to what live streams need: recordings that go on for days, servers, virtual cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from streamdepth.config import VIRTUAL_CAMERA, Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Sink
from streamdepth.factory.render_options import make_render_options
from streamdepth.sinks.images import DEPTH_PICTURES
from streamdepth.utils.redact import redact


def recorded(path: Path, make: Callable[[Path], Sink], settings: Settings) -> Sink:
    """The sink that `make` gives for `path`, in segments where the settings say so, and ended before the disk is full.

    Raises ConfigError for numbered pictures in segments, and for resume without segments.
    """
    from streamdepth.sinks.disk_space import DiskSpaceGuard

    return DiskSpaceGuard(_in_segments(path, make, settings), path, min_free_bytes=settings.outputs.min_free_mb * 1e6)


def _in_segments(path: Path, make: Callable[[Path], Sink], settings: Settings) -> Sink:
    first = make(path)
    outputs = settings.outputs
    if outputs.segment is None:
        if outputs.resume:
            raise ConfigError("resume goes on with a recording in segments; add --segment 10m")
        return first
    if path.suffix.lower() in DEPTH_PICTURES:
        raise ConfigError(f"segments are files such as .mp4, .mkv or .mcap; '{path}' is one picture for each frame")
    from streamdepth.sinks.segments import SegmentedSink

    return SegmentedSink(path, make, seconds=outputs.segment, overwrite=outputs.overwrite, resume=outputs.resume)


def make_pushes(settings: Settings, name: str | None) -> Iterator[Sink]:
    """What sends the video on while it is made. name: the stream's, where there are several.

    Raises ConfigError where several streams would go to one place.
    """
    for address in settings.outputs.push:
        if name is not None and "{name}" not in address:
            raise ConfigError(
                f"several sources cannot all go to '{redact(address)}'; put {{name}} where their names are to stand"
            )
        address = address.replace("{name}", name or "")
        yield _virtual_camera(address, settings) if address.startswith(VIRTUAL_CAMERA) else _push(address, settings)


def _push(address: str, settings: Settings) -> Sink:
    from streamdepth.sinks.push import PushSink

    video, network = settings.video, settings.network
    return PushSink(
        address,
        make_render_options(settings),
        codec="h264" if video.codec == "auto" else video.codec,
        crf=video.crf,
        preset=video.preset,
        transport=network.transport,
        timeout_seconds=network.timeout_seconds,
        reconnect_seconds=network.reconnect_seconds,
    )


def _virtual_camera(address: str, settings: Settings) -> Sink:
    from streamdepth.sinks.virtual_camera import VirtualCameraSink

    return VirtualCameraSink(address.removeprefix(VIRTUAL_CAMERA) or None, make_render_options(settings))
