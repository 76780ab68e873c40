"""The worker that runs the model on keyframes only, beside the streams, and warps their depth to the frames between."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from streamdepth.core.buffer import FrameBuffer, QueuePolicy
from streamdepth.core.interfaces import DepthPropagator, Estimator
from streamdepth.core.types import Estimate, Frame
from streamdepth.pipeline.results import ResultStage
from streamdepth.pipeline.stream import CapturedFrame

_SLOT_TOLERANCE = 1e-6
"""Share of a slot by which a rounded timestamp may be too early."""


class KeyframeSchedule:
    """Chooses the keyframes of one stream: the first frame in each slot of 1 / `fps` seconds; with None every frame."""

    def __init__(self, fps: float | None) -> None:
        self.fps = fps
        """Keyframes per second; may be changed by any thread."""
        self._slot: int | None = None

    def is_due(self, seconds: float) -> bool:
        """Returns True for a keyframe; called once per frame, in order, with its time on the source's clock."""
        fps = self.fps
        if fps is None:
            return True
        slot = math.floor(seconds * fps + _SLOT_TOLERANCE)
        is_new, self._slot = slot != self._slot, slot
        return is_new


@dataclass(slots=True)
class _KeyframeState:
    """The keyframes of one stream."""

    propagator: DepthPropagator
    schedule: KeyframeSchedule
    can_propagate: bool = False
    """True if there is depth for the newest frame."""
    pending: Frame | None = None
    """The newest frame, while a keyframe is due and the model has not got one."""
    last_job: int = -1
    """The number of the last job of the model with a frame of this stream."""
    estimate: Estimate | None = None
    """The model's last result."""


