"""Broadcasts results from the pipeline's threads to all viewers: the newest only, and encoded once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from weakref import WeakKeyDictionary

from streamdepth.apps.web.live_sink import LiveResult, LiveSink
from streamdepth.core.types import DepthFrame

Encoder = Callable[[DepthFrame], bytes]


class StreamBroadcast:
    """The newest results of one stream, for any number of viewers. Used on the event loop's thread only."""

    def __init__(self, sink: LiveSink) -> None:
        self._sink = sink
        self._arrived = asyncio.Event()
        self._encoded: WeakKeyDictionary[LiveResult, dict[Hashable, asyncio.Task[bytes]]] = WeakKeyDictionary()
        self._has_ended = False
        self.viewers = 0

    async def results(self) -> AsyncIterator[LiveResult]:
        """Yields the newest result each time, and never one twice; ends with the server.

        Results that arrive while the caller is busy with one are skipped, except for the newest.
        """
        last_number = -1
        while not self._has_ended:
            arrived, result = self._arrived, self._sink.newest
            if result is None or result.number <= last_number:
                await arrived.wait()
                continue
            last_number = result.number
            yield result

    async def encode(self, result: LiveResult, key: Hashable, encoder: Encoder) -> bytes:
        """Runs `encoder` on another thread, once for all viewers that ask with the same `key`."""
        tasks = self._encoded.setdefault(result, {})
        if key not in tasks:
            tasks[key] = asyncio.create_task(asyncio.to_thread(encoder, result.item))
        return await asyncio.shield(tasks[key])

    def wake_viewers(self) -> None:
        """Lets the viewers that wait look for a newer result."""
        self._arrived.set()
        self._arrived = asyncio.Event()

    def end(self) -> None:
        """Ends `results` for all viewers."""
        self._has_ended = True
        self.wake_viewers()


class TooManyViewersError(Exception):
    """The highest allowed number of viewers is reached."""


class Broadcaster:
    """The broadcasts of all streams, with a limit of viewers. It must be made on the event loop's thread."""

    def __init__(self, sinks: dict[str, LiveSink], max_viewers: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_viewers = max_viewers
        self.streams = {name: StreamBroadcast(sink) for name, sink in sinks.items()}
        for name, sink in sinks.items():
            sink.on_result = partial(self._wake_viewers, self.streams[name])

    def _wake_viewers(self, stream: StreamBroadcast) -> None:
        """Wakes the viewers, from the pipeline's thread. New viewers look at the newest result before they wait."""
        if stream.viewers:
            with suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(stream.wake_viewers)

    @contextmanager
    def viewer(self, name: str) -> Iterator[StreamBroadcast]:
        """Counts a viewer of the stream within the block. Raises TooManyViewersError."""
        if self.is_full:
            raise TooManyViewersError
        stream = self.streams[name]
        stream.viewers += 1
        try:
            yield stream
        finally:
            stream.viewers -= 1

    @property
    def is_full(self) -> bool:
        """True if no further viewer is allowed."""
        return sum(stream.viewers for stream in self.streams.values()) >= self._max_viewers

    def end(self) -> None:
        """Ends every broadcast, and with it the responses that send it. Thread-safe."""
        for stream in self.streams.values():
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(stream.end)
