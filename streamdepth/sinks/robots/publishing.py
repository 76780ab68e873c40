"""What the live transports share: each sends the same bytes to its own listeners."""

from __future__ import annotations

from abc import abstractmethod

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.interfaces import Sink
from streamdepth.core.types import DepthFrame, Intrinsics, ModelInfo, StreamInfo
from streamdepth.sinks.robots.channels import Messages, Topic
from streamdepth.sinks.robots.observation import Observer, RobotOptions, check_metric


class PublishingSink(Sink):
    """Sends the messages of each frame away, metric depth only; who comes late gets what comes then.

    Raises:
        MissingDependencyError: from `open`, without the transport's package.
        SinkOpenError: from `open`, also for relative depth.
        SinkWriteError: from `write`.
    """

    can_drop_frames = True
    name = ""
    """Of the transport, for people."""

    def __init__(self, options: RobotOptions | None = None) -> None:
        super().__init__()
        self.options = options or RobotOptions()
        self._messages: Messages | None = None
        self._observer: Observer | None = None

    @abstractmethod
    def _make_messages(self, camera: Intrinsics | None) -> Messages: ...

    @abstractmethod
    def _connect(self, topics: list[Topic]) -> None:
        """Raises SinkOpenError; then `_disconnect` is called."""

    @abstractmethod
    def _send(self, topic: str, data: bytes, stamp_ns: int) -> None: ...

    @abstractmethod
    def _disconnect(self) -> None:
        """Idempotent, allowed before `_connect`."""

    def _is_watched(self) -> bool:
        """False where it is known that nobody listens, and nothing need be made."""
        return True

    def open(self, info: StreamInfo, model: ModelInfo) -> None:
        check_metric(self.name, model)
        messages = self._make_messages(info.intrinsics)
        try:
            self._connect(messages.topics())
        except SinkOpenError:
            self._disconnect()
            raise
        self._messages, self._observer = messages, Observer(info, self.options, self.add_notice)

    def write(self, item: DepthFrame) -> None:
        if self._messages is None or self._observer is None:
            raise SinkWriteError(f"{self.name} is not open; call open first")
        seen = self._observer.observe(item)
        if not self._is_watched():
            return
        for topic, data in self._messages.encode(seen):
            self._send(topic, data, seen.stamp_ns)

    def close(self) -> None:
        self._messages = self._observer = None
        self._disconnect()


def node_name(options: RobotOptions) -> str:
    """Of the ROS node that publishes: one for each camera."""
    return f"streamdepth{options.namespace.replace('/', '_')}"
