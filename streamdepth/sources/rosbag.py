"""Recordings of robots: a topic with pictures of a rosbag, by rosbags; no ROS is needed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import MissingDependencyError, SourceLostError, SourceOpenError, StreamDepthError
from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, Intrinsics, StreamInfo
from streamdepth.sources.decoder import MAX_SIDE_PX, check_picture_size, plausible_fps
from streamdepth.sources.ros_messages import IMAGE_MESSAGE_TYPES, decode_image, intrinsics_from_camera_info
from streamdepth.sources.skip_counter import SkipCounter
from streamdepth.sources.timestamps import TimestampCorrector

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

BAG_SUFFIXES = (".mcap", ".db3", ".bag")
"""How the names of bags that are one file end."""
_NANOSECOND = Fraction(1, 10**9)
_MOST_TRIED = 100
_LOOK_BACK_NS = 10**8
_REPAIR = "only ROS bags are read; one that was cut off is repaired by 'ros2 bag reindex' or 'mcap recover'"


def split_bag_address(address: str) -> tuple[Path, str | None] | None:
    """`bag` or `bag#/topic` -> the bag and the topic; None where it is no bag, that is, neither a folder with
    metadata.yaml nor a file with one of BAG_SUFFIXES."""
    for path, topic in ((address, None), _at_topic(address)):
        try:
            if path.lower().endswith(BAG_SUFFIXES) or (Path(path) / "metadata.yaml").is_file():
                return Path(path), topic
        except OSError:  # a name that no file can have
            continue
    return None


def _at_topic(address: str) -> tuple[str, str | None]:
    path, sign, topic = address.rpartition("#/")
    return (path, f"/{topic}") if sign else (address, None)


class RosbagSource(Source):
    """The pictures of one topic, sensor_msgs Image or CompressedImage, of a bag of ROS 2 (sqlite3, mcap) or ROS 1.

    Without a topic, the only one with pictures is taken. Frames' times count from the first one's stamp, which
    `StreamInfo.epoch_ns` tells; the camera comes from the camera_info topic beside it. Messages that hold no picture
    are counted in `lost["undecodable"]`, and after all others `read` raises SourceLostError.
    """

    def __init__(self, path: str | Path, topic: str | None = None, *, max_side_px: int = MAX_SIDE_PX) -> None:
        super().__init__()
        self.path, self.topic, self.max_side_px = Path(path), topic, max_side_px
        self._reader: AnyReader | None = None
        self._messages: Iterator[tuple[Connection, int, bytes]] = iter(())
        self._first: tuple[int, Image] | None = None
        self._timeline = TimestampCorrector(_NANOSECOND, None)
        self._name, self._size = "", (0, 0)
        self._index = self._start_ns = 0
        self._skipped = SkipCounter(self, f"messages of '{self.path}'")

    def open(self) -> StreamInfo:
        self._release()
        self._reader = _opened(self.path)
        try:
            with self._explained():
                return self._begin(self._reader)
        except StreamDepthError:
            self._skipped.count = 0
            self._release()
            raise

    def _begin(self, reader: AnyReader) -> StreamInfo:
        connections = _chosen(reader, self.path, self.topic)
        topic, count = connections[0].topic, sum(c.msgcount for c in connections)
        self._name, self._index = f"{self.path}#{topic}", 0
        # Before the pictures: a bag without an index has one place only where it is read.
        fps, seen_by = _fps(reader, connections), _camera_message(reader, topic)
        self._messages = reader.messages(connections)
        first = self._next(_MOST_TRIED)
        if first is None:
            tried = min(count, _MOST_TRIED)
            raise SourceOpenError(
                f"none of the first {tried} messages of {self._name} holds a picture; {_what_is_there(reader)}"
            )
        stamp, image, frame_id = first
        height, width = image.shape[:2]
        check_picture_size(self._name, width, height, self.max_side_px)
        self._first, self._size, self._start_ns = (stamp, image), (width, height), stamp
        self._timeline = TimestampCorrector(_NANOSECOND, fps)
        return StreamInfo(
            self._name,
            width,
            height,
            fps=fps,
            frame_count=count,
            time_base=_NANOSECOND,
            intrinsics=self._camera(seen_by, topic, width, height),
            epoch_ns=stamp,
            frame_id=frame_id or None,
        )

    def _camera(self, message: Any, topic: str, width: int, height: int) -> Intrinsics | None:
        if message is None or not hasattr(message, "distortion_model"):
            return None
        is_rectified = "rect" in topic.removesuffix("/compressed").rpartition("/")[2]
        try:
            camera = intrinsics_from_camera_info(message, is_rectified=is_rectified)
        except ValueError as error:
            self.add_notice(f"the camera of {self._name} was left out: {error}")
            return None
        if camera is None or (camera.width, camera.height) == (width, height):
            return camera
        if abs(camera.width * height / (camera.height * width) - 1) > 0.01:
            size = f"{camera.width}x{camera.height}"
            self.add_notice(f"the camera of {self._name} was left out: it is of {size} px, not {width}x{height} px")
            return None
        return camera.resized(width, height)

    def read(self) -> Frame | None:
        if self._reader is None:
            return None
        try:
            with self._explained(SourceLostError):
                found, self._first = self._first or self._fitted(), None
        except SourceLostError:
            self._release()
            raise
        if found is None:
            if skipped := self._release():
                raise SourceLostError(f"{skipped} messages of {self._name} could not be read, {self._index} could")
            return None
        stamp, image = found
        ticks = self._timeline.place(stamp - self._start_ns, _NANOSECOND)
        if self._timeline.repaired:
            self.add_notice(f"{self._name} has stamps that do not increase; they were repaired")
        index, self._index = self._index, self._index + 1
        return Frame(image, index, ticks, _NANOSECOND, time.monotonic(), self._name)

    def _next(self, most: int | None = None) -> tuple[int, Image, str] | None:
        """(stamp in ns, picture, frame id) of the next message that holds a picture, of at most so many."""
        assert self._reader is not None
        for connection, logged_ns, data in itertools.islice(self._messages, most):
            try:
                message: Any = self._reader.deserialize(data, connection.msgtype)
                image = decode_image(message)
            except Exception as error:  # whatever damaged data makes of a deserializer
                self._skipped.note(f"a message of {self._name}: {error}")
                continue
            stamp = message.header.stamp
            own_ns = stamp.sec * 10**9 + stamp.nanosec
            return own_ns or logged_ns, image, message.header.frame_id
        return None

    def _fitted(self) -> tuple[int, Image] | None:
        """The next picture, at the size of the first."""
        found = self._next()
        if found is None:
            return None
        stamp, image, _ = found
        if image.shape[1::-1] != self._size:
            self.add_notice(
                f"the pictures of {self._name} differ in size; all are scaled to {'x'.join(map(str, self._size))}"
            )
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        return stamp, image

    @contextmanager
    def _explained(self, kind: type[SourceOpenError | SourceLostError] = SourceOpenError) -> Iterator[None]:
        """rosbags' many ways to fail on a damaged bag as one error."""
        try:
            yield
        except StreamDepthError:
            raise
        except Exception as error:
            raise kind(f"'{self.path}' cannot be read as a bag{self._after()}: {_reason(error)}; {_REPAIR}") from error

    def _after(self) -> str:
        return f" after {self._index} pictures" if self._index else ""

    def _release(self) -> int:
        """Returns how many messages were skipped."""
        reader, self._reader = self._reader, None
        self._messages, self._first = iter(()), None
        if reader is not None:
            reader.close()
        return self._skipped.settle()

    def close(self) -> None:
        self._release()
        super().close()


