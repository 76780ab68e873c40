"""Servers of Foxglove's WebSocket protocol, one for all streams of a process that have the same address."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections import Counter
from types import ModuleType
from typing import Any

from streamdepth.core.errors import SinkOpenError
from streamdepth.sinks.robots.topics import Topic

_SEND_BUFFER_BYTES = 1 << 16
"""Bytes that the system buffers for a slow viewer; by default it would keep megabytes of old messages."""

_lock = threading.Lock()
_servers: dict[tuple[str, str], FoxgloveServer] = {}
"""The running servers by their requested host and port."""
_ended_at: dict[tuple[str, str], float] = {}
"""Time by the monotonic clock at which the last server of each address ended."""
_END_SECONDS, _RETRY_SECONDS = 3.0, 0.02
"""Longest time for which a stopped server may still occupy its port, and the time between attempts to take it."""


class FoxgloveServer:
    """A running server and its channels. Thread-safe.

    A viewer that is too slow loses the oldest messages: at most `backlog` messages and _SEND_BUFFER_BYTES wait for it.
    """

    def __init__(self, host: str, port: str, *, backlog: int) -> None:
        import foxglove

        self._address, self._users = (host, port), 0
        self._context = foxglove.Context()  # the channels end with it
        self._channels: dict[str, Any] = {}
        self._channel_users: Counter[str] = Counter()
        self._server = self._start(foxglove, backlog)
        self.port = int(self._server.port)
        """The port that it listens on."""
        _limit_send_buffers(self.port)

    def _start(self, foxglove: ModuleType, backlog: int) -> Any:
        """Starts to listen; waits for a server of this process that ended a moment ago. Raises SinkOpenError."""
        host, port = self._address
        until = _ended_at.get(self._address, -math.inf) + _END_SECONDS
        while True:
            try:
                return foxglove.start_server(
                    name="streamdepth", host=host, port=int(port), context=self._context, message_backlog_size=backlog
                )
            except (RuntimeError, OSError, ValueError, OverflowError) as error:
                if time.monotonic() < until:
                    time.sleep(_RETRY_SECONDS)
                    continue
                raise SinkOpenError(
                    f"cannot serve Foxglove at '{host}:{port}': {error}; choose another port with foxglove:HOST:PORT",
                    code="cannot-listen",
                ) from error

    @staticmethod
    def acquire(host: str, port: str, *, backlog: int) -> FoxgloveServer:
        """Returns this process's server for an address, which is started if necessary; `release` gives it back.

        Raises SinkOpenError with the code "cannot-listen".
        """
        with _lock:
            server = _servers.get((host, port))
            if server is None:
                server = _servers[host, port] = FoxgloveServer(host, port, backlog=backlog)
            server._users += 1
            return server

    def release(self, topics: list[str]) -> None:
        """Gives back the server and the channels of these topics; the last user stops the server."""
        with _lock:
            for topic in topics:
                self._channel_users[topic] -= 1
                if not self._channel_users[topic]:
                    self._channels.pop(topic).close()
            self._users -= 1
            if self._users:
                return
            del _servers[self._address]
            _ended_at[self._address] = time.monotonic()
            self._server.stop()

    def open_channel(self, topic: Topic) -> Any:
        """Returns the channel of a topic, which is shared by streams with the same topic."""
        import foxglove

        with _lock:
            self._channel_users[topic.name] += 1
            if topic.name not in self._channels:
                schema = foxglove.Schema(name=topic.schema, encoding=topic.schema_encoding, data=topic.definition)
                self._channels[topic.name] = foxglove.Channel(
                    topic.name, schema=schema, message_encoding=topic.encoding, context=self._context
                )
            return self._channels[topic.name]


def _limit_send_buffers(port: int) -> None:
    """Limits the send buffers of all connections to a port that this process listens on.

    Connections inherit the buffers of the listening socket, which belongs to the SDK and is found among the open files
    of this process, where the system lists them (Linux, macOS).
    """
    try:
        names = os.listdir("/dev/fd")
    except OSError:
        return
    for name in names:
        try:
            number = os.dup(int(name))
        except (OSError, ValueError):
            continue
        try:
            found = socket.socket(fileno=number)
        except OSError:  # a file or a pipe
            os.close(number)
            continue
        with found:
            try:
                is_listening = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if is_listening and found.getsockname()[1] == port:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            except (OSError, IndexError):  # a socket of another family
                continue
