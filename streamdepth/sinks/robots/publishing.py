"""The base class of live transports for robots."""

from __future__ import annotations

from abc import abstractmethod

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.sinks.robots.observation import RobotOptions, check_metric
from streamdepth.sinks.robots.observer import Observer
from streamdepth.sinks.robots.ros_messages import RosMessages
from streamdepth.sinks.robots.topics import MessageFamily, Topic


class PublishingSink(Sink):
    """Publishes the messages of each frame, of metric depth only. Late listeners do not get earlier messages.

    Raises:
        MissingDependencyError: from `open`, without the transport's package.
        SinkOpenError: from `open`, also for relative depth.
        SinkWriteError: from `write`.
    """

    can_drop_frames = True
    name = ""
    """The name of the transport, for messages to people."""

    def __init__(self, options: RobotOptions | None = None) -> None:
        super().__init__()
        self.options = options or RobotOptions()
        self._messages: MessageFamily | None = None
        self._observer: Observer | None = None

    def _make_messages(self, camera: Intrinsics | None) -> MessageFamily:
        """Returns the messages of this transport: those of ROS 2 by default."""
        return RosMessages(self.options, camera)

    @abstractmethod
    def _connect(self, topics: list[Topic]) -> None:
        """Connects and declares the topics. Raises SinkOpenError; then `_disconnect` is called."""

    @abstractmethod
    def _send(self, topic: str, data: bytes, stamp_ns: int) -> None: ...

    @abstractmethod
    def _disconnect(self) -> None:
        """Closes the connection. Idempotent, and allowed before `_connect`."""

    def _has_listeners(self) -> bool:
        """False if it is known that nobody listens, so that no messages need to be made."""
        return True

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_metric(self.name, model)
        messages = self._make_messages(info.intrinsics)
        self._connect(messages.topics())
        self._messages, self._observer = messages, Observer(info, self.options, self.add_notice)

    def on_write(self, item: DepthFrame) -> None:
        assert self._messages is not None
        assert self._observer is not None
        observation = self._observer.observe(item)
        if not self._has_listeners():
            return
        for topic, data in self._messages.encode(observation):
            self._send(topic, data, observation.stamp_ns)

    def on_close(self) -> None:
        self._messages = self._observer = None
        self._disconnect()

    def on_discard(self) -> None:
        self.on_close()


def ros_node_name(options: RobotOptions) -> str:
    """Returns the name of the ROS node that publishes, one for each camera's namespace."""
    return f"streamdepth{options.namespace.replace('/', '_')}"
