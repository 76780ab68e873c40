"""Recordings of robots: one topic with pictures of a ROS bag, read by the package rosbags, without ROS."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import SourceLostError, SourceOpenError, StreamDepthError
from streamdepth.core.interfaces import Source
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.sources.bag_cameras import find_camera_info
from streamdepth.sources.bag_reader import (
    REPAIR_HINT,
    choose_connections,
    describe_topics,
    image_topics,
    mean_fps,
    open_bag,
)
from streamdepth.sources.limits import MAX_SIDE_PX, check_picture_size
from streamdepth.sources.ros_decoding import decode_image, fit_levels, intrinsics_from_camera_info, stamp_to_ns
from streamdepth.sources.ros_depth import draw_depth
from streamdepth.sources.sample_levels import SampleLevels
from streamdepth.sources.skip_counter import SkipCounter
from streamdepth.sources.timestamps import TimestampCorrector
from streamdepth.utils.printable import error_message

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

    from streamdepth.sources.bag import Bag

_PLAIN_SUFFIXES = (".mcap", ".db3", ".bag")
BAG_SUFFIXES = (*_PLAIN_SUFFIXES, *(f"{suffix}.zst" for suffix in _PLAIN_SUFFIXES))
"""Suffixes of bags that are one file, also as rosbag2 compresses them."""
_TIME_BASE = Fraction(1, 10**9)
_MAX_TRIED = 100
_EXAMINED_MESSAGES = 10
"""Number of messages in which the meaning of stamps and samples is looked for."""
_SIMULATED_BEFORE_NS = 10**6 * 10**9
"""A stamp below this, 11 days after 1970, is simulated time, which begins at 0."""
_ASPECT_TOLERANCE = 0.01


def split_bag_address(address: str) -> tuple[Path, str | None] | None:
    """Splits `bag` or `bag#/topic` into the bag's path and the topic; None where the address is no bag.

    A bag is a folder with metadata.yaml or a file with one of BAG_SUFFIXES.
    """
    for path, topic in ((address, None), _split_topic(address)):
        try:
            if path.lower().endswith(BAG_SUFFIXES) or (Path(path) / "metadata.yaml").is_file():
                return Path(path), topic
        except OSError:  # a name that no file can have
            continue
    return None


def _split_topic(address: str) -> tuple[str, str | None]:
    path, separator, topic = address.rpartition("#/")
    return (path, f"/{topic}") if separator else (address, None)


class _Picture(NamedTuple):
    """One decoded image message."""

    stamp_ns: int
    """Nanoseconds since 1970 or of simulated time, by the camera's driver; by the recorder where it gave none."""
    logged_ns: int
    """Nanoseconds by the recorder's clock."""
    image: Image
    frame_id: str


