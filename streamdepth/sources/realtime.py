"""A file played at its own speed."""

from __future__ import annotations

import time
from dataclasses import replace

from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource


class RealtimeSource(WrappedSource):
    """Gives the frames of another source no sooner than their timestamps say, as a camera would.

    A source that is live already is only marked as such.

    Args:
        may_drop: the stream counts as live, and frames that are not taken in time are dropped and counted. False: no
            frame is dropped, and frames come late instead.
    """

    def __init__(self, source: Source, *, may_drop: bool = True) -> None:
        super().__init__(source)
        self._may_drop = may_drop
        self._is_live_already = False
        self._clock_start: tuple[float, float] | None = None
        """`time.monotonic()` when the first frame came, and that frame's own time in seconds."""

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._is_live_already, self._clock_start = info.is_live, None
        return self._as_realtime(info)

    def _as_realtime(self, info: StreamInfo) -> StreamInfo:
        return replace(info, is_live=info.is_live or self._may_drop, is_realtime=True)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None or self._is_live_already:
            return frame
        now = time.monotonic()
        if self._clock_start is None:
            self._clock_start = now, frame.time
        started_at, first_time = self._clock_start
        self.interrupted.wait(max(0.0, started_at + frame.time - first_time - now))
        return replace(frame, captured_at=time.monotonic())

    def take_changed_info(self) -> StreamInfo | None:
        info = self._source.take_changed_info()
        return info and self._as_realtime(info)