def _opened(path: Path) -> AnyReader:
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise MissingDependencyError("rosbags", "robot", "reading a bag") from error
    if not path.exists():
        raise SourceOpenError(f"'{path}' does not exist; check the spelling and the current folder ({Path.cwd()})")
    usual = Stores.ROS1_NOETIC if path.suffix == ".bag" else Stores.ROS2_HUMBLE
    try:
        reader = AnyReader([path], default_typestore=get_typestore(usual))
        reader.open()
    except Exception as error:  # rosbags has no common error for damaged bags
        raise SourceOpenError(f"'{path}' cannot be opened as a bag: {_reason(error)}; {_REPAIR}") from error
    return reader


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _chosen(reader: AnyReader, path: Path, topic: str | None) -> list[Connection]:
    """Those of the topic wanted, or of the only one with pictures. Raises SourceOpenError with all topics there are."""
    if topic is not None:
        wanted = [c for c in reader.connections if c.topic == topic and c.msgtype in IMAGE_MESSAGE_TYPES]
        if not wanted:
            raise SourceOpenError(f"'{path}' has no topic '{topic}' with pictures; {_what_is_there(reader)}")
        return wanted
    by_topic: dict[str, list[Connection]] = {}
    for connection in reader.connections:
        if connection.msgtype in IMAGE_MESSAGE_TYPES:
            by_topic.setdefault(connection.topic, []).append(connection)
    with_pictures = {name: group for name, group in by_topic.items() if _has_pictures(reader, group)}
    if len(with_pictures) != 1:
        many = "several topics" if with_pictures else "no topic"
        raise SourceOpenError(
            f"'{path}' has {many} with pictures; {_what_is_there(reader)}; name one as '{path}#/camera/image_raw'"
        )
    return next(iter(with_pictures.values()))


def _has_pictures(reader: AnyReader, connections: list[Connection]) -> bool:
    try:
        decode_image(_first_message(reader, connections))
    except Exception:  # depth, or whatever damaged data makes of a deserializer
        return False
    return True


def _first_message(reader: AnyReader, connections: list[Connection]) -> Any:
    for connection, _, data in reader.messages(connections) if connections else ():
        return reader.deserialize(data, connection.msgtype)
    return None


def _fps(reader: AnyReader, connections: list[Connection]) -> Fraction | None:
    """The mean over the topic's own time, by the recorder's stamps; None where they tell none."""
    intervals = sum(c.msgcount for c in connections) - 1
    try:
        first = next(logged_ns for _, logged_ns, _ in reader.messages(connections))
        passed = _last_ns(reader, connections) - first
    except Exception:  # a bag that is damaged further on; reading it tells
        return None
    fps = plausible_fps(Fraction(intervals * 10**9, passed)) if passed > 0 else None
    return fps and fps.limit_denominator(1001)


def _last_ns(reader: AnyReader, connections: list[Connection]) -> int:
    """The recorder's stamp of the last message. Looks back from the end of the bag, farther and farther."""
    back_ns = _LOOK_BACK_NS
    while not (stamps := [ns for _, ns, _ in reader.messages(connections, start=reader.end_time - back_ns)]):
        back_ns *= 2
    return int(max(stamps))


def _what_is_there(reader: AnyReader) -> str:
    shown = [f"{c.topic} ({c.msgtype.rpartition('/')[2]}, {c.msgcount})" for c in reader.connections]
    return f"its topics are {', '.join(sorted(shown))}" if shown else "it holds no topics at all"


def _camera_message(reader: AnyReader, topic: str) -> Any:
    """By the convention of image_transport: beside the picture's own topic. None when there is none."""
    name = f"{topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info"
    return _first_message(reader, [c for c in reader.connections if c.topic == name])