class RosbagSource(Source):
    """The pictures of one topic, sensor_msgs Image or CompressedImage, of a bag of ROS 2 (sqlite3, mcap) or ROS 1.

    Times count from the stamp of the first picture, which is `StreamInfo.epoch_ns`; the intrinsics come from the
    camera_info topic that `bag_cameras.find_camera_info` finds. Messages that hold no picture are counted in
    `undelivered["undecodable"]`, and after all others `read` raises SourceLostError.

    Args:
        topic: the topic to read; None: the only one with pictures.
        camera_info_topic: the topic with the camera's intrinsics; None looks for it.
        depth_topic: the topic whose depth is drawn in gray where the bag has no pictures.
        max_side_px: the longest side of a picture that is accepted.
    """

    def __init__(
        self,
        path: str | Path,
        topic: str | None = None,
        *,
        camera_info_topic: str | None = None,
        depth_topic: str | None = None,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        super().__init__()
        self.path, self.topic, self.max_side_px = Path(path), topic, max_side_px
        self.camera_info_topic, self.depth_topic = camera_info_topic, depth_topic
        self._draws_depth = False
        self._reader: Bag | None = None
        self._messages: Iterator[tuple[Connection, int, bytes]] = iter(())
        self._first: _Picture | None = None
        self._timestamps = TimestampCorrector(_TIME_BASE, None)
        self._name, self._size, self._problem = "", (0, 0), "it has no messages"
        self._index = self._start_ns = 0
        self._is_zero_a_time, self._levels = False, SampleLevels()
        self._skipped = SkipCounter(self, f"messages of '{self.path}'")

    def open(self) -> StreamInfo:
        self._release()
        try:
            with self._map_errors():
                return self._start()
        except BaseException:
            self._skipped.count = 0
            self._release()
            raise

    def _start(self) -> StreamInfo:
        """Opens the file and reads its first picture. Raises SourceOpenError; other errors mean a damaged file."""
        self._reader = reader = open_bag(self.path)
        connections = self._choose_connections(reader)
        topic, count = connections[0].topic, sum(c.msgcount for c in connections)
        self._name, self._index = f"{self.path}#{topic}", 0
        # Before the pictures: a bag without an index has only one reading position.
        fps = mean_fps(reader, connections)
        camera_info = find_camera_info(reader, topic, connections, self.camera_info_topic)
        self._look_ahead(reader, connections)
        self._messages = reader.messages(connections)
        first = self._next_picture(_MAX_TRIED)
        if first is None:
            tried = min(count, _MAX_TRIED)
            raise SourceOpenError(
                f"none of the first {tried} messages of {self._name} holds a picture: {self._problem}; "
                f"{describe_topics(reader)}",
                code="no-video",
            )
        return self._begin(first, fps, count, partial(self._intrinsics, camera_info, topic))

    def _begin(
        self,
        first: Any,
        fps: Fraction | None,
        frame_count: int | None,
        find_intrinsics: Callable[[int, int], Intrinsics | None],
    ) -> StreamInfo:
        """Keeps the first picture for `read`, and returns the facts of the stream that begins with it.

        `find_intrinsics` returns the camera for pictures of this width and height in px.
        """
        height, width = first.image.shape[:2]
        check_picture_size(self._name, width, height, self.max_side_px)
        self._first, self._size, self._start_ns = first, (width, height), first.stamp_ns
        self._timestamps = TimestampCorrector(_TIME_BASE, fps)
        return StreamInfo(
            self._name,
            width,
            height,
            fps=fps,
            frame_count=frame_count,
            time_base=_TIME_BASE,
            intrinsics=find_intrinsics(width, height),
            epoch_ns=first.stamp_ns,
            frame_id=first.frame_id or None,
        )

    def _choose_connections(self, reader: Bag) -> list[Connection]:
        self._draws_depth = False
        try:
            return choose_connections(reader, self.path, self.topic)
        except SourceOpenError as error:
            depth = image_topics(reader).get(self.depth_topic or "")
            if error.code != "holds-depth" or not depth or self.topic not in (None, self.depth_topic):
                raise
        self._draws_depth = True
        self.add_notice(
            f"'{self.path}' has no pictures; those shown are the depth of {self.depth_topic}, near is bright"
        )
        return depth

    def _look_ahead(self, reader: Bag, connections: list[Connection]) -> None:
        """Finds in the first messages what a stamp of 0 means, and the range of samples of 16 bits."""
        self._is_zero_a_time, self._levels = False, SampleLevels()
        was_zero = False
        for connection, _, data in itertools.islice(reader.messages(connections), _EXAMINED_MESSAGES):
            try:
                message = reader.deserialize(data, connection.msgtype)
                if not self._draws_depth:
                    fit_levels(message, self._levels)
            except Exception:  # damaged data makes a deserializer raise anything; reading it says so
                continue
            stamp_ns = stamp_to_ns(message.header.stamp)
            self._is_zero_a_time |= was_zero and 0 < stamp_ns < _SIMULATED_BEFORE_NS
            was_zero |= stamp_ns == 0

    def _intrinsics(self, camera_info: Any, topic: str, width: int, height: int) -> Intrinsics | None:
        """Returns the intrinsics for pictures of this size in px; None, with a notice, where they do not fit."""
        if camera_info is None or not hasattr(camera_info, "distortion_model"):
            return None
        folder, _, image_name = topic.removesuffix("/compressed").rpartition("/")
        is_rectified = "rect" in image_name or folder.endswith("/rect")
        try:
            camera = intrinsics_from_camera_info(
                camera_info, is_rectified=is_rectified, on_notice=lambda text: self.add_notice(f"{self._name}: {text}")
            )
        except ValueError as error:
            self.add_notice(f"the camera of {self._name} was left out: {error}")
            return None
        return self._fit_to_pictures(camera, width, height)

    def _fit_to_pictures(self, camera: Intrinsics | None, width: int, height: int) -> Intrinsics | None:
        """Returns intrinsics at the pictures' size in px; None, with a notice, where they have another shape."""
        if camera is None or (camera.width, camera.height) == (width, height):
            return camera
        if abs(camera.width * height / (camera.height * width) - 1) > _ASPECT_TOLERANCE:
            size = f"{camera.width}x{camera.height}"
            self.add_notice(f"the camera of {self._name} was left out: it is of {size} px, not {width}x{height} px")
            return None
        return camera.resized(width, height)

    def read(self) -> Frame | None:
        if self._reader is None:
            return None
        try:
            with self._map_errors(SourceLostError):
                picture, self._first = self._first or self._next_picture(), None
        except SourceLostError:
            self._release()
            raise
        if picture is None:
            if skipped := self._release():
                raise SourceLostError(
                    f"{skipped} messages of {self._name} could not be read, {self._index} could", code="damaged"
                )
            return None
        pts = self._timestamps.correct(picture.stamp_ns - self._start_ns, _TIME_BASE)
        if self._timestamps.has_repairs:
            self.add_notice(
                f"{self._name} has stamps that do not increase; recordings for robots keep them, and in videos they "
                "were repaired"
            )
        index, self._index = self._index, self._index + 1
        image, now = self._resize(picture.image), time.monotonic()
        return Frame(
            *(image, index, pts, _TIME_BASE, now, self._name), stamp_ns=picture.stamp_ns, logged_ns=picture.logged_ns
        )

    def _next_picture(self, max_messages: int | None = None) -> _Picture | None:
        """Returns the next picture within `max_messages` messages (None: within all); None where there is none."""
        assert self._reader is not None
        for connection, logged_ns, data in itertools.islice(self._messages, max_messages):
            try:
                message: Any = self._reader.deserialize(data, connection.msgtype)
                image = draw_depth(message) if self._draws_depth else decode_image(message, self._levels)
            except Exception as error:  # damaged data makes a deserializer raise anything
                self._problem = error_message(error)
                self._skipped.add(f"a message of {self._name}: {self._problem}")
                continue
            if text := self._levels.notice(self._name):
                self.add_notice(text)
            stamp_ns = stamp_to_ns(message.header.stamp)
            is_missing = stamp_ns == 0 and not self._is_zero_a_time
            return _Picture(logged_ns if is_missing else stamp_ns, logged_ns, image, message.header.frame_id)
        return None

    def _resize(self, image: Image) -> Image:
        """Returns `image` at the size of the first picture."""
        if image.shape[1::-1] == self._size:
            return image
        size = "x".join(map(str, self._size))
        self.add_notice(f"the pictures of {self._name} differ in size; all are scaled to {size}")
        return np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)

    @contextmanager
    def _map_errors(self, kind: type[SourceOpenError | SourceLostError] = SourceOpenError) -> Iterator[None]:
        """Raises each of rosbags' many errors on a damaged bag as one of class `kind`."""
        try:
            yield
        except StreamDepthError:
            raise
        except Exception as error:
            after = f" after {self._index} pictures" if self._index else ""
            raise kind(
                f"'{self.path}' cannot be read as a bag{after}: {error_message(error)}; {REPAIR_HINT}", code="damaged"
            ) from error

    def _release(self) -> int:
        """Closes the bag, and returns how many messages were skipped."""
        reader, self._reader = self._reader, None
        self._messages, self._first = iter(()), None
        if reader is not None:
            reader.close()
        return self._skipped.finish()

    def close(self) -> None:
        self._release()
        super().close()
