"""A source that starts again at its end."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource

_USUAL_INTERVAL = Fraction(1, 25)
"""Seconds between two rounds of a source with an unknown frame rate."""


class LoopedSource(WrappedSource):
    """Another source's frames in an endless loop, with timestamps and indices that go on increasing.

    A live source has no end and stays as it is.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._is_looping = False
        self._interval = _USUAL_INTERVAL
        self._reset()

    def _reset(self) -> None:
        self._index_offset, self._pts_offset = 0, 0  # added to the frames of the current round
        self._last: Frame | None = None
        self._is_round_start = True

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._reset()
        self._is_looping = not info.is_live
        self._interval = 1 / info.fps if info.fps else _USUAL_INTERVAL
        return replace(info, frame_count=None, file_path=None, track_feed=None) if self._is_looping else info

    def read(self) -> Frame | None:
        frame = self._source.read()
        if not self._is_looping:
            return frame
        if frame is None and not self._is_round_start and self._source.wait_until_open():
            self._is_round_start = True
            frame = self._source.read()
        if frame is None:
            return None
        if self._is_round_start and self._last is not None:
            self._index_offset = self._last.index + 1 - frame.index
            self._pts_offset = self._last.pts + round(self._interval / frame.time_base) - frame.pts
        self._is_round_start = False
        self._last = replace(frame, index=frame.index + self._index_offset, pts=frame.pts + self._pts_offset)
        return self._last

    def close(self) -> None:
        self._is_looping = False
        super().close()
