"""A stream that can be paused."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streamdepth.stages import Source
from streamdepth.types import Frame, StreamInfo


class GatedSource(Source):
    """Another source's frames, those left out and counted as `paused` that come while `is_paused`.

    The stream goes on beneath: a camera that nobody reads would fall behind, and later show the past.
    """

    def __init__(self, source: Source, is_paused: Callable[[], bool]) -> None:
        super().__init__()
        self._source, self._is_paused = source, is_paused
        self.lost, self.notices, self.states = source.lost, source.notices, source.states
        self._interrupted = threading.Event()

    def open(self) -> StreamInfo:
        self._interrupted.clear()
        return self._source.open()

    def await_open(self) -> StreamInfo | None:
        self._interrupted.clear()
        return self._source.await_open()

    def read(self) -> Frame | None:
        while not self._interrupted.is_set():
            frame = self._source.read()
            if frame is None or not self._is_paused():
                return frame
            self.lost["paused"] += 1
        return None

    def renewed(self) -> StreamInfo | None:
        return self._source.renewed()

    def interrupt(self) -> None:
        self._interrupted.set()
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()
