"""Hands every result to all sinks of its stream, each group of sinks on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streamdepth.core.buffer import LIVE_POLICY, QueuePolicy
from streamdepth.core.sink import Sink
from streamdepth.core.threads import ThreadGroup, WorkerThread
from streamdepth.core.types import ModelInfo
from streamdepth.pipeline.sink_worker import SinkEvents, SinkWorker
from streamdepth.pipeline.stream import Stream, StreamResult

FILE_POLICY = QueuePolicy(4)
"""Policy for streams that can wait: some results are computed ahead."""
_RECORDED_POLICY = QueuePolicy(8, "drop_oldest")
"""Policy for live streams that are recorded: a short delay of the disk costs no frame."""


class SinkDispatcher:
    """The sink workers of a pipeline: one for all recorders, one for each preview or server, one for all windows.

    A result counts as written when the first worker has written it. The thread that calls `run` feeds the windows, or
    the first worker if there are none.
    """

    def __init__(self, streams: Sequence[Stream], threads: ThreadGroup, events: SinkEvents) -> None:
        pairs = [(i, sink) for i, stream in enumerate(streams) for sink in stream.sinks]
        recorders = [(i, sink) for i, sink in pairs if not sink.can_drop_frames]
        servers = [[(i, sink)] for i, sink in pairs if sink.can_drop_frames and not sink.needs_calling_thread]
        windows = [(i, sink) for i, sink in pairs if sink.can_drop_frames and sink.needs_calling_thread]
        groups = [group for group in (recorders, *servers, windows) if group] or [recorders]
        self._streams, self._threads = streams, threads
        self._live_policy = _RECORDED_POLICY if recorders else LIVE_POLICY
        self._workers = [
            SinkWorker(
                streams,
                [[sink for index, sink in group if index == i] for i in range(len(streams))],
                threads,
                events,
                may_fail=number > 0,
                counts_results=number == 0,
            )
            for number, group in enumerate(groups)
        ]
        self._first = self._workers[0]
        self._on_calling_thread = self._workers[-1 if windows else 0]
        self._threads_of: dict[SinkWorker, WorkerThread] = {}

    @property
    def dropped(self) -> list[int]:
        """Number of results of each stream that were not written because newer ones came."""
        return self._first.buffer.dropped

    def open(self, model: ModelInfo) -> None:
        """Opens the sinks of streams whose source is open; the others follow later. Raises SinkOpenError."""
        for worker in self._workers:
            worker.open(model)

    def on_source_opened(self, stream_index: int) -> None:
        """Chooses the queue policy of a stream once it is known whether it is live: a file waits for the recorders."""
        policy = self._live_policy if self._streams[stream_index].is_live else FILE_POLICY
        self._first.buffer.set_policy(policy, stream_index)

    def put(self, result: StreamResult) -> bool:
        """Hands a result to all workers. Returns False if the first one no longer takes it."""
        is_taken = self._first.buffer.put(result, result.stream_index)
        for worker in self._workers[1:]:
            worker.buffer.put(result, result.stream_index)
        return is_taken

    def end_stream(self, stream_index: int, error: BaseException | None = None) -> None:
        """Lets the workers complete a stream's sinks after its last result, or discard them after an error."""
        for worker in self._workers:
            worker.buffer.end_stream(stream_index, error)

    def close(self, error: BaseException | None = None) -> None:
        """Ends all streams after their last results; `run` raises `error` then."""
        for worker in self._workers:
            worker.buffer.close(error)

    def clear(self) -> list[int]:
        """Ends all streams now. Returns the number of results of each stream that were not written."""
        counts, *_ = [worker.buffer.clear() for worker in self._workers]
        return counts

    def run(self, on_failed: Callable[[], None]) -> None:
        """Feeds all sinks until all streams have ended. Raises the first error, after calling `on_failed` at once.

        A preview that is stuck is left behind, so that the recorders can still complete their files.
        """
        for _ in self.written_results(on_failed):
            pass

    def written_results(self, on_failed: Callable[[], None]) -> Iterator[StreamResult]:
        """Does what `run` does, and yields each result that the sinks on the calling thread have taken."""
        failures: list[BaseException] = []

        def on_ended(error: BaseException | None) -> None:
            if error is not None:
                failures.append(error)
                on_failed()

        self._threads_of = {
            worker: self._threads.start("sinks", worker.run, on_ended)
            for worker in self._workers
            if worker is not self._on_calling_thread
        }
        yield from self._on_calling_thread.written_results()
        if self._first in self._threads_of:
            self._threads_of[self._first].wait()
        if failures:
            raise failures[0]

    def open_sinks(self) -> list[Sink]:
        """Returns the sinks that are still to be closed, without those of a stuck thread, which may be in one."""
        free = [w for w in self._workers if w not in self._threads_of or self._threads_of[w].has_ended(0.0)]
        return [sink for worker in free for sink in worker.open_sinks]
