"""LeRobot's interface of cameras on a live stream with depth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lerobot.cameras.camera import Camera
from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

from streamdepth.api import DepthStream
from streamdepth.apps.lerobot.camera.configuration import StreamDepthCameraConfig
from streamdepth.apps.lerobot.latest_frame import LatestFrame, age_seconds
from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.sinks.pending_files import atomic_write
from streamdepth.sources.camera_discovery import list_cameras
from streamdepth.utils.redact import redact

_LARGEST_MM = 65535


class StreamDepthCamera(Camera):  # type: ignore[misc]  # lerobot is not there for the type checker
    """Gives the newest picture of a stream and its depth, as LeRobot's class for RealSense cameras does.

    A frame that is too old is a TimeoutError, an error of the stream is raised by the next read.

        config = StreamDepthCameraConfig(source="0", model="depth-anything-v2-metric-indoor-small")
        with StreamDepthCamera(config) as camera:
            picture, depth_mm = camera.read_latest(), camera.read_latest_depth()
    """

    width: int | None
    height: int | None

    def __init__(self, config: StreamDepthCameraConfig) -> None:
        super().__init__(config)
        self.config, self.use_rgb, self.use_depth = config, True, config.use_depth
        self.intrinsics: Intrinsics | None = None
        """The camera of the pictures; None before `connect`, and where it is not known."""
        self._latest: LatestFrame | None = None
        self._pictured: DepthFrame | None = None
        """The frame whose picture `read_latest` has returned, until its depth is read."""

    @property
    def is_connected(self) -> bool:
        """True between `connect` and `disconnect`."""
        return self._latest is not None

    @staticmethod
    def find_cameras() -> list[dict[str, Any]]:
        """Returns the webcams of this machine, each with its type, id and name."""
        return [{"type": "streamdepth", "id": camera.index, "name": camera.name} for camera in list_cameras()]

    def connect(self, warmup: bool = True) -> None:
        """Opens the stream and waits for its first frame with depth, which `warmup` does not change.

        Raises:
            DeviceAlreadyConnectedError: if it is connected.
            TimeoutError: if there is no frame within `connect_timeout_s`.
            RuntimeError: if the pictures have another size than the configuration says.
            ConfigError: if the depth is not metric ("relative-depth"), or `intrinsics_path` was given and nothing is
                known of the camera ("no-camera").
            SourceError, EstimatorError: as opening the source and loading the model do.
        """
        if self._latest is not None:
            raise DeviceAlreadyConnectedError(f"{self} is connected")
        latest = LatestFrame(DepthStream(self.config.settings(), None, None, ()))
        try:
            self._adopt(latest.wait(self.config.connect_timeout_s))
        except BaseException:
            latest.close()
            raise
        self._latest = latest

    def _adopt(self, item: DepthFrame) -> None:
        """Takes over size and intrinsics of the first frame. Raises as `connect` does."""
        if self.use_depth and item.kind is DepthKind.RELATIVE:
            raise ConfigError(
                f"LeRobot's depth is in millimeters, and that of {self} is relative; choose a metric model, or say "
                "what you know of the scene in the section metric of the file at config_path, or set use_depth=false",
                code="relative-depth",
            )
        width, height = item.frame.size
        if (self.width or width, self.height or height) != (width, height):
            raise RuntimeError(f"{self} gives {width}x{height} px, and {self.width}x{self.height} px are configured")
        self.width, self.height, self.intrinsics = width, height, item.intrinsics
        if self.config.intrinsics_path is not None:
            self._write_intrinsics(self.config.intrinsics_path)

    def _write_intrinsics(self, path: Path) -> None:
        if self.intrinsics is None:
            raise ConfigError(
                f"nothing is known of the camera of {self} that '{path}' could hold; give its fov or info in the "
                "section camera of the file at config_path",
                code="no-camera",
            )
        with atomic_write(path, overwrite=True) as temporary:
            temporary.write_text(json.dumps(asdict(self.intrinsics), indent=1), encoding="utf-8")

    def read(self) -> Image:
        """Returns the next picture, (H, W, 3) uint8 RGB. Raises as `async_read` does, after `connect_timeout_s`."""
        return _picture(self._connected().wait(self.config.connect_timeout_s))

    def async_read(self, timeout_ms: float = 200) -> Image:
        """Returns the newest picture that was not read so yet, (H, W, 3) uint8 RGB.

        Raises:
            DeviceNotConnectedError: before `connect`.
            TimeoutError: if none comes within `timeout_ms`.
            StreamDepthError: the error that ended the stream.
        """
        return _picture(self._connected().wait(timeout_ms / 1000))

    def async_read_depth(self, timeout_ms: float = 200) -> npt.NDArray[np.uint16]:
        """Returns the depth of the newest frame that was not read so yet, as `read_latest_depth` does.

        Raises as `async_read` does, and RuntimeError if `use_depth` is false.
        """
        self._check_depth()
        return _millimeters(self._connected().wait(timeout_ms / 1000))

    def read_latest(self, max_age_ms: float = 500) -> Image:
        """Returns the newest picture at once, (H, W, 3) uint8 RGB.

        Raises:
            DeviceNotConnectedError: before `connect`.
            TimeoutError: if it was captured more than `max_age_ms` ago.
            StreamDepthError: the error that ended the stream.
        """
        self._pictured = self._connected().peek(max_age_ms / 1000)
        return _picture(self._pictured)

    def read_latest_depth(self, max_age_ms: float = 500) -> npt.NDArray[np.uint16]:
        """Returns the newest depth at once, (H, W, 1) uint16 millimeters along Z; 0 is unknown.

        After `read_latest` it is the depth of that picture, unless that is too old by now.

        Raises as `read_latest` does, and RuntimeError if `use_depth` is false.
        """
        self._check_depth()
        newest = self._connected().peek(max_age_ms / 1000)
        pictured, self._pictured = self._pictured, None
        if pictured is None or age_seconds(pictured) > max_age_ms / 1000:
            return _millimeters(newest)
        return _millimeters(pictured)

    def disconnect(self) -> None:
        """Closes the stream. Raises DeviceNotConnectedError before `connect`."""
        latest = self._connected()
        self._latest = self._pictured = None
        latest.close()

    def _connected(self) -> LatestFrame:
        if self._latest is None:
            raise DeviceNotConnectedError(f"{self} is not connected; call connect() first")
        return self._latest

    def _check_depth(self) -> None:
        if not self.use_depth:
            raise RuntimeError(f"{self} was configured with use_depth=false and gives no depth")

    def __str__(self) -> str:
        return f"{type(self).__name__}({redact(self.config.source)})"


def _picture(item: DepthFrame) -> Image:
    return item.frame.image.copy()  # a frame's own picture is read-only, which PyTorch warns about


def _millimeters(item: DepthFrame) -> npt.NDArray[np.uint16]:
    depth_mm = np.nan_to_num(item.at_frame_size() * 1000, nan=0, posinf=_LARGEST_MM)
    millimeters: npt.NDArray[np.uint16] = np.rint(np.clip(depth_mm, 0, _LARGEST_MM)).astype(np.uint16)[..., None]
    return millimeters
