"""A sink that publishes through a ROS 2 node that exists already."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from streamdepth.core.errors import SinkWriteError
from streamdepth.core.types import DepthFrame
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.publishing import PublishingSink
from streamdepth.sinks.robots.topics import Topic

Publish = Callable[[bytes], None]

_GLOBAL_TOPICS = ("/tf", "/diagnostics")
"""Topics that all nodes share, outside their namespaces."""


class PublisherSink(PublishingSink):
    """Publishes serialized messages by the publishers of a node; their names are relative to the node's namespace.

    Args:
        make_publisher: returns the function that publishes to a topic of this name and type.
        on_published: called with each frame after it was published.
        options: the messages to publish.
    """

    name = "ROS 2"

    def __init__(
        self,
        make_publisher: Callable[[str, Any], Publish],
        on_published: Callable[[DepthFrame], None],
        options: RobotOptions,
    ) -> None:
        super().__init__(options)
        self._make_publisher, self._on_published = make_publisher, on_published
        self._publish: dict[str, Publish] = {}

    def _connect(self, topics: list[Topic]) -> None:
        for topic in topics:
            name = topic.name if topic.name in _GLOBAL_TOPICS else topic.name.lstrip("/")
            self._publish[topic.name] = self._make_publisher(name, message_class(topic.schema))

    def on_write(self, item: DepthFrame) -> None:
        super().on_write(item)
        self._on_published(item)

    def _send(self, topic: str, data: bytes, stamp_ns: int) -> None:
        try:
            self._publish[topic](data)  # rclpy sends bytes as they are
        except RuntimeError as error:  # rclpy's own errors are RuntimeErrors
            raise SinkWriteError(f"ROS 2 cannot send {topic}: {error}") from error

    def _disconnect(self) -> None:
        self._publish = {}


def message_class(name: str) -> Any:
    """Returns the class of a message type such as sensor_msgs/msg/Image. Raises ImportError without its package."""
    package, _, kind = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)
