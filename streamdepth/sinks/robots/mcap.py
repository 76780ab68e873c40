"""A recording for robots: MCAP with ROS 2 messages, which rosbag2, Foxglove and Rerun read, or Foxglove's schemas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from streamdepth.core.errors import MissingDependencyError, SinkOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.pending_files import PendingFile, map_write_errors
from streamdepth.sinks.robots.foxglove_messages import FOXGLOVE_SDK, FoxgloveMessages
from streamdepth.sinks.robots.observation import Observation, Observer, RobotOptions, check_metric
from streamdepth.sinks.robots.ros_messages import ROSBAGS, RosMessages
from streamdepth.sinks.robots.topics import MessageFamily

if TYPE_CHECKING:
    from mcap.writer import Writer

Schemas = Literal["ros2", "foxglove"]
MESSAGE_FAMILIES: dict[Schemas, Callable[[RobotOptions, Intrinsics | None], MessageFamily]] = {
    "ros2": RosMessages,
    "foxglove": lambda options, _: FoxgloveMessages(options),
}

_MCAP = OptionalPackage("mcap", "mcap", "robot", "writing .mcap")


class McapSink(Sink):
    """Writes NAME.mcap: for each frame the picture (JPEG), the depth (at the network's size), both cameras, and more.

        sink = McapSink("run.mcap", options=RobotOptions(namespace="/front", points=True))

    It takes metric depth only. Timestamps are the source's own where it has them, else its times from 0 on; those of a
    live stream are wall-clock times since 1970. An unknown camera has zeros in its matrix.

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

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_MCAP, ROSBAGS if self.schemas == "ros2" else FOXGLOVE_SDK]

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".mcap":
            raise SinkOpenError(
                f"a recording for robots is MCAP; name it '{self.path.with_suffix('.mcap')}'", code="unknown-format"
            )
        check_metric(f"'{self.path}'", model)
        messages = MESSAGE_FAMILIES[self.schemas](self.options, info.intrinsics)
        try:
            from mcap.writer import Writer
        except ImportError as error:
            raise MissingDependencyError(*_MCAP[1:]) from error
        self._file = PendingFile(self.path, overwrite=self.overwrite, input_path=info.file_path)
        stream = self._file.temporary.open("wb")
        self._recording = _Recording(stream, Writer(stream), messages)
        self._observer = Observer(info, self.options, self.add_notice)

    def on_write(self, item: DepthFrame) -> None:
        assert self._recording is not None
        assert self._observer is not None
        with map_write_errors(self.path):
            self._recording.add(self._observer.observe(item))

    def on_close(self) -> None:
        assert self._recording is not None
        assert self._file is not None
        if not self._recording.count:
            self.on_discard()
            return
        with map_write_errors(self.path):
            self._recording.finish()
        self._file.commit()

    def on_discard(self) -> None:
        if self._recording is not None:
            self._recording.stream.close()
        if self._file is not None:
            self._file.discard()
        self._file = self._recording = None


class _Recording:
    """An open MCAP file with its topics."""

    def __init__(self, stream: IO[bytes], writer: Writer, messages: MessageFamily) -> None:
        self.stream, self.count = stream, 0
        self._writer, self._messages = writer, messages
        self._channels: dict[str, int] = {}

    def _write_header(self) -> None:
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

    def add(self, observation: Observation) -> None:
        """Writes all messages of one frame."""
        if not self.count:
            self._write_header()
        for topic, data in self._messages.encode(observation):
            self._writer.add_message(
                self._channels[topic],
                log_time=observation.log_ns,
                publish_time=observation.stamp_ns,
                sequence=observation.item.frame.index,
                data=data,
            )
        self.count += 1

    def finish(self) -> None:
        """Writes the index and closes the file."""
        self._writer.finish()
        self.stream.close()
