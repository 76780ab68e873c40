"""A server that Foxglove connects to (its WebSocket protocol), by foxglove-sdk."""

from __future__ import annotations

from typing import Any

from streamdepth.core.errors import SinkOpenError
from streamdepth.core.types import Intrinsics
from streamdepth.sinks.robots.channels import Messages, Topic
from streamdepth.sinks.robots.foxglove_messages import FoxgloveMessages
from streamdepth.sinks.robots.observation import RobotOptions
from streamdepth.sinks.robots.publishing import PublishingSink

_HOST, _PORT = "127.0.0.1", 8765
_BACKLOG = 32
_LOCAL = ("127.0.0.1", "localhost", "::1")


class FoxgloveSink(PublishingSink):
    """Serves at `address`, HOST:PORT, ws://127.0.0.1:8765 when not given.

    The protocol knows no passwords, and browsers let any page connect to it: whoever may watch is told as a notice.

    Nothing is encoded while nobody watches; a slow watcher loses messages and slows nobody.
    """

    name = "Foxglove"

    def __init__(self, address: str | None = None, *, options: RobotOptions | None = None) -> None:
        super().__init__(options)
        host, sign, port = (address or "").rpartition(":")
        self.host, self.port_wanted = host or _HOST, port if sign or port else str(_PORT)
        self._server: Any = None
        self._context: Any = None
        self._channels: dict[str, Any] = {}

    @property
    def port(self) -> int:
        """The one it listens on once open."""
        return int(self._server.port)

    def _make_messages(self, _camera: Intrinsics | None) -> Messages:
        return FoxgloveMessages(self.options)

    def _connect(self, topics: list[Topic]) -> None:
        import foxglove

        self._context = context = foxglove.Context()  # the channels end with it
        try:
            self._server = foxglove.start_server(
                name="streamdepth",
                host=self.host,
                port=int(self.port_wanted),
                context=context,
                message_backlog_size=_BACKLOG,
            )
        except (RuntimeError, OSError, ValueError, OverflowError) as error:
            raise SinkOpenError(
                f"cannot serve Foxglove at '{self.host}:{self.port_wanted}': {error}; choose another port with "
                "foxglove:HOST:PORT"
            ) from error
        who = "any page in a browser of this machine" if self.host in _LOCAL else "whoever reaches it"
        self.add_notice(f"Foxglove's protocol knows no passwords: {who} can watch {self.host}:{self.port}")
        for topic in topics:
            schema = foxglove.Schema(name=topic.schema, encoding=topic.schema_encoding, data=topic.definition)
            self._channels[topic.name] = foxglove.Channel(
                topic.name, schema=schema, message_encoding=topic.encoding, context=context
            )

    def _is_watched(self) -> bool:
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
