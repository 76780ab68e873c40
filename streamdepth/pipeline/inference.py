"""The worker between the sources and the sinks: batches for the model, depth steadied, results to the outlets."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from streamdepth.core.buffer import FrameBuffer
from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import DepthFrame, Estimate, Intrinsics, StreamInfo
from streamdepth.pipeline.sink_dispatcher import SinkDispatcher
from streamdepth.pipeline.sink_worker import Item
from streamdepth.pipeline.stats import Stats
from streamdepth.pipeline.stream import Captured, Stream, StreamEnd

Inbox = FrameBuffer[Captured]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the model works on."""

    taken: Sequence[Captured]
    began: float
    future: Future[list[Estimate]]


class Inference:
    """Takes frames from `inbox`, and puts results into `outlets`.

    With an estimator whose `max_in_flight` is more than one, files have as many batches under way, so that the model
    is never idle; of live streams, one is computed while the one before is steadied and handed on. Live frames are
    taken when the model is free and not before: one that waited there could not be replaced by a newer one.

    A stream that is over is told to the outlets after its last result. What fails of one stream is told to `failed`,
    and the others go on.
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
    ) -> None:
        self.streams, self.estimator, self.batch = streams, estimator, batch
        self.model = estimator.info
        """What the engine really uses is known once it has run."""
        self._inbox, self._outlets, self._stats, self._failed = inbox, outlets, stats, failed
        self.ready = threading.Event()
        """The model has been made ready for the sizes of what comes at its own pace, as far as they are known."""
        self._free_at = 0.0
        self._sizes: list[tuple[int, int] | None] = [None] * len(streams)
        self._infos: list[StreamInfo | None] = [None] * len(streams)
        """Of the frames that the stabilizers were given last."""
        self._under_way = Counter[int]()
        self._ending: set[int] = set()
        self._over: set[int] = set()

    def run(self) -> None:
        """Until the inbox is over. Raises InferenceError."""
        self._warm_up()
        under_way = deque[_Batch]()
        while self._fill(under_way):
            batch = under_way.popleft()
            estimates = self._collect(batch)
            if self._is_timely and self.estimator.max_in_flight > 1 and (following := self._begin(within=0.0)):
                under_way.append(following)
            self._hand_on(batch, estimates)
        self._end_all()

    def _warm_up(self) -> None:
        timely = [stream.info for stream in self.streams if stream.info and stream.is_timely]
        try:
            for width, height in {(info.width, info.height) for info in timely}:
                self.estimator.warm_up(width, height)
        finally:
            self.ready.set()

    @property
    def _is_timely(self) -> bool:
        """Whether any stream that goes on is: then nothing is begun ahead of time."""
        return any(stream.is_timely for lane, stream in enumerate(self.streams) if lane not in self._over)

    def _fill(self, under_way: deque[_Batch]) -> bool:
        """Begins as many batches as keep the model busy, of live streams one; False when there is nothing any more."""
        most = 1 if self._is_timely else self.estimator.max_in_flight
        while len(under_way) < most and (batch := self._begin()):
            under_way.append(batch)
        return bool(under_way)

    def _begin(self, within: float | None = None) -> _Batch | None:
        """The next frames, on their way through the model; None at the end, or when none came `within` seconds."""
        taken = self._take(self.batch, within)
        if not taken:
            return None
        began = time.monotonic()
        for captured in taken:
            self._under_way[captured.lane] += 1
            self._stats.time("wait", began - captured.frame.captured_at)
        return _Batch(taken, began, self.estimator.submit([captured.frame for captured in taken]))

    def _take(self, most: int, within: float | None = None) -> list[Captured]:
        while True:
            try:
                return self._inbox.take(most, fill=not self._is_timely, within=within)
            except StreamEnd as end:
                self._ending.add(end.lane)
                self._end_idle()

    def _end_idle(self) -> None:
        """Ends the streams that are ending and have no frame in the model any more."""
        for lane in [lane for lane in self._ending if not self._under_way[lane]]:
            self._end(lane)

    def _end_all(self) -> None:
        for lane in range(len(self.streams)):
            self._end(lane)

    def _end(self, lane: int, error: Exception | None = None) -> None:
        if lane in self._over:
            return
        self._ending.discard(lane)
        if error is None:
            self._try(lane, partial(self._flush, lane))
        if lane in self._over:
            return
        self._over.add(lane)
        self._outlets.end(lane, error)

    def _collect(self, batch: _Batch) -> list[Estimate]:
        estimates = batch.future.result()
        now = time.monotonic()
        self._stats.time("infer", now - max(batch.began, self._free_at))
        self._free_at = now
        self._stats.count("inferred", len(estimates))
        self.model = self.estimator.info
        return estimates

    def _hand_on(self, batch: _Batch, estimates: Sequence[Estimate]) -> None:
        for captured, estimate in zip(batch.taken, estimates, strict=True):
            self._under_way[captured.lane] -= 1
            self._try(captured.lane, partial(self._forget_other_size, captured))
            self._push(captured, partial(self._result, captured, estimate))
        self._end_idle()

    def _push(self, captured: Captured, make: Callable[[], DepthFrame]) -> None:
        """Steadies what `make` gives and hands it on."""
        lane = captured.lane
        if lane in self._over:
            self._stats.count("stopped", lane=lane)
        self._try(lane, lambda: self._emit(lane, self.streams[lane].stabilizer.push(make())))

    def _flush(self, lane: int) -> None:
        self._emit(lane, self.streams[lane].stabilizer.flush())

    def _try(self, lane: int, action: Callable[[], None]) -> None:
        """What fails in `action` fails its stream, and no other. Of a stream that is over, nothing is done."""
        if lane in self._over:
            return
        try:
            action()
        except Exception as error:
            self._failed(lane, error)
            self._end(lane, error)

    def _forget_other_size(self, captured: Captured) -> None:
        """Pictures of another size are another view: nothing that was learnt before holds."""
        lane, frame = captured.lane, captured.frame
        before, self._sizes[lane] = self._sizes[lane], frame.size
        if before is not None and before != frame.size:
            self._flush(lane)
            self.streams[lane].stabilizer.reset()
            self.estimator.reset(frame.stream)
        self._infos[lane] = captured.info

    def _result(self, captured: Captured, estimate: Estimate) -> DepthFrame:
        frame, info, focal_px = captured.frame, captured.info, estimate.focal_px
        intrinsics = info.intrinsics if (info.width, info.height) == frame.size else None
        if intrinsics is None and focal_px is not None and 0 < focal_px < math.inf:
            intrinsics = Intrinsics.from_focal(focal_px, *frame.size)
        return DepthFrame(frame, estimate.depth, self.model.kind, intrinsics=intrinsics)

    def _emit(self, lane: int, results: Iterable[DepthFrame]) -> None:
        """One by one, so that what a stabilizer has held back on disk does not gather in memory."""
        for result in self._timed(results):
            if result.cut:
                self.estimator.reset(result.frame.stream)
            info = self._infos[lane]
            assert info is not None
            if not self._outlets.put(Item(lane, result, info)):
                self._stats.count("stopped", lane=lane)

    def _timed(self, results: Iterable[DepthFrame]) -> Iterator[DepthFrame]:
        """The results, with the time it takes to make each."""
        began = time.monotonic()
        for result in results:
            self._stats.time("smooth", time.monotonic() - began)
            yield result
            began = time.monotonic()
