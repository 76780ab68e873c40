"""From settings to objects: the only file that knows every class by name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from streamdepth import remote
from streamdepth.config import Settings
from streamdepth.errors import ConfigError, SinkOpenError
from streamdepth.live_outputs import make_pushes, recorded
from streamdepth.pace import keep_pace, make_pace, make_paced
from streamdepth.pipeline import Pipeline, Stream
from streamdepth.redact import redact
from streamdepth.references import make_camera, make_reference
from streamdepth.robots import ROBOT_FILES, make_publisher, make_robot_file
from streamdepth.stabilizers import FlowCarrier, MotionTracker, make_stabilizer
from streamdepth.stages import Estimator, Sink, Source
from streamdepth.types import DepthFrame, Estimate, Frame, Intrinsics, ModelInfo, StreamInfo

if TYPE_CHECKING:
    from streamdepth.estimators.engines import EngineOptions
    from streamdepth.estimators.network import Network
    from streamdepth.estimators.network_estimator import NetworkEstimator
    from streamdepth.sinks.models import Shape

DEPTH_PICTURES = (".png", ".exr", ".npz")


def make_source(address: str, settings: Settings) -> Source:
    """The source for an address: a camera's number or name, a file, a folder, a glob, a bag, a URL...

    Its frames carry the camera of the settings where they say one.
    """
    source, camera = _make_source(address, settings), make_camera(settings)
    if not camera and not settings.undistort:
        return source
    from streamdepth.sources.lens import LensSource

    return LensSource(source, camera, undistort=settings.undistort)


def _make_source(address: str, settings: Settings) -> Source:
    if address.startswith(("lavfi:", "screen:")):
        from streamdepth.sources.devices import DeviceSource

        return DeviceSource(address, max_side_px=settings.max_side)
    if address.isdecimal() or address.startswith(("/dev/video", "camera:")):
        return _camera(address, settings)
    if bag := _bag(address, settings):
        return bag
    is_a_picture = is_picture(address)
    if remote.is_remote(address) and not is_a_picture:
        from streamdepth.sources.remote import RemoteFileSource

        return RemoteFileSource(address, max_side_px=settings.max_side)
    if "://" in address and not (is_a_picture and address.lower().startswith("http")):
        return _network(address, settings)
    if is_a_picture or _is_folder_or_pattern(address):
        from streamdepth.sources.images import ImagesSource

        return ImagesSource(address, max_side_px=settings.max_side)
    from streamdepth.sources.file import FileSource

    return FileSource(address, max_side_px=settings.max_side)


def _bag(address: str, settings: Settings) -> Source | None:
    from streamdepth.sources.rosbag import RosbagSource, split_address

    found = None if "://" in address else split_address(address)
    return RosbagSource(*found, max_side_px=settings.max_side) if found else None


def is_file(address: str) -> bool:
    """Whether the address names one recorded file of video, here or elsewhere; it need not be there."""
    is_stream = "://" in address and not remote.is_remote(address)
    is_device = address.isdecimal() or address.startswith(("lavfi:", "screen:", "camera:", "/dev/video"))
    return not (is_stream or is_device or is_picture(address) or _is_folder_or_pattern(address))


def is_picture(address: str) -> bool:
    from streamdepth.sources.images import PICTURE_SUFFIXES

    name = re.split(r"[?#]", address)[0].lower()
    return name.endswith(PICTURE_SUFFIXES) and not name.endswith(".gif")  # a GIF may move: libav reads it as video


def _is_folder_or_pattern(address: str) -> bool:
    path = Path(address)
    try:
        return path.is_dir() or (not path.is_file() and any(c in address for c in "*?["))
    except OSError:  # a name that no file can have; opening it says so
        return False


def _camera(address: str, settings: Settings) -> Source:
    from streamdepth.sources.camera import CameraSource

    device = int(address) if address.isdecimal() else address.removeprefix("camera:")
    camera = settings.camera
    return CameraSource(
        device,
        size=camera.size,
        fps=camera.fps,
        fourcc=camera.fourcc,
        reconnect_seconds=camera.reconnect_seconds,
    )


def _network(address: str, settings: Settings) -> Source:
    from streamdepth.sources.network import NetworkSource

    network = settings.network
    return NetworkSource(
        address,
        transport=network.transport,
        timeout_seconds=network.timeout_seconds,
        reconnect_seconds=network.reconnect_seconds,
        live=network.live,
        max_side_px=settings.max_side,
    )


def make_estimator(settings: Settings) -> Estimator:
    """The built-in model, with its own or other weights, or any other, loaded. Raises ModelLoadError or ConfigError."""
    from streamdepth.estimators.exported import ExportedEstimator, is_exported

    if is_exported(settings.model):
        return ExportedEstimator(Path(settings.model).expanduser(), size=settings.size, **_engine_options(settings))
    return make_network_estimator(make_network(settings), settings)


def make_network(settings: Settings, *, random_weights: bool = False) -> Network:
    """The network that `make_estimator` would run, to be exported, quantised or measured. Raises as that does.

    random_weights: at full size without its weights, where the architecture is known.
    """
    from streamdepth.estimators.exported import is_exported

    if is_exported(settings.model):
        raise ConfigError(f"'{settings.model}' was exported already; give the model that it was made from")
    weights = Path(settings.model)
    is_file = weights.suffix == ".safetensors" and not weights.is_dir()
    if settings.model == "nano" or is_file:
        from streamdepth.estimators.nano import nano

        return nano(size=settings.size, weights=weights.expanduser() if is_file else None)
    if random_weights:
        from streamdepth.estimators.known import random_network

        return random_network(settings.model, settings.size)
    from streamdepth.estimators.huggingface import huggingface

    return huggingface(
        settings.model,
        size=settings.size,
        accept_license=settings.accept_license,
        allow_pickle=settings.allow_pickle,
    )


def make_network_estimator(network: Network, settings: Settings) -> NetworkEstimator:
    """`network` on the engine of the settings, which may change its weights in place. Raises ConfigError."""
    from streamdepth.estimators.engines.choose import make_engine
    from streamdepth.estimators.network_estimator import NetworkEstimator

    options = _engine_options(settings)
    return NetworkEstimator(network.card, make_engine(network.module, cache_name=network.cache_name, **options))


def _engine_options(settings: Settings) -> EngineOptions:
    return {
        "engine": settings.engine,
        "device": settings.device,
        "precision": settings.precision,
        "precision_limit": settings.precision_limit,
        "compile": settings.compile,
        "threads": settings.threads,
        "for_throughput": bool(settings.throughput),
    }


class LazyEstimator(Estimator):
    """Loads the model when it is first asked for, so that a wrong input is known before a slow model is loaded."""

    def __init__(self, load: Callable[[], Estimator]) -> None:
        self._load = load
        self._estimator: Estimator | None = None

    @property
    def _loaded(self) -> Estimator:
        if self._estimator is None:
            self._estimator = self._load()
        return self._estimator

    @property
    def at_once(self) -> int:
        return self._loaded.at_once

    @property
    def info(self) -> ModelInfo:
        return self._loaded.info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self._loaded.estimate(frames)

    def start(self, frames: Sequence[Frame]) -> Callable[[], list[Estimate]]:
        return self._loaded.start(frames)

    def reset(self, stream: str) -> None:
        self._loaded.reset(stream)

    def close(self) -> None:
        if self._estimator is not None:
            self._estimator.close()


def make_sinks(settings: Settings, name: str | None = None) -> list[Sink]:
    """The sinks of one stream. `name`: the stem of its outputs when `output` and `depth_out` are folders."""
    sinks = make_recorders(settings, name)
    sinks += [make_publisher(target, settings, name) for target in settings.publish]
    sinks += make_pushes(settings, name)
    sinks += _model_sinks(settings, name)
    if settings.window:
        from streamdepth.sinks.window import WindowSink

        sinks.append(
            WindowSink(
                f"streamdepth {name}" if name else "streamdepth",
                style=settings.style,
                colormap=settings.colormap,
                alpha=settings.video.alpha,
                legend=settings.video.legend,
                edges=settings.edges,
                hold_last=settings.hold_last,
            )
        )
    return sinks


def make_recorders(settings: Settings, name: str | None = None) -> list[Sink]:
    """Those of them for `output` and `depth_out`."""
    sinks: list[Sink] = []
    if settings.output:
        path = _inside(settings.output, name, ".mp4")
        sinks.append(_placed(path, lambda p: recorded(p, lambda q: _picture_sink(q, settings), settings), settings))
    if settings.depth_out:
        path = _inside(settings.depth_out, name, ".mkv")
        sinks.append(_placed(path, lambda p: recorded(p, lambda q: _depth_sink(q, settings, name), settings), settings))
    return sinks


def _model_sinks(settings: Settings, name: str | None) -> Iterator[Sink]:
    """Points and meshes; several sources have folders."""
    points, every = settings.points, settings.ply_every
    if every and not (points or settings.mesh):
        points = Path(f"{stems(settings.source)[0]}_%06d.ply") if name is None else Path()
    wanted: list[tuple[Path | None, Shape]] = [(points, "points"), (settings.mesh, "mesh")]
    for path, shape in wanted:
        if path is not None:
            suffix = "_%06d.ply" if shape == "points" else "_%06d.glb"
            path = _inside(path, name, suffix)
            yield _placed(path, partial(_model_sink, shape, settings), settings)


def _model_sink(shape: Shape, settings: Settings, path: Path) -> Sink:
    from streamdepth.sinks.models import ModelSink

    every = settings.ply_every or 1
    return ModelSink(path, shape, every=every, overwrite=settings.overwrite, edges=settings.edges)


def _placed(path: Path, make: Callable[[Path], Sink], settings: Settings) -> Sink:
    """What `make` makes of `path`, which may be an address elsewhere."""
    address = remote.address_of(path)
    if not remote.is_remote(address):
        return make(path)
    if settings.segment:
        raise ConfigError("segments are written to a disk of this machine; give a local folder, or leave --segment out")
    from streamdepth.sinks.remote import RemoteSink

    return RemoteSink(address, make, overwrite=settings.overwrite)


def _inside(path: Path, name: str | None, suffix: str) -> Path:
    if name is None:
        return path
    if not remote.is_remote(remote.address_of(path)):
        make_folder(path)
    return path / f"{name}{suffix}"


def make_folder(path: Path) -> None:
    """With all above it. Raises SinkOpenError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkOpenError(f"cannot make the folder '{path}': {error.strerror}; choose another") from error


