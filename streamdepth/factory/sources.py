"""From settings to where frames come from."""

from __future__ import annotations

import re
from pathlib import Path

from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Source
from streamdepth.factory.references import make_camera
from streamdepth.utils import storage

DEVICES = ("lavfi:", "screen:", "camera:", "/dev/video")
"""What addresses begin with that are neither files nor on the network; a camera's number is one too."""


def make_source(address: str, settings: Settings) -> Source:
    """The source for an address: a camera's number or name, a file, a folder, a glob, a bag, a URL...

    Its frames carry the camera of the settings where they say one.
    """
    return with_camera(_make_source(address, settings), settings)


def with_camera(source: Source, settings: Settings) -> Source:
    """`source` as seen through the camera of the settings, where they say one."""
    camera = make_camera(settings)
    if not camera and not settings.camera.undistort:
        return source
    from streamdepth.sources.calibrated import CalibratedSource

    return CalibratedSource(source, camera, undistort=settings.camera.undistort)


def _make_source(address: str, settings: Settings) -> Source:
    if not address:  # as a path it would be the current folder
        raise ConfigError("the source is empty; give a file, a folder, an address or a camera's number")
    if address.startswith("lavfi:"):
        from streamdepth.sources.generated import GeneratedSource

        return GeneratedSource(address, max_side_px=settings.max_side)
    if address.startswith("screen:"):
        from streamdepth.sources.screen import ScreenSource

        return ScreenSource(address, max_side_px=settings.max_side)
    if address.isdecimal() or address.startswith(("/dev/video", "camera:")):
        return _camera(address, settings)
    if bag := _bag(address, settings):
        return bag
    is_a_picture = is_picture(address)
    if storage.is_remote(address) and not is_a_picture:
        from streamdepth.sources.remote_file import RemoteFileSource

        return RemoteFileSource(address, max_side_px=settings.max_side)
    if "://" in address and not (is_a_picture and address.lower().startswith("http")):
        return _network(address, settings)
    if is_a_picture or _is_folder_or_pattern(address):
        from streamdepth.sources.images import ImagesSource

        return ImagesSource(address, max_side_px=settings.max_side)
    from streamdepth.sources.file import FileSource

    return FileSource(address, max_side_px=settings.max_side)


def _bag(address: str, settings: Settings) -> Source | None:
    from streamdepth.sources.rosbag import RosbagSource, split_bag_address

    found = None if "://" in address else split_bag_address(address)
    return RosbagSource(*found, max_side_px=settings.max_side) if found else None


def is_file(address: str) -> bool:
    """Whether the address names one recorded file of video, here or elsewhere; it need not be there."""
    is_stream = "://" in address and not storage.is_remote(address)
    is_device = address.isdecimal() or address.startswith(DEVICES)
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
