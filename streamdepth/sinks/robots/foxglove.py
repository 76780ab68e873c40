"""A sink for Foxglove's viewers, by foxglove-sdk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.optional_packages import OptionalPackage
from streamdepth.sinks.robots.foxglove_messages import FOXGLOVE_SDK, FoxgloveMessages
from streamdepth.sinks.robots.foxglove_server import FoxgloveServer
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.publishing import PublishingSink
from streamdepth.sinks.robots.topics import MessageFamily, Topic

_HOST, _PORT = "127.0.0.1", 8765
_LOCAL = ("127.0.0.1", "localhost", "::1")
_BACKLOG_FRAMES = 2
"""Number of frames whose messages wait for a slow viewer; older ones are dropped."""


class FoxgloveSink(PublishingSink):
    """Serves Foxglove's clients at `address`, HOST:PORT; ws://127.0.0.1:8765 by default.

    All sinks of a process with one address share its server. The protocol has no passwords, and browsers let any page
    connect to it: a notice says who can watch. Nothing is encoded while nobody watches. A slow client loses the older
    messages and does not slow down others.
    """

    name = "Foxglove"

    def __init__(self, address: str | None = None, *, options: RobotOptions | None = None) -> None:
        super().__init__(options)
        host, sign, port = (address or "").rpartition(":")
        self.host, self.requested_port = host or _HOST, port if sign or port else str(_PORT)
        self._server: FoxgloveServer | None = None
        self._channels: dict[str, Any] = {}

    @property
    def port(self) -> int:
        """The port that it listens on, once it is open."""
        assert self._server is not None
        return self._server.port

    @property
    def required_packages(self) -> Sequence[OptionalPackage]:
        return [FOXGLOVE_SDK]

    def _make_messages(self, _camera: Intrinsics | None) -> MessageFamily:
        return FoxgloveMessages(self.options)

    def _connect(self, topics: list[Topic]) -> None:
        backlog = _BACKLOG_FRAMES * len(topics)
        server = self._server = FoxgloveServer.acquire(self.host, self.requested_port, backlog=backlog)
        viewers = "any page in a browser of this machine" if self.host in _LOCAL else "whoever reaches it"
        self.add_notice(f"Foxglove's protocol knows no passwords: {viewers} can watch {self.host}:{self.port}")
        self._channels = {topic.name: server.open_channel(topic) for topic in topics}

    def _has_listeners(self) -> bool:
        return any(channel.has_sinks() for channel in self._channels.values())

    def _send(self, topic: str, data: bytes, stamp_ns: int) -> None:
        self._channels[topic].log(data, log_time=stamp_ns)

    def _disconnect(self) -> None:
        server, self._server = self._server, None
        channels, self._channels = self._channels, {}
        if server is not None:
            server.release(list(channels))
