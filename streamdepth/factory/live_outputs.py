"""Makes the sinks of live streams: recordings in segments, push targets, virtual cameras, NDI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from streamdepth.config import NDI, VIRTUAL_CAMERA, Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.sink import Sink
from streamdepth.factory.naming import NAME_FIELD
from streamdepth.factory.render_options import make_render_options
from streamdepth.sinks.images import DEPTH_IMAGE_SUFFIXES
from streamdepth.utils.redact import redact


def make_recording(path: Path, make_sink: Callable[[Path], Sink], settings: Settings) -> Sink:
    """Returns a sink for `path` that begins segments where the settings ask for them, and ends before the disk is full.

    Args:
        path: the file, or the pattern of its segments.
        make_sink: makes the sink of one file.
        settings: the settings of the run.

    Raises:
        ConfigError: for numbered pictures in segments, and for resume without segments ("segment").
    """
    from streamdepth.sinks.disk_space import DiskSpaceGuard

    return DiskSpaceGuard(
        _make_segmented(path, make_sink, settings), path, min_free_bytes=settings.outputs.min_free_mb * 1e6
    )


def _make_segmented(path: Path, make_sink: Callable[[Path], Sink], settings: Settings) -> Sink:
    sink = make_sink(path)
    outputs = settings.outputs
    if outputs.segment is None:
        if outputs.resume:
            raise ConfigError("resume goes on with a recording in segments; add --segment 10m", code="segment")
        return sink
    if path.suffix.lower() in DEPTH_IMAGE_SUFFIXES:
        raise ConfigError(
            f"segments are files such as .mp4, .mkv or .mcap; '{path}' is one picture for each frame", code="segment"
        )
    from streamdepth.sinks.segments import SegmentedSink

    return SegmentedSink(path, make_sink, seconds=outputs.segment, overwrite=outputs.overwrite, resume=outputs.resume)


def make_push_sinks(settings: Settings, name: str | None) -> Iterator[Sink]:
    """Yields the sinks that send the video while it is made. `name` is the stream's, if there are several.

    Raises:
        ConfigError: if several streams would go to one address ("conflict").
    """
    for address in settings.outputs.push:
        if name is not None and NAME_FIELD not in address:
            raise ConfigError(
                f"several sources cannot all go to '{redact(address)}'; put {{name}} where their names are to stand",
                code="conflict",
            )
        address = address.replace(NAME_FIELD, name or "")
        if address.startswith(VIRTUAL_CAMERA):
            yield _make_virtual_camera(address, settings)
        elif address.startswith(NDI):
            yield _make_ndi_sink(address, settings)
        else:
            yield _make_push_sink(address, settings)


def _make_push_sink(address: str, settings: Settings) -> Sink:
    from streamdepth.sinks.push import PushSink

    video, network = settings.video, settings.network
    return PushSink(
        address,
        make_render_options(settings),
        codec=video.codec,
        crf=video.crf,
        preset=video.preset,
        transport=network.transport,
        timeout_seconds=network.timeout_seconds,
        reconnect_seconds=network.reconnect_seconds,
    )


def _make_virtual_camera(address: str, settings: Settings) -> Sink:
    from streamdepth.sinks.virtual_camera import VirtualCameraSink

    return VirtualCameraSink(address.removeprefix(VIRTUAL_CAMERA) or None, make_render_options(settings))


def _make_ndi_sink(address: str, settings: Settings) -> Sink:
    from streamdepth.sinks.ndi import NdiSink

    return NdiSink(address.removeprefix(NDI) or "streamdepth", make_render_options(settings))
