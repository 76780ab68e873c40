"""Sinks that keep what they get in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from streamdepth.core.errors import SinkOpenError, SinkWriteError
from streamdepth.core.sink import Sink
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo


class RecordingSink(Sink):
    """A sink that keeps everything that it gets in memory.

    Args:
        can_drop_frames: True for a preview or server.
        needs_calling_thread: True for a window.
        delay_seconds: how long each `write` takes.
        stop_after: number of items after which the sink asks to stop the run.
        stop_after_idle: number of calls of `on_idle` after which the sink asks to stop the run.
        before_write: called with each item before it is kept.
        after_write: called with each item after it was kept.
        before_close: called before the sink is completed.
        after_close: called when the sink is complete.
        on_stall: called with the last item and the seconds since then, at each `on_stalled`.
    """

    def __init__(
        self,
        *,
        can_drop_frames: bool = False,
        needs_calling_thread: bool = False,
        delay_seconds: float = 0.0,
        stop_after: int | None = None,
        stop_after_idle: int | None = None,
        before_write: Callable[[DepthFrame], object] | None = None,
        after_write: Callable[[DepthFrame], object] | None = None,
        before_close: Callable[[], object] | None = None,
        after_close: Callable[[], object] | None = None,
        on_stall: Callable[[DepthFrame, float], object] | None = None,
    ) -> None:
        super().__init__()
        self.can_drop_frames, self.needs_calling_thread = can_drop_frames, needs_calling_thread
        self.delay_seconds, self.stop_after, self.stop_after_idle = delay_seconds, stop_after, stop_after_idle
        self.before_write, self.after_write, self.on_stall = before_write, after_write, on_stall
        self.before_close, self.after_close = before_close, after_close
        self.items: list[DepthFrame] = []
        self.info: StreamInfo | None = None
        """The stream's facts when the sink was opened."""
        self.model: ModelInfo | None = None
        self.changes: list[tuple[int, StreamInfo]] = []
        """The number of items before each `on_stream_changed`, and its facts."""
        self.idle_count = 0
        self.closed = self.discarded = False

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        self.info, self.model = info, model

    def on_write(self, item: DepthFrame) -> None:
        if self.before_write is not None:
            self.before_write(item)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        self.items.append(item)
        if self.after_write is not None:
            self.after_write(item)

    def on_close(self) -> None:
        if self.before_close is not None:
            self.before_close()
        self.closed = True
        if self.after_close is not None:
            self.after_close()

    def on_discard(self) -> None:
        self.discarded = True

    def on_stream_changed(self, info: StreamInfo) -> None:
        self.changes.append((len(self.items), info))

    def on_stalled(self, last: DepthFrame, seconds: float) -> None:
        if self.on_stall is not None:
            self.on_stall(last, seconds)

    def on_idle(self) -> None:
        self.idle_count += 1

    @property
    def wants_stop(self) -> bool:
        has_enough_items = self.stop_after is not None and len(self.items) >= self.stop_after
        return has_enough_items or (self.stop_after_idle is not None and self.idle_count >= self.stop_after_idle)


class FailingSink(RecordingSink):
    """A sink that fails at item `fail_at`, counted from 0, or when it is opened or closed."""

    def __init__(self, fail_at: int | Literal["open", "close"] = 3, **options: Any) -> None:
        super().__init__(**options)
        self.fail_at = fail_at

    def on_open(self, info: StreamInfo, model: ModelInfo) -> None:
        if self.fail_at == "open":
            raise SinkOpenError("the sink failed on purpose")
        super().on_open(info, model)

    def on_write(self, item: DepthFrame) -> None:
        if len(self.items) == self.fail_at:
            raise SinkWriteError("the sink failed on purpose")
        super().on_write(item)

    def on_close(self) -> None:
        if self.fail_at == "close":
            raise SinkWriteError("the sink failed on purpose")
        super().on_close()
