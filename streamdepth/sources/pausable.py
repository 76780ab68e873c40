"""A source that can be paused."""

from __future__ import annotations

from collections.abc import Callable

from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame
from streamdepth.core.wrappers import WrappedSource


class PausableSource(WrappedSource):
    """Another source without the frames that come while `is_paused()` is true; they are counted as `paused`.

    Frames are read during a pause, too, because a camera that is not read falls behind and gives old pictures later.
    """

    def __init__(self, source: Source, is_paused: Callable[[], bool]) -> None:
        super().__init__(source)
        self._is_paused = is_paused

    def read(self) -> Frame | None:
        while not self.interrupted.is_set():
            frame = self._source.read()
            if frame is None or not self._is_paused():
                return frame
            self.undelivered["paused"] += 1
        return None
