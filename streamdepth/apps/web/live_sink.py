"""The sink behind the page: it keeps the newest result of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamdepth.apps.web.frame_history import FrameHistory
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LiveResult:
    """A result of a stream with its number, counted from 0 in the order of arrival."""

    number: int
    item: DepthFrame


class LiveSink(Sink):
    """A sink that keeps only the newest result, so that writing is fast, whether anybody watches or not."""

    can_drop_frames = True

    def __init__(self) -> None:
        super().__init__()
        self.history = FrameHistory()
        self.info: StreamInfo | None = None
        """The facts of the stream while it is open; None before and after."""
        self.newest: LiveResult | None = None
        """The newest result; it stays after the stream has ended."""
        self.on_result: Callable[[], None] = lambda: None
        """Callback after each write, on the thread that writes; it must be quick."""

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self.info = info

    def on_stream_changed(self, info: StreamInfo) -> None:
        self.info = info

    def on_write(self, item: DepthFrame) -> None:
        self.newest = LiveResult(self.newest.number + 1 if self.newest else 0, item)
        self.history.add_frame(time.monotonic() - item.frame.captured_at)
        self.on_result()

    def on_close(self) -> None:
        self.info = None
