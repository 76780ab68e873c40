"""Makes sources from addresses."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from streamdepth.config import Settings
from streamdepth.config.values import exact_frame_rate
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Source
from streamdepth.factory.metric_references import make_camera_spec
from streamdepth.factory.outputs import only_pictures_are_written
from streamdepth.factory.sensor_depth import DEPTH_CAMERA_PREFIXES, topic_of, with_sensor_depth
from streamdepth.utils import storage
from streamdepth.utils.file_patterns import is_local_path
from streamdepth.utils.media_kind import is_animation, media_kind
from streamdepth.utils.redact import redact

STANDARD_INPUT = "-"
"""The address of what another program writes into a pipe."""
DEVICE_PREFIXES = ("lavfi:", "screen:", "camera:", "/dev/video", *DEPTH_CAMERA_PREFIXES)
"""Beginnings of the addresses of devices; a camera's number is such an address, too."""


def make_source(address: str, settings: Settings) -> Source:
    """Returns the source for an address: a camera's number or name, a file, a folder, a glob, a bag, a URL...

    Its frames carry the camera and the sensor's depth, if the settings describe them.

    Raises:
        ConfigError: if the address is empty ("no-source").
    """
    source = _with_sound_device(_make_source(address, settings), settings)
    return with_sensor_depth(with_camera(source, settings), address, settings)


def _with_sound_device(source: Source, settings: Settings) -> Source:
    if settings.camera.audio is None:
        return source
    from streamdepth.sources.sound_device import SoundDeviceSource

    return SoundDeviceSource(source, settings.camera.audio)


def with_camera(source: Source, settings: Settings) -> Source:
    """Returns a source whose frames carry the camera of the settings; `source` itself where they describe none."""
    if settings.camera.fov == "auto":
        from streamdepth.sources.guessed_camera import GuessedCameraSource

        source = GuessedCameraSource(source)
    camera = make_camera_spec(settings)
    if not camera and not settings.camera.undistort:
        return source
    from streamdepth.sources.calibrated import CalibratedSource

    return CalibratedSource(source, camera, undistort=settings.camera.undistort)


def with_black_bars(source: Source, settings: Settings) -> Source:
    """Returns a source that marks black bars as not valid; `source` itself if the settings turn that off.

    A source with a sensor's depth is returned as it is, because that depth is valid in black areas, too.
    """
    if not settings.find_bars or settings.metric.depth_from:
        return source
    from streamdepth.sources.black_bars import BlackBarsSource

    return BlackBarsSource(source)


def with_clip(source: Source, settings: Settings) -> Source:
    """Returns a source with only the times, the frame rate and the rectangle of the picture that the settings ask for.

    Raises ConfigError ("bad-part") for an end that is not after the start.
    """
    from streamdepth.sources.clip import ClipSource, ConstantRateSource, CropSource

    start, end = settings.start or 0.0, settings.end
    if end is not None and end <= start:
        raise ConfigError(
            f"the end at {end:g} s is not after the start at {start:g} s; give an --end greater than --start",
            code="bad-part",
        )
    if start or end is not None:
        source = ClipSource(source, start, end)
    if settings.fps:
        source = ConstantRateSource(source, exact_frame_rate(settings.fps))
    return CropSource(source, settings.crop) if settings.crop else source


def _make_source(address: str, settings: Settings) -> Source:
    if not address:  # as a path it would be the current folder
        raise ConfigError(
            "the source is empty; give a file, a folder, an address or a camera's number", code="no-source"
        )
    if address == STANDARD_INPUT:
        return _make_standard_input(settings)
    if _is_camera(address):
        return _make_camera(address, settings)
    if bag := _make_bag(address, settings):
        _refuse_input_fps(address, settings)
        return bag
    if settings.camera.info_topic:
        raise ConfigError(
            f"{redact(address)} is no bag, so it has no topic '{settings.camera.info_topic}'; leave camera_info_topic "
            "out, or give the camera with camera_info",
            code="not-a-bag",
        )
    return _make_file_source(address, settings) if is_local_path(address) else _make_addressed(address, settings)