def _picture_sink(path: Path, settings: Settings) -> Sink:
    from streamdepth.sinks.video import FORMATS, VideoSink

    if path.suffix.lower() in DEPTH_PICTURES:
        return _depth_sink(path, settings)
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"cannot tell what to write from '{path}'; use a video ({' '.join(FORMATS)}) "
            f"or numbered pictures (%06d with {' '.join(DEPTH_PICTURES)})"
        )
    video = settings.video
    usual = "vp9" if path.suffix.lower() == ".webm" else "h264"
    return VideoSink(
        path,
        style=settings.style,
        colormap=settings.colormap,
        alpha=video.alpha,
        codec=usual if video.codec == "auto" else video.codec,
        crf=video.crf,
        preset=video.preset,
        overwrite=settings.overwrite,
        legend=video.legend,
        copy_tracks=video.copy_tracks,
        edges=settings.edges,
    )


def _depth_sink(path: Path, settings: Settings, name: str | None = None) -> Sink:
    if path.suffix.lower() == ".mkv":
        from streamdepth.sinks.depth_video import DepthVideoSink

        return DepthVideoSink(
            path, overwrite=settings.overwrite, smoothing=settings.smooth, drop_flying=settings.drop_flying
        )
    if path.suffix.lower() == ".mp4":
        from streamdepth.sinks.lerobot_video import LeRobotVideoSink

        return LeRobotVideoSink(
            path, overwrite=settings.overwrite, edges=settings.edges, drop_flying=settings.drop_flying
        )
    if path.suffix.lower() in ROBOT_FILES:
        return make_robot_file(path, settings, name)
    if path.suffix.lower() in DEPTH_PICTURES:
        from streamdepth.sinks.images import ImagesSink

        return ImagesSink(path, overwrite=settings.overwrite, edges=settings.edges, drop_flying=settings.drop_flying)
    raise ConfigError(
        f"depth cannot be kept in '{path}'; use .mkv (lossless depth video), .mp4 (LeRobot's), .mcap (ROS 2 messages), "
        f".rrd (Rerun) or %06d with {' '.join(DEPTH_PICTURES)}"
    )


