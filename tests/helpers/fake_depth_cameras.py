"""Stand-ins for pyrealsense2 and depthai, with the calls that the sources make of the real packages."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = (48, 32)
COUNT = 4
"""Frames that a camera gives before it is unplugged."""


def color(index: int) -> np.ndarray:
    """Returns (H, W, 3) RGB, redder with each frame."""
    return np.full((SIZE[1], SIZE[0], 3), (10 * index, 0, 50), np.uint8)


def units(index: int) -> np.ndarray:
    """Returns depth of a wall, 2000 and 100 more with each frame, with a hole of one pixel."""
    values = np.full(SIZE[::-1], 2000 + 100 * index, np.uint16)
    values[3, 5] = 0
    return values


def _object(**members: Any) -> Any:
    return types.SimpleNamespace(**members)


def fake_realsense(log: list[Any], *, devices: int = 1, scale: float = 0.001) -> types.ModuleType:
    """Returns a module `pyrealsense2`; what is asked of it is added to `log`."""
    module = types.ModuleType("pyrealsense2")
    intrinsics = _object(
        fx=40.0,
        fy=41.0,
        ppx=23.5,
        ppy=15.5,
        width=48,
        height=32,
        model="distortion.inverse_brown_conrady",
        coeffs=[0] * 5,
    )
    video = _object(fps=lambda: 30, get_intrinsics=lambda: intrinsics)
    profile = _object(
        get_device=lambda: _object(first_depth_sensor=lambda: _object(get_depth_scale=lambda: scale)),
        get_stream=lambda _: _object(as_video_stream_profile=lambda: video),
    )

    class Config:
        def enable_device(self, serial: str) -> None:
            log.append(("device", serial))

        def enable_stream(self, *arguments: Any) -> None:
            log.append(arguments)

    class Pipeline:
        count = 0

        def start(self, _config: Config) -> Any:
            if not devices:
                raise RuntimeError("No device connected")
            return profile

        def wait_for_frames(self, _timeout_ms: int) -> Any:
            index, Pipeline.count = self.count, self.count + 1
            if index >= COUNT:
                raise RuntimeError("Device disconnected")
            images = [_object(get_data=lambda data=data: data) for data in (color(index), units(index))]
            return _object(get_color_frame=lambda: images[0], get_depth_frame=lambda: images[1])

        def stop(self) -> None:
            log.append("stopped")

    module.pipeline, module.config = Pipeline, Config
    module.stream, module.format = _object(color="color", depth="depth"), _object(rgb8="rgb8", z16="z16")
    module.align = lambda stream: _object(process=lambda frames: log.append(("align", stream)) or frames)
    return module


def fake_depthai(log: list[Any], *, platform: str = "RVC2", devices: int = 1) -> types.ModuleType:
    """Returns a module `depthai` of version 3; the links of its pipeline are added to `log`."""
    module = types.ModuleType("depthai")

    class Output:
        def __init__(self, name: str) -> None:
            self.name = name

        def link(self, other: Any) -> None:
            log.append((self.name, other))

        def createOutputQueue(self, maxSize: int, blocking: bool) -> Any:  # noqa: N802, N803 - the package's names
            log.append(("queue", maxSize, blocking))
            return _object(get=_next_group())

    class Camera:
        def build(self, socket: str) -> Camera:
            self.socket = socket
            return self

        def requestOutput(self, size: tuple[int, int], kind: Any = None, **options: Any) -> Output:  # noqa: N802
            log.append((self.socket, size, kind, options))
            return Output(self.socket)

    class Stereo:
        depth, inputAlignTo = Output("stereo depth"), "stereo align"  # noqa: N815

        def build(self, left: Output, right: Output) -> Stereo:
            log.append(("stereo", left.name, right.name))
            return self

    class Align:
        input, inputAlignTo, outputAligned = "align input", "align to", Output("aligned")  # noqa: N815

    class Sync:
        inputs: Any = {"color": "sync color", "depth": "sync depth"}  # noqa: RUF012 - a stand-in
        out = Output("sync")

        def setSyncThreshold(self, threshold: Any) -> None:  # noqa: N802
            log.append(("threshold", threshold.total_seconds()))

    class Pipeline:
        def __init__(self, device: Any = None) -> None:
            if not devices:
                raise RuntimeError("No available devices")
            log.append(("opened", device))

        def create(self, node: Callable[[], Any]) -> Any:
            return node()

        def getDefaultDevice(self) -> Any:  # noqa: N802
            matrix = [[40.0, 0, 23.5], [0, 41.0, 15.5], [0, 0, 1]]
            calibration = _object(getCameraIntrinsics=lambda *_: matrix)
            return _object(getPlatformAsString=lambda: platform, readCalibration=lambda: calibration)

        def start(self) -> None:
            log.append("started")

        def stop(self) -> None:
            log.append("stopped")

    module.Pipeline, module.Device, module.DeviceInfo = Pipeline, lambda info: info, lambda text: text
    module.CameraBoardSocket = _object(CAM_A="A", CAM_B="B", CAM_C="C")
    module.ImgFrame = _object(Type=_object(BGR888i="bgr"))
    module.node = _object(Camera=Camera, StereoDepth=Stereo, ImageAlign=Align, Sync=Sync)
    return module


def _next_group() -> Callable[[Any], Any]:
    numbers = iter(range(COUNT))

    def get(_timeout: Any) -> Any:
        index = next(numbers, None)
        if index is None:
            return None
        return {
            "color": _object(getCvFrame=lambda: color(index)[..., ::-1]),
            "depth": _object(getFrame=lambda: units(index)),
        }

    return get
