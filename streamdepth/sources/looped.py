"""A file that begins again at its end."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource

_USUAL_STEP = Fraction(1, 25)


class LoopedSource(WrappedSource):
    """Another source's frames again and again, with times and indices that go on. A live source is left as it is."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._ends = True
        """Whether its end is the end."""
        self._step = _USUAL_STEP
        self._restart()

    def _restart(self) -> None:
        self._index, self._pts = 0, 0
        """Added to the frames of this round."""
        self._last: Frame | None = None
        self._is_fresh = True

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._restart()
        self._ends = info.is_live
        self._step = 1 / info.fps if info.fps else _USUAL_STEP
        return info if self._ends else replace(info, frame_count=None, origin=None)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if self._ends:
            return frame
        if frame is None and not self._is_fresh and self._source.wait_until_open():
            self._is_fresh = True
            frame = self._source.read()
        if frame is None:
            return None
        if self._is_fresh and self._last is not None:
            self._index = self._last.index + 1 - frame.index
            self._pts = self._last.pts + round(self._step / frame.time_base) - frame.pts
        self._is_fresh = False
        self._last = replace(frame, index=frame.index + self._index, pts=frame.pts + self._pts)
        return self._last

    def close(self) -> None:
        self._ends = True
        super().close()
