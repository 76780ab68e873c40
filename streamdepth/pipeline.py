"""The loop: sources are read, depth is estimated and steadied, sinks are fed, each on a thread of its own.

    source.read -> [inbox] -> estimate, push -> [outbox] -> sink.write
    one thread per source     one worker        the caller's thread

When there are previews beside recorders, the recorders get a thread and the previews the caller's (windows need it).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from streamdepth.buffer import FrameBuffer, Policy, Worker
from streamdepth.errors import SourceLostError, StreamDepthError
from streamdepth.stages import Estimator, Sink, Source, Stabilizer
from streamdepth.stats import Report, Stats
from streamdepth.types import DepthFrame, Estimate, Frame, Intrinsics, StreamInfo

_log = logging.getLogger(__name__)

JOIN_SECONDS = 15.0
"""How long threads may take to end; longer than any source's default timeout."""


@dataclass(slots=True)
class Stream:
    """One source, what steadies its depth, and where the results go."""

    source: Source
    stabilizer: Stabilizer
    sinks: Sequence[Sink] = ()
    info: StreamInfo | None = field(default=None, init=False)
    """Known once the pipeline has opened the source."""

    @property
    def is_live(self) -> bool:
        return self.info is not None and self.info.is_live


@dataclass(frozen=True, slots=True)
class _Item:
    lane: int
    result: DepthFrame


