"""Webcams and capture cards, by OpenCV."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from streamdepth.errors import SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.stages import Source
from streamdepth.types import Frame, Image, StreamInfo

_DEVICES = Path("/sys/class/video4linux")
_COMMON_SIZES = ((320, 240), (640, 360), (640, 480), (800, 600), (1280, 720), (1280, 960), (1920, 1080), (3840, 2160))
_FPS_TOLERANCE = 0.02
_RETRY_SECONDS = 0.01
_MOST_INDICES = 8
_TICK = Fraction(1, 1_000_000)


class CameraSource(Source):
    """A camera by index, by path (`/dev/video2`) or, on Linux, by a part of its name.

    `size` (width, height) in px, `fps` and `fourcc` ("MJPG"...) are requests: what the camera grants is read back, and
    a difference raises SourceOpenError with the sizes it offers. Timestamps are microseconds since `open`, taken from
    the monotonic clock when a picture arrives. A stall within OpenCV itself can last its own limit (10 s on Linux).
    Once open, a camera that gives no picture any more raises SourceLostError.
    """

    def __init__(
        self,
        device: int | str,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        fourcc: str | None = None,
        timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__()
        self.device, self.size, self.fps, self.fourcc = device, size, fps, fourcc
        self.timeout_seconds = timeout_seconds
        self._capture: Any = None
        self._first: Image | None = None
        self._name = ""
        self._index, self._pts, self._started = 0, -1, 0.0

    def open(self) -> StreamInfo:
        self.close()
        index = _index_of(self.device)
        self._name = f"camera {self.device}"
        self._capture = self._opened(index)
        try:
            self._request()
            self._first = self._grab()
            height, width = self._first.shape[:2]
            self._check_size(width, height)
        except SourceLostError as error:
            self.close()
            raise SourceOpenError(str(error)) from error
        except SourceError:
            self.close()
            raise
        self._index, self._pts, self._started = 0, -1, time.monotonic()
        return StreamInfo(self._name, width, height, fps=self._granted_fps(), is_live=True, time_base=_TICK)

    def _opened(self, index: int | str) -> Any:
        capture = _capture(index)
        if not capture.isOpened():
            capture.release()
            raise SourceOpenError(f"{self._name} cannot be opened: it is missing or in use; {_found()}")
        return capture

    def _request(self) -> None:
        """MJPG comes before the size: over USB 2 many cameras offer large pictures in that format only."""
        import cv2

        if self.fourcc:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*f"{self.fourcc:4.4}"))
        if self.size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.size[1])
        if self.fps:
            self._capture.set(cv2.CAP_PROP_FPS, self.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no stale pictures; drivers that cannot ignore it
        self._check_format()

    def _check_format(self) -> None:
        import cv2

        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        granted = code.to_bytes(4, "little", signed=True).decode("ascii", "replace")
        if self.fourcc and code > 0 and granted.strip() != self.fourcc.strip():
            raise SourceOpenError(
                f"{self._name} was asked for {self.fourcc} and gives {granted}; ask for that, or for another size"
            )
        fps = self._granted_fps()
        if self.fps and fps is None:
            self.notice(f"{self._name} does not say its frame rate; {self.fps:g} was asked for")
        elif self.fps and fps and abs(float(fps) - self.fps) > _FPS_TOLERANCE * self.fps:
            raise SourceOpenError(
                f"{self._name} was asked for {self.fps:g} frames per second and gives {float(fps):g}; ask for that, "
                "for a smaller size or for fourcc MJPG"
            )

    def _check_size(self, width: int, height: int) -> None:
        if self.size and self.size != (width, height):
            offered = ", ".join(f"{w}x{h}" for w, h in self._offered_sizes())
            raise SourceOpenError(
                f"{self._name} was asked for {self.size[0]}x{self.size[1]} px and gives {width}x{height} px; it offers "
                f"{offered or 'no common size'}; some sizes need fourcc MJPG"
            )

    def _offered_sizes(self) -> list[tuple[int, int]]:
        import cv2

        offered = set()
        for width, height in _COMMON_SIZES:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
            granted = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
            offered.add((int(self._capture.get(granted[0])), int(self._capture.get(granted[1]))))
        return sorted(size for size in offered if min(size) > 0)

    def _granted_fps(self) -> Fraction | None:
        import cv2

        fps = self._capture.get(cv2.CAP_PROP_FPS)
        return Fraction(fps).limit_denominator(1001) if 0 < fps <= 1000 else None

    def read(self) -> Frame | None:
        if self._capture is None:
            return None
        image, self._first = self._first, None
        if image is None:
            image = self._grab_or_close()
        captured_at = time.monotonic()
        self._pts = max(self._pts + 1, round((captured_at - self._started) / _TICK))
        index, self._index = self._index, self._index + 1
        return Frame(image, index, self._pts, _TICK, captured_at, self._name)

    def _grab_or_close(self) -> Image:
        try:
            return self._grab()
        except SourceTimeoutError as error:
            self.close()
            raise SourceLostError(str(error)) from error
        except SourceLostError:
            self.close()
            raise

    def _grab(self) -> Image:
        import cv2

        deadline = time.monotonic() + self.timeout_seconds
        while True:
            try:
                ok, picture = self._capture.read()
                if ok and picture is not None:
                    return _rgb(picture)
            except cv2.error as error:
                reason = getattr(error, "err", None) or error
                raise SourceLostError(f"{self._name} gave what is no picture ({reason}); try another fourcc") from error
            if not self._capture.isOpened():
                raise SourceLostError(f"{self._name} is gone; was it unplugged? {_found()}")
            if time.monotonic() >= deadline:
                raise SourceTimeoutError(
                    f"{self._name} gave no picture for {self.timeout_seconds:g} seconds; unplug it and plug it in "
                    "again, or close what else uses it"
                )
            time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        capture, self._capture, self._first = self._capture, None, None
        if capture is not None:
            capture.release()


@dataclass(frozen=True, slots=True, order=True)
class Camera:
    """A camera that this machine has."""

    index: int
    name: str

    def __str__(self) -> str:
        return f"{self.index} ({self.name})"


def list_cameras() -> list[Camera]:
    """The cameras of this machine. Linux knows them all; elsewhere the first few indices are tried."""
    if sys.platform == "linux":
        return _linux_cameras()
    found = []
    for index in range(_MOST_INDICES):
        capture = _capture(index)
        if capture.isOpened():
            found.append(Camera(index, f"camera {index}"))
        capture.release()
    return found


def _capture(index: int | str) -> Any:
    """A capture, open or not; OpenCV's own lines about a camera that is not there are kept from the screen."""
    import cv2

    logs = cv2.utils.logging
    before = logs.setLogLevel(logs.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(index, _backend())
    finally:
        logs.setLogLevel(before)


def _linux_cameras() -> list[Camera]:
    cameras = []
    for entry in _DEVICES.glob("video*"):
        number = entry.name.removeprefix("video")
        # A camera has several nodes; only the first of each gives pictures, the others metadata.
        node = entry / "index"
        if number.isdecimal() and (not node.exists() or node.read_text().strip() == "0"):
            cameras.append(Camera(int(number), (entry / "name").read_text(errors="replace").strip()))
    return sorted(cameras)


def _backend() -> int:
    import cv2

    backends = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
    return backends.get(sys.platform, cv2.CAP_ANY)


def _index_of(device: int | str) -> int | str:
    if isinstance(device, int) or device.isdecimal():
        return int(device)
    if device.startswith("/dev/"):
        return device
    matches = [camera.index for camera in list_cameras() if device.lower() in camera.name.lower()]
    if len(matches) != 1:
        count = "no camera" if not matches else f"{len(matches)} cameras"
        raise SourceOpenError(f"{count} found by the name {device!r}; {_found()}")
    return matches[0]


def _found() -> str:
    cameras = ", ".join(str(camera) for camera in list_cameras())
    return f"cameras found: {cameras}" if cameras else "no camera was found on this machine"


def _rgb(picture: Any) -> Image:
    import cv2

    code = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)
