"""A node of an installed ROS 2, which publishes the same messages as a recording has."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.publishing import PublishingSink, ros_node_name
from streamdepth.sinks.robots.ros_messages import ROSBAGS
from streamdepth.sinks.robots.topics import Topic

_QUEUE_DEPTH = 10


class RosSink(PublishingSink):
    """Publishes as a ROS 2 node of its own, reliably, with a queue of the last 10 messages of each topic."""

    name = "ROS 2"

    def __init__(self, *, options: RobotOptions | None = None) -> None:
        super().__init__(options)
        self._context: Any = None
        self._node: Any = None
        self._publishers: dict[str, Any] = {}

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [ROSBAGS]

    def _connect(self, topics: list[Topic]) -> None:
        try:
            import rclpy

            kinds = {topic.name: _message_class(topic.schema) for topic in topics}
        except ImportError as error:
            raise SinkOpenError(
                f"publishing to ROS 2 needs its Python packages ({error}); source its setup.bash first and use the "
                "Python it was built for, or publish by zenoh, which needs no ROS",
                code="missing-dependency",
            ) from error
        try:
            self._context = rclpy.Context()
            rclpy.init(context=self._context)
            self._node = rclpy.create_node(ros_node_name(self.options), context=self._context)
            self._publishers = {
                name: self._node.create_publisher(kind, name, _QUEUE_DEPTH) for name, kind in kinds.items()
            }
        except (RuntimeError, ValueError) as error:  # rclpy's own, and those of names that ROS does not allow
            raise SinkOpenError(
                f"ROS 2 cannot publish under '{self.options.namespace}': {error}; a namespace is like /camera, of "
                "letters, digits and _, and the middleware must run",
                code="bad-namespace",
            ) from error

    def _send(self, topic: str, data: bytes, stamp_ns: int) -> None:
        try:
            self._publishers[topic].publish(data)  # serialized messages are sent as they are
        except RuntimeError as error:  # rclpy's own errors are RuntimeErrors
            raise SinkWriteError(f"ROS 2 cannot send {topic}: {error}") from error

    def _disconnect(self) -> None:
        node, context = self._node, self._context
        self._node = self._context = None
        self._publishers = {}
        if node is not None:
            node.destroy_node()
        if context is not None:
            context.try_shutdown()


def _message_class(name: str) -> Any:
    package, folder, kind = name.split("/")
    return getattr(importlib.import_module(f"{package}.{folder}"), kind)
