"""From the pipeline's threads to everybody who watches: newest only, and encoded once per kind of picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from weakref import WeakKeyDictionary

from streamdepth.apps.web.live_sink import LiveSink, Shot
from streamdepth.core.types import DepthFrame

Encoder = Callable[[DepthFrame], bytes]


class Feed:
    """The newest results of one stream, for any number of viewers. Of the event loop's thread, but for `wake`."""

    def __init__(self, sink: LiveSink) -> None:
        self._sink = sink
        self._arrived = asyncio.Event()
        self._encoded: WeakKeyDictionary[Shot, dict[Hashable, asyncio.Task[bytes]]] = WeakKeyDictionary()
        self._is_over = False
        self.viewers = 0

    async def shots(self) -> AsyncIterator[Shot]:
        """Each time the newest one, never the same twice; what came meanwhile is passed over. Ends with the server."""
        last = -1
        while not self._is_over:
            arrived, shot = self._arrived, self._sink.newest
            if shot is None or shot.number <= last:
                await arrived.wait()
                continue
            last = shot.number
            yield shot

    async def encode(self, shot: Shot, key: Hashable, encoder: Encoder) -> bytes:
        """`encoder` runs on another thread, once for all viewers that ask with the same `key`."""
        tasks = self._encoded.setdefault(shot, {})
        if key not in tasks:
            tasks[key] = asyncio.create_task(asyncio.to_thread(encoder, shot.item))
        return await asyncio.shield(tasks[key])

    def wake(self) -> None:
        """Tells all who wait that something has come."""
        self._arrived.set()
        self._arrived = asyncio.Event()

    def end(self) -> None:
        """Nothing will come any more."""
        self._is_over = True
        self.wake()


class TooManyError(Exception):
    """As many look on as may."""


class Hub:
    """The feeds of all streams, and how many may look on. Made on the event loop that it works on."""

    def __init__(self, sinks: dict[str, LiveSink], most_viewers: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = most_viewers
        self.feeds = {name: Feed(sink) for name, sink in sinks.items()}
        for name, sink in sinks.items():
            sink.listener = partial(self._hand_over, self.feeds[name])

    def _hand_over(self, feed: Feed) -> None:
        """On the pipeline's thread. A viewer that comes just now looks at the newest result before it waits."""
        if feed.viewers:
            with suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(feed.wake)

    @contextmanager
    def viewer(self, name: str) -> Iterator[Feed]:
        """A place among the viewers of one stream. Raises TooManyError."""
        if self.is_full:
            raise TooManyError
        feed = self.feeds[name]
        feed.viewers += 1
        try:
            yield feed
        finally:
            feed.viewers -= 1

    @property
    def is_full(self) -> bool:
        """Whether nobody more may look on."""
        return sum(feed.viewers for feed in self.feeds.values()) >= self._most

    def end(self) -> None:
        """Ends every feed, and with it what is being sent. Thread-safe."""
        for feed in self.feeds.values():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(feed.end)
