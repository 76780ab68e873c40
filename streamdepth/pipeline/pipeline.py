"""The loop: sources are read, depth is estimated and steadied, sinks are fed, each on a thread of its own.

    source.read -> [inbox] -> Inference.run -> [outlet] -> sink.write
    one thread per source     one worker        the caller's thread

Sinks that may skip frames get a thread each, so that none slows another; where there are windows, the caller's thread
is theirs, and the recorders get one too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from streamdepth.core.buffer import FrameBuffer, QueuePolicy, Workers
from streamdepth.core.errors import SourceError, SourceLostError
from streamdepth.core.interfaces import Estimator, Sink
from streamdepth.core.states import StateChange
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo, StreamInfo
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.pipeline.capture import Capture
from streamdepth.pipeline.inference import Inbox, Inference
from streamdepth.pipeline.keyframes import KeyframeInference
from streamdepth.pipeline.report import report_of
from streamdepth.pipeline.sink_dispatcher import SinkDispatcher
from streamdepth.pipeline.sink_worker import AHEAD, LIVE, Item, SinkEvents
from streamdepth.pipeline.stats import Report, Stats
from streamdepth.pipeline.stream import Stream, StreamEnd

__all__ = ["JOIN_SECONDS", "Pipeline", "Stream"]

_log = logging.getLogger(__name__)

JOIN_SECONDS = 15.0
"""How long threads may take to end; longer than any source's default timeout."""


