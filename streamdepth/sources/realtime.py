"""A file at its own pace."""

from __future__ import annotations

import time
from dataclasses import replace

from streamdepth.core.interfaces import Source
from streamdepth.core.types import Frame, StreamInfo
from streamdepth.core.wrappers import WrappedSource


class RealtimeSource(WrappedSource):
    """Gives another source's frames no sooner than their timestamps say, as a camera would.

    The stream counts as live: frames that are not taken in time are dropped and counted; unless `may_drop` is False:
    then they are late. A source that is live anyway keeps its own pace.
    """

    def __init__(self, source: Source, *, may_drop: bool = True) -> None:
        super().__init__(source)
        self._may_drop = may_drop
        self._keeps_pace = False
        self._began: tuple[float, float] | None = None

    def on_open(self, info: StreamInfo) -> StreamInfo:
        self._keeps_pace, self._began = info.is_live, None
        return self._paced(info)

    def _paced(self, info: StreamInfo) -> StreamInfo:
        return replace(info, is_live=info.is_live or self._may_drop, is_paced=True)

    def read(self) -> Frame | None:
        frame = self._source.read()
        if frame is None or self._keeps_pace:
            return frame
        now = time.monotonic()
        if self._began is None:
            self._began = now, frame.time
        self.interrupted.wait(max(0.0, self._began[0] + frame.time - self._began[1] - now))
        return replace(frame, captured_at=time.monotonic())

    def take_changed_info(self) -> StreamInfo | None:
        info = self._source.take_changed_info()
        return info and self._paced(info)