class Pipeline:
    """Runs streams through one estimator, once.

    `batch` is the most frames the model gets at a time: one of each stream first; files fill it, live streams never
    wait. `max_frames` and `max_seconds` (on the source's clock) end each stream early. `on_written` is called with each
    finished item, on the thread of the recorders. With `allow_partial`, a stream that ended before its end is a notice
    in the report and not an error. The estimator is used, not closed.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        estimator: Estimator,
        *,
        batch: int = 1,
        max_frames: int | None = None,
        max_seconds: float | None = None,
        allow_partial: bool = False,
        on_written: Callable[[DepthFrame], None] | None = None,
    ) -> None:
        self.streams, self.estimator, self.batch = list(streams), estimator, batch
        self.max_frames, self.max_seconds, self.allow_partial = max_frames, max_seconds, allow_partial
        self.stats = Stats()
        self._on_written = on_written
        self._stopping = threading.Event()
        self._inbox: FrameBuffer[tuple[int, Frame]] = FrameBuffer()
        self._outbox: FrameBuffer[_Item] = FrameBuffer()
        self._previews: FrameBuffer[_Item] | None = None
        self._workers: list[Worker] = []
        self._lost: list[Exception] = []

    def stop(self) -> None:
        """Ends the run early and cleanly: what was read is finished. Thread-safe, idempotent."""
        self._stopping.set()
        self._inbox.close()
        for stream in self.streams:
            stream.source.interrupt()

    def run(self) -> Report:
        """Runs to the end and returns what happened.

        Raises the first error of any stage after everything was shut down. When a source fails, what came before it is
        complete in the sinks; on any other error the sinks discard their outputs.
        """
        with self._running():
            if self._previews is None:
                self._drain(self._outbox, self._recorders)
            else:
                self._start("recorder", lambda: self._drain(self._outbox, self._recorders), self._recorder_ended)
                self._drain(self._previews, self._viewers)
        self._raise_lost()
        return self.report()

    def frames(self) -> Iterator[DepthFrame]:
        """Yields each finished item instead of writing to sinks; closing the generator stops the run."""
        with self._running():
            while items := self._outbox.take():
                self._note_written(items[0].result)
                yield items[0].result
        self._raise_lost()

    @property
    def expected_frames(self) -> int | None:
        """How many frames the open sources say there are, within the limit; None when one does not say."""
        counts = [s.info.frame_count if s.info else None for s in self.streams]
        if self.max_frames is not None:
            counts = [min(n or self.max_frames, self.max_frames) for n in counts]
        known = [n for n in counts if n is not None]
        return sum(known) if len(known) == len(counts) else None

    def report(self) -> Report:
        """What happened so far."""
        dropped: Counter[str] = Counter()
        for stream in self.streams:
            dropped.update(stream.source.lost)
        lost = dropped.total()
        dropped["waiting_for_model"] += self._inbox.dropped
        dropped["waiting_for_sink"] += self._outbox.dropped
        dropped["stopped"] += self.stats["stopped"]
        info, seconds, written = self.estimator.info, self.stats.seconds, self.stats["written"]
        return Report(
            read=self.stats["read"] + lost,
            written=written,
            dropped={cause: n for cause, n in dropped.items() if n},
            reconnects=sum(s.source.reconnects for s in self.streams),
            latency_ms=self.stats.latency_ms(),
            fps=round(written / seconds, 2) if seconds else 0.0,
            seconds=round(seconds, 3),
            model=info.name,
            engine=info.engine,
            device=info.device,
            precision=info.precision,
            notices=tuple(self._notices()),
        )

    def _notices(self) -> Iterator[str]:
        for stream in self.streams:
            yield from stream.source.notices
            for sink in stream.sinks:
                yield from sink.notices
        yield from (str(e) for e in self._lost)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Opens everything, starts the threads; at the end stops, joins and closes, whatever happened."""
        complete = False
        try:
            self._open()
            self._start_threads()
            yield
            complete = True
        finally:
            try:
                self._shut_down(discard=not complete)
            finally:
                for stream in self.streams:
                    stream.source.close()

    def _open(self) -> None:
        for stream in self.streams:
            stream.info = stream.source.open()
            for sink in stream.sinks:
                sink.open(stream.info, self.estimator.info)

    def _start_threads(self) -> None:
        keeps = any(not sink.may_skip for s in self.streams for sink in s.sinks)
        shows = any(sink.may_skip for s in self.streams for sink in s.sinks)
        ahead = max(4, self.batch)
        live = Policy(1, "drop_oldest")
        self._inbox = FrameBuffer(*(live if s.is_live else Policy(ahead) for s in self.streams))
        recorded = Policy(8, "drop_oldest") if keeps else live
        self._outbox = FrameBuffer(*(recorded if s.is_live else Policy(4) for s in self.streams))
        if keeps and shows:
            self._previews = FrameBuffer(*(live for _ in self.streams))
        self._workers = []
        if self._stopping.is_set():
            self._inbox.close()
        self._start("inference", self._infer, self._inference_ended)
        for lane, stream in enumerate(self.streams):
            self._start_capture(lane, stream)

    def _start_capture(self, lane: int, stream: Stream) -> None:
        self._start(
            f"capture {lane}",
            lambda: self._capture(lane, stream.source),
            lambda error: self._inbox.close(error, lane),
        )

    def _start(self, name: str, work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        worker = Worker(name, work, done)
        self._workers.append(worker)
        worker.start()

    def _capture(self, lane: int, source: Source) -> None:
        count, first = 0, None
        while not self._stopping.is_set():
            began = time.monotonic()
            frame = source.read()
            if frame is None:
                return
            first = frame.time if first is None else first
            if self.max_seconds is not None and frame.time - first >= self.max_seconds:
                return
            self.stats.time("decode", time.monotonic() - began)
            self.stats.count("read")
            if not self._inbox.put((lane, frame), lane):
                self.stats.count("stopped")
                return
            count += 1
            if count == self.max_frames:
                return

    def _infer(self) -> None:
        fill = not any(s.is_live for s in self.streams)
        while True:
            try:
                taken = self._inbox.take(self.batch, fill=fill)
            except Exception as error:
                # One stream's failure; the others go on, and `run` raises it at the end.
                self._lost.append(error)
                continue
            if not taken:
                break
            self._estimate(taken)
        for lane, stream in enumerate(self.streams):
            self._emit(lane, list(stream.stabilizer.flush()))

    def _estimate(self, taken: list[tuple[int, Frame]]) -> None:
        began = time.monotonic()
        for _, frame in taken:
            self.stats.time("wait", began - frame.captured_at)
        estimates = self.estimator.estimate([frame for _, frame in taken])
        self.stats.time("infer", time.monotonic() - began)
        for (lane, frame), estimate in zip(taken, estimates, strict=True):
            began = time.monotonic()
            steady = list(self.streams[lane].stabilizer.push(self._result(lane, frame, estimate)))
            self.stats.time("smooth", time.monotonic() - began)
            self._emit(lane, steady)

    def _result(self, lane: int, frame: Frame, estimate: Estimate) -> DepthFrame:
        info = self.streams[lane].info
        intrinsics = info.intrinsics if info else None
        if intrinsics is None and estimate.focal_px is not None:
            height, width = frame.image.shape[:2]
            intrinsics = Intrinsics.from_focal(estimate.focal_px, width, height)
        return DepthFrame(frame, estimate.depth, self.estimator.info.kind, intrinsics=intrinsics)

    def _emit(self, lane: int, results: list[DepthFrame]) -> None:
        for result in results:
            if result.cut:
                self.estimator.reset(result.frame.stream)
            if not self._outbox.put(_Item(lane, result), lane):
                self.stats.count("stopped")
            if self._previews is not None:
                self._previews.put(_Item(lane, result), lane)

    def _inference_ended(self, error: BaseException | None) -> None:
        self.stats.count("stopped", self._inbox.clear())
        self._close_outlets(error)

    def _recorder_ended(self, error: BaseException | None) -> None:
        if error is not None:
            self.stop()
            self._outbox.clear()
            self._close_outlets(error)

    def _close_outlets(self, error: BaseException | None) -> None:
        self._outbox.close(error)
        if self._previews is not None:
            self._previews.close(error)

    def _recorders(self, stream: Stream) -> list[Sink]:
        return [s for s in stream.sinks if self._previews is None or not s.may_skip]

    def _viewers(self, stream: Stream) -> list[Sink]:
        return [s for s in stream.sinks if s.may_skip]

    def _drain(self, outlet: FrameBuffer[_Item], sinks_of: Callable[[Stream], list[Sink]]) -> None:
        sinks = [sinks_of(stream) for stream in self.streams]
        while items := outlet.take():
            for item in items:
                began = time.monotonic()
                for sink in sinks[item.lane]:
                    sink.write(item.result)
                    if sink.wants_stop:
                        self.stop()
                if outlet is self._outbox:
                    self.stats.time("sink", time.monotonic() - began)
                    self._note_written(item.result)

    def _note_written(self, result: DepthFrame) -> None:
        self.stats.count("written")
        self.stats.time("total", time.monotonic() - result.frame.captured_at)
        if self._on_written is not None:
            self._on_written(result)

    def _shut_down(self, *, discard: bool) -> None:
        if discard:
            self.stop()
            self.stats.count("stopped", self._outbox.clear())
        self._join()
        for stream in self.streams:
            for sink in stream.sinks:
                sink.discard() if discard else sink.close()

    def _join(self) -> None:
        deadline = time.monotonic() + JOIN_SECONDS
        for worker in self._workers:
            try:
                worker.join(deadline)
            except StreamDepthError as stuck:
                _log.error("%s", stuck)

    def _raise_lost(self) -> None:
        for error in self._lost:
            if not (self.allow_partial and isinstance(error, SourceLostError)):
                raise error
