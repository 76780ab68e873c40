"""Discovery of the cameras of this machine, by Linux's video devices or by OpenCV."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamdepth.core.errors import SourceOpenError

_V4L2_FOLDER = Path("/sys/class/video4linux")
_MAX_INDICES = 8


class CameraRequestError(SourceOpenError):
    """A request that no camera of this machine can fulfil, now or later."""

    default_code = "camera-request"


@dataclass(frozen=True, slots=True, order=True)
class CameraDevice:
    """A camera of this machine."""

    index: int
    """OpenCV's number for it; on Linux the number in /dev/video0."""
    name: str

    def __str__(self) -> str:
        return f"{self.index} ({self.name})"


def list_cameras() -> list[CameraDevice]:
    """Returns the cameras of this machine. Linux lists them; elsewhere the first 8 indices are tried."""
    if sys.platform == "linux":
        return read_v4l2_cameras()
    cameras = []
    for index in range(_MAX_INDICES):
        capture = open_capture(index)
        if capture.isOpened():
            cameras.append(CameraDevice(index, f"camera {index}"))
        capture.release()
    return cameras


def open_capture(index: int | str) -> Any:
    """Returns a `cv2.VideoCapture`, open or not, without OpenCV's log lines about a camera that is missing."""
    import cv2

    logs = cv2.utils.logging
    level = logs.setLogLevel(logs.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(index, _backend())
    finally:
        logs.setLogLevel(level)


def read_v4l2_cameras() -> list[CameraDevice]:
    """Returns the cameras that Linux lists, without opening any; an empty list on other systems."""
    cameras = []
    for entry in _V4L2_FOLDER.glob("video*") if sys.platform == "linux" else ():
        number = entry.name.removeprefix("video")
        # A camera has several nodes; only the first of each gives pictures, the others metadata.
        node = entry / "index"
        try:
            if number.isdecimal() and (not node.exists() or node.read_text().strip() == "0"):
                cameras.append(CameraDevice(int(number), (entry / "name").read_text(errors="replace").strip()))
        except OSError:  # unplugged since it was listed
            continue
    return sorted(cameras)


def _backend() -> int:
    import cv2

    backends = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
    return backends.get(sys.platform, cv2.CAP_ANY)


def resolve_camera(device: int | str) -> int | str:
    """Returns OpenCV's index or path of a camera given by number, by path or by a part of its name.

    Raises SourceOpenError ("not-found"), and CameraRequestError ("ambiguous") for a name that fits several cameras.
    """
    if isinstance(device, int) or device.isdecimal():
        return int(device)
    if device.startswith("/dev/"):
        return device
    matches = [camera.index for camera in list_cameras() if device.lower() in camera.name.lower()]
    if not matches:
        raise SourceOpenError(f"no camera found by the name {device!r}; {describe_cameras()}", code="not-found")
    if len(matches) > 1:
        raise CameraRequestError(
            f"{len(matches)} cameras found by the name {device!r}; {describe_cameras()}", code="ambiguous"
        )
    return matches[0]


def describe_cameras() -> str:
    """Returns a phrase for messages that lists the cameras of this machine."""
    cameras = ", ".join(str(camera) for camera in list_cameras())
    return f"cameras found: {cameras}" if cameras else "no camera was found on this machine"
