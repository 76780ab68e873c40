"""All outlets of a pipeline as one: every result goes into each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streamdepth.core.buffer import Worker
from streamdepth.core.interfaces import Sink
from streamdepth.pipeline.sink_worker import AHEAD, LIVE, RECORDED, Item, SinkEvents, SinkWorker
from streamdepth.pipeline.stream import Stream, StreamEnd

Start = Callable[[str, Callable[[], None], Callable[[BaseException | None], None]], Worker]
"""Starts a thread: its name, its work, and whom to tell at its end."""


class SinkDispatcher:
    """One of the recorders together, one of each sink that may skip frames, and last one of the windows together.

    The first decides what counts as written. The windows are fed on the caller's thread; without them, the first is.
    """

    def __init__(self, streams: Sequence[Stream], told: SinkEvents) -> None:
        each = [(lane, sink) for lane, stream in enumerate(streams) for sink in stream.sinks]
        recorders = [(lane, sink) for lane, sink in each if not sink.can_drop_frames]
        senders = [[(lane, sink)] for lane, sink in each if sink.can_drop_frames and not sink.needs_calling_thread]
        windows = [(lane, sink) for lane, sink in each if sink.can_drop_frames and sink.needs_calling_thread]
        first, *others = [group for group in (recorders, *senders, windows) if group] or [recorders]
        silent = SinkEvents(stop=told.stop, failed=told.failed, ended=told.ended, opened=told.opened)
        self._streams = streams
        self._live = RECORDED if recorders else LIVE
        self._first = SinkWorker(streams, _by_lane(first, len(streams)), told)
        self._all = [
            self._first,
            *(SinkWorker(streams, _by_lane(group, len(streams)), silent, may_fail=True) for group in others),
        ]
        self._own = self._all[-1 if windows else 0]
        self._threads: dict[SinkWorker, Worker] = {}

    @property
    def dropped(self) -> list[int]:
        """Of each stream: results that were not written because others came."""
        return self._first.buffer.dropped

    def open(self) -> None:
        """Opens the sinks of the streams that are here; the others once they are. Raises SinkOpenError."""
        for outlet in self._all:
            outlet.open()

    def settle(self, lane: int) -> None:
        """It is known now whether the stream is live: what is not waits for the recorders, and loses nothing."""
        self._first.buffer.settle(self._live if self._streams[lane].is_live else AHEAD, lane)

    def put(self, item: Item) -> bool:
        """False when it is not wanted any more."""
        is_taken, *_ = [outlet.buffer.put(item, item.lane) for outlet in self._all]
        return is_taken

    def end(self, lane: int, error: BaseException | None = None) -> None:
        """No result of the stream comes any more. `error`: why, if not as it should be."""
        for outlet in self._all:
            outlet.buffer.close(StreamEnd(lane, error), lane)

    def close(self, error: BaseException | None = None) -> None:
        """No result comes any more."""
        for outlet in self._all:
            outlet.buffer.close(error)

    def clear(self) -> list[int]:
        """Closes, and throws away what waits: returns how many results of each stream were not written."""
        counts, *_ = [outlet.buffer.clear() for outlet in self._all]
        return counts

    def drain(self, start: Start, failed: Callable[[], None]) -> None:
        """Feeds all sinks until nothing comes any more. Raises what ends it early; `failed` is called at once then.

        A preview that is stuck is left behind: it must not cost the recorders their files, which are waited for.
        """
        failures: list[BaseException] = []

        def ended(error: BaseException | None) -> None:
            if error is not None:
                failures.append(error)
                failed()

        self._threads = {o: start("sinks", o.drain, ended) for o in self._all if o is not self._own}
        self._own.drain()
        if self._first in self._threads:
            self._threads[self._first].wait()
        if failures:
            raise failures[0]

    def items(self) -> Iterator[Item]:
        """What the first would write, instead of `drain`."""
        while True:
            try:
                items = self._first.buffer.take()
            except StreamEnd:
                continue
            if not items:
                return
            yield items[0]

    def left(self) -> list[Sink]:
        """The sinks to be closed yet. Those of a thread that is stuck are left alone: it may be in one of them."""
        free = [o for o in self._all if o not in self._threads or self._threads[o].has_ended(0.0)]
        return [sink for outlet in free for sink in outlet.held]


def _by_lane(group: Sequence[tuple[int, Sink]], lanes: int) -> list[list[Sink]]:
    return [[sink for at, sink in group if at == lane] for lane in range(lanes)]