@contextmanager
def pipeline(
    settings: Settings,
    on_written: Callable[[DepthFrame], None] = lambda _: None,
    *,
    estimator: Estimator | None = None,
) -> Iterator[Pipeline]:
    """A pipeline ready to run. Raises ConfigError for settings that do not fit.

    estimator: used instead of the settings' model, and not closed at the end as that is.
    """
    if not settings.source:
        raise ConfigError("no source was given; name a camera's number, a file, a folder or a URL")
    streams = [_make_stream(address, name, settings) for address, name in _named(settings)]

    def load(wanted: Settings) -> Estimator:
        return make_estimator(_suiting(streams, wanted))

    pace = make_pace(settings, len(streams))
    own = make_paced(pace, settings, load) if pace else LazyEstimator(lambda: load(settings))

    def written(item: DepthFrame) -> None:
        on_written(item)
        if pace:
            keep_pace(pace, made, item)

    try:
        made = Pipeline(
            streams,
            estimator or own,
            batch=settings.batch,
            max_frames=settings.max_frames,
            max_seconds=settings.max_seconds,
            allow_partial=settings.allow_partial,
            refresh_hz=None if settings.refresh == "auto" else settings.refresh,
            wait_for_sources=settings.wait_for_sources,
            on_written=written,
        )
        yield made
    finally:
        own.close()


