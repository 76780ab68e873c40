"""A recording for robots: MCAP with ROS 2 messages, which rosbag2, Foxglove and Rerun read."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from streamdepth.edges import without_flying
from streamdepth.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.sinks.output import PendingFile, writing
from streamdepth.sinks.ros_messages import CAMERA_INFO, COMPRESSED, IMAGE, NANOSECONDS, RosMessages
from streamdepth.stages import Sink
from streamdepth.types import DepthFrame, DepthKind, ModelInfo, StreamInfo

if TYPE_CHECKING:
    from mcap.writer import Writer

PICTURE, PICTURE_CAMERA = "/camera/color/image_raw/compressed", "/camera/color/camera_info"
DEPTH, DEPTH_CAMERA = "/camera/depth/image_rect_raw", "/camera/depth/camera_info"
TOPICS = {PICTURE: COMPRESSED, PICTURE_CAMERA: CAMERA_INFO, DEPTH: IMAGE, DEPTH_CAMERA: CAMERA_INFO}
"""Topic -> kind of message."""


class McapSink(Sink):
    """Writes NAME.mcap: for each frame the picture (JPEG), the depth (32FC1, at the network's size) and both cameras.

    Metric depth only. Stamps are the source's own times from 0 on; of a live stream, wall-clock times since 1970, the
    first frame's being when it came. A camera that is not known has zeros in its matrix. With drop_flying, depth on a
    jump between near and far is unknown.

    Raises:
        MissingDependencyError: from `open`, without mcap or rosbags.
        SinkOpenError: from `open`, also for relative depth.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False, drop_flying: bool = False) -> None:
        super().__init__()
        self.path, self.overwrite, self.drop_flying = Path(path), overwrite, drop_flying
        self._file: PendingFile | None = None
        self._recording: _Recording | None = None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".mcap":
            raise SinkOpenError(f"a recording for robots is MCAP; name it '{self.path.with_suffix('.mcap')}'")
        if model.kind is DepthKind.RELATIVE:
            raise SinkOpenError(
                f"'{self.path}' holds metres, and the depth of {model.name} is relative; choose a metric model, or say "
                "what you know of the scene with --anchor, --camera-height, --board or --sparse"
            )
        messages = RosMessages()
        try:
            from mcap.writer import Writer
        except ImportError as error:
            raise MissingDependencyError("mcap", "robot", "writing .mcap") from error
        self._file = PendingFile(self.path, overwrite=self.overwrite, origin=info.origin)
        stream = self._file.temporary.open("wb")
        self._recording = _Recording(stream, Writer(stream), messages, is_live=info.is_live)

    def write(self, item: DepthFrame) -> None:
        if self._recording is None:
            raise SinkWriteError(f"'{self.path}' is not open; call open first")
        try:
            with writing(self.path):
                self._recording.add(without_flying(item) if self.drop_flying else item)
        except SinkWriteError:
            self.discard()
            raise

    def close(self) -> None:
        if self._recording is None or self._file is None or not self._recording.count:
            self.discard()
            return
        try:
            with writing(self.path):
                self._recording.finish()
        except SinkWriteError:
            self.discard()
            raise
        file, self._file, self._recording = self._file, None, None
        file.commit()

    def discard(self) -> None:
        if self._recording is not None:
            self._recording.stream.close()
        if self._file is not None:
            self._file.discard()
        self._file = self._recording = None


class _Recording:
    """An open file with its topics."""

    def __init__(self, stream: IO[bytes], writer: Writer, messages: RosMessages, *, is_live: bool) -> None:
        self.stream, self.count, self.is_live = stream, 0, is_live
        self._writer, self._messages = writer, messages
        self._start_ns = 0
        self._channels: dict[str, int] = {}

    def _begin(self, item: DepthFrame) -> None:
        from streamdepth import __version__

        first_ns = _nanoseconds(item)
        self._start_ns = time.time_ns() - first_ns if self.is_live else max(0, -first_ns)
        self._writer.start(profile="ros2", library=f"streamdepth {__version__}")
        for topic, kind in TOPICS.items():
            schema = self._writer.register_schema(kind, "ros2msg", self._messages.definition(kind).encode())
            self._channels[topic] = self._writer.register_channel(topic, "cdr", schema)

    def add(self, item: DepthFrame) -> None:
        if not self.count:
            self._begin(item)
        stamp, messages = max(0, self._start_ns + _nanoseconds(item)), self._messages
        (height, width), (h, w) = item.frame.image.shape[:2], item.depth.shape
        made: dict[str, Any] = {
            PICTURE: messages.picture(item.frame.image, stamp),
            PICTURE_CAMERA: messages.camera(item.intrinsics, width, height, stamp),
            DEPTH: messages.depth(item.depth, stamp),
            DEPTH_CAMERA: messages.camera(item.intrinsics, w, h, stamp),
        }
        for topic, message in made.items():
            self._writer.add_message(
                self._channels[topic],
                log_time=stamp,
                publish_time=stamp,
                sequence=item.frame.index,
                data=messages.cdr(message),
            )
        self.count += 1

    def finish(self) -> None:
        self._writer.finish()
        self.stream.close()


def _nanoseconds(item: DepthFrame) -> int:
    return round(Fraction(item.frame.pts) * item.frame.time_base * NANOSECONDS)
