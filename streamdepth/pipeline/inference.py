"""The worker between sources and sinks that runs the model on every frame, in batches."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from streamdepth.core.buffer import FrameBuffer
from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate
from streamdepth.pipeline.results import ResultStage
from streamdepth.pipeline.stream import CapturedFrame


@dataclass(frozen=True, slots=True)
class _Batch:
    """Frames that the model works on."""

    frames: Sequence[CapturedFrame]
    submitted_at: float
    future: Future[list[Estimate]]


class Inference:
    """Takes frames from `buffer`, computes their depth, and gives it to `results`.

    With an estimator whose `max_in_flight` is more than one, files have that many batches in flight, so that the model
    is never idle. Live streams have one: it is computed while the batch before it is steadied and handed on. Live
    frames are taken only when the model is free, since a frame that has been taken can no longer be replaced by a newer
    one.

    Args:
        buffer: the frames of all streams.
        estimator: the model.
        results: steadies the depth and hands it to the sinks.
        batch: the most frames that the model gets at a time; a model with memory gets one.
    """

    def __init__(
        self, buffer: FrameBuffer[CapturedFrame], estimator: Estimator, results: ResultStage, *, batch: int
    ) -> None:
        self._buffer, self._estimator, self._results = buffer, estimator, results
        self._batch = 1 if estimator.has_memory else batch
        self._model_free_at = 0.0
        self._frames_in_flight = Counter[int]()
        """Number of frames of each stream that were submitted and whose results are not handed on."""
        self._ending: set[int] = set()
        """Streams that have ended while frames of theirs were in flight."""

    def run(self) -> None:
        """Runs until the buffer is over. Raises InferenceError."""
        self._results.warm_up()
        in_flight = deque[_Batch]()
        while self._fill(in_flight):
            batch = in_flight.popleft()
            estimates = self._wait_for(batch)
            if self._results.needs_low_latency() and self._estimator.max_in_flight > 1:
                in_flight.extend(self._submit(wait_until_full=False, timeout=0.0))
            self._hand_on(batch, estimates)
        self._results.end_all()

    def _fill(self, in_flight: deque[_Batch]) -> bool:
        """Submits as many batches as keep the model busy, for live streams one. Returns False when all is done."""
        is_low_latency = self._results.needs_low_latency()
        max_batches = 1 if is_low_latency else self._estimator.max_in_flight
        while len(in_flight) < max_batches:
            batches = self._submit(wait_until_full=not is_low_latency)
            if not batches:
                break
            in_flight.extend(batches)
        return bool(in_flight)

    def _submit(self, *, wait_until_full: bool, timeout: float | None = None) -> Sequence[_Batch]:
        """Submits the next frames. Returns their batch; nothing at the end, or when none came within `timeout`."""
        frames = self._take(wait_until_full=wait_until_full, timeout=timeout)
        if not frames:
            return ()
        now = time.monotonic()
        for captured in frames:
            self._frames_in_flight[captured.stream_index] += 1
            self._results.stats.durations["wait"].add(now - captured.frame.captured_at)
            self._results.prepare_model(captured)
        seen = [self._results.for_model(captured.stream_index, captured.frame) for captured in frames]
        return (_Batch(frames, now, self._estimator.submit(seen)),)

    def _take(self, *, wait_until_full: bool, timeout: float | None) -> list[CapturedFrame]:
        while True:
            frames = self._buffer.take(self._batch, wait_until_full=wait_until_full, timeout=timeout)
            if frames:
                return frames
            ended = self._buffer.take_ended()
            if not ended:
                return []
            self._ending |= {end.stream_index for end in ended}
            self._end_streams_without_frames()
            wait_until_full = wait_until_full or not self._results.needs_low_latency()

    def _end_streams_without_frames(self) -> None:
        for i in [i for i in self._ending if not self._frames_in_flight[i]]:
            self._ending.discard(i)
            self._results.end_stream(i)

    def _wait_for(self, batch: _Batch) -> list[Estimate]:
        estimates = batch.future.result()
        now = time.monotonic()
        self._results.stats.durations["infer"].add(now - max(batch.submitted_at, self._model_free_at))
        self._results.stats.count("inferred", len(estimates))
        self._model_free_at = now
        self._results.update_model()
        return estimates

    def _hand_on(self, batch: _Batch, estimates: Sequence[Estimate]) -> None:
        for captured, estimate in zip(batch.frames, estimates, strict=True):
            self._frames_in_flight[captured.stream_index] -= 1
            if captured.stream_index in self._results.ended:
                self._results.stats.count("stopped", stream_index=captured.stream_index)
            else:
                self._results.attempt(captured.stream_index, partial(self._steady, captured, estimate))
        if self._ending:
            self._end_streams_without_frames()

    def _steady(self, captured: CapturedFrame, estimate: Estimate) -> None:
        self._results.prepare_for(captured)
        self._results.push(captured, self._results.for_camera(captured, estimate))
