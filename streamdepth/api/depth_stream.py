"""The frames of one source with their depth, as an object to iterate over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Self

from streamdepth import factory
from streamdepth.config import Settings
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.interfaces import Estimator, Source
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, StreamInfo
from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.pipeline.report import Report


class DepthStream:
    """Frames of one source with their depth, which `stream` returns: iterate over it, with `for` or `async for`.

    As a context manager it closes the source at the end of the block; an iteration that ends closes it, too. A live
    source drops frames while the caller is slow.

    >>> with sd.stream("samples/room.mp4", max_frames=3) as frames:
    ...     size = frames.info.width, frames.info.height
    ...     times = [round(item.frame.time, 3) for item in frames]
    >>> size, times, frames.report().written
    ((640, 360), [0.0, 0.042, 0.083], 3)
    """

    def __init__(
        self, settings: Settings, source: Source | None, estimator: Estimator | None, sinks: Sequence[Sink]
    ) -> None:
        self._resources = ExitStack()
        self._pipeline: Pipeline = self._resources.enter_context(
            factory.open_pipeline(settings, source=source, estimator=estimator, sinks=sinks)
        )
        self._items: Iterator[DepthFrame] = self._pipeline.frames()
        self._first: DepthFrame | None = None
        self._is_closed = False

    @property
    def info(self) -> StreamInfo:
        """Facts of the stream: size, frame rate, length. The first access opens the source and waits for a frame.

        Raises as opening the source and loading the model do.
        """
        stream = self._pipeline.streams[0]
        if stream.info is None and not self._is_closed:
            self._first = next(self, None)
        if stream.info is None:
            raise SourceOpenError(f"'{stream.title}' was closed before it was open", code="closed")
        return stream.info

    def report(self) -> Report:
        """Returns the report so far: frames read, written and dropped by cause, latencies, the model."""
        return self._pipeline.report()

    def stop(self) -> None:
        """Ends the stream early; frames that were read are still given. Thread-safe, idempotent."""
        self._pipeline.stop()

    def close(self) -> None:
        """Ends the stream at once and closes the source. Idempotent."""
        self._is_closed = True
        close = getattr(self._items, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._resources.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DepthFrame:
        if self._first is not None:
            item, self._first = self._first, None
            return item
        try:
            return next(self._items)
        except BaseException:
            self.close()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DepthFrame:
        item = await asyncio.to_thread(next, self, None)
        if item is None:
            raise StopAsyncIteration
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
