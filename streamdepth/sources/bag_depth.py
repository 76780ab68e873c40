"""Depth of a ROS bag's topic for the frames of a camera: matched by stamp, registered to the camera's view."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.registration import register_depth
from streamdepth.sources.bag_cameras import find_camera_info
from streamdepth.sources.bag_reader import describe_topics, image_topics, open_bag
from streamdepth.sources.bag_transforms import TransformTree, recorded_extrinsics, recorded_unit_m
from streamdepth.sources.ros_decoding import intrinsics_from_camera_info, stamp_to_ns
from streamdepth.sources.ros_depth import MILLIMETER, decode_depth, depth_encoding
from streamdepth.sources.rosbag import split_bag_address
from streamdepth.sources.sensor_depth import DepthReader
from streamdepth.utils.printable import error_message

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

    from streamdepth.sources.bag import Bag

_DISORDER_NS = 3 * 10**8
"""Largest time by which messages may be out of order; messages are kept for that long."""
_SAME_FOCAL = 0.01
"""Cameras whose focal lengths and principal points differ by less than this share of the width are the same."""


class BagDepth(DepthReader):
    """The depth of one topic of a bag, in the view of another camera.

    A frame gets the depth whose stamp is nearest, within `tolerance_seconds`. Depth of another view is registered: its
    camera comes from its camera_info, the place of its frame from /tf and /tf_static. Depth in the frame of the
    pictures, as aligned depth is, keeps its view.

    Args:
        path: the bag.
        topic: the topic with depth.
        tolerance_seconds: the largest difference of the stamps of a picture and its depth.
        unit_m: meters of one unit of integers; None: what RealSense's recorder wrote down, else 0.001.

    Raises:
        SourceOpenError: from `open`. Codes: "no-topic", "not-depth", "no-clock" for pictures without dates, and
            "no-extrinsics" where the place of one camera beside the other is unknown.
    """

    def __init__(
        self, path: str | Path, topic: str, *, tolerance_seconds: float = 0.05, unit_m: float | None = None
    ) -> None:
        self.path, self.topic, self.tolerance_seconds, self.unit_m = Path(path), topic, tolerance_seconds, unit_m
        self._reader: Bag | None = None
        self._differences_ns: list[int] = []
        self._frames = 0

    @property
    def name(self) -> str:
        """The bag and the topic, for people."""
        return f"{self.path}#{self.topic}"

    def open(self, info: StreamInfo) -> None:
        self.close()
        if info.epoch_ns is None:
            raise SourceOpenError(
                f"the depth of {self.name} belongs to pictures by its stamps, and {info.name} has no dates; name the "
                "pictures of the bag as the input, or give depth as %06d.png",
                code="no-clock",
            )
        self._epoch_ns = info.epoch_ns
        self._differences_ns, self._frames = [], 0
        self._reader = open_bag(self.path)
        try:
            self._start(self._reader, info)
        except SourceOpenError:
            self.close()
            raise

    def _start(self, reader: Bag, info: StreamInfo) -> None:
        connections = image_topics(reader).get(self.topic)
        if not connections:
            raise SourceOpenError(
                f"'{self.path}' has no topic '{self.topic}' with depth; {describe_topics(reader)}", code="no-topic"
            )
        _, message = next(_messages(reader, connections), (0, None))
        if message is None or depth_encoding(message, self.topic) is None:
            encoding = getattr(message, "encoding", None) or getattr(message, "format", "nothing that can be read")
            raise SourceOpenError(
                f"{self.name} holds no depth but {encoding}; {describe_topics(reader)}", code="not-depth"
            )
        self._unit_m = self.unit_m or recorded_unit_m(reader, self.topic) or MILLIMETER
        camera = self._camera(reader, connections)
        self._alignment = _find_alignment(reader, self.topic, message, camera, info)
        self._iterator = _messages(reader, connections)
        self._window: deque[tuple[int, Any]] = deque()
        self._newest_ns = -1

    def _camera(self, reader: Bag, connections: list[Connection]) -> Intrinsics | None:
        found = find_camera_info(reader, self.topic, connections)
        if found is None:
            return None
        try:
            return intrinsics_from_camera_info(found, is_rectified="rect" in self.topic)
        except ValueError:
            return None

    def read(self, frame: Frame) -> DepthMap | None:
        self._frames += 1
        stamp_ns = frame.stamp_ns
        if stamp_ns is None:
            stamp_ns = frame.stamp_ns
        if stamp_ns is None:
            stamp_ns = self._epoch_ns + round(frame.pts * frame.time_base * 10**9)
        try:
            self._read_until(stamp_ns + round(self.tolerance_seconds * 1e9))
        except Exception as error:  # rosbags has no common error for damaged bags
            raise SourceLostError(f"{self.name} cannot be read: {error_message(error)}", code="damaged") from error
        if not self._window:
            return None
        nearest_ns, message = min(self._window, key=lambda entry: abs(entry[0] - stamp_ns))
        if abs(nearest_ns - stamp_ns) > self.tolerance_seconds * 1e9:
            return None
        try:
            depth_m = decode_depth(message, self._unit_m)
        except ValueError:
            return None
        self._differences_ns.append(abs(nearest_ns - stamp_ns))
        return self._alignment.apply(depth_m, nearest_ns)

    def _read_until(self, stamp_ns: int) -> None:
        """Reads all messages up to `stamp_ns`, and forgets those that are much older."""
        while self._newest_ns <= stamp_ns + _DISORDER_NS:
            entry = next(self._iterator, None)
            if entry is None:
                break
            self._window.append(entry)
            self._newest_ns = max(self._newest_ns, entry[0])
        while len(self._window) > 1 and self._window[0][0] < stamp_ns - 2 * _DISORDER_NS:
            self._window.popleft()

    def summary(self) -> str:
        if not self._frames:
            return ""
        found = len(self._differences_ns)
        apart = f", {median(self._differences_ns) / 1e6:.1f} ms apart in the median" if found else ""
        return (
            f"{found} of {self._frames} frames have depth of {self.topic} within {self.tolerance_seconds * 1e3:g} ms"
            f"{apart}; {self._alignment.description}"
        )

    def close(self) -> None:
        reader, self._reader = self._reader, None
        self._window, self._iterator = deque(), iter(())
        self._frames = 0
        if reader is not None:
            reader.close()


@dataclass(frozen=True)
class _Alignment:
    """The way in which depth is brought to the view of the pictures."""

    description: str
    """A clause for people."""
    cameras: tuple[Intrinsics, Intrinsics] | None = None
    """The sensor's camera and the pictures'; None where depth has the pictures' view already."""
    lookup: Callable[[int], Floats | None] = lambda _stamp_ns: np.eye(4)
    """Returns the (4, 4) transform from the sensor to the pictures' camera at a stamp, None where it is unknown."""

    def apply(self, depth_m: DepthMap, stamp_ns: int) -> DepthMap | None:
        """Returns depth in the view of the pictures; None where the place of the sensor is unknown."""
        transform = self.lookup(stamp_ns)
        if self.cameras is None or transform is None:
            return None if transform is None else depth_m
        return register_depth(depth_m, *self.cameras, transform)


