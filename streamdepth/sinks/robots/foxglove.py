"""A server for Foxglove's WebSocket protocol, by foxglove-sdk."""

from __future__ import annotations

from typing import Any

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.sinks.robots.foxglove_messages import FoxgloveMessages
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.publishing import PublishingSink
from streamdepth.sinks.robots.topics import MessageFamily, Topic

_HOST, _PORT = "127.0.0.1", 8765
_BACKLOG = 32
_LOCAL = ("127.0.0.1", "localhost", "::1")


class FoxgloveSink(PublishingSink):
    """Serves Foxglove's clients at `address`, HOST:PORT; ws://127.0.0.1:8765 by default.

    The protocol has no passwords, and browsers let any page connect to it: a notice says who can watch. Nothing is
    encoded while nobody watches; a slow client loses messages and slows nobody.
    """

    name = "Foxglove"

    def __init__(self, address: str | None = None, *, options: RobotOptions | None = None) -> None:
        super().__init__(options)
        host, sign, port = (address or "").rpartition(":")
        self.host, self.requested_port = host or _HOST, port if sign or port else str(_PORT)
        self._server: Any = None
        self._context: Any = None
        self._channels: dict[str, Any] = {}

    @property
    def port(self) -> int:
        """The port that it listens on, once it is open."""
        return int(self._server.port)

    def _make_messages(self, _camera: Intrinsics | None) -> MessageFamily:
        return FoxgloveMessages(self.options)

    def _connect(self, topics: list[Topic]) -> None:
        import foxglove

        self._context = context = foxglove.Context()  # the channels end with it
        try:
            self._server = foxglove.start_server(
                name="streamdepth",
                host=self.host,
                port=int(self.requested_port),
                context=context,
                message_backlog_size=_BACKLOG,
            )
        except (RuntimeError, OSError, ValueError, OverflowError) as error:
            raise SinkOpenError(
                f"cannot serve Foxglove at '{self.host}:{self.requested_port}': {error}; choose another port with "
                "foxglove:HOST:PORT",
                code="cannot-listen",
            ) from error
        viewers = "any page in a browser of this machine" if self.host in _LOCAL else "whoever reaches it"
        self.add_notice(f"Foxglove's protocol knows no passwords: {viewers} can watch {self.host}:{self.port}")
        for topic in topics:
            schema = foxglove.Schema(name=topic.schema, encoding=topic.schema_encoding, data=topic.definition)
            self._channels[topic.name] = foxglove.Channel(
                topic.name, schema=schema, message_encoding=topic.encoding, context=context
            )

    def _has_listeners(self) -> bool:
        return any(channel.has_sinks() for channel in self._channels.values())

    def _send(self, topic: str, data: bytes, stamp_ns: int) -> None:
        self._channels[topic].log(data, log_time=stamp_ns)

    def _disconnect(self) -> None:
        server, self._server = self._server, None
        self._context = None
        for channel in self._channels.values():
            channel.close()
        self._channels = {}
        if server is not None:
            server.stop()