def _suiting(streams: Sequence[Stream], settings: Settings) -> Settings:
    """With `throughput` decided, once the sources are open: for live frames, and for one at a time, latency matters."""
    if settings.throughput is not None:
        return settings
    is_free = not settings.refresh and not any(stream.is_live for stream in streams)
    return settings.model_copy(update={"throughput": is_free})


def _make_stream(address: str, name: str | None, settings: Settings) -> Stream:
    from streamdepth.render import check_look

    check_look(settings.style, settings.colormap, settings.video.alpha)
    motion = MotionTracker()
    stabilizer = make_stabilizer(settings.smooth, settings.range, make_reference(settings), motion)
    carrier = FlowCarrier(motion=motion) if settings.refresh else None
    source = make_source(address, settings)
    if settings.pace or settings.push:
        from streamdepth.sources.paced import PacedSource

        source = PacedSource(source)
    return Stream(source, stabilizer, make_sinks(settings, name), carrier, redact(address))


def describe(info: StreamInfo) -> list[tuple[str, str]]:
    """What `probe` prints of a stream: (name, value) lines."""
    rows = [
        ("name", info.name),
        ("size", f"{info.width}x{info.height} px"),
        ("frame rate", f"{float(info.fps):.3f} fps ({info.fps})" if info.fps else "unknown or variable"),
        ("frames", str(info.frame_count) if info.frame_count else "unknown"),
        ("time base", f"{info.time_base} s"),
        ("live", "yes" if info.is_live else "no"),
        ("camera", _camera_words(info.intrinsics)),
    ]
    if info.origin is not None:
        rows += _tracks(info.origin)
    return rows


def _camera_words(camera: Intrinsics | None) -> str:
    if camera is None:
        return "unknown; --fov or --camera-info tells it"
    lens = f", {camera.distortion_model}" if camera.distortion else ""
    return f"fx {camera.fx:.1f}, fy {camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f} px{lens}"


def _tracks(path: Path) -> list[tuple[str, str]]:
    import av

    from streamdepth.sinks.output import av_path

    with av.open(av_path(path), metadata_errors="replace") as container:
        rows = [("container", container.format.long_name)]
        for track in container.streams:
            context = track.codec_context
            codec = context.name if context else "unknown"
            if isinstance(context, av.VideoCodecContext):
                codec += f", {context.pix_fmt}, {context.width}x{context.height}"
            rows.append((f"track {track.index}", f"{track.type}: {codec}"))
    return rows


def _named(settings: Settings) -> list[tuple[str, str | None]]:
    """Each source with the stem of its outputs: None for a single source, whose outputs are named in full."""
    if len(settings.source) == 1:
        return [(settings.source[0], None)]
    for path in (settings.output, settings.depth_out, settings.points, settings.mesh):
        if path and path.suffix:
            raise ConfigError(f"{len(settings.source)} sources need a folder to write to, not the file '{path}'")
    return list(zip(settings.source, stems(settings.source), strict=True))


def stems(addresses: Sequence[str]) -> list[str]:
    """A file name's stem for each address, no two the same."""
    found: list[str] = []
    for address in addresses:
        stem = "stream" if "://" in address else re.sub(r"\W+", "_", Path(address).stem).strip("_") or "stream"
        numbered = (stem if n == 1 else f"{stem}_{n}" for n in itertools.count(1))
        found.append(next(name for name in numbered if name not in found))
    return found
