"""Webcams and capture cards, by OpenCV."""

from __future__ import annotations

import time

from streamdepth.core.types import StreamInfo
from streamdepth.sources.camera_capture import TIME_BASE, CameraCapture, CameraRequest
from streamdepth.sources.camera_discovery import CameraDevice, CameraRequestError, read_v4l2_cameras, resolve_camera
from streamdepth.sources.live import LiveSource

_DRIVER_SECONDS = 10.0
"""Time that OpenCV itself waits for a picture on Linux."""


class CameraSource(LiveSource[CameraCapture]):
    """A camera given by number, by path (`/dev/video2`) or, on Linux, by a part of its name.

    The settings that the camera grants are read back, and a difference raises CameraRequestError with the sizes that
    it offers. Timestamps are microseconds since `open`, taken from the monotonic clock when a picture arrives. A camera
    that is unplugged, or gives no picture for `timeout_seconds`, is opened again as described at `LiveSource`. A camera
    given by number is found under another number too: by its name, if no other camera has the same one.

    Args:
        size: (width, height) in px to ask for; None: what the camera prefers.
        fps: frames per second to ask for.
        fourcc: pixel format to ask for, such as "MJPG".
    """

    def __init__(
        self,
        device: int | str,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        fourcc: str | None = None,
        timeout_seconds: float = 5.0,
        reconnect_seconds: float = 300.0,
    ) -> None:
        super().__init__(f"camera {device}", timeout_seconds=timeout_seconds, reconnect_seconds=reconnect_seconds)
        self.device, self.request = device, CameraRequest(size, fps, fourcc)
        self._prepare()

    def _prepare(self) -> None:
        self._camera: CameraDevice | None = None
        """The camera that was open before, to find it again by its name."""
        self._was_unplugged = False
        self._started_at = time.monotonic()

    def _connect(self) -> CameraCapture:
        index = self._current_index()
        capture = CameraCapture(index, self.name, self.request, self.add_notice, self.timeout_seconds, self._started_at)
        self._camera = self._camera or next((c for c in read_v4l2_cameras() if c.index == index), None)
        return capture

    def _current_index(self) -> int | str:
        same = [c.index for c in read_v4l2_cameras() if self._camera and c.name == self._camera.name]
        return same[0] if len(same) == 1 else resolve_camera(self.device)

    @property
    def _open_limit_seconds(self) -> float:
        return self.timeout_seconds + _DRIVER_SECONDS

    @property
    def _silence_limit_seconds(self) -> float:
        return max(self.timeout_seconds, _DRIVER_SECONDS)

    def _stream_info(self, connection: CameraCapture) -> StreamInfo:
        return StreamInfo(self.name, *connection.size, fps=connection.fps, is_live=True, time_base=TIME_BASE)

    def _explain(self, error: Exception) -> str:
        return str(error)

    def _is_permanent(self, error: Exception, attempts: int) -> bool:
        return isinstance(error, CameraRequestError)

    def _seems_back(self, error: Exception | None) -> bool:
        """True once after the camera was plugged in again, which only Linux shows."""
        is_plugged_in = self._camera is None or self._camera.name in (c.name for c in read_v4l2_cameras())
        is_back, self._was_unplugged = is_plugged_in and self._was_unplugged, not is_plugged_in
        return is_back
