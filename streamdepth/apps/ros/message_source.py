"""The pictures of a ROS topic as a live source, which gets its messages from a subscription."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from typing import Any

from streamdepth.core.errors import SourceOpenError
from streamdepth.core.interfaces import Source
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.limits import MAX_SIDE_PX, check_picture_size
from streamdepth.sources.ros_decoding import decode_image, intrinsics_from_camera_info, stamp_to_ns
from streamdepth.sources.sample_levels import SampleLevels
from streamdepth.sources.timestamps import TimestampCorrector

_TIME_BASE = Fraction(1, 10**9)


class MessageSource(Source):
    """A source of the sensor_msgs Image or CompressedImage that `put_image` gets. Thread-safe.

    Only the newest message is kept; one that is replaced before it is read counts as `overtaken`, and one that holds no
    picture as `undecodable`. `open` and `read` wait until `interrupt`. Frames keep the stamp of their header unchanged,
    also in simulated time.

    Args:
        name: the topic, for messages to people.
        is_rectified: the pictures are undistorted, so that the projection matrix P of the camera_info applies.
        camera_info_wait_seconds: how long the first picture waits for the camera_info.
        max_side_px: the longest side of a picture that is accepted.
    """

    def __init__(
        self,
        name: str,
        *,
        is_rectified: bool = False,
        camera_info_wait_seconds: float = 2.0,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        super().__init__()
        self.name, self.is_rectified, self.max_side_px = name, is_rectified, max_side_px
        self.camera_info_wait_seconds = camera_info_wait_seconds
        self._condition = threading.Condition()
        self._message: Any = None
        self._camera: Intrinsics | None = None
        self._has_camera_info = self._is_open = False
        self._first: Frame | None = None
        self._info: StreamInfo | None = None
        self._changed_info: StreamInfo | None = None
        self._timestamps = TimestampCorrector(_TIME_BASE, None)
        self._start_ns: int | None = None
        self._index = 0

    @property
    def drops_unread_frames(self) -> bool:
        return True

    def put_image(self, message: Any) -> None:
        """Hands over an image message."""
        with self._condition:
            if self._message is not None:
                self.undelivered["overtaken"] += 1
            self._message = message
            self._condition.notify_all()

    def put_camera_info(self, message: Any) -> None:
        """Hands over a CameraInfo; it holds from the next picture on."""
        try:
            camera = intrinsics_from_camera_info(message, is_rectified=self.is_rectified, on_notice=self.add_notice)
        except ValueError as error:
            self.add_notice(f"the camera of {self.name} was left out: {error}")
            camera = None
        with self._condition:
            self._camera, self._has_camera_info = camera, True
            self._condition.notify_all()

    def open(self) -> StreamInfo:
        with self._condition:
            self._is_open, self._info, self._changed_info, self._first = True, None, None, None
            self._levels = SampleLevels()
            self._timestamps, self._start_ns, self._index = TimestampCorrector(_TIME_BASE, None), None, 0
        self._first = self._next_frame()
        if self._first is None or self._info is None:
            raise SourceOpenError(f"{self.name} was closed before a picture came", code="interrupted")
        self._changed_info = None
        return self._info

    def read(self) -> Frame | None:
        frame, self._first = self._first or self._next_frame(), None
        return frame

    def take_changed_info(self) -> StreamInfo | None:
        info, self._changed_info = self._changed_info, None
        return info

    def _next_frame(self) -> Frame | None:
        while (message := self._take_message()) is not None:
            try:
                image = decode_image(message, self._levels)
                height, width = image.shape[:2]
                check_picture_size(self.name, width, height, self.max_side_px)
            except (ValueError, SourceOpenError) as error:
                self.undelivered["undecodable"] += 1
                self.add_notice(f"a message of {self.name} was left out: {error}")
                continue
            if text := self._levels.notice(self.name):
                self.add_notice(text)
            stamp_ns = stamp_to_ns(message.header.stamp)
            self._start_ns = stamp_ns if self._start_ns is None else self._start_ns
            self._update_info(width, height, message.header.frame_id)
            pts = self._timestamps.correct(stamp_ns - self._start_ns, _TIME_BASE)
            index, self._index = self._index, self._index + 1
            return Frame(image, index, pts, _TIME_BASE, time.monotonic(), self.name, stamp_ns=stamp_ns)
        return None

    def _take_message(self) -> Any:
        with self._condition:
            self._condition.wait_for(lambda: self._message is not None or self._is_over)
            if self._info is None:
                self._condition.wait_for(lambda: self._has_camera_info or self._is_over, self.camera_info_wait_seconds)
            message, self._message = self._message, None
            return None if self._is_over else message

    @property
    def _is_over(self) -> bool:
        return not self._is_open or self.interrupted.is_set()

    def _update_info(self, width: int, height: int, frame_id: str) -> None:
        camera = self._camera
        if camera is not None and (camera.width, camera.height) != (width, height):
            camera = camera.resized(width, height)
        info = StreamInfo(
            self.name,
            width,
            height,
            is_live=True,
            time_base=_TIME_BASE,
            intrinsics=camera,
            epoch_ns=self._start_ns,
            frame_id=frame_id or None,
        )
        if info != self._info:
            self._info = self._changed_info = info

    def interrupt(self) -> None:
        super().interrupt()
        with self._condition:
            self._condition.notify_all()

    def close(self) -> None:
        with self._condition:
            self._is_open, self._message = False, None
            self._condition.notify_all()
        super().close()