def _make_standard_input(settings: Settings) -> Source:
    from streamdepth.sources.file import FileSource

    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError(
            "the source - is what another program writes into a pipe, and there is none: "
            "OTHER_PROGRAM | streamdepth convert - -o out.mp4",
            code="no-source",
        )
    # On Linux a file that was redirected is opened by its name; elsewhere two readers would share one position.
    is_redirected_file = sys.platform == "linux" and Path("/dev/stdin").is_file()
    return FileSource(
        "/dev/stdin",
        name="standard input",
        descriptor=None if is_redirected_file else sys.stdin.fileno(),
        **_file_options(settings),
    )


def _is_camera(address: str) -> bool:
    is_named = address.startswith("camera:") and not is_local_path(address)
    return address.isdecimal() or address.startswith("/dev/video") or is_named


def _make_addressed(address: str, settings: Settings) -> Source:
    """Returns the source for an address that is not a file's."""
    if address.startswith(("lavfi:", "screen:", *DEPTH_CAMERA_PREFIXES)):
        _refuse_input_fps(address, settings)
    if address.startswith(DEPTH_CAMERA_PREFIXES):
        return _make_depth_camera(address, settings)
    if address.startswith("lavfi:"):
        from streamdepth.sources.generated import GeneratedSource

        return GeneratedSource(address, max_side_px=settings.max_side)
    if address.startswith("screen:"):
        from streamdepth.sources.screen import ScreenSource

        return ScreenSource(address, max_side_px=settings.max_side)
    is_a_picture = is_picture(address)
    if storage.is_remote(address) and not is_a_picture:
        from streamdepth.sources.remote_file import RemoteFileSource

        return RemoteFileSource(address, **_file_options(settings))
    if "://" in address and not (is_a_picture and address.lower().startswith("http")):
        return _make_network_source(address, settings)
    return _make_file_source(address, settings)


def _make_file_source(address: str, settings: Settings) -> Source:
    if is_animation(address):
        from streamdepth.sources.animation import AnimationSource

        _refuse_input_fps(address, settings)
        return AnimationSource(address, max_side_px=settings.max_side)
    if is_picture(address) or _is_folder_or_pattern(address):
        from streamdepth.sources.images import DEFAULT_FPS, ImagesSource

        fps = _input_fps(settings) or DEFAULT_FPS
        keep_sizes = only_pictures_are_written(settings)
        return ImagesSource(address, fps=fps, max_side_px=settings.max_side, keep_sizes=keep_sizes)
    from streamdepth.sources.file import FileSource

    source = FileSource(address, device=decoding_device(settings), **_file_options(settings))
    if has_picture_suffix(address) and media_kind(address) == "video":
        source.add_notice(f"{redact(address)} is a video by its content, whatever its name says, and read as that")
    return source


def _file_options(settings: Settings) -> dict[str, Any]:
    """Returns the keyword arguments of sources that read video files."""
    return {
        "input_fps": _input_fps(settings),
        "deinterlaces": settings.deinterlace == "auto",
        "start_seconds": settings.start or 0.0,
        "max_side_px": settings.max_side,
    }


def decoding_device(settings: Settings) -> str | None:
    """Returns the NVIDIA GPU that is to decode video, such as cuda or cuda:1: the first one of the model.

    None if the model runs on no such GPU, or if a setting needs the pictures on the CPU.
    """
    device, *_ = settings.model.device.split(",")
    if not settings.gpu_decoding or settings.model.engine not in ("auto", "torch") or settings.deinterlace == "auto":
        return None
    if device != "auto":
        return device if device.startswith("cuda") else None
    from streamdepth.estimators.engines.gpu_presence import may_have_gpu

    if not may_have_gpu():
        return None
    import torch

    return "cuda" if torch.cuda.is_available() else None


def _input_fps(settings: Settings) -> Fraction | None:
    return exact_frame_rate(settings.input_fps) if settings.input_fps else None


def _refuse_input_fps(address: str, settings: Settings) -> None:
    if settings.input_fps:
        raise ConfigError(
            f"{redact(address)} has a clock of its own, which input_fps cannot change; leave it out (the rate of test "
            "pictures is part of their address: lavfi:testsrc2=rate=25)",
            code="input-fps",
        )


