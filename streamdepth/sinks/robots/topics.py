"""Topics and families of messages, as every transport needs them: names, schemas and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from streamdepth.sinks.robots.observation import Observation


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with the schema of its messages."""

    name: str
    schema: str
    """The type of its messages, such as sensor_msgs/msg/Image."""
    schema_encoding: str
    """The language of `definition`, such as ros2msg or protobuf."""
    definition: bytes
    """The schema itself."""
    encoding: str
    """The serialization of the messages, such as cdr or protobuf."""
    type_hash: str = ""
    """The hash of a ROS type by REP 2016; empty for others."""


class MessageFamily(Protocol):
    """Makes messages of one family, such as ROS 2's, from observations."""

    profile: str
    """The profile of an MCAP file with such messages."""

    def topics(self) -> list[Topic]:
        """Returns all topics that may get messages."""

    def encode(self, observation: Observation) -> Iterator[tuple[str, bytes]]:
        """Yields (topic, bytes) for each message of an observation."""
