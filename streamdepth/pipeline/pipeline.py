"""The loop: sources are read, depth is estimated and steadied, sinks are fed, each on a thread of its own.

    source.read -> [frame buffer] -> Inference.run -> [result buffer] -> sink.write
    one thread per source            one worker                          the caller's thread

Sinks that can drop frames get a thread each, so that none slows another; where there are windows, the caller's thread
is theirs, and the recorders get one too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from streamdepth.core.buffer import LIVE_POLICY, FrameBuffer, QueuePolicy
from streamdepth.core.closing import run_all
from streamdepth.core.errors import SourceError, SourceLostError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.states import StateChange
from streamdepth.core.threads import ThreadGroup, call_interruptibly
from streamdepth.core.types import DepthFrame, DepthKind, ModelInfo
from streamdepth.core.wrappers import LazyEstimator
from streamdepth.pipeline.capture import Capture
from streamdepth.pipeline.inference import Inference
from streamdepth.pipeline.keyframes import KeyframeInference
from streamdepth.pipeline.report import Report, make_report
from streamdepth.pipeline.results import ResultStage
from streamdepth.pipeline.sink_dispatcher import FILE_POLICY, SinkDispatcher
from streamdepth.pipeline.sink_worker import SinkEvents
from streamdepth.pipeline.stats import Stats
from streamdepth.pipeline.stream import CapturedFrame, Stream, StreamResult

__all__ = ["JOIN_SECONDS", "Pipeline", "Stream"]

_log = logging.getLogger(__name__)

JOIN_SECONDS = 15.0
"""Longest time that threads may take to end; longer than any source's default timeout."""
_INTERRUPTED_JOIN_SECONDS = 0.5
"""The same for a run that is interrupted while a model is prepared: a library may do that for many seconds, and it
cannot be stopped."""