def _make_bag(address: str, settings: Settings) -> Source | None:
    from streamdepth.sources.foxglove import FoxgloveSource, has_foxglove_pictures
    from streamdepth.sources.rosbag import RosbagSource, split_bag_address

    found = None if "://" in address else split_bag_address(address)
    if found is None:
        return None
    path, topic = found
    info_topic, max_side_px = settings.camera.info_topic, settings.max_side
    if path.suffix.lower() == ".mcap" and has_foxglove_pictures(path, topic):
        return FoxgloveSource(path, topic, camera_info_topic=info_topic, max_side_px=max_side_px)
    depth_from = settings.metric.depth_from
    depth_topic = topic_of(str(depth_from), path) if depth_from else None
    return RosbagSource(path, topic, camera_info_topic=info_topic, depth_topic=depth_topic, max_side_px=max_side_px)


def is_video_file(address: str) -> bool:
    """True if the address names one recorded video file, here or in a remote storage; it need not exist."""
    return is_recorded(address) and not (is_picture(address) or _is_folder_or_pattern(address))


def is_recorded(address: str) -> bool:
    """True if the address names recorded files, here or in a remote storage, and no camera, screen or stream."""
    is_stream = "://" in address and not storage.is_remote(address)
    is_device = address.startswith(DEVICE_PREFIXES)
    return not (_is_camera(address) or ((is_stream or is_device) and not is_local_path(address)))


def is_picture(address: str) -> bool:
    """True if the address names one picture: a local file by its content, others by suffix. GIF counts as video."""
    kind = media_kind(address)
    return kind == "picture" if kind else has_picture_suffix(address)


def has_picture_suffix(address: str) -> bool:
    """True if an address ends as the name of a picture; GIF counts as video."""
    from streamdepth.sources.images import PICTURE_SUFFIXES

    name = re.split(r"[?#]", address)[0].lower()
    return name.endswith(PICTURE_SUFFIXES) and not name.endswith(".gif")  # a GIF may move: libav reads it as video


def _is_folder_or_pattern(address: str) -> bool:
    path = Path(address)
    try:
        return path.is_dir() or (not path.is_file() and any(c in address for c in "*?["))
    except OSError:  # a name that no file can have; opening it says so
        return False


def _make_camera(address: str, settings: Settings) -> Source:
    from streamdepth.sources.camera import CameraSource

    device = int(address) if address.isdecimal() else address.removeprefix("camera:")
    camera = settings.camera
    return CameraSource(
        device,
        size=camera.size,
        fps=camera.fps or settings.input_fps,
        fourcc=camera.fourcc,
        reconnect_seconds=camera.reconnect_seconds,
    )


def _make_depth_camera(address: str, settings: Settings) -> Source:
    """Returns the source of a RealSense or OAK camera, whose serial number or address may follow the colon."""
    from streamdepth.sources.depth_camera import DepthCameraCapture, DepthCameraSource

    kind, _, device = address.partition(":")
    camera, timeout_seconds = settings.camera, settings.network.timeout_seconds

    def connect(name: str) -> DepthCameraCapture:
        from streamdepth.sources.oak import OakCapture
        from streamdepth.sources.realsense import RealSenseCapture

        capture = RealSenseCapture if kind == "realsense" else OakCapture
        return capture(name, device or None, size=camera.size, fps=camera.fps, timeout_seconds=timeout_seconds)

    return DepthCameraSource(
        f"{kind} camera {device}".strip(),
        connect,
        timeout_seconds=timeout_seconds,
        reconnect_seconds=camera.reconnect_seconds,
    )


def _make_network_source(address: str, settings: Settings) -> Source:
    from streamdepth.sources.network import NetworkSource

    network = settings.network
    return NetworkSource(
        address,
        transport=network.transport,
        timeout_seconds=network.timeout_seconds,
        reconnect_seconds=network.reconnect_seconds,
        live=network.live,
        input_fps=_input_fps(settings),
        deinterlaces=settings.deinterlace == "auto",
        max_side_px=settings.max_side,
        device=decoding_device(settings),
    )