def _find_alignment(reader: Bag, topic: str, message: Any, camera: Intrinsics | None, info: StreamInfo) -> _Alignment:
    """Finds out how depth of a topic is brought to the view of the stream with the facts `info`.

    Args:
        reader: the bag of the depth.
        topic: the topic with depth.
        message: its first message.
        camera: its camera.
        info: the facts of the pictures.

    Raises:
        SourceOpenError: if the place of one camera beside the other is unknown ("no-extrinsics").
    """
    header, picture_camera = message.header, info.intrinsics
    picture_topic = (split_bag_address(info.name) or (None, None))[1] or ""
    if picture_topic == topic:
        return _Alignment("the pictures are drawn from it")
    if camera is None or picture_camera is None:
        which = "depth's" if camera is None else "pictures'"
        return _Alignment(f"it is taken to have the pictures' view, because the {which} camera is unknown")
    is_same_camera = _is_same_camera(camera, picture_camera)
    frame, picture_frame = header.frame_id.lstrip("/"), (info.frame_id or "").lstrip("/")
    if frame and frame == picture_frame:
        text = f"it has the pictures' frame '{frame}'"
        return _Alignment(text, None if is_same_camera else (camera, picture_camera))
    extrinsics = recorded_extrinsics(reader, picture_topic, topic)
    if extrinsics is not None:
        return _registration(camera, picture_camera, "the recorded extrinsics", lambda _: extrinsics, extrinsics)
    tree, stamp = TransformTree(reader), header.stamp
    first = tree.lookup(picture_frame, frame, stamp_to_ns(stamp)) if frame and picture_frame else None
    if first is not None:
        lookup = partial(tree.lookup, picture_frame, frame)
        return _registration(camera, picture_camera, f"/tf from '{frame}' to '{picture_frame}'", lookup, first)
    if is_same_camera and not (frame and picture_frame):
        return _Alignment("it is taken to have the pictures' view, because its camera has the same intrinsics")
    raise SourceOpenError(
        f"the depth of '{topic}' is seen from the frame '{frame}' and the pictures from '{picture_frame}', and neither "
        "/tf_static nor /tf of the bag connects the two; record /tf_static, too, or the depth that is aligned to the "
        "color camera",
        code="no-extrinsics",
    )


def _registration(
    camera: Intrinsics,
    picture_camera: Intrinsics,
    origin: str,
    lookup: Callable[[int], Floats | None],
    first: Floats,
) -> _Alignment:
    baseline_mm = float(np.linalg.norm(first[:3, 3])) * 1000
    text = f"it is registered to the pictures' camera by {origin}, {baseline_mm:.0f} mm apart"
    return _Alignment(text, (camera, picture_camera), lookup)


def _is_same_camera(first: Intrinsics, second: Intrinsics) -> bool:
    """True if both cameras see the same part of the picture in the same direction; their sizes may differ."""
    if any(first.distortion) != any(second.distortion):
        return False
    if abs(first.width * second.height / (first.height * second.width) - 1) > _SAME_FOCAL:
        return False
    first = first.resized(second.width, second.height)
    names = ("fx", "fy", "cx", "cy")
    return all(abs(getattr(first, name) - getattr(second, name)) < _SAME_FOCAL * second.width for name in names)


def _messages(reader: Bag, connections: list[Connection]) -> Iterator[tuple[int, Any]]:
    """Yields (stamp in ns, message) of all messages that can be read; without a stamp the recorder's."""
    for connection, logged_ns, data in reader.messages(connections):
        try:
            message: Any = reader.deserialize(data, connection.msgtype)
            stamp = message.header.stamp
        except Exception:  # damaged data makes a deserializer raise anything
            continue
        yield stamp_to_ns(stamp) or logged_ns, message
