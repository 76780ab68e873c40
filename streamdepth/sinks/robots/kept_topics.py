"""Copies topics of the input recording into the output recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from streamdepth.core.recorded_topics import RecordedMessage, RecordedTopics

if TYPE_CHECKING:
    from mcap.writer import Writer


class KeptTopics:
    """Topics of a recording that are copied unchanged into an MCAP file, in step with the frames.

    Where the file has a topic of the same name, such as /tf, messages of the same type are added to it; a topic of
    another type is left out.
    """

    def __init__(self, recording: RecordedTopics, on_notice: Callable[[str], None]) -> None:
        self._recording, self._on_notice = recording, on_notice
        self._messages: Iterator[RecordedMessage] = iter(())
        self._next: RecordedMessage | None = None
        self._channels: dict[int, int] = {}
        self._topics = recording.open()

    def register(self, writer: Writer, written: Mapping[str, str]) -> None:
        """Registers the topics in a file that was started.

        `written` maps the names of the topics that the file already has to their types.
        """
        self._writer, schemas = writer, dict[tuple[str, bytes], int]()
        for index, topic in enumerate(self._topics):
            if written.get(topic.name, topic.schema) != topic.schema:
                self._on_notice(f"the topic {topic.name} is not kept: depth has a topic of that name and another type")
                continue
            key = topic.schema, topic.definition
            if key not in schemas:
                schemas[key] = writer.register_schema(topic.schema, topic.schema_encoding, topic.definition)
            self._channels[index] = writer.register_channel(
                topic.name, topic.encoding, schemas[key], dict(topic.metadata)
            )
        self._messages = self._recording.messages()
        self._next = next(self._messages, None)

    def write_until(self, log_ns: int | None) -> None:
        """Writes the remaining messages up to this log time; None: all of them."""
        while self._next is not None and (log_ns is None or self._next.log_ns <= log_ns):
            message = self._next
            if (channel := self._channels.get(message.topic)) is not None:
                self._writer.add_message(
                    channel, log_time=message.log_ns, publish_time=message.log_ns, data=message.data
                )
            self._next = next(self._messages, None)

    def close(self) -> None:
        """Closes the recording."""
        self._messages, self._next = iter(()), None
        self._recording.close()
