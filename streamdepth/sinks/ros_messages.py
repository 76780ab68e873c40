"""Depth as ROS 2 messages: what their fields mean is decided here, once.

REP 118: depth is 32FC1, metres along the optical axis, NaN where unknown, +Inf where too far. REP 103: the optical
frame has x to the right, y down, z forward. REP 104: camera_info; all zeros in K mean an unknown camera.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from streamdepth.errors import MissingDependencyError
from streamdepth.types import DepthMap, Image, Intrinsics

JPEG_QUALITY = 92
NANOSECONDS = 10**9
IMAGE, COMPRESSED, CAMERA_INFO = (f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo"))


class RosMessages:
    """Makes messages of ROS 2 Humble and serializes them (CDR). Raises MissingDependencyError without `rosbags`."""

    def __init__(self, frame_id: str = "camera_optical_frame") -> None:
        try:
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise MissingDependencyError("rosbags", "robot", "writing ROS messages") from error
        self.frame_id = frame_id
        self._store = get_typestore(Stores.ROS2_HUMBLE)

    def definition(self, kind: str) -> str:
        """The text that describes a kind of message, with all it contains."""
        text: str = self._store.generate_msgdef(kind, ros_version=2)[0]
        return text

    def cdr(self, message: Any) -> bytes:
        """The message as ROS 2 sends it."""
        return bytes(self._store.serialize_cdr(message, message.__msgtype__))

    def depth(self, depth_m: DepthMap, nanoseconds: int) -> Any:
        """sensor_msgs/Image, 32FC1; `depth_m` (h, w) in metres."""
        height, width = depth_m.shape
        data = np.ascontiguousarray(depth_m, "<f4").view(np.uint8).ravel()
        return self._make(IMAGE)(self._header(nanoseconds), height, width, "32FC1", 0, 4 * width, data)

    def picture(self, image: Image, nanoseconds: int) -> Any:
        """sensor_msgs/CompressedImage, JPEG; `image` (H, W, 3) RGB."""
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        return self._make(COMPRESSED)(self._header(nanoseconds), "jpeg", jpeg.ravel())

    def camera(self, camera: Intrinsics | None, width: int, height: int, nanoseconds: int) -> Any:
        """sensor_msgs/CameraInfo of a picture of `width` x `height` px."""
        rows, lens = np.zeros((3, 4)), camera.resized(width, height) if camera else None
        if lens is not None:
            rows[:, :3] = (lens.fx, 0, lens.cx), (0, lens.fy, lens.cy), (0, 0, 1)
        return self._make(CAMERA_INFO)(
            self._header(nanoseconds),
            height,
            width,
            lens.distortion_model if lens else "",
            np.array(lens.distortion if lens else (), np.float64),
            rows[:, :3].ravel(),
            np.eye(3).ravel(),
            rows.ravel(),
            0,
            0,
            self._make("sensor_msgs/msg/RegionOfInterest")(0, 0, 0, 0, False),
        )

    def _header(self, nanoseconds: int) -> Any:
        stamp = self._make("builtin_interfaces/msg/Time")(*divmod(nanoseconds, NANOSECONDS))
        return self._make("std_msgs/msg/Header")(stamp, self.frame_id)

    def _make(self, kind: str) -> Callable[..., Any]:
        made: Callable[..., Any] = self._store.types[kind]
        return made
