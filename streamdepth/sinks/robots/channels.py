"""What any transport needs to know of messages: their topics, and their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from streamdepth.sinks.robots.observation import Observation


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how its messages are described."""

    name: str
    schema: str
    """The kind of its messages, such as sensor_msgs/msg/Image."""
    schema_encoding: str
    definition: bytes
    """The description itself, in `schema_encoding`."""
    encoding: str
    """Of the messages."""
    type_hash: str = ""
    """By REP 2016, of ROS types."""


class Messages(Protocol):
    """A family of messages."""

    profile: str
    """Of an MCAP file that holds them."""

    def topics(self) -> list[Topic]:
        """All that there can be."""

    def encode(self, seen: Observation) -> Iterator[tuple[str, bytes]]:
        """(topic, bytes) for each message of an observation."""
