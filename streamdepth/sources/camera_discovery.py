"""The cameras of this machine, and how OpenCV opens them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceOpenError

_DEVICES = Path("/sys/class/video4linux")
_MOST_INDICES = 8


class CameraRequestError(SourceOpenError):
    """What was asked for cannot be had of the cameras that are there: waiting does not help."""


@dataclass(frozen=True, slots=True, order=True)
class CameraDevice:
    """A camera that this machine has."""

    index: int
    name: str

    def __str__(self) -> str:
        return f"{self.index} ({self.name})"


def list_cameras() -> list[CameraDevice]:
    """The cameras of this machine. Linux knows them all; elsewhere the first few indices are tried."""
    if sys.platform == "linux":
        return read_v4l2_cameras()
    found = []
    for index in range(_MOST_INDICES):
        capture = open_capture(index)
        if capture.isOpened():
            found.append(CameraDevice(index, f"camera {index}"))
        capture.release()
    return found


def open_capture(index: int | str) -> Any:
    """A capture, open or not; OpenCV's own lines about a camera that is not there are kept from the screen."""
    import cv2

    logs = cv2.utils.logging
    before = logs.setLogLevel(logs.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(index, _backend())
    finally:
        logs.setLogLevel(before)


def read_v4l2_cameras() -> list[CameraDevice]:
    """Those that can be told without opening any: Linux's own list; none elsewhere."""
    cameras = []
    for entry in _DEVICES.glob("video*") if sys.platform == "linux" else ():
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
    """What OpenCV calls a camera given by number, path or a part of its name.

    Raises SourceOpenError, and CameraRequestError for a name that fits several.
    """
    if isinstance(device, int) or device.isdecimal():
        return int(device)
    if device.startswith("/dev/"):
        return device
    matches = [camera.index for camera in list_cameras() if device.lower() in camera.name.lower()]
    if not matches:
        raise SourceOpenError(f"no camera found by the name {device!r}; {describe_cameras()}")
    if len(matches) > 1:
        raise CameraRequestError(f"{len(matches)} cameras found by the name {device!r}; {describe_cameras()}")
    return matches[0]


def describe_cameras() -> str:
    """Words about what cameras there are."""
    cameras = ", ".join(str(camera) for camera in list_cameras())
    return f"cameras found: {cameras}" if cameras else "no camera was found on this machine"


def bgr_to_rgb(picture: Any) -> Image:
    """(H, W, 3) uint8 RGB of what OpenCV gives."""
    import cv2

    code = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)