class Pipeline:
    """Runs streams through one estimator, once.

    `batch` is the most frames the model gets at a time: one of each stream first; files fill it, live streams never
    wait. `max_frames` and `max_seconds` (on the source's clock) end each stream early. `on_written` is called with each
    finished item, on the thread of the recorders, `on_state` with each change of a stream's state, on any thread; it
    must be quick, and what it raises is logged. With `allow_partial`, a stream that ended before its end is a notice in
    the report and not an error. Where all streams have a carrier, the model runs beside them, `refresh_hz` times a
    second or as often as it can. With `wait_for_sources`, all sources are opened while the others run already, and
    those that are not there are waited for. The estimator is used, not closed.
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
        inference_fps: float | None = None,
        wait_for_sources: bool = False,
        on_written: Callable[[DepthFrame], None] = lambda _: None,
        on_state: Callable[[Stream, StateChange], None] = lambda _stream, _change: None,
    ) -> None:
        self.streams, self.estimator, self.batch = list(streams), estimator, batch
        self.max_frames, self.max_seconds, self.allow_partial = max_frames, max_seconds, allow_partial
        self.inference_fps, self.wait_for_sources = inference_fps, wait_for_sources
        self.stats = Stats()
        self.is_stopped = False
        """Whether the end came early, by `stop`."""
        self._inference: Inference | None = None
        self._tell_written = on_written
        self._captures = [
            Capture(lane, stream, self.stats, max_frames=max_frames, max_seconds=max_seconds)
            for lane, stream in enumerate(self.streams)
        ]
        for stream in self.streams:
            stream.source.states.add_listener(partial(on_state, stream))
        self._inbox: Inbox = FrameBuffer(*(LIVE for _ in self.streams))
        self._outlets = SinkDispatcher((), SinkEvents())
        self._workers = Workers()
        self._lost: list[BaseException] = []
        self._failed: dict[int, Exception] = {}
        self._ending = threading.Lock()
        """Held where a stream's last state is chosen: when it ends and fails at once, it has failed."""
        self._model = ModelInfo("", DepthKind.RELATIVE)

    def stop(self) -> None:
        """Ends the run early and cleanly: what was read is finished. Thread-safe, idempotent."""
        self.is_stopped = True
        self._halt()

    def _halt(self) -> None:
        self._inbox.close()
        for stream in self.streams:
            stream.source.interrupt()

    def set_inference_fps(self, hz: float | None) -> None:
        """From now on, the model runs so often beside the streams, where it does; None: as often as it can."""
        self.inference_fps = hz
        if isinstance(self._inference, KeyframeInference):
            self._inference.set_inference_fps(hz)

    def run(self) -> Report:
        """Runs to the end and returns what happened.

        A stream ends alone: when its source fails, what came before is completed at once and the others go on. When one
        of its sinks or its stabilizer fails, its outputs are discarded, or of a live stream those that are whole
        completed. Raises the first error after everything was shut down; one of the model ends all streams, and all
        outputs are discarded.
        """
        with self._running():
            self._outlets.drain(self._workers.start, self._abandon)
        self._raise_lost()
        return self.report()

    def frames(self) -> Iterator[DepthFrame]:
        """Yields each finished item instead of writing it to sinks; closing the generator stops the run.

        Raises as `run` does.
        """
        with self._running():
            for item in self._outlets.items():
                self._note_written(item, 0.0)
                yield item.result
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
        model = self._inference.model if self._inference else self._model
        waiting = {"waiting_for_model": self._inbox.dropped, "waiting_for_sink": self._outlets.dropped}
        return report_of(self.streams, self.stats, waiting, model, self._lost)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Opens everything, starts the threads; at the end stops, joins and closes, whatever happened."""
        complete = False
        self._outlets = SinkDispatcher(self.streams, self._told())
        try:
            self._open()
            self._start_threads()
            yield
            complete = True
        finally:
            try:
                if not complete:
                    self._abandon()
                self._workers.join(JOIN_SECONDS)
            finally:
                self._close(discard=not complete)

    def _open(self) -> None:
        if not self.wait_for_sources:
            for capture in self._captures:
                if not self.is_stopped:
                    self._open_source(capture)
            if len(self._failed) == len(self.streams):
                raise self._lost[0]
        self._model = self.estimator.info
        self._outlets.open()

    def _open_sink(self, lane: int, info: StreamInfo, sink: Sink) -> None:
        kind = self.streams[lane].stabilizer.output_kind(self._model.kind)
        sink.open(info, replace(self._model, kind=kind))

    def _open_source(self, capture: Capture) -> None:
        """One of several that cannot be opened leaves the others alone."""
        try:
            capture.open()
            self._settle(capture.lane)
        except SourceError as error:
            if len(self.streams) == 1:
                raise
            _log.warning("%s", error)
            self._failed[capture.lane] = error
            self._lost.append(error)

    def _settle(self, lane: int) -> None:
        """The source is open: it is known now whether its frames wait or are dropped."""
        is_live = self.streams[lane].is_live
        self._inbox.settle(LIVE if is_live else QueuePolicy(max(AHEAD.size, self.batch)), lane)
        self._outlets.settle(lane)

    def _start_threads(self) -> None:
        for lane in self._failed:
            self._end_lane(lane)
        self.stats.start()
        self._inference = self._make_inference()
        self._workers.start("inference", self._inference.run, self._inference_ended)
        if isinstance(self._inference, KeyframeInference):
            self._workers.start("network", self._inference.compute, self._inference.computing_ended)
        for capture in self._captures:
            if capture.lane not in self._failed:
                self._start_capture(capture)

    def _told(self) -> SinkEvents:
        return SinkEvents(
            stop=self.stop,
            written=self._note_written,
            unwanted=lambda lane: self.stats.count("stopped", lane=lane),
            failed=self._stream_failed,
            ended=lambda lane, complete: self._workers.finish(f"completing {lane}", complete),
            opened=self._open_sink,
        )

    def _make_inference(self) -> Inference:
        estimator = self.estimator.loaded() if isinstance(self.estimator, LazyEstimator) else self.estimator
        parts = self.streams, estimator, self._inbox, self._outlets, self.stats
        if all(s.propagator for s in self.streams):
            return KeyframeInference(*parts, batch=self.batch, failed=self._stream_failed, hz=self.inference_fps)
        return Inference(*parts, batch=self.batch, failed=self._stream_failed)

    def _start_capture(self, capture: Capture) -> None:
        lane = capture.lane

        def ended(error: BaseException | None) -> None:
            if error is not None:
                self._lost.append(error)
            try:
                with self._ending:
                    capture.end(error or self._failed.get(lane))
            finally:
                self._inbox.close(StreamEnd(lane), lane)

        self._workers.start(f"capture {lane}", lambda: self._capture(capture), ended)

    def _capture(self, capture: Capture) -> None:
        """Reads a stream to its end, once its source is there."""
        lane = capture.lane
        if self.streams[lane].info is None:
            if not capture.open(waits=True):
                return
            self._settle(lane)
        assert self._inference is not None
        capture.run(lambda captured: self._inbox.put(captured, lane), self._inference.ready)

    def _stream_failed(self, lane: int, error: Exception) -> None:
        """One of its sinks or its stabilizer has."""
        self._lost.append(error)
        with self._ending:
            self._failed.setdefault(lane, error)
            if self.streams[lane].source.state.is_over:
                self._captures[lane].end(error)
        self._end_lane(lane)
        self.streams[lane].source.interrupt()

    def _end_lane(self, lane: int) -> None:
        self._inbox.close(StreamEnd(lane), lane)
        self._outlets.end(lane, self._failed.get(lane))

    def _inference_ended(self, error: BaseException | None) -> None:
        self._count_stopped(self._inbox.clear())
        self._outlets.close(error)

    def _abandon(self) -> None:
        """Ends, and throws away what waits in the buffers."""
        self._halt()
        self._count_stopped(self._inbox.clear())
        self._count_stopped(self._outlets.clear())

    def _count_stopped(self, counts: Sequence[int]) -> None:
        for lane, count in enumerate(counts):
            self.stats.count("stopped", count, lane=lane)

    def _note_written(self, item: Item, seconds: float) -> None:
        self.stats.time("sink", seconds)
        self.stats.count("written", lane=item.lane)
        self.stats.time("total", time.monotonic() - item.result.frame.captured_at)
        self._tell_written(item.result)

    def _close(self, *, discard: bool) -> None:
        """Closes all sinks and sources, whichever of them fails; raises the first failure at the end."""
        failures: list[Exception] = []
        sinks = [sink.discard if discard else sink.close for sink in self._outlets.left()]
        for action in (*sinks, *(stream.source.close for stream in self.streams), self._forget):
            try:
                action()
            except Exception as error:
                failures.append(error)
        self.stats.stop()
        if failures:
            raise failures[0]

    def _forget(self) -> None:
        """Lets go of the last pictures, which would else live as long as whoever remembers this run or its streams."""
        for stream in self.streams:
            stream.stabilizer.reset()
            if stream.propagator is not None:
                stream.propagator.reset()

    def _raise_lost(self) -> None:
        for error in self._lost:
            if not (self.allow_partial and isinstance(error, SourceLostError)):
                raise error
