"""Live RealSense cameras, by pyrealsense2. Tested with a stand-in for the package, and with no camera."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import MissingDependencyError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.sources.depth_camera import DepthCameraCapture, camera_with_lens
from streamdepth.utils.printable import error_message


class RealSenseCapture(DepthCameraCapture):
    """An open RealSense camera: its color pictures, and its depth aligned to them by the package.

    Args:
        name: the camera, for people.
        serial: its serial number; None takes any.
        size: (width, height) of the pictures in px; None leaves it to the camera.
        fps: frames per second; None leaves it to the camera.
        timeout_seconds: the longest time to wait for a frame.

    Raises:
        SourceOpenError: without such a camera ("not-found"), or where it refuses the size ("size-not-granted").
        MissingDependencyError: without pyrealsense2.
    """

    def __init__(
        self,
        name: str,
        serial: str | None = None,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(name)
        rs = _package()
        self._timeout_ms = round(timeout_seconds * 1000)
        self._pipeline, config = rs.pipeline(), rs.config()
        if serial:
            config.enable_device(serial)
        rate = round(fps or 0)
        config.enable_stream(rs.stream.color, *(size or (0, 0)), rs.format.rgb8, rate)  # 0 leaves the choice to it
        config.enable_stream(rs.stream.depth, 0, 0, rs.format.z16, rate)
        try:
            profile = self._pipeline.start(config)
        except RuntimeError as error:
            is_size = bool(size or fps) and "resolve" in str(error)
            raise SourceOpenError(
                f"{name} cannot be opened: {error_message(error)}; is it plugged in, on USB 3, and does it offer that "
                "size and rate?",
                code="size-not-granted" if is_size else "not-found",
            ) from error
        self._align = rs.align(rs.stream.color)
        self._unit_m = float(profile.get_device().first_depth_sensor().get_depth_scale())
        video = profile.get_stream(rs.stream.color).as_video_stream_profile()
        self.fps = Fraction(video.fps()) if video.fps() else None
        self.intrinsics = _intrinsics(video.get_intrinsics())
        self.size = self.intrinsics.width, self.intrinsics.height

    def _grab(self) -> tuple[Image, DepthMap | None] | None:
        frames = self._align.process(self._pipeline.wait_for_frames(self._timeout_ms))
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        if not color:
            return None
        image = np.array(np.asanyarray(color.get_data()), np.uint8)  # a copy: the package uses its memory again
        if not depth:
            return image, None
        units = np.asanyarray(depth.get_data())
        return image, np.where(units > 0, units * np.float32(self._unit_m), np.float32(np.nan)).astype(np.float32)

    def close(self) -> None:
        try:
            self._pipeline.stop()
        except RuntimeError:  # it was not running any more
            return


def _intrinsics(found: Any) -> Intrinsics:
    camera = Intrinsics(found.fx, found.fy, found.ppx, found.ppy, found.width, found.height)
    return camera_with_lens(camera, str(found.model).rpartition(".")[2], list(found.coeffs))


def _package() -> ModuleType:
    try:
        import pyrealsense2
    except ImportError as error:
        raise MissingDependencyError("pyrealsense2", "realsense", "a RealSense camera") from error
    package: ModuleType = pyrealsense2
    return package
