"""From settings to what stores, shows and sends depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.interfaces import Sink
from streamdepth.factory.live_outputs import make_pushes, recorded
from streamdepth.factory.naming import stems
from streamdepth.factory.render_options import make_render_options
from streamdepth.factory.robots import ROBOT_FILES, make_publisher, make_robot_file
from streamdepth.sinks.images import DEPTH_PICTURES
from streamdepth.sinks.pending_files import check_distinct
from streamdepth.sinks.temporary_files import sidecar_path
from streamdepth.utils import storage

if TYPE_CHECKING:
    from streamdepth.sinks.geometry_files import Shape


def make_sinks(settings: Settings, name: str | None = None) -> list[Sink]:
    """The sinks of one stream. `name`: the stem of its outputs when `output` and `depth_out` are folders."""
    sinks = make_recorders(settings, name)
    sinks += [make_publisher(target, settings, name) for target in settings.outputs.publish]
    sinks += make_pushes(settings, name)
    sinks += _model_sinks(settings, name)
    if settings.outputs.window:
        from streamdepth.sinks.window import WindowSink

        sinks.append(
            WindowSink(
                f"streamdepth {name}" if name else "streamdepth",
                make_render_options(settings),
                hold_last=settings.outputs.hold_last,
            )
        )
    return sinks


def has_outputs(settings: Settings) -> bool:
    """Returns True if anything is written, shown or sent."""
    outputs = settings.outputs
    files = outputs.video or outputs.depth or outputs.points or outputs.mesh or outputs.ply_every
    return bool(files or outputs.push or outputs.publish or outputs.window)


def check_names(settings: Settings) -> None:
    """Before anything is opened. Raises ConfigError where two outputs have one name, SinkOpenError for an input's."""
    outputs, depth = settings.outputs, settings.outputs.depth
    wanted = outputs.video, depth, outputs.points, outputs.mesh, outputs.stats
    files = [path for path in wanted if path and path.suffix]  # the others are folders, which may be shared
    has_sidecar = depth is not None and depth.suffix.lower() in (".mkv", ".mp4", *DEPTH_PICTURES)
    check_distinct([*files, sidecar_path(depth) if depth and has_sidecar else None], settings.source)


def make_recorders(settings: Settings, name: str | None = None) -> list[Sink]:
    """Those of them for `output` and `depth_out`."""
    wanted: list[tuple[Path | None, str, Callable[[Path], Sink]]] = [
        (settings.outputs.video, ".mp4", lambda path: _picture_sink(path, settings)),
        (settings.outputs.depth, ".mkv", lambda path: _depth_sink(path, settings, name)),
    ]
    return [_recorder(_inside(path, name, suffix), make, settings) for path, suffix, make in wanted if path]


def _recorder(path: Path, make: Callable[[Path], Sink], settings: Settings) -> Sink:
    return _placed(path, lambda here: recorded(here, make, settings), settings)


def _model_sinks(settings: Settings, name: str | None) -> Iterator[Sink]:
    """Points and meshes; several sources have folders."""
    points, every = settings.outputs.points, settings.outputs.ply_every
    if every and not (points or settings.outputs.mesh):
        points = Path(f"{stems(settings.source or ('browser',))[0]}_%06d.ply") if name is None else Path()
    wanted: list[tuple[Path | None, Shape]] = [(points, "points"), (settings.outputs.mesh, "mesh")]
    for path, shape in wanted:
        if path is not None:
            suffix = "_%06d.ply" if shape == "points" else "_%06d.glb"
            path = _inside(path, name, suffix)
            yield _placed(path, partial(_model_sink, shape, settings), settings)


def _model_sink(shape: Shape, settings: Settings, path: Path) -> Sink:
    from streamdepth.sinks.geometry_files import GeometrySink

    every = settings.outputs.ply_every or 1
    return GeometrySink(path, shape, every=every, overwrite=settings.outputs.overwrite, edges=settings.render.edges)


def _placed(path: Path, make: Callable[[Path], Sink], settings: Settings) -> Sink:
    """What `make` makes of `path`, which may be an address elsewhere."""
    address = storage.address_from_path(path)
    if not storage.is_remote(address):
        return make(path)
    if settings.outputs.segment:
        raise ConfigError("segments are written to a disk of this machine; give a local folder, or leave --segment out")
    from streamdepth.sinks.remote import RemoteSink

    return RemoteSink(address, make, overwrite=settings.outputs.overwrite)


def _inside(path: Path, name: str | None, suffix: str) -> Path:
    if name is None:
        return path
    if not storage.is_remote(storage.address_from_path(path)):
        make_folder(path)
    return path / f"{name}{suffix}"


def make_folder(path: Path) -> None:
    """With all above it. Raises SinkOpenError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkOpenError(f"cannot make the folder '{path}': {error.strerror}; choose another") from error


def _picture_sink(path: Path, settings: Settings) -> Sink:
    from streamdepth.sinks.video import VideoSink
    from streamdepth.sinks.video_file import VIDEO_FORMATS

    if path.suffix.lower() in DEPTH_PICTURES:
        return _depth_sink(path, settings)
    if path.suffix.lower() not in VIDEO_FORMATS:
        hint = "; a folder is for several inputs, a folder of videos or a pattern in quotes" if not path.suffix else ""
        raise ConfigError(
            f"cannot tell what to write from '{path}'; use a video ({' '.join(VIDEO_FORMATS)}) "
            f"or numbered pictures (%06d with {' '.join(DEPTH_PICTURES)}){hint}"
        )
    video = settings.video
    usual = "vp9" if path.suffix.lower() == ".webm" else "h264"
    return VideoSink(
        path,
        make_render_options(settings),
        codec=usual if video.codec == "auto" else video.codec,
        crf=video.crf,
        preset=video.preset,
        overwrite=settings.outputs.overwrite,
        copy_tracks=video.copy_tracks,
    )


def _depth_sink(path: Path, settings: Settings, name: str | None = None) -> Sink:
    overwrite, edges = settings.outputs.overwrite, settings.render.edges
    drop_flying = settings.outputs.drop_flying
    if path.suffix.lower() == ".mkv":
        from streamdepth.sinks.depth_video import DepthVideoSink

        return DepthVideoSink(path, overwrite=overwrite, smoothing=settings.smooth, drop_flying=drop_flying)
    if path.suffix.lower() == ".mp4":
        from streamdepth.sinks.lerobot_video import LeRobotVideoSink

        return LeRobotVideoSink(path, overwrite=overwrite, edges=edges, drop_flying=drop_flying)
    if path.suffix.lower() in ROBOT_FILES:
        return make_robot_file(path, settings, name)
    if path.suffix.lower() in DEPTH_PICTURES:
        from streamdepth.sinks.images import ImagesSink

        return ImagesSink(path, overwrite=overwrite, edges=edges, drop_flying=drop_flying)
    raise ConfigError(
        f"depth cannot be kept in '{path}'; use .mkv (lossless depth video), .mp4 (LeRobot's), .mcap (ROS 2 messages), "
        f".rrd (Rerun) or %06d with {' '.join(DEPTH_PICTURES)}"
    )
