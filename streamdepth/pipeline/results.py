"""Turns the model's estimates into steady results, for `Inference` and `KeyframeInference` alike."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from streamdepth.core.device_map import for_depth_field
from streamdepth.core.interfaces import Estimator
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.model_view import model_view
from streamdepth.core.notices import unknown_camera_notice
from streamdepth.core.types import DepthFrame, Estimate, Frame, StreamInfo
from streamdepth.pipeline.sink_dispatcher import SinkDispatcher
from streamdepth.pipeline.stats import Stats
from streamdepth.pipeline.stream import CapturedFrame, Stream, StreamResult


class ResultStage:
    """Steadies the depth of all streams and hands it to the sinks. A failure in one stream ends only that stream.

    Args:
        streams: all streams of the pipeline.
        estimator: is reset at cuts and where a stream changes its size.
        sinks: get the results and the ends of the streams.
        stats: gets durations and counts.
        on_stream_failed: called with a stream's number and the error that ended it.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        estimator: Estimator,
        sinks: SinkDispatcher,
        stats: Stats,
        on_stream_failed: Callable[[int, Exception], None],
    ) -> None:
        self.streams, self.stats = streams, stats
        self.model = estimator.info
        """The facts of the model; the engine that it really uses is known once it has run."""
        self.model_is_ready = threading.Event()
        """Set when the model has been warmed up for the sizes of the live streams that are open."""
        self.has_run = False
        """True once the model has computed depth."""
        self.ended: set[int] = set()
        """The streams that get no further result."""
        self._estimator, self._sinks, self._on_stream_failed = estimator, sinks, on_stream_failed
        self._sizes: list[tuple[int, int] | None] = [None] * len(streams)
        """The size of the frame that each stream's stabilizer got last."""
        self._infos: list[StreamInfo | None] = [None] * len(streams)
        """The facts that belong to that frame."""
        self._shots: set[tuple[int, int]] = set()
        """The streams and numbers of frames before which a model with memory was reset."""
        self._model_names: dict[int, str] = {}
        """The names under which the model knows the streams, by their numbers."""

    def warm_up(self) -> None:
        """Warms the model up for the streams whose frames arrive in real time. Raises InferenceError."""
        realtime_infos = [stream.info for stream in self.streams if stream.info and stream.needs_low_latency]
        try:
            for width, height in {(info.width, info.height) for info in realtime_infos}:
                self._estimator.warm_up(width, height)
        finally:
            self.model_is_ready.set()

    def needs_low_latency(self) -> bool:
        """Returns True if an unfinished stream's frames arrive in real time; nothing is computed ahead then."""
        for i, stream in enumerate(self.streams):  # noqa: SIM110 - a generator takes longer, for each frame
            if stream.needs_low_latency and i not in self.ended:
                return True
        return False

    def update_model(self) -> None:
        """Reads the model's facts anew after it has run."""
        self.has_run = True
        self.model = self._estimator.info

    def attempt(self, stream_index: int, action: Callable[[], object]) -> None:
        """Calls `action` for a stream that has not ended; an exception ends the stream and no other."""
        if stream_index in self.ended:
            return
        try:
            action()
        except Exception as error:
            self._on_stream_failed(stream_index, error)
            self.end_stream(stream_index, error)

    def for_camera(self, captured: CapturedFrame, estimate: Estimate) -> Estimate:
        """Returns the estimate for the stream's camera: meters computed for an assumed focal length are scaled.

        Where the camera is not known, a notice says so.
        """
        if estimate.assumed_focal_px is None:
            return estimate
        frame, info = captured.frame, captured.info
        if info.intrinsics is None:
            notice = unknown_camera_notice(estimate.assumed_focal_px, frame.size[0])
            self.streams[captured.stream_index].source.add_notice(notice)
        return estimate.for_camera(info.intrinsics)

    def for_model(self, stream_index: int, frame: Frame) -> Frame:
        """Returns a frame as the model gets it, see `model_view`, under its stream's name in the model.

        No other stream has that name, so that a model with memory never takes two sources of the same name for one.
        """
        seen, name = model_view(frame), self._model_name(stream_index)
        return seen if seen.stream == name else replace(seen, stream=name)

    def _model_name(self, stream_index: int) -> str:
        if stream_index not in self._model_names:
            name = self.streams[stream_index].title
            while name in self._model_names.values():
                name += f" ({stream_index + 1})"
            self._model_names[stream_index] = name
        return self._model_names[stream_index]

    def push(self, captured: CapturedFrame, estimate: Estimate, age_seconds: float = 0.0) -> None:
        """Steadies the depth of a frame and hands on the results. Raises what the stabilizer raises.

        Args:
            captured: the frame; `prepare_for` was called with it.
            estimate: as the model gave it, perhaps on a GPU, or with depth that was warped from a keyframe.
            age_seconds: time from that keyframe to the frame; 0 if the model saw the frame itself.
        """
        frame, info = captured.frame, captured.info
        intrinsics = info.intrinsics if (info.width, info.height) == frame.size else None
        if intrinsics is None and estimate.focal_px is not None and 0 < estimate.focal_px < math.inf:
            intrinsics = Intrinsics.from_focal(estimate.focal_px, *frame.size)
        if frame.valid is not None:
            estimate = estimate.hidden_where_invalid(frame.valid)
        item = DepthFrame(
            frame,
            for_depth_field(estimate.stored_depth),
            self.model.kind,
            intrinsics=intrinsics,
            depth_age_seconds=age_seconds,
            confidence=estimate.confidence,
        )
        self._hand_on(captured.stream_index, self.streams[captured.stream_index].stabilizer.push(item))

    def prepare_for(self, captured: CapturedFrame) -> None:
        """Resets the stages of a stream whose frames change their size: nothing remembered is valid for them."""
        i, size = captured.stream_index, captured.frame.size
        previous, self._sizes[i] = self._sizes[i], size
        if previous is not None and previous != size:
            self._flush(i)
            self.streams[i].stabilizer.reset()
            self._estimator.reset(self._model_name(i))
        self._infos[i] = captured.info

    def prepare_model(self, captured: CapturedFrame) -> None:
        """Resets a model with memory for a stream if the frame that it sees next begins a new shot.

        All frames of the stream before must have been handed on.
        """
        if self._estimator.has_memory:
            self.attempt(captured.stream_index, partial(self._forget_old_shot, captured))

    def _forget_old_shot(self, captured: CapturedFrame) -> None:
        self.prepare_for(captured)
        if self.streams[captured.stream_index].stabilizer.begins_shot(captured.frame):
            self.begin_shot(captured.stream_index, captured.frame)

    def begin_shot(self, stream_index: int, frame: Frame) -> None:
        """Resets a model with memory for the stream of the frame that it sees next."""
        if self._estimator.has_memory:
            self._shots.add((stream_index, frame.index))
            self._estimator.reset(self._model_name(stream_index))

    def forget_streams(self) -> None:
        """Resets the model for all streams, which have ended: the next run may use the same names."""
        for name in self._model_names.values():
            self._estimator.reset(name)

    def end_stream(self, stream_index: int, error: Exception | None = None) -> None:
        """Hands on what the stabilizer still has, unless the stream failed, and ends the stream at its sinks."""
        if error is None:
            self.attempt(stream_index, partial(self._flush, stream_index))
        if stream_index not in self.ended:
            self.ended.add(stream_index)
            self._sinks.end_stream(stream_index, error)

    def end_all(self) -> None:
        """Ends all streams that have not ended."""
        for i in range(len(self.streams)):
            self.end_stream(i)

    def _flush(self, stream_index: int) -> None:
        self._hand_on(stream_index, self.streams[stream_index].stabilizer.flush())

    def _hand_on(self, stream_index: int, items: Iterable[DepthFrame]) -> None:
        """Hands items to the sinks one by one, so that those that wait on disk do not pile up in memory."""
        began = time.monotonic()
        for item in items:
            self.stats.durations["smooth"].add(time.monotonic() - began)
            if item.cut and (stream_index, item.frame.index) not in self._shots:
                self._estimator.reset(self._model_name(stream_index))
            info = self._infos[stream_index]
            assert info is not None
            if not self._sinks.put(StreamResult(stream_index, item, info)):
                self.stats.count("stopped", stream_index=stream_index)
            began = time.monotonic()
