"""A recording for robots: MCAP with ROS 2 messages, which rosbag2, Foxglove and Rerun read, or Foxglove's schemas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from streamdepth.core.errors import MissingDependencyError, SinkOpenError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.types import DepthFrame, Intrinsics, ModelInfo, StreamInfo
from streamdepth.sinks.pending_files import PendingFile, map_write_errors
from streamdepth.sinks.robots.channels import Messages
from streamdepth.sinks.robots.foxglove_messages import FoxgloveMessages
from streamdepth.sinks.robots.observation import Observation, Observer, RobotOptions, check_metric
from streamdepth.sinks.robots.ros_messages import RosMessages

if TYPE_CHECKING:
    from mcap.writer import Writer

Schemas = Literal["ros2", "foxglove"]
FAMILIES: dict[Schemas, Callable[[RobotOptions, Intrinsics | None], Messages]] = {
    "ros2": RosMessages,
    "foxglove": lambda options, _: FoxgloveMessages(options),
}


class McapSink(Sink):
    """Writes NAME.mcap: for each frame the picture (JPEG), the depth (at the network's size), both cameras, the rest.

    Metric depth only. Stamps are the source's own where it has them, else its times from 0 on; of a live stream,
    wall-clock times since 1970. A camera that is not known has zeros in its matrix.

    Raises:
        MissingDependencyError: from `open`, without mcap, or rosbags or foxglove-sdk.
        SinkOpenError: from `open`, also for relative depth.
        SinkWriteError: from `write` and `close`; the output is removed then.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        schemas: Schemas = "ros2",
        options: RobotOptions | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.path, self.schemas, self.overwrite = Path(path), schemas, overwrite
        self.options = options or RobotOptions()
        self._file: PendingFile | None = None
        self._recording: _Recording | None = None
        self._observer: Observer | None = None

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".mcap":
            raise SinkOpenError(f"a recording for robots is MCAP; name it '{self.path.with_suffix('.mcap')}'")
        check_metric(f"'{self.path}'", model)
        messages = FAMILIES[self.schemas](self.options, info.intrinsics)
        try:
            from mcap.writer import Writer
        except ImportError as error:
            raise MissingDependencyError("mcap", "robot", "writing .mcap") from error
        self._file = PendingFile(self.path, overwrite=self.overwrite, origin=info.origin)
        stream = self._file.temporary.open("wb")
        self._recording = _Recording(stream, Writer(stream), messages)
        self._observer = Observer(info, self.options, self.add_notice)

    def write(self, item: DepthFrame) -> None:
        if self._recording is None or self._observer is None:
            raise SinkWriteError(f"'{self.path}' is not open; call open first")
        try:
            with map_write_errors(self.path):
                self._recording.add(self._observer.observe(item))
        except SinkWriteError:
            self.discard()
            raise

    def close(self) -> None:
        if self._recording is None or self._file is None or not self._recording.count:
            self.discard()
            return
        try:
            with map_write_errors(self.path):
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

    def __init__(self, stream: IO[bytes], writer: Writer, messages: Messages) -> None:
        self.stream, self.count = stream, 0
        self._writer, self._messages = writer, messages
        self._channels: dict[str, int] = {}

    def _begin(self) -> None:
        from streamdepth.core.version import __version__

        self._writer.start(profile=self._messages.profile, library=f"streamdepth {__version__}")
        schemas: dict[str, int] = {}
        for topic in self._messages.topics():
            if topic.schema not in schemas:
                schemas[topic.schema] = self._writer.register_schema(
                    topic.schema, topic.schema_encoding, topic.definition
                )
            self._channels[topic.name] = self._writer.register_channel(
                topic.name, topic.encoding, schemas[topic.schema]
            )

    def add(self, seen: Observation) -> None:
        if not self.count:
            self._begin()
        for topic, data in self._messages.encode(seen):
            self._writer.add_message(
                self._channels[topic],
                log_time=seen.stamp_ns,
                publish_time=seen.stamp_ns,
                sequence=seen.item.frame.index,
                data=data,
            )
        self.count += 1

    def finish(self) -> None:
        self._writer.finish()
        self.stream.close()