class Pipeline(SinkEvents):
    """Runs streams through one estimator, once.

    >>> from streamdepth.stabilizers import make_stabilizer
    >>> from streamdepth.testing import ConstantEstimator, RecordingSink, SyntheticSource
    >>> stream = Stream(SyntheticSource(count=10), make_stabilizer(), [RecordingSink()])
    >>> Pipeline([stream], ConstantEstimator()).run().written
    10

    Args:
        streams: the sources with their stabilizers and sinks.
        estimator: the model; it is used, not closed. A `LazyEstimator` is loaded when the sources are open.
        batch: the most frames that the model gets at a time, one of each stream first; files fill it, live streams
            never wait for it.
        max_frames: ends each stream after so many frames.
        max_seconds: ends each stream after so much time on the source's clock.
        allow_partial: makes a stream that was lost before its end a notice in the report, and not an error.
        inference_fps: where all streams have a propagator, how often per second the model runs beside them; None: as
            often as it can.
        wait_for_sources: opens each source while the others run already, and waits for those that are not there yet.
        on_written: called with each finished item, on the thread of the recorders.
        on_state: called with each change of a stream's state, on any thread; it must be quick, and what it raises is
            logged.
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
        on_written: Callable[[DepthFrame], None] | None = None,
        on_state: Callable[[Stream, StateChange], None] | None = None,
    ) -> None:
        self.streams, self.estimator, self.batch = list(streams), estimator, batch
        self.max_frames, self.max_seconds, self.allow_partial = max_frames, max_seconds, allow_partial
        self.inference_fps, self.wait_for_sources = inference_fps, wait_for_sources
        self.stats = Stats()
        self.is_stopped = False
        """True if the run was ended early by `stop`."""
        self.has_left_threads = False
        """True if a thread did not end and was left behind, perhaps while it uses the model."""
        self._is_loading_model = False
        self._on_written = on_written
        self._captures = [
            Capture(i, stream, self.stats, max_frames=max_frames, max_seconds=max_seconds)
            for i, stream in enumerate(self.streams)
        ]
        if on_state is not None:
            for stream in self.streams:
                stream.source.states.add_listener(partial(on_state, stream))
        self._frames: FrameBuffer[CapturedFrame] = FrameBuffer(*(LIVE_POLICY for _ in self.streams))
        self._threads = ThreadGroup()
        self._sinks: SinkDispatcher | None = None
        self._results: ResultStage | None = None
        self._inference: Inference | KeyframeInference | None = None
        self._errors: list[BaseException] = []
        """Errors that ended streams early, in order."""
        self._failed: dict[int, Exception] = {}
        """The streams whose sinks or stabilizer failed, or whose source could not be opened."""
        self._end_lock = threading.Lock()
        """Held while a stream's last state is entered: when it ends and fails at once, it has failed."""
        self._model = ModelInfo("", DepthKind.RELATIVE)

    def stop(self) -> None:
        """Ends the run early and cleanly: frames that were read are finished. Thread-safe, idempotent."""
        self.is_stopped = True
        self._stop_reading()

    def _stop_reading(self) -> None:
        self._frames.close()
        for stream in self.streams:
            stream.source.interrupt()

    def set_inference_fps(self, fps: float | None) -> None:
        """Changes how often per second the model runs where it runs beside the streams; None: as often as it can."""
        self.inference_fps = fps
        if isinstance(self._inference, KeyframeInference):
            self._inference.set_inference_fps(fps)

    def run(self) -> Report:
        """Runs to the end and returns the report.

        A stream ends alone: when its source fails, the frames before are completed at once and the others go on. When
        one of its sinks or its stabilizer fails, its outputs are discarded; those of a live stream that are whole are
        completed. Raises the first error after everything was shut down. An error of the model ends all streams, and
        all outputs are discarded.
        """
        with self._running() as sinks:
            sinks.run(on_failed=self._abandon)
        self._raise_first_error()
        return self.report()

    def frames(self) -> Iterator[DepthFrame]:
        """Yields each item when the sinks have taken it. Closing the generator ends the run; sinks are completed.

        Raises as `run` does.
        """
        with self._running() as sinks:
            for result in sinks.written_results(on_failed=self._abandon):
                try:
                    yield result.item
                except GeneratorExit:
                    self._abandon()
                    return
        self._raise_first_error()

    @property
    def expected_frames(self) -> int | None:
        """The number of frames that the open sources announce, within the limits; None when one does not say."""
        counts = [stream.expected_frames(self.max_frames, self.max_seconds) for stream in self.streams]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def is_preparing_model(self) -> bool:
        """True while the model is loaded, converted or compiled, until its first depth; then nothing is worth keeping.

        May be read by a signal's handler.
        """
        return self._is_loading_model or (self._results is not None and not self._results.has_run)

    @property
    def is_complete(self) -> bool:
        """True once all files that the run writes are complete."""
        recorders = [sink for stream in self.streams for sink in stream.sinks if not sink.can_drop_frames]
        return bool(recorders) and all(sink.is_complete for sink in recorders)

    def report(self) -> Report:
        """Returns the report so far."""
        dropped = {"waiting_for_model": self._frames.dropped}
        if self._sinks is not None:
            dropped["waiting_for_sink"] = self._sinks.dropped
        model = self._results.model if self._results else self._model
        return make_report(self.streams, self.stats, dropped, model, self._errors)

    @contextmanager
    def _running(self) -> Iterator[SinkDispatcher]:
        """Opens everything and starts the threads; in any case stops, joins and closes at the end."""
        is_complete = is_interrupted = False
        self._sinks = sinks = SinkDispatcher(self.streams, self._threads, self)
        try:
            self._open(sinks)
            self._start_threads(sinks)
            yield sinks
            is_complete = True
        except KeyboardInterrupt:
            is_interrupted = self.is_preparing_model
            raise
        finally:
            try:
                if not is_complete:
                    self._abandon()
                seconds = _INTERRUPTED_JOIN_SECONDS if is_interrupted else JOIN_SECONDS
                self.has_left_threads = not self._threads.join(seconds, is_leaving_expected=is_interrupted)
            finally:
                self._close(sinks, discard=not is_complete)

    def _open(self, sinks: SinkDispatcher) -> None:
        if not self.wait_for_sources:
            for capture in self._captures:
                if not self.is_stopped:
                    self._open_source(capture, sinks)
            if len(self._failed) == len(self.streams):
                raise self._errors[0]
        self._is_loading_model = True
        try:
            self._model = call_interruptibly(lambda: self.estimator.info)
        finally:
            self._is_loading_model = False
        sinks.open(self._model)

    def _open_source(self, capture: Capture, sinks: SinkDispatcher) -> None:
        """Opens a source. If it is one of several and cannot be opened, only its own stream ends."""
        try:
            capture.open()
            self._on_source_opened(capture.stream_index, sinks)
        except SourceError as error:
            if len(self.streams) == 1:
                raise
            _log.warning("%s", error)
            self._failed[capture.stream_index] = error
            self._errors.append(error)

    def _on_source_opened(self, stream_index: int, sinks: SinkDispatcher) -> None:
        """Chooses the queue policies of a stream once it is known whether its frames can wait."""
        is_live = self.streams[stream_index].is_live
        policy = LIVE_POLICY if is_live else QueuePolicy(max(FILE_POLICY.size, self.batch))
        self._frames.set_policy(policy, stream_index)
        sinks.on_source_opened(stream_index)

    def _start_threads(self, sinks: SinkDispatcher) -> None:
        for i in self._failed:
            self._end_stream(i)
        self.stats.start()
        estimator = self.estimator.loaded() if isinstance(self.estimator, LazyEstimator) else self.estimator
        results = ResultStage(self.streams, estimator, sinks, self.stats, self.on_stream_failed)
        self._results = results
        if all(stream.propagator for stream in self.streams):
            keyframes = KeyframeInference(
                self._frames, estimator, results, batch=self.batch, inference_fps=self.inference_fps
            )
            self._inference = keyframes
            self._threads.start("network", keyframes.run_model, keyframes.on_model_ended)
        else:
            self._inference = Inference(self._frames, estimator, results, batch=self.batch)
        self._threads.start("inference", self._inference.run, partial(self._on_inference_ended, sinks))
        for capture in self._captures:
            if capture.stream_index not in self._failed:
                self._threads.start(
                    f"capture {capture.stream_index}",
                    partial(self._capture, capture, sinks, results),
                    partial(self._on_capture_ended, capture),
                )

    def _capture(self, capture: Capture, sinks: SinkDispatcher, results: ResultStage) -> None:
        """Reads a stream to its end, once its source is open."""
        if capture.stream.info is None:
            if not capture.open(wait=True):
                return
            self._on_source_opened(capture.stream_index, sinks)
        capture.run(self._frames, results.model_is_ready)

    def _on_capture_ended(self, capture: Capture, error: BaseException | None) -> None:
        if error is not None:
            self._errors.append(error)
        try:
            with self._end_lock:
                capture.end(error or self._failed.get(capture.stream_index))
        finally:
            self._frames.end_stream(capture.stream_index)

    def _on_inference_ended(self, sinks: SinkDispatcher, error: BaseException | None) -> None:
        self._count_stopped(self._frames.clear())
        sinks.close(error)

    def on_stream_failed(self, stream_index: int, error: Exception) -> None:
        """Ends a stream whose stabilizer or sink has failed; called by the workers."""
        self._errors.append(error)
        with self._end_lock:
            self._failed.setdefault(stream_index, error)
            if self.streams[stream_index].source.state.is_over:
                self._captures[stream_index].end(error)
        self._end_stream(stream_index)
        self.streams[stream_index].source.interrupt()

    def on_result_written(self, result: StreamResult, seconds: float) -> None:
        """Counts a finished result and passes it on; called by the worker of the recorders."""
        self.stats.durations["sink"].add(seconds)
        self.stats.count("written", stream_index=result.stream_index)
        self.stats.durations["total"].add(time.monotonic() - result.item.frame.captured_at)
        if self._on_written is not None:
            self._on_written(result.item)

    def on_result_discarded(self, stream_index: int) -> None:
        """Counts a result that was thrown away because its stream had failed; called by the worker of the recorders."""
        self.stats.count("stopped", stream_index=stream_index)

    def on_stop_requested(self) -> None:
        """Stops the run; called by the worker of a sink when its user asks for that."""
        self.stop()

    def _end_stream(self, stream_index: int) -> None:
        self._frames.end_stream(stream_index)
        if self._sinks is not None:
            self._sinks.end_stream(stream_index, self._failed.get(stream_index))

    def _abandon(self) -> None:
        """Ends the run and throws away the items in the buffers."""
        self._stop_reading()
        self._count_stopped(self._frames.clear())
        if self._sinks is not None:
            self._count_stopped(self._sinks.clear())

    def _count_stopped(self, counts: Sequence[int]) -> None:
        for i, count in enumerate(counts):
            self.stats.count("stopped", count, stream_index=i)

    def _close(self, sinks: SinkDispatcher, *, discard: bool) -> None:
        """Closes all sinks and sources, even if some of them fail, then raises the first failure."""
        endings = [sink.discard if discard else sink.close for sink in sinks.open_sinks()]
        sources = [stream.source.close for stream in self.streams]
        run_all([*endings, *sources, self._reset_stages, self.stats.stop])

    def _reset_stages(self) -> None:
        """Releases the last pictures, which would otherwise stay in memory as long as this pipeline or its streams."""
        for stream in self.streams:
            stream.stabilizer.reset()
            if stream.propagator is not None:
                stream.propagator.reset()
        if self._results is not None and not self.has_left_threads:
            self._results.forget_streams()

    def _raise_first_error(self) -> None:
        for error in self._errors:
            if not (self.allow_partial and isinstance(error, SourceLostError)):
                raise error
