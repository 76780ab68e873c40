"""Topics of a recording that are copied beside the depth; the interface between their readers and writers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class RecordedTopic:
    """A topic of a recording, with the schema of its messages."""

    name: str
    schema: str
    """The type of its messages, such as sensor_msgs/msg/Imu."""
    schema_encoding: str
    """The language of `definition`, such as ros2msg."""
    definition: bytes
    encoding: str
    """The serialization of the messages, such as cdr."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Facts that the recorder wrote about the channel, such as its quality of service."""


class RecordedMessage(NamedTuple):
    """A message of a recording, as it was serialized."""

    topic: int
    """Index of its topic."""
    log_ns: int
    """Nanoseconds by the recorder's clock."""
    data: bytes


class RecordedTopics(ABC):
    """Some topics of a recording."""

    @abstractmethod
    def open(self) -> list[RecordedTopic]:
        """Opens the recording and returns the topics. Raises SourceOpenError."""

    @abstractmethod
    def messages(self) -> Iterator[RecordedMessage]:
        """Yields the messages in the order of the recorder's clock. Raises SourceLostError."""

    @abstractmethod
    def close(self) -> None:
        """Closes the recording. Idempotent."""
