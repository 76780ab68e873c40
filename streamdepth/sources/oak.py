"""Live OAK cameras, by depthai 3. Tested with a stand-in for the package, and with no camera."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import MissingDependencyError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.sources.depth_camera import DepthCameraCapture
from streamdepth.utils.printable import error_message

_SIZE, _FPS = (640, 400), 30.0
_STEREO_SIZE = (640, 400)
_MILLIMETER = np.float32(0.001)


class OakCapture(DepthCameraCapture):
    """An open OAK camera: its color pictures without distortion, and the depth of its stereo pair aligned to them.

    Args:
        name: the camera, for people.
        device: its id, IP address or USB port; None takes any.
        size: (width, height) of the pictures in px; None: 640x400.
        fps: frames per second; None: 30.
        timeout_seconds: the longest time to wait for a frame.

    Raises:
        SourceOpenError: without such a camera, or one that has no stereo pair or refuses the size ("not-found").
        MissingDependencyError: without depthai.
    """

    def __init__(
        self,
        name: str,
        device: str | None = None,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        timeout_seconds: float = 5.0,
    ) -> None:
        super().__init__(name)
        dai, rate = _package(), fps or _FPS
        self.size, self.fps = size or _SIZE, Fraction(rate).limit_denominator(1001)
        self._timeout = timedelta(seconds=timeout_seconds)
        try:
            self._pipeline = dai.Pipeline(dai.Device(dai.DeviceInfo(device))) if device else dai.Pipeline()
            self._queue = self._make_queue(dai, rate)
            self.intrinsics = self._read_intrinsics(dai)
            self._pipeline.start()
        except RuntimeError as error:
            raise SourceOpenError(
                f"{name} cannot be opened: {error_message(error)}; is it plugged in, and does it have a stereo pair?",
                code="not-found",
            ) from error

    def _make_queue(self, dai: ModuleType, fps: float) -> Any:
        """Builds the pipeline on the camera and returns the queue of pictures with their depth."""
        sockets, create = dai.CameraBoardSocket, self._pipeline.create
        kind = dai.ImgFrame.Type.BGR888i
        color = create(dai.node.Camera).build(sockets.CAM_A)
        pictures = color.requestOutput(self.size, kind, fps=fps, enableUndistortion=True)
        pair = [
            create(dai.node.Camera).build(socket).requestOutput(_STEREO_SIZE, fps=fps)
            for socket in (sockets.CAM_B, sockets.CAM_C)
        ]
        stereo = create(dai.node.StereoDepth).build(*pair)
        depth = self._aligned_depth(dai, stereo, pictures)
        sync = create(dai.node.Sync)
        sync.setSyncThreshold(timedelta(seconds=0.5 / fps))
        pictures.link(sync.inputs["color"])
        depth.link(sync.inputs["depth"])
        return sync.out.createOutputQueue(maxSize=2, blocking=False)

    def _aligned_depth(self, dai: ModuleType, stereo: Any, pictures: Any) -> Any:
        """Returns the output of depth in the view of the pictures; newer cameras (RVC4) align in a node of its own."""
        if self._pipeline.getDefaultDevice().getPlatformAsString() != "RVC4":
            pictures.link(stereo.inputAlignTo)
            return stereo.depth
        align = self._pipeline.create(dai.node.ImageAlign)
        stereo.depth.link(align.input)
        pictures.link(align.inputAlignTo)
        return align.outputAligned

    def _read_intrinsics(self, dai: ModuleType) -> Intrinsics:
        calibration = self._pipeline.getDefaultDevice().readCalibration()
        k = calibration.getCameraIntrinsics(dai.CameraBoardSocket.CAM_A, *self.size)
        return Intrinsics(k[0][0], k[1][1], k[0][2], k[1][2], *self.size)

    def _grab(self) -> tuple[Image, DepthMap | None] | None:
        group = self._queue.get(self._timeout)
        if group is None:
            return None
        image = np.asarray(cv2.cvtColor(group["color"].getCvFrame(), cv2.COLOR_BGR2RGB), np.uint8)
        millimeters = group["depth"].getFrame()
        depth_m = np.where(millimeters > 0, millimeters * _MILLIMETER, np.float32(np.nan)).astype(np.float32)
        return image, depth_m

    def close(self) -> None:
        try:
            self._pipeline.stop()
        except RuntimeError:  # it was not running any more
            return


def _package() -> ModuleType:
    try:
        import depthai
    except ImportError as error:
        raise MissingDependencyError("depthai", "oak", "an OAK camera") from error
    package: ModuleType = depthai
    return package
