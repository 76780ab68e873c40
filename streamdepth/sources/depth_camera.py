"""Live depth cameras: pictures with the depth of their own sensor, by the packages of their makers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SourceError, SourceLostError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import StreamInfo
from streamdepth.geometry.lens_names import with_lens
from streamdepth.sources.camera_capture import TIME_BASE
from streamdepth.sources.decoder import DecodedFrame
from streamdepth.sources.live import LiveSource
from streamdepth.utils.printable import error_message

_START_SECONDS = 15.0
"""Time that such a camera may take to start: some load their firmware first."""


class DepthCameraCapture(ABC):
    """An open depth camera. A subclass connects in `__init__`, sets `size` and `intrinsics`, and has three methods.

    All are called on one thread. The makers' packages raise RuntimeError for all errors.
    """

    size: tuple[int, int]
    """(width, height) of the pictures in px."""
    fps: Fraction | None = None
    intrinsics: Intrinsics | None = None
    """The color camera, whose view the depth has, too."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: Exception | None = None
        self._started_at = time.monotonic()

    @abstractmethod
    def _grab(self) -> tuple[Image, DepthMap | None] | None:
        """Returns a picture and its depth, meters, NaN unknown; None where none came in time. Raises RuntimeError."""

    @abstractmethod
    def close(self) -> None:
        """Releases the camera."""

    def read(self) -> DecodedFrame | None:
        """Returns the next frame; None once `failure` says why there is none."""
        try:
            grabbed = self._grab()
        except RuntimeError as error:
            self.failure = SourceLostError(f"{self.name} is gone: {error_message(error)}", code="unplugged")
            return None
        if grabbed is None:
            self.failure = SourceLostError(f"{self.name} gives no pictures any more", code="source-timeout")
            return None
        image, depth_m = grabbed
        now = time.monotonic()
        pts = round((now - self._started_at) / TIME_BASE)
        return DecodedFrame(image, pts, TIME_BASE, now, sensor_depth=depth_m)


class DepthCameraSource(LiveSource[DepthCameraCapture]):
    """A live depth camera whose frames carry the depth of its sensor, in the view of its pictures.

    One that is unplugged is opened again as described at `LiveSource`.

    Args:
        name: the camera, for people.
        connect: opens it; gets the name. Raises SourceError.
        timeout_seconds: the longest time without a frame before it counts as lost.
        reconnect_seconds: how long to wait for one that was lost.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[str], DepthCameraCapture],
        *,
        timeout_seconds: float = 5.0,
        reconnect_seconds: float = 300.0,
    ) -> None:
        super().__init__(name, timeout_seconds=timeout_seconds, reconnect_seconds=reconnect_seconds)
        self._open_camera = connect

    def _connect(self) -> DepthCameraCapture:
        return self._open_camera(self.name)

    @property
    def _open_limit_seconds(self) -> float:
        return self.timeout_seconds + _START_SECONDS

    def _stream_info(self, connection: DepthCameraCapture) -> StreamInfo:
        return StreamInfo(
            self.name,
            *connection.size,
            fps=connection.fps,
            is_live=True,
            time_base=TIME_BASE,
            intrinsics=connection.intrinsics,
        )

    def _explain(self, error: Exception) -> str:
        return str(error)

    def _is_permanent(self, error: Exception, attempts: int) -> bool:
        return isinstance(error, SourceError) and error.code in ("size-not-granted", "missing-dependency")


def camera_with_lens(camera: Intrinsics, model: str, coefficients: Sequence[float]) -> Intrinsics:
    """Returns the camera with the lens model that a maker's package names; a pinhole camera if it is unknown here.

    RealSense's inverse_brown_conrady is unknown here, but its coefficients are zero in all current cameras.
    """
    try:
        return with_lens(camera, model, coefficients)
    except ValueError:
        return camera.pinhole
