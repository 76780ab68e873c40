"""The last step of a pipeline: a buffer, and the sinks that are fed from it on one thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from streamdepth.core.buffer import LIVE_POLICY, FrameBuffer
from streamdepth.core.errors import SinkError
from streamdepth.core.sink import Sink
from streamdepth.core.states import StreamState
from streamdepth.core.threads import ThreadGroup
from streamdepth.core.types import DepthFrame, ModelInfo, StreamInfo
from streamdepth.pipeline.stream import Stream, StreamResult

_log = logging.getLogger(__name__)

_IDLE_SECONDS, _STALL_CHECK_SECONDS = 0.05, 0.5


class SinkEvents(Protocol):
    """Callbacks of a sink worker; they run on the worker's thread."""

    def on_result_written(self, result: StreamResult, seconds: float) -> None:
        """Called when all sinks of the stream have taken a result; `seconds` is how long they took."""

    def on_result_discarded(self, stream_index: int) -> None:
        """Called for each result that is thrown away because its stream has failed."""

    def on_stream_failed(self, stream_index: int, error: Exception) -> None:
        """Called when a sink has failed, and with it the stream."""

    def on_stop_requested(self) -> None:
        """Called when a sink wants the whole run to end, for example because its window was closed."""


class SinkWorker:
    """Feeds sinks of all streams from one buffer, on the thread that calls `run`.

    Sinks are closed when their stream ends, on a thread of their own, because that may take long. A sink that fails is
    discarded and ends its stream: the stream's other sinks are completed if it was live and cannot be recorded again,
    else discarded. With `may_fail`, a sink that raises SinkError, also while it is completed, is only left out.

    Args:
        streams: all streams of the pipeline.
        sinks: this worker's sinks of each stream.
        threads: runs the completion of sinks.
        events: gets the callbacks.
        may_fail: True for previews, which must not end a recording.
        counts_results: True for the one worker that reports `on_result_written` and `on_result_discarded`.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        sinks: Sequence[Sequence[Sink]],
        threads: ThreadGroup,
        events: SinkEvents,
        *,
        may_fail: bool = False,
        counts_results: bool = True,
    ) -> None:
        self.buffer: FrameBuffer[StreamResult] = FrameBuffer(*(LIVE_POLICY for _ in streams))
        self._streams, self._threads, self._events = streams, threads, events
        self._may_fail, self._counts_results = may_fail, counts_results
        self._model: ModelInfo | None = None
        self._infos: list[StreamInfo | None] = [None] * len(streams)
        """The facts of each stream that its sinks know; None: its sinks are not open."""
        self._sinks = [list(of_stream) for of_stream in sinks]
        self._has_viewers = any(sink.can_drop_frames for of_stream in sinks for sink in of_stream)
        self._last_shown: dict[int, DepthFrame] = {}
        self._stalls_checked_at = 0.0
        self._ended: set[int] = set()

    @property
    def open_sinks(self) -> list[Sink]:
        """The sinks of streams that have not ended."""
        return [sink for of_stream in self._sinks for sink in of_stream]

    def open(self, model: ModelInfo) -> None:
        """Opens the sinks of streams whose source is open; the others open at their first result.

        Raises SinkOpenError.
        """
        self._model = model
        for i, stream in enumerate(self._streams):
            if stream.info is not None:
                self._infos[i] = stream.info
                for sink in self._sinks[i]:
                    sink.open(stream.info, self._model_of(i))

    def _model_of(self, stream_index: int) -> ModelInfo:
        """Returns the facts of the model, with the kind of depth that the stream's stabilizer makes."""
        assert self._model is not None
        return replace(self._model, kind=self._streams[stream_index].stabilizer.output_kind(self._model.kind))

    def run(self) -> None:
        """Writes results until the buffer is over. Raises the error that the buffer was closed with."""
        for _ in self.written_results():
            pass

    def written_results(self) -> Iterator[StreamResult]:
        """Yields each result that the sinks have taken, until the buffer is over; raises as `run` does."""
        timeout = _IDLE_SECONDS if self._has_viewers else None
        while True:
            results = self.buffer.take(timeout=timeout)
            for result in results:
                if self._write(result):
                    yield result
            if self._has_viewers:
                self._report_stalls()
            if results:
                continue
            for end in self.buffer.take_ended():
                self._end_stream(end.stream_index, end.error)
            if self.buffer.is_over:
                return
            if self._has_viewers:
                self._report_idle()

    def _write(self, result: StreamResult) -> bool:
        """Returns False for a result of a stream that has failed."""
        i, began = result.stream_index, time.monotonic()
        if i not in self._ended and result.info is not self._infos[i]:
            self._change_info(i, result.info)
        self._for_each_sink(i, lambda sink: sink.write(result.item))
        if i in self._ended:
            if self._counts_results:
                self._events.on_result_discarded(i)
            return False
        if self._has_viewers:
            self._last_shown[i] = result.item
        if self._counts_results:
            self._events.on_result_written(result, time.monotonic() - began)
        return True

    def _change_info(self, stream_index: int, info: StreamInfo) -> None:
        is_open = self._infos[stream_index] is not None
        self._infos[stream_index] = info
        if is_open:
            self._for_each_sink(stream_index, lambda sink: sink.on_stream_changed(info))
        else:
            self._for_each_sink(stream_index, lambda sink: sink.open(info, self._model_of(stream_index)))

    def _report_stalls(self) -> None:
        now = time.monotonic()
        if now - self._stalls_checked_at < _STALL_CHECK_SECONDS:
            return
        self._stalls_checked_at = now
        for i, last in list(self._last_shown.items()):  # a sink that fails ends its stream, which is removed here
            if self._streams[i].source.state in (StreamState.STALLED, StreamState.RECONNECTING):
                self._report_stall(i, last, now - last.frame.captured_at)

    def _report_stall(self, stream_index: int, last: DepthFrame, seconds: float) -> None:
        self._for_each_sink(stream_index, lambda sink: sink.on_stalled(last, seconds))

    def _report_idle(self) -> None:
        for i, info in enumerate(self._infos):
            if info is not None:
                self._for_each_sink(i, lambda sink: sink.on_idle())

    def _for_each_sink(self, stream_index: int, action: Callable[[Sink], None]) -> None:
        """Calls `action` with each sink of a stream, until one fails the stream."""
        for sink in list(self._sinks[stream_index]):
            try:
                action(sink)
            except Exception as error:
                self._on_sink_failed(stream_index, sink, error)
                if stream_index in self._ended:
                    return
            if sink.wants_stop:
                self._events.on_stop_requested()

    def _on_sink_failed(self, stream_index: int, sink: Sink, error: Exception) -> None:
        self._sinks[stream_index].remove(sink)
        _discard(sink)
        if not self._leaves_out(sink, error):
            self._events.on_stream_failed(stream_index, error)
            self._end_stream(stream_index, error)

    def _leaves_out(self, sink: Sink, error: Exception) -> bool:
        """Returns True if the stream goes on without the sink, which then has the reason as a notice."""
        is_left_out = self._may_fail and isinstance(error, SinkError)
        if is_left_out:
            sink.add_notice(str(error))
        return is_left_out

    def _end_stream(self, stream_index: int, error: BaseException | None) -> None:
        sinks, self._sinks[stream_index] = self._sinks[stream_index], []
        self._ended.add(stream_index)
        self._last_shown.pop(stream_index, None)
        is_wanted = error is None or self._streams[stream_index].is_live
        complete = partial(self._complete, stream_index, sinks, is_wanted=is_wanted)
        if any(sink.needs_calling_thread for sink in sinks):
            complete()
        elif sinks:
            self._threads.start_completing(f"completing {stream_index}", complete)

    def _complete(self, stream_index: int, sinks: Sequence[Sink], *, is_wanted: bool) -> None:
        for sink in sinks:
            try:
                if is_wanted:
                    sink.close()
                else:
                    sink.discard()
            except Exception as error:
                if not self._leaves_out(sink, error):
                    self._events.on_stream_failed(stream_index, error)


def _discard(sink: Sink) -> None:
    """Discards a sink that has failed. Further errors are not raised, since the first failure is the one to report."""
    try:
        sink.discard()
    except Exception as error:
        _log.warning("what a failed output had begun could not be removed: %s", error)
