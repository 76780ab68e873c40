"""A TCP proxy on 127.0.0.1 that fails the way networks do."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 16_384
_SECOND_SETUP = re.compile(rb"SETUP \S+stream=1 .*?CSeq: *(?P<number>\d+)", re.DOTALL)


class FaultProxy:
    """A proxy to the port `target`, which applies `fault` to new connections and to those that are open.

    - "": nothing. "drop": connections are cut off. "stall": nothing is forwarded, connections stay open.
    - "delay": each piece is late by `delay_seconds`. "truncate": half a piece is forwarded, then it is cut off.
    - "no-sound": a request to set up the second track is refused, as cameras do that cannot send their sound.
    - "garbage": new connections get `garbage` and are cut off. "silent": new ones are accepted and get nothing.
    """

    garbage = b"\x00\xffno RTSP\r\n\r\n" * 400

    def __init__(self, target: int) -> None:
        self.target, self.delay_seconds = target, 0.3
        self.fault = ""
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._spawn(self._accept)

    def _spawn(self, work, *arguments) -> None:  # type: ignore[no-untyped-def]
        thread = threading.Thread(target=work, args=arguments, name="fault proxy")
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            with suppress(OSError):
                client, _ = self._listener.accept()
                self.connections += 1
                self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            if self.fault == "garbage":
                client.sendall(self.garbage)
            while self.fault == "silent" and not self._closing.wait(0.02):
                pass
            if self.fault not in ("garbage", "drop"):
                self._connect(client)
        except OSError:
            pass
        finally:
            self._cut(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self.target), 5)
        self._open.add(server)
        self._spawn(self._forward, server, client)
        self._forward(client, server)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            source.settimeout(0.05)
            while not self._closing.is_set() and self.fault != "drop":
                if self.fault == "stall":
                    time.sleep(0.02)
                    continue
                with suppress(TimeoutError):
                    if not self._pass(source.recv(_CHUNK), source, sink):
                        return
        except OSError:
            pass
        finally:
            self._cut(source)
            self._cut(sink)

    def _pass(self, data: bytes, source: socket.socket, sink: socket.socket) -> bool:
        if self.fault == "no-sound" and (request := _SECOND_SETUP.match(data)):
            source.sendall(b"RTSP/1.0 461 Unsupported transport\r\nCSeq: " + request["number"] + b"\r\n\r\n")
            return True
        if self.fault == "delay":
            self._closing.wait(self.delay_seconds)
        if self.fault == "truncate":
            sink.sendall(data[: len(data) // 2])
            return False
        sink.sendall(data)
        return bool(data)

    def _cut(self, end: socket.socket) -> None:
        self._open.discard(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def cut(self) -> None:
        """Cuts off the connections that are open now."""
        for end in list(self._open):
            self._cut(end)

    def close(self) -> None:
        self._closing.set()
        self.cut()
        self._cut(self._listener)
        for thread in self._threads:
            thread.join(10)


@contextmanager
def proxy_to(target: int) -> Iterator[FaultProxy]:
    """Runs a proxy to the port `target`."""
    proxy = FaultProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
