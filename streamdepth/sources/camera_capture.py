"""One open camera, by OpenCV: it is asked for settings, which are compared with those that it grants, and read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.sources.camera_discovery import CameraRequestError, describe_cameras, open_capture
from streamdepth.sources.decoder import DecodedFrame

TIME_BASE = Fraction(1, 1_000_000)
"""Seconds per tick of a camera's timestamps."""

_COMMON_SIZES = ((320, 240), (640, 360), (640, 480), (800, 600), (1280, 720), (1280, 960), (1920, 1080), (3840, 2160))
_MAX_FPS = 1000
_FPS_TOLERANCE = 0.02
_RETRY_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """Settings to ask a camera for; None leaves the choice to the camera."""

    size: tuple[int, int] | None = None
    """(width, height) in px."""
    fps: float | None = None
    fourcc: str | None = None
    """Pixel format by its four letters, such as MJPG."""


class CameraCapture:
    """An open camera. OpenCV is called only on the thread that opened it; the attributes can be read on any.

    Raises SourceOpenError when the camera is missing or in use, CameraRequestError when it grants other settings than
    asked for, and SourceTimeoutError.

    Args:
        index: OpenCV's number or path of the camera.
        name: the camera's name in messages.
        started_at: `time.monotonic()` at time 0 of the timestamps.
    """

    def __init__(
        self,
        index: int | str,
        name: str,
        request: CameraRequest,
        notice: Callable[[str], None],
        timeout_seconds: float,
        started_at: float,
    ) -> None:
        self.failure: SourceError | None = None
        """The error that ended it."""
        self._name, self._request, self._notice = name, request, notice
        self._timeout_seconds, self._started_at = timeout_seconds, started_at
        self._capture = open_capture(index)
        try:
            self._prepare()
        except SourceLostError as error:
            self.close()
            raise SourceOpenError(str(error), code=error.code) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        if not self._capture.isOpened():
            raise SourceOpenError(
                f"{self._name} cannot be opened: it is missing or in use; {describe_cameras()}", code="not-found"
            )
        self._apply_request()
        self._first: Image | None = self._grab()
        height, width = self._first.shape[:2]
        self.size = width, height
        self._check_size()
        self.fps = self._granted_fps()

    def _apply_request(self) -> None:
        """Asks for the settings; MJPG comes before the size, since many cameras offer large sizes only in it."""
        import cv2

        request = self._request
        if request.fourcc:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*f"{request.fourcc:4.4}"))
        if request.size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, request.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, request.size[1])
        if request.fps:
            self._capture.set(cv2.CAP_PROP_FPS, request.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no stale pictures; drivers that cannot do it ignore it
        self._check_format()
        self._check_fps()

    def _check_format(self) -> None:
        import cv2

        requested = self._request.fourcc
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        granted = code.to_bytes(4, "little", signed=True).decode("ascii", "replace")
        if requested and code > 0 and granted.strip() != requested.strip():
            raise CameraRequestError(
                f"{self._name} was asked for {requested} and gives {granted}; ask for that, or for another size",
                code="format-not-granted",
            )

    def _check_fps(self) -> None:
        requested, granted = self._request.fps, self._granted_fps()
        if requested and granted is None:
            self._notice(f"{self._name} does not say its frame rate; {requested:g} was asked for")
        elif requested and granted and abs(float(granted) - requested) > _FPS_TOLERANCE * requested:
            raise CameraRequestError(
                f"{self._name} was asked for {requested:g} frames per second and gives {float(granted):g}; ask for "
                "that, for a smaller size or for fourcc MJPG",
                code="fps-not-granted",
            )

    def _check_size(self) -> None:
        requested = self._request.size
        if requested and requested != self.size:
            offered = ", ".join(f"{w}x{h}" for w, h in self._offered_sizes())
            raise CameraRequestError(
                f"{self._name} was asked for {requested[0]}x{requested[1]} px and gives {self.size[0]}x{self.size[1]} "
                f"px; it offers {offered or 'no common size'}; some sizes need fourcc MJPG",
                code="size-not-granted",
            )

    def _offered_sizes(self) -> list[tuple[int, int]]:
        """Returns the common sizes that the camera grants, in px."""
        import cv2

        offered = set()
        for width, height in _COMMON_SIZES:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
            properties = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
            offered.add((int(self._capture.get(properties[0])), int(self._capture.get(properties[1]))))
        return sorted(size for size in offered if min(size) > 0)

    def _granted_fps(self) -> Fraction | None:
        import cv2

        fps = self._capture.get(cv2.CAP_PROP_FPS)
        return Fraction(fps).limit_denominator(1001) if 0 < fps <= _MAX_FPS else None

    def read(self) -> DecodedFrame | None:
        """Returns the next frame; None once `failure` says why there is none."""
        image, self._first = self._first, None
        try:
            image = self._grab() if image is None else image
        except SourceError as error:
            self.failure = error.with_traceback(None)  # a traceback would keep this object alive
            return None
        if image.shape[1::-1] != self.size:
            self.failure = SourceLostError(f"{self._name} gives pictures of another size now", code="size-changed")
            return None
        now = time.monotonic()
        return DecodedFrame(image, round((now - self._started_at) / TIME_BASE), TIME_BASE, now)

    def _grab(self) -> Image:
        """Returns the next picture as RGB. Raises SourceLostError and SourceTimeoutError."""
        import cv2

        deadline = time.monotonic() + self._timeout_seconds
        while True:
            try:
                ok, picture = self._capture.read()
                if ok and picture is not None:
                    return _to_rgb(picture)
            except cv2.error as error:
                reason = getattr(error, "err", None) or error
                raise SourceLostError(
                    f"{self._name} gave data that is no picture ({reason}); try another fourcc", code="undecodable"
                ) from error
            if not self._capture.isOpened():
                raise SourceLostError(f"{self._name} is gone; was it unplugged? {describe_cameras()}", code="unplugged")
            if time.monotonic() >= deadline:
                raise SourceTimeoutError(
                    f"{self._name} gave no picture for {self._timeout_seconds:g} seconds; unplug it and plug it in "
                    "again, or close what else uses it"
                )
            time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """Releases the camera."""
        self._capture.release()


def _to_rgb(picture: Any) -> Image:
    """Converts OpenCV's picture, gray or BGR, to (H, W, 3) uint8 RGB."""
    import cv2

    code = cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)
