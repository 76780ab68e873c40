"""Webcams and capture cards, by OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceError, SourceLostError, SourceOpenError, SourceTimeoutError
from streamdepth.core.types import StreamInfo
from streamdepth.sources.camera_discovery import (
    CameraDevice,
    CameraRequestError,
    bgr_to_rgb,
    describe_cameras,
    open_capture,
    read_v4l2_cameras,
    resolve_camera,
)
from streamdepth.sources.decoder import DecodedFrame
from streamdepth.sources.live import LiveSource

_COMMON_SIZES = ((320, 240), (640, 360), (640, 480), (800, 600), (1280, 720), (1280, 960), (1920, 1080), (3840, 2160))
_FPS_TOLERANCE = 0.02
_RETRY_SECONDS = 0.01
_DRIVER_SECONDS = 10.0
"""OpenCV itself waits so long for a picture, on Linux."""
_TICK = Fraction(1, 1_000_000)


class CameraSource(LiveSource["CameraCapture"]):
    """A camera by index, by path (`/dev/video2`) or, on Linux, by a part of its name.

    `size` (width, height) in px, `fps` and `fourcc` ("MJPG"...) are requests: what the camera grants is read back, and
    a difference raises SourceOpenError with the sizes it offers. Timestamps are microseconds since `open`, taken from
    the monotonic clock when a picture arrives. A camera that is unplugged or gives no picture for `timeout_seconds` is
    opened again as LiveSource tells; by number, it is found under another number too, by its name, where that is the
    only one of that name.
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
        self.device, self.size, self.fps, self.fourcc = device, size, fps, fourcc
        self._prepare()

    def _prepare(self) -> None:
        self._known: CameraDevice | None = None
        self._was_gone = False
        self._started = time.monotonic()

    def _connect(self) -> CameraCapture:
        index = self._node()
        request = CameraRequest(self.size, self.fps, self.fourcc)
        camera = CameraCapture(index, self.name, request, self.add_notice, self.timeout_seconds, self._started)
        self._known = self._known or next((c for c in read_v4l2_cameras() if c.index == index), None)
        return camera

    def _node(self) -> int | str:
        same = [camera.index for camera in read_v4l2_cameras() if self._known and camera.name == self._known.name]
        return same[0] if len(same) == 1 else resolve_camera(self.device)

    @property
    def _opening_seconds(self) -> float:
        return self.timeout_seconds + _DRIVER_SECONDS

    @property
    def _silence_seconds(self) -> float:
        return max(self.timeout_seconds, _DRIVER_SECONDS)

    def _describe(self, connection: CameraCapture) -> StreamInfo:
        return StreamInfo(self.name, *connection.size, fps=connection.fps, is_live=True, time_base=_TICK)

    def _fault(self, connection: CameraCapture) -> Exception | None:
        return connection.failure

    def _explain(self, fault: Exception) -> str:
        return str(fault)

    def _is_final(self, error: Exception, times: int) -> bool:
        return isinstance(error, CameraRequestError)

    def _is_back(self, after: Exception | None) -> bool:
        """Plugged in again, which only Linux tells. What was there all the time is asked at the usual times only."""
        is_here = self._known is None or self._known.name in (camera.name for camera in read_v4l2_cameras())
        is_back, self._was_gone = is_here and self._was_gone, not is_here
        return is_back


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What to ask a camera for; None: whatever it gives."""

    size: tuple[int, int] | None = None
    """(width, height) in px."""
    fps: float | None = None
    fourcc: str | None = None


class CameraCapture:
    """All is asked of OpenCV on the thread that opened it; the facts can be read on any.

    Raises SourceOpenError when it is missing or in use, CameraRequestError when it grants something else, and
    SourceTimeoutError.
    """

    def __init__(
        self,
        index: int | str,
        name: str,
        request: CameraRequest,
        notice: Callable[[str], None],
        timeout_seconds: float,
        started: float,
    ) -> None:
        self.failure: SourceError | None = None
        """What ended it."""
        self._name, self._request, self._notice = name, request, notice
        self._timeout_seconds, self._started = timeout_seconds, started
        self._capture = open_capture(index)
        try:
            self._prepare()
        except SourceLostError as error:
            self.close()
            raise SourceOpenError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        if not self._capture.isOpened():
            raise SourceOpenError(f"{self._name} cannot be opened: it is missing or in use; {describe_cameras()}")
        self._ask()
        self._first: Image | None = self._grab()
        height, width = self._first.shape[:2]
        self.size = width, height
        self._check_size()
        self.fps = self._granted_fps()

    def _ask(self) -> None:
        """MJPG comes before the size: over USB 2 many cameras offer large pictures in that format only."""
        import cv2

        request = self._request
        if request.fourcc:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*f"{request.fourcc:4.4}"))
        if request.size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, request.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, request.size[1])
        if request.fps:
            self._capture.set(cv2.CAP_PROP_FPS, request.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no stale pictures; drivers that cannot ignore it
        self._check_format()

    def _check_format(self) -> None:
        import cv2

        asked = self._request
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        granted = code.to_bytes(4, "little", signed=True).decode("ascii", "replace")
        if asked.fourcc and code > 0 and granted.strip() != asked.fourcc.strip():
            raise CameraRequestError(
                f"{self._name} was asked for {asked.fourcc} and gives {granted}; ask for that, or for another size"
            )
        fps = self._granted_fps()
        if asked.fps and fps is None:
            self._notice(f"{self._name} does not say its frame rate; {asked.fps:g} was asked for")
        elif asked.fps and fps and abs(float(fps) - asked.fps) > _FPS_TOLERANCE * asked.fps:
            raise CameraRequestError(
                f"{self._name} was asked for {asked.fps:g} frames per second and gives {float(fps):g}; ask for that, "
                "for a smaller size or for fourcc MJPG"
            )

    def _check_size(self) -> None:
        asked = self._request.size
        if asked and asked != self.size:
            offered = ", ".join(f"{w}x{h}" for w, h in self._offered_sizes())
            raise CameraRequestError(
                f"{self._name} was asked for {asked[0]}x{asked[1]} px and gives {self.size[0]}x{self.size[1]} px; it "
                f"offers {offered or 'no common size'}; some sizes need fourcc MJPG"
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

    def read(self) -> DecodedFrame | None:
        """The next picture; None once `failure` tells why there is none."""
        image, self._first = self._first, None
        try:
            image = self._grab() if image is None else image
        except SourceError as error:
            self.failure = error.with_traceback(None)  # which would hold this connection
            return None
        if image.shape[1::-1] != self.size:
            self.failure = SourceLostError(f"{self._name} gives pictures of another size now")
            return None
        now = time.monotonic()
        return DecodedFrame(image, round((now - self._started) / _TICK), _TICK, now)

    def _grab(self) -> Image:
        import cv2

        deadline = time.monotonic() + self._timeout_seconds
        while True:
            try:
                ok, picture = self._capture.read()
                if ok and picture is not None:
                    return bgr_to_rgb(picture)
            except cv2.error as error:
                reason = getattr(error, "err", None) or error
                raise SourceLostError(f"{self._name} gave what is no picture ({reason}); try another fourcc") from error
            if not self._capture.isOpened():
                raise SourceLostError(f"{self._name} is gone; was it unplugged? {describe_cameras()}")
            if time.monotonic() >= deadline:
                raise SourceTimeoutError(
                    f"{self._name} gave no picture for {self._timeout_seconds:g} seconds; unplug it and plug it in "
                    "again, or close what else uses it"
                )
            time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """Lets go of it."""
        self._capture.release()
