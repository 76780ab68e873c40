"""The model beside the stream: it computes what it can, and depth is carried to the frames in between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from streamdepth.core.buffer import FrameBuffer, QueuePolicy
from streamdepth.core.interfaces import DepthPropagator, Estimator
from streamdepth.core.types import DepthFrame, Estimate, Frame
from streamdepth.pipeline.inference import Inbox, Inference
from streamdepth.pipeline.sink_dispatcher import SinkDispatcher
from streamdepth.pipeline.stats import Stats
from streamdepth.pipeline.stream import Captured, Stream

_EPSILON = 1e-6
"""Of a refresh: timestamps are rounded."""


class Schedule:
    """Says of which frames the model's depth is wanted: the first in each slot of 1 / `hz` seconds; None: of all."""

    def __init__(self, hz: float | None) -> None:
        self.hz = hz
        self._slot: int | None = None

    def wants(self, seconds: float) -> bool:
        """seconds: the frame's, on the source's clock. Asked once per frame, in order."""
        if (hz := self.hz) is None:  # another thread may change it at any time
            return True
        slot = math.floor(seconds * hz + _EPSILON)
        is_new, self._slot = slot != self._slot, slot
        return is_new


@dataclass(slots=True)
class _Lane:
    """What is known of one stream."""

    propagator: DepthPropagator
    schedule: Schedule
    can_carry: bool = False
    """Whether there is depth for the newest frame."""
    wanted: Frame | None = None
    """The newest frame, while the model's depth is wanted."""
    sent: int = -1
    """The number of the last job with a frame of this stream."""
    estimate: Estimate | None = None
    """The model's last word."""


class KeyframeInference(Inference):
    """Every frame comes out at once, with depth carried from the newest frame that the model has finished.

    `compute` runs the model on a thread of its own. Of live streams it gets the newest frames whenever it is free and
    one is wanted, those first that have waited longest; its results belong to older frames then, and are carried to
    the present. Files wait for each result that is wanted, so that the same file always gives the same depth. Where
    nothing can be carried, at the start, at cuts and after gaps, every stream waits.

    hz: how often the model's depth is wanted, on the source's clock; None: as often as it can, of files always.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        estimator: Estimator,
        inbox: Inbox,
        outlets: SinkDispatcher,
        stats: Stats,
        *,
        batch: int,
        failed: Callable[[int, Exception], None],
        hz: float | None,
    ) -> None:
        super().__init__(streams, estimator, inbox, outlets, stats, batch=batch, failed=failed)
        propagators = [s.propagator for s in streams if s.propagator]
        assert len(propagators) == len(streams), "every stream needs a carrier"
        self._lanes = [_Lane(propagator, Schedule(hz)) for propagator in propagators]
        self._jobs: FrameBuffer[list[tuple[int, Frame]]] = FrameBuffer(QueuePolicy(1))
        self._done: FrameBuffer[list[tuple[int, Estimate]]] = FrameBuffer(QueuePolicy(1))
        self._is_busy = False
        self._count = 0

    def compute(self) -> None:
        """The model's thread, until `run` ends."""
        while jobs := self._jobs.take():
            began = time.monotonic()
            estimates = self.estimator.estimate([frame for _, frame in jobs[0]])
            self._stats.time("infer", time.monotonic() - began)
            self._stats.count("inferred", len(estimates))
            self._done.put([(lane, estimate) for (lane, _), estimate in zip(jobs[0], estimates, strict=True)])

    def set_inference_fps(self, hz: float | None) -> None:
        """From now on, the model's depth is wanted so often."""
        for lane in self._lanes:
            lane.schedule.hz = hz

    def computing_ended(self, error: BaseException | None) -> None:
        """To be called at the end of `compute`, so that `run` raises what it raised."""
        self._done.close(error)

    def run(self) -> None:
        try:
            self._warm_up()
            while taken := self._take(most=1):
                self._pass(taken[0])
            self._receive()
            self._end_all()
        finally:
            self._jobs.close()

    def _pass(self, captured: Captured) -> None:
        lane = captured.lane
        self._stats.time("wait", time.monotonic() - captured.frame.captured_at)
        self._receive(within=0.0)
        self._try(lane, partial(self._follow, captured))
        self._refresh(lane)
        self._push(captured, partial(self._carried, captured))

    def _follow(self, captured: Captured) -> None:
        own, frame = self._lanes[captured.lane], captured.frame
        self._forget_other_size(captured)
        own.can_carry = own.propagator.track(frame)
        if own.schedule.wants(frame.time) or own.wanted or not own.can_carry:
            own.wanted = frame

    def _refresh(self, lane: int) -> None:
        """Gives the model what it is to see now. Raises InferenceError."""
        wanting = [i for i, own in enumerate(self._lanes) if own.wanted and i not in self._over]
        if lane in wanting and not (self._lanes[lane].can_carry and self.streams[lane].is_live):
            self._receive()
            self._send([lane])
            self._receive()
        elif not self._is_busy:
            self._send(sorted(wanting, key=lambda i: self._lanes[i].sent))

    def _send(self, lanes: Sequence[int]) -> None:
        """Gives the model the wanted frames of the first of `lanes`."""
        job = []
        for lane in lanes[: self.batch]:
            own = self._lanes[lane]
            self._try(lane, own.propagator.begin_keyframe)
            if own.wanted and lane not in self._over:
                job.append((lane, own.wanted))
            own.wanted, own.sent = None, self._count
        if job:
            self._count += 1
            self._is_busy = self._jobs.put(job)

    def _receive(self, within: float | None = None) -> None:
        """What the model has finished; waits for what it is busy with. Raises InferenceError."""
        if not self._is_busy:
            return
        for results in self._done.take(within=within):
            self._is_busy = False
            self.model = self.estimator.info
            for lane, estimate in results:
                self._try(lane, partial(self._lanes[lane].propagator.complete_keyframe, estimate.depth))
                self._lanes[lane].estimate = estimate

    def _carried(self, captured: Captured) -> DepthFrame:
        own = self._lanes[captured.lane]
        carried = own.propagator.propagated_depth()
        assert carried is not None
        assert own.estimate is not None
        depth, age = carried
        if age > 0:
            self._stats.count("carried")
        return replace(self._result(captured, replace(own.estimate, depth=depth)), depth_age_seconds=age)