class KeyframeInference:
    """Hands on every frame at once, with depth warped from the newest keyframe that the model has finished.

    `run_model` runs the model on a thread of its own. For live streams it gets the newest frames when it is free and a
    keyframe is due, longest-waiting streams first; its results then belong to older frames, and are warped to the
    newest one. Files wait for the result of each keyframe, so that the same file always gives the same depth. At the
    start, at cuts and after gaps, where depth cannot be warped, every stream waits for the model.

    Args:
        buffer: the frames of all streams.
        estimator: the model.
        results: steadies the depth and hands it to the sinks; all of its streams have a propagator.
        batch: the most keyframes that the model gets at a time, one of each stream.
        inference_fps: keyframes per second of the source's clock; None: as many as the model can process, for files
            all.
    """

    def __init__(
        self,
        buffer: FrameBuffer[CapturedFrame],
        estimator: Estimator,
        results: ResultStage,
        *,
        batch: int,
        inference_fps: float | None,
    ) -> None:
        propagators = [stream.propagator for stream in results.streams if stream.propagator]
        assert len(propagators) == len(results.streams), "every stream needs a propagator"
        self._buffer, self._estimator, self._results, self._batch = buffer, estimator, results, batch
        self._keyframes = [_KeyframeState(p, KeyframeSchedule(inference_fps)) for p in propagators]
        self._jobs: FrameBuffer[list[tuple[int, Frame]]] = FrameBuffer(QueuePolicy(1))
        self._finished: FrameBuffer[list[tuple[int, Estimate]]] = FrameBuffer(QueuePolicy(1))
        self._is_model_busy = False
        self._job_count = 0

    def set_inference_fps(self, fps: float | None) -> None:
        """Changes the number of keyframes per second from now on. Thread-safe."""
        for keyframes in self._keyframes:
            keyframes.schedule.fps = fps

    def run_model(self) -> None:
        """Runs the model until `run` ends, on a thread of its own. Raises InferenceError."""
        stats = self._results.stats
        while jobs := self._jobs.take():
            began = time.monotonic()
            estimates = self._estimator.estimate([frame for _, frame in jobs[0]])
            stats.durations["infer"].add(time.monotonic() - began)
            stats.count("inferred", len(estimates))
            self._finished.put(
                [
                    (i, estimate.hidden_where_invalid(frame.valid))
                    for (i, frame), estimate in zip(jobs[0], estimates, strict=True)
                ]
            )

    def on_model_ended(self, error: BaseException | None) -> None:
        """Called when `run_model` has ended, so that `run` raises the same error."""
        self._finished.close(error)

    def run(self) -> None:
        """Runs until the buffer is over. Raises InferenceError."""
        try:
            self._results.warm_up()
            while frames := self._take():
                self._process(frames[0])
            self._collect_estimates()
            self._results.end_all()
        finally:
            self._jobs.close()

    def _take(self) -> list[CapturedFrame]:
        """Returns the next frame, alone in a list; an empty list when the buffer is over."""
        while not (frames := self._buffer.take()) and not self._buffer.is_over:
            for end in self._buffer.take_ended():
                self._results.end_stream(end.stream_index)
        return frames

    def _process(self, captured: CapturedFrame) -> None:
        i = captured.stream_index
        self._results.stats.durations["wait"].add(time.monotonic() - captured.frame.captured_at)
        self._collect_estimates(timeout=0.0)
        self._results.attempt(i, partial(self._track, captured))
        self._submit_keyframes(i)
        if i in self._results.ended:
            self._results.stats.count("stopped", stream_index=i)
        else:
            self._results.attempt(i, partial(self._hand_on, captured))

    def _track(self, captured: CapturedFrame) -> None:
        keyframes, frame = self._keyframes[captured.stream_index], captured.frame
        self._results.prepare_for(captured)
        keyframes.can_propagate = keyframes.propagator.track(frame)
        if keyframes.schedule.is_due(frame.time) or keyframes.pending or not keyframes.can_propagate:
            keyframes.pending = frame

    def _submit_keyframes(self, stream_index: int) -> None:
        """Gives the model the keyframes that are due after the newest frame of a stream. Raises InferenceError."""
        pending = [i for i, k in enumerate(self._keyframes) if k.pending and i not in self._results.ended]
        can_go_on = self._keyframes[stream_index].can_propagate and self._results.streams[stream_index].is_live
        if stream_index in pending and not can_go_on:
            self._collect_estimates()
            keyframes = self._keyframes[stream_index]
            if keyframes.pending and not keyframes.can_propagate:
                self._results.begin_shot(stream_index, keyframes.pending)
            self._submit([stream_index])
            self._collect_estimates()
        elif not self._is_model_busy:
            self._submit(sorted(pending, key=lambda i: self._keyframes[i].last_job))

    def _submit(self, stream_indices: Sequence[int]) -> None:
        """Gives the model the pending frames of the first of these streams, at most a batch."""
        job = []
        for i in stream_indices[: self._batch]:
            keyframes = self._keyframes[i]
            self._results.attempt(i, keyframes.propagator.begin_keyframe)
            if keyframes.pending and i not in self._results.ended:
                job.append((i, self._results.for_model(i, keyframes.pending)))
            keyframes.pending, keyframes.last_job = None, self._job_count
        if job:
            self._job_count += 1
            self._is_model_busy = self._jobs.put(job)

    def _collect_estimates(self, timeout: float | None = None) -> None:
        """Takes the model's finished results, waiting up to `timeout` for them. Raises InferenceError."""
        if not self._is_model_busy:
            return
        for estimates in self._finished.take(timeout=timeout):
            self._is_model_busy = False
            self._results.update_model()
            for i, estimate in estimates:
                self._results.attempt(i, partial(self._keyframes[i].propagator.complete_keyframe, estimate.depth))
                self._keyframes[i].estimate = estimate

    def _hand_on(self, captured: CapturedFrame) -> None:
        keyframes = self._keyframes[captured.stream_index]
        propagated = keyframes.propagator.propagated_depth()
        assert propagated is not None
        assert keyframes.estimate is not None
        depth, age_seconds = propagated
        if age_seconds > 0:
            self._results.stats.count("propagated")
        confidence = keyframes.estimate.confidence if age_seconds == 0 else None  # it is not warped
        estimate = replace(keyframes.estimate, depth=depth, confidence=confidence)
        self._results.push(captured, self._results.for_camera(captured, estimate), age_seconds)
