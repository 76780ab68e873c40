"""A stream that can be paused."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streamdepth.sources.wrapped import WrappedSource
from streamdepth.stages import Source
from streamdepth.types import Frame, StreamInfo


class GatedSource(WrappedSource):
    """Another source's frames, those left out and counted as `paused` that come while `is_paused`.

    The stream goes on beneath: a camera that nobody reads would fall behind, and later show the past.
    """

    def __init__(self, source: Source, is_paused: Callable[[], bool]) -> None:
        super().__init__(source)
        self._is_paused = is_paused
        self._interrupted = threading.Event()

    def open(self) -> StreamInfo:
        self._interrupted.clear()
        return super().open()

    def await_open(self) -> StreamInfo | None:
        self._interrupted.clear()
        return super().await_open()

    def read(self) -> Frame | None:
        while not self._interrupted.is_set():
            frame = self._source.read()
            if frame is None or not self._is_paused():
                return frame
            self.lost["paused"] += 1
        return None

    def interrupt(self) -> None:
        self._interrupted.set()
        super().interrupt()
