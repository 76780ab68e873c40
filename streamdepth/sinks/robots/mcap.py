"""A recording for robots: MCAP with ROS 2 messages, which rosbag2, Foxglove and Rerun read, or Foxglove's schemas."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Literal

from streamdepth.core.errors import MissingDependencyError, SinkOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.core.recorded_topics import RecordedTopics
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.core.version import __version__
from streamdepth.sinks.pending_files import PendingFile
from streamdepth.sinks.robots.foxglove_messages import FOXGLOVE_SDK, FoxgloveMessages
from streamdepth.sinks.robots.kept_topics import KeptTopics
from streamdepth.sinks.robots.observation import Observation, RobotOptions, check_metric
from streamdepth.sinks.robots.observer import Observer
from streamdepth.sinks.robots.ros_messages import ROSBAGS, RosMessages
from streamdepth.sinks.robots.topics import MessageFamily, Topic
from streamdepth.sinks.write_errors import map_write_errors

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

    Several streams can share a file, each with a namespace of its own: it is complete when the last of those that are
    open has ended, and holds what a stream that failed had written before.

    Args:
        path: the file.
        schemas: the family of messages.
        options: names, and the messages to write.
        overwrite: replaces a file that exists.
        is_shared: writes to the same file as the other sinks of this process with this path that are open.
        kept_topics: topics of the input recording, which are copied unchanged, message by message.

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
        is_shared: bool = False,
        kept_topics: RecordedTopics | None = None,
    ) -> None:
        super().__init__()
        self.kept_topics = kept_topics
        self.path, self.schemas, self.overwrite, self.is_shared = Path(path), schemas, overwrite, is_shared
        self.options = options or RobotOptions()
        self._recording: _Recording | None = None
        self._messages: MessageFamily | None = None
        self._observer: Observer | None = None
        self._kept: KeptTopics | None = None
        self._frame_count: int | None = None
        self._last_index = -1

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [_MCAP, ROSBAGS if self.schemas == "ros2" else FOXGLOVE_SDK]

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.path.suffix.lower() != ".mcap":
            raise SinkOpenError(
                f"a recording for robots is MCAP; name it '{self.path.with_suffix('.mcap')}'", code="unknown-format"
            )
        check_metric(f"'{self.path}'", model)
        self._messages = MESSAGE_FAMILIES[self.schemas](self.options, info.intrinsics)
        try:
            import mcap.writer  # noqa: F401 - said now, not when the first frame comes
        except ImportError as error:
            raise MissingDependencyError(*_MCAP[1:]) from error
        self._frame_count, self._last_index = info.frame_count, -1
        self._kept = None if self.kept_topics is None else KeptTopics(self.kept_topics, self.add_notice)
        self._recording = _Recording.open(self.path, self.overwrite, info.file_path, is_shared=self.is_shared)
        self._observer = Observer(info, self.options, self.add_notice)

    def on_write(self, item: DepthFrame) -> None:
        assert self._recording is not None
        assert self._observer is not None
        assert self._messages is not None
        with map_write_errors(self.path):
            self._recording.add(self._observer.observe(item), self._messages, self._kept)
        self._last_index = item.frame.index

    def on_close(self) -> None:
        assert self._recording is not None
        recording, self._recording = self._recording, None
        with map_write_errors(self.path):
            has_read_all = self._frame_count is None or self._last_index + 1 >= self._frame_count
            if self._kept is not None and self._last_index >= 0 and has_read_all:
                recording.add_rest(self._kept)
            self._close_kept()
            recording.release()

    def on_discard(self) -> None:
        recording, self._recording = self._recording, None
        self._close_kept()
        if recording is not None:
            recording.release(discard=True)

    def _close_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()


_lock = threading.RLock()
_shared_recordings: dict[Path, _Recording] = {}
"""The recordings that are open to several streams, by their absolute paths."""


class _Recording:
    """An open MCAP file with the topics of one stream or several. Thread-safe."""

    def __init__(self, path: Path, overwrite: bool, input_path: Path | None) -> None:
        from mcap.writer import Writer

        self._file = PendingFile(path, overwrite=overwrite, input_path=input_path)
        self._stream: IO[bytes] = self._file.temporary.open("wb")
        self._writer = Writer(self._stream)
        self._count = self._users = self._completed = 0
        self._families: list[MessageFamily] = []
        """The messages of each stream, whose topics are registered."""
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._topics: dict[str, Topic] = {}
        self._types: dict[str, str] = {}
        """Name of each topic -> the type of its messages."""

    @staticmethod
    def open(path: Path, overwrite: bool, input_path: Path | None, *, is_shared: bool) -> _Recording:
        """Returns the open recording that streams share at `path`, or else a new one. Raises SinkOpenError."""
        with _lock:
            key = path.absolute()
            recording = _shared_recordings.get(key) if is_shared else None
            if recording is None:
                recording = _Recording(path, overwrite, input_path)
            if is_shared:
                _shared_recordings[key] = recording
            recording._users += 1
            return recording

    def add(self, observation: Observation, messages: MessageFamily, kept: KeptTopics | None) -> None:
        """Writes all messages of one frame, after the earlier messages of the kept topics."""
        with _lock:
            if not self._count:
                self._writer.start(profile=messages.profile, library=f"streamdepth {__version__}")
            self._count += 1
            if messages not in self._families:
                self._register(messages)
                if kept is not None:
                    kept.register(self._writer, self._types)
            if kept is not None:
                kept.write_until(observation.log_ns)
            for topic, data in messages.encode(observation):
                self._writer.add_message(
                    self._channel(topic),
                    log_time=observation.log_ns,
                    publish_time=observation.stamp_ns,
                    sequence=observation.item.frame.index,
                    data=data,
                )

    def _register(self, messages: MessageFamily) -> None:
        self._families.append(messages)
        for topic in messages.topics():
            self._topics[topic.name] = topic
            self._types[topic.name] = topic.schema

    def _channel(self, name: str) -> int:
        """Returns the channel of a topic, which is registered with its first message."""
        if name not in self._channels:
            topic = self._topics[name]
            if topic.schema not in self._schemas:
                self._schemas[topic.schema] = self._writer.register_schema(
                    topic.schema, topic.schema_encoding, topic.definition
                )
            schema = self._schemas[topic.schema]
            self._channels[name] = self._writer.register_channel(topic.name, topic.encoding, schema)
        return self._channels[name]

    def add_rest(self, kept: KeptTopics) -> None:
        """Writes all remaining messages of the kept topics."""
        with _lock:
            kept.write_until(None)

    def release(self, *, discard: bool = False) -> None:
        """Ends the use by one stream; the last one completes the file, or removes it if all discard theirs."""
        with _lock:
            self._users -= 1
            self._completed += not discard
            if self._users:
                return
            for key in [key for key, recording in _shared_recordings.items() if recording is self]:
                del _shared_recordings[key]
            try:
                if self._completed and self._count:
                    self._writer.finish()
                    self._stream.close()
                    self._file.commit()
            finally:
                with contextlib.suppress(OSError):  # on a full disk the rest of the buffer cannot be written, either
                    self._stream.close()
                self._file.discard()
