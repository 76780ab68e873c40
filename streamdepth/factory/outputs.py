"""Makes the sinks of a stream: files, publishers, push targets, geometry, a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SinkOpenError
from streamdepth.core.sink import Sink
from streamdepth.factory.file_sinks import is_gray_video, make_depth_sink, make_video_sink
from streamdepth.factory.live_outputs import make_push_sinks, make_recording
from streamdepth.factory.naming import NAME_FIELD, is_shared_output, stream_names
from streamdepth.factory.render_options import make_render_options
from streamdepth.factory.robots import make_publisher
from streamdepth.factory.zones import JSON_LINES_SUFFIXES
from streamdepth.sinks.images import DEPTH_IMAGE_SUFFIXES
from streamdepth.sinks.output_checks import check_distinct, check_output
from streamdepth.sinks.standard_output import STANDARD_OUTPUT
from streamdepth.sinks.temporary_files import sidecar_path
from streamdepth.stabilizers import SCALE_RANGE
from streamdepth.utils import storage
from streamdepth.utils.numbering import find_numbered_files, has_number_field

if TYPE_CHECKING:
    from streamdepth.sinks.geometry_files import GeometryKind


def make_sinks(settings: Settings, name: str | None = None) -> list[Sink]:
    """Returns all sinks of one stream.

    Args:
        settings: the settings of the run.
        name: the stream's name where there are several, whose outputs are folders; None for a single stream.
    """
    sinks = make_file_sinks(settings, name)
    sinks += [make_publisher(target, settings, name) for target in settings.outputs.publish]
    sinks += make_push_sinks(settings, name)
    sinks += _make_geometry_sinks(settings, name)
    if settings.outputs.window:
        from streamdepth.sinks.window import WindowSink

        title = f"streamdepth {name}" if name else "streamdepth"
        sinks.append(WindowSink(title, make_render_options(settings), hold_last=settings.outputs.hold_last))
    return sinks


def has_outputs(settings: Settings) -> bool:
    """Returns True if anything is written, shown or sent."""
    outputs = settings.outputs
    files = outputs.video or outputs.depth or outputs.points or outputs.mesh or outputs.ply_every
    return bool(files or outputs.push or outputs.publish or outputs.window or settings.zones.outputs)


def check_output_names(settings: Settings) -> None:
    """Checks outputs before anything is opened.

    Raises:
        ConfigError: if two outputs have one name, topics are to be kept without a .mcap, the picture is to be written
            beside depth without a .mkv, or a stereo style is set without an output that shows pictures ("conflict").
        SinkOpenError: if an output is an input.
    """
    outputs, depth = settings.outputs, settings.outputs.depth
    if outputs.keep_topics and (depth is None or depth.suffix.lower() != ".mcap"):
        raise ConfigError("--keep-topics copies into a .mcap; name one with --depth-out", code="conflict")
    if outputs.with_rgb and (
        depth is None or depth.suffix.lower() not in ("", ".mkv") or is_gray_video(settings, depth)
    ):
        raise ConfigError(
            "--with-rgb writes the picture beside lossless depth: name that with --depth-out, ending in .mkv, and "
            "leave out --depth-map and --target",
            code="conflict",
        )
    if outputs.video:
        check_shows_style(outputs.video, settings)
    zone_files = [Path(target) for target in settings.zones.outputs if target.endswith(JSON_LINES_SUFFIXES)]
    paths = outputs.video, depth, outputs.points, outputs.mesh, outputs.stats, *zone_files
    files = [path for path in paths if path and path.suffix]  # the others are folders, which may be shared
    has_sidecar = depth is not None and (
        depth.suffix.lower() in (".mkv", ".mp4", *DEPTH_IMAGE_SUFFIXES) or is_gray_video(settings, depth)
    )
    check_distinct([*files, sidecar_path(depth) if depth and has_sidecar else None], settings.source)


def check_shows_style(path: Path, settings: Settings) -> None:
    """Raises ConfigError ("conflict") for a stereo style if the output holds depth itself and no drawn picture."""
    if path.suffix.lower() in DEPTH_IMAGE_SUFFIXES and make_render_options(settings).is_stereo:
        raise ConfigError(
            f"'{path}' would hold the depth itself, and the style {settings.render.style} is a picture to look at: "
            "name a .jpg or .webp, or of a video a .mp4, .mkv, .webm or .gif, or leave the style out",
            code="conflict",
        )


def only_pictures_are_written(settings: Settings) -> bool:
    """True if each frame gets files of its own, so that frames may differ in size."""
    outputs = settings.outputs
    paths = [path for path in (outputs.video, outputs.depth) if path is not None]
    has_others = outputs.push or outputs.publish or outputs.window or settings.zones.outputs
    return bool(paths) and not has_others and all(path.suffix.lower() in DEPTH_IMAGE_SUFFIXES for path in paths)


def display_range_setting(settings: Settings, *, is_file: bool) -> str:
    """Returns the range to display, as `make_stabilizer` takes it.

    PNG and gray videos of relative depth use the range as the scale of their numbers, which must not change with the
    scene: an automatic range becomes one range for each shot, if the source is a file and the frames can wait.
    """
    paths = settings.outputs.video, settings.outputs.depth
    has_scale = any(path is not None and path.suffix.lower() == ".png" for path in paths)
    has_scale |= settings.outputs.depth is not None and is_gray_video(settings, settings.outputs.depth)
    is_free = settings.render.range == "auto" and not settings.realtime and not settings.outputs.push
    return SCALE_RANGE if has_scale and is_free and is_file else settings.render.range


def make_file_sinks(settings: Settings, name: str | None = None) -> list[Sink]:
    """Returns the sinks for the outputs `video` and `depth`, arguments as for `make_sinks`."""
    wanted: list[tuple[Path | None, str, Callable[[Path], Sink]]] = [
        (settings.outputs.video, ".mp4", partial(make_video_sink, settings)),
        (settings.outputs.depth, ".mkv", partial(make_depth_sink, settings, name=name)),
    ]
    return [
        _make_recorder(_path_of_stream(path, name, suffix, settings), make, settings)
        for path, suffix, make in wanted
        if path
    ]


def _make_recorder(path: Path, make_sink: Callable[[Path], Sink], settings: Settings) -> Sink:
    if path == STANDARD_OUTPUT:
        return _make_streamed(path, make_sink, settings)
    return _make_local_or_remote(path, lambda local: make_recording(local, make_sink, settings), settings)


def _make_streamed(path: Path, make_sink: Callable[[Path], Sink], settings: Settings) -> Sink:
    """Returns the sink that writes to standard output."""
    if settings.outputs.segment:
        raise ConfigError("standard output is one file; give a file's name, or leave --segment out", code="segment")
    return make_sink(path)


def _make_geometry_sinks(settings: Settings, name: str | None) -> Iterator[Sink]:
    """Yields the sinks for point clouds and meshes; `ply_every` alone wants point clouds."""
    points, mesh, every = settings.outputs.points, settings.outputs.mesh, settings.outputs.ply_every
    if every and not (points or mesh):
        points = Path(f"{stream_names(settings.source or ('browser',))[0]}_%06d.ply") if name is None else Path()
    wanted: list[tuple[Path | None, GeometryKind, str]] = [(points, "points", "_%06d.ply"), (mesh, "mesh", "_%06d.glb")]
    for path, kind, suffix in wanted:
        if path is not None:
            make_sink = partial(_make_geometry_sink, kind, settings)
            yield _make_local_or_remote(_path_of_stream(path, name, suffix, settings), make_sink, settings)


def _make_geometry_sink(kind: GeometryKind, settings: Settings, path: Path) -> Sink:
    from streamdepth.sinks.geometry_files import GeometrySink

    every = settings.outputs.ply_every or 1
    return GeometrySink(path, kind, every=every, overwrite=settings.outputs.overwrite, edges=settings.render.edges)


def _make_local_or_remote(path: Path, make_sink: Callable[[Path], Sink], settings: Settings) -> Sink:
    """Returns the sink for `path`; for an address in a remote storage, it writes a local file and uploads it."""
    address = storage.address_from_path(path)
    if not storage.is_remote(address):
        if settings.outputs.segment is None:
            for existing in find_numbered_files(path) if has_number_field(path.name) else [path]:
                check_output(existing, overwrite=settings.outputs.overwrite)
        return make_sink(path)
    if settings.outputs.segment:
        raise ConfigError(
            "segments are written to a disk of this machine; give a local folder, or leave --segment out",
            code="segment",
        )
    from streamdepth.sinks.remote import RemoteSink

    return RemoteSink(address, make_sink, overwrite=settings.outputs.overwrite)


def _path_of_stream(path: Path, name: str | None, suffix: str, settings: Settings) -> Path:
    """Returns `path` for a single stream; for one of several, its file in the folder `path`, which is made."""
    if NAME_FIELD in str(path):
        names = settings.names or stream_names(settings.source or ("stream",))
        path = Path(str(path).replace(NAME_FIELD, name or names[0]))
        make_folder(path.parent)
        return path
    if name is None:
        return path
    if is_shared_output(path):
        _check_shared(path, settings)
        return path
    if path == STANDARD_OUTPUT:
        raise ConfigError(
            "the output - is standard output, which takes one stream; give one source, or a folder", code="conflict"
        )
    if not storage.is_remote(storage.address_from_path(path)):
        make_folder(path)
    return path / f"{name}{suffix}"


def _check_shared(path: Path, settings: Settings) -> None:
    """Raises ConfigError where several streams cannot be written to one file."""
    if settings.outputs.segment:
        raise ConfigError(
            f"segments of several streams do not begin at the same time; give a folder instead of '{path}', or leave "
            "--segment out",
            code="segment",
        )
    if storage.is_remote(storage.address_from_path(path)):
        raise ConfigError(
            f"several streams share a file on a disk of this machine, not '{path}'; give a local file or a folder",
            code="conflict",
        )


def make_folder(path: Path) -> None:
    """Makes a folder and those above it. Raises SinkOpenError with the code "not-writable" where that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkOpenError(
            f"cannot make the folder '{path}': {error.strerror}; choose another", code="not-writable"
        ) from error
