"""Where results leave the pipeline: a buffer, and the sinks that are fed from it on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamdepth.buffer import FrameBuffer, Policy
from streamdepth.errors import SinkError
from streamdepth.stages import Sink
from streamdepth.streams import Stream
from streamdepth.types import DepthFrame, StreamInfo

_IDLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Item:
    """One result and the number of its stream."""

    lane: int
    result: DepthFrame


class Outlet:
    """Feeds sinks of all streams, `sinks[lane]`, from one buffer, and tells them when a stream has changed.

    `on_written` gets each item with the seconds its sinks took; `stop` is called when a sink wants to. When
    `may_fail`, a sink that fails is left out from then on and the others go on.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        sinks: Sequence[Sequence[Sink]],
        policies: Sequence[Policy],
        *,
        stop: Callable[[], None],
        on_written: Callable[[Item, float], None] = lambda _item, _seconds: None,
        may_fail: bool = False,
    ) -> None:
        self.buffer: FrameBuffer[Item] = FrameBuffer(*policies)
        self._streams = streams
        self._told: list[StreamInfo | None] = [stream.info for stream in streams]
        self._sinks = [list(of_stream) for of_stream in sinks]
        self._stop, self._on_written, self._may_fail = stop, on_written, may_fail

    def drain(self) -> None:
        """Writes what comes until the buffer is over. Raises the error that closed it, or SinkError."""
        has_viewers = any(sink.may_skip for of_stream in self._sinks for sink in of_stream)
        within = _IDLE_SECONDS if has_viewers else None
        while True:
            items = self.buffer.take(within=within)
            for item in items:
                self._write(item)
            if not items:
                if self.buffer.is_over and not len(self.buffer):
                    return
                self._idle()

    def _write(self, item: Item) -> None:
        began = time.monotonic()
        self._tell_change(item)
        self._each(item.lane, lambda sink: sink.write(item.result))
        self._on_written(item, time.monotonic() - began)

    def _tell_change(self, item: Item) -> None:
        """Once the first picture of the new size is here: those on their way before it are of the old one."""
        info = self._streams[item.lane].info
        if info is None or info is self._told[item.lane]:
            return
        if item.result.frame.image.shape[:2] == (info.height, info.width):
            self._told[item.lane] = info
            self._each(item.lane, lambda sink: sink.changed(info))

    def _idle(self) -> None:
        for lane in range(len(self._sinks)):
            self._each(lane, lambda sink: sink.idle())

    def _each(self, lane: int, action: Callable[[Sink], None]) -> None:
        for sink in list(self._sinks[lane]):
            try:
                action(sink)
            except SinkError as error:
                if not self._may_fail:
                    raise
                sink.notice(str(error))
                self._sinks[lane].remove(sink)
            if sink.wants_stop:
                self._stop()
