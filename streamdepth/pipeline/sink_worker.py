"""Where results leave the pipeline: a buffer, and the sinks that are fed from it on one thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from streamdepth.core.buffer import FrameBuffer, QueuePolicy
from streamdepth.core.errors import SinkError
from streamdepth.core.interfaces import Sink
from streamdepth.core.states import StreamState
from streamdepth.core.types import DepthFrame, StreamInfo
from streamdepth.pipeline.stream import Stream, StreamEnd

_log = logging.getLogger(__name__)

AHEAD, LIVE, RECORDED = QueuePolicy(4), QueuePolicy(1, "drop_oldest"), QueuePolicy(8, "drop_oldest")
"""How many items wait: of what can wait itself, of what must be fresh, of a live stream that is recorded."""

_IDLE_SECONDS, _LOOK_SECONDS = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Item:
    """One result, the number of its stream, and what held of that when the frame was read."""

    lane: int
    result: DepthFrame
    info: StreamInfo


@dataclass(frozen=True, slots=True)
class SinkEvents:
    """Whom an outlet tells what, on its own thread."""

    stop: Callable[[], None] = lambda: None
    """A sink wants all to end."""
    written: Callable[[Item, float], None] = lambda _item, _seconds: None
    """An item, and the seconds its sinks took."""
    unwanted: Callable[[int], None] = lambda _lane: None
    """An item of a stream that has failed was thrown away."""
    failed: Callable[[int, Exception], None] = lambda _lane, _error: None
    """A stream's sink has failed, and so has the stream."""
    ended: Callable[[int, Callable[[], None]], None] = lambda _lane, complete: complete()
    """A stream is over: lets its sinks be completed, which may take long and must not keep the others waiting."""
    opened: Callable[[int, StreamInfo, Sink], None] = lambda _lane, _info, _sink: None
    """A stream is here: opens its sink."""


class SinkWorker:
    """Feeds sinks of all streams, `sinks[lane]`, from one buffer, and tells them when a stream has changed.

    Sinks are closed when their stream is over, whatever others do. One that fails is discarded and its stream with it:
    what the stream's other sinks hold is completed when it was live and cannot be had again, else discarded. When
    `may_fail`, a sink that raises SinkError is only left out, and so it is when it cannot be completed.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        sinks: Sequence[Sequence[Sink]],
        told: SinkEvents,
        *,
        may_fail: bool = False,
    ) -> None:
        self.buffer: FrameBuffer[Item] = FrameBuffer(*(LIVE for _ in streams))
        self._streams, self._told, self._may_fail = streams, told, may_fail
        self._known: list[StreamInfo | None] = [None] * len(streams)
        self._sinks = [list(of_stream) for of_stream in sinks]
        self._has_viewers = any(sink.can_drop_frames for of_stream in sinks for sink in of_stream)
        self._last: dict[int, DepthFrame] = {}
        self._looked_at = 0.0
        self._over: set[int] = set()

    @property
    def held(self) -> list[Sink]:
        """The sinks whose stream is not over."""
        return [sink for of_stream in self._sinks for sink in of_stream]

    def open(self) -> None:
        """Opens the sinks of the streams that are here; those of others when their first item comes.

        Raises SinkOpenError.
        """
        for lane, stream in enumerate(self._streams):
            if (info := stream.info) is not None:
                self._known[lane] = info
                for sink in self._sinks[lane]:
                    self._told.opened(lane, info, sink)

    def drain(self) -> None:
        """Writes what comes until the buffer is over. Raises the error that closed it."""
        within = _IDLE_SECONDS if self._has_viewers else None
        while True:
            try:
                items = self.buffer.take(within=within)
            except StreamEnd as end:
                self._end(end.lane, end.error)
                continue
            for item in items:
                self._write(item)
            if self._has_viewers:
                self._tell_stalls()
            if not items:
                if self.buffer.is_over:
                    return
                self._idle()

    def _write(self, item: Item) -> None:
        began = time.monotonic()
        if item.lane not in self._over:
            self._tell_change(item)
            self._each(item.lane, lambda sink: sink.write(item.result))
        if item.lane in self._over:
            self._told.unwanted(item.lane)
            return
        if self._has_viewers:
            self._last[item.lane] = item.result
        self._told.written(item, time.monotonic() - began)

    def _tell_change(self, item: Item) -> None:
        lane, info = item.lane, item.info
        known, self._known[lane] = self._known[lane], info
        if known is None:
            self._each(lane, lambda sink: self._told.opened(lane, info, sink))
        elif known is not info:
            self._each(lane, lambda sink: sink.on_stream_changed(info))

    def _tell_stalls(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        for lane, last in list(self._last.items()):  # one that fails is taken out
            if self._streams[lane].source.state in (StreamState.STALLED, StreamState.RECONNECTING):
                self._each(lane, lambda sink: sink.on_stalled(last, now - last.frame.captured_at))  # noqa: B023 - used at once

    def _idle(self) -> None:
        for lane in range(len(self._sinks)):
            self._each(lane, lambda sink: sink.on_idle())

    def _each(self, lane: int, action: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks[lane]):
            try:
                action(sink)
            except Exception as error:
                self._sinks[lane].remove(sink)
                _discard(sink)
                if not self._leaves_out(sink, error):
                    return self._fail(lane, error)
            if sink.wants_stop:
                self._told.stop()
        return None

    def _leaves_out(self, sink: Sink, error: Exception) -> bool:
        """Whether the stream goes on without the sink, which then says why."""
        is_spared = self._may_fail and isinstance(error, SinkError)
        if is_spared:
            sink.add_notice(str(error))
        return is_spared

    def _fail(self, lane: int, error: Exception) -> None:
        self._told.failed(lane, error)
        self._end(lane, error)

    def _end(self, lane: int, error: BaseException | None) -> None:
        sinks, self._sinks[lane] = self._sinks[lane], []
        self._over.add(lane)
        self._last.pop(lane, None)
        is_wanted = error is None or self._streams[lane].is_live
        complete = partial(self._complete, lane, sinks, is_wanted=is_wanted)
        if any(sink.needs_calling_thread for sink in sinks):
            complete()
        elif sinks:
            self._told.ended(lane, complete)

    def _complete(self, lane: int, sinks: Sequence[Sink], *, is_wanted: bool) -> None:
        for sink in sinks:
            try:
                (sink.close if is_wanted else sink.discard)()
            except Exception as error:
                if not self._leaves_out(sink, error):
                    self._told.failed(lane, error)


def _discard(sink: Sink) -> None:
    """After a failure, which is the one to tell of."""
    try:
        sink.discard()
    except Exception as error:
        _log.warning("what a failed output had begun could not be removed: %s", error)
