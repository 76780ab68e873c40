"""The worker between the sources and the sinks: batches for the model, depth steadied, results to the outlets."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from streamdepth.buffer import FrameBuffer
from streamdepth.outlet import Item, Outlet
from streamdepth.stages import Estimator
from streamdepth.stats import Stats
from streamdepth.streams import Stream, StreamEnd
from streamdepth.types import DepthFrame, Estimate, Frame, Intrinsics

Inbox = FrameBuffer[tuple[int, Frame]]
"""Frames with the number of their stream."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the model works on."""

    frames: Sequence[tuple[int, Frame]]
    began: float
    wait: Callable[[], list[Estimate]]


class Inference:
    """Takes frames from `inbox`, and puts results into all `outlets`, of which the first decides what is `stopped`.

    With an estimator that takes more than one batch `at_once`, files have as many under way, so that the model is never
    idle; of live streams, one is computed while the one before is steadied and handed on. Live frames are taken when
    the model is free and not before: one that waited there could not be replaced by a newer one.

    A stream that is over is told to the outlets after its last result. What fails of one stream is told to `failed`,
    and the others go on.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        estimator: Estimator,
        inbox: Inbox,
        outlets: Sequence[Outlet],
        stats: Stats,
        *,
        batch: int,
        failed: Callable[[int, Exception], None],
    ) -> None:
        self.streams, self.estimator, self.batch = streams, estimator, batch
        self.model = estimator.info
        """What the engine really uses is known once it has run."""
        self._inbox, self._outlets, self._stats, self._failed = inbox, outlets, stats, failed
        self._is_live = any(s.is_live for s in streams)
        self._free_at = 0.0
        self._sizes: list[tuple[int, int] | None] = [None] * len(streams)
        self._under_way = Counter[int]()
        self._ending: set[int] = set()
        self._over: set[int] = set()

    def run(self) -> None:
        """Until the inbox is over. Raises InferenceError and what stabilizers raise."""
        under_way = deque[_Batch]()
        while self._fill(under_way):
            batch = under_way.popleft()
            estimates = self._collect(batch)
            if self._is_live and self.estimator.at_once > 1 and (following := self._begin(within=0.0)):
                under_way.append(following)
            self._hand_on(batch, estimates)
        self._end_all()

    def _fill(self, under_way: deque[_Batch]) -> bool:
        """Begins as many batches as keep the model busy, of live streams one; False when there is nothing any more."""
        most = 1 if self._is_live else self.estimator.at_once
        while len(under_way) < most and (batch := self._begin()):
            under_way.append(batch)
        return bool(under_way)

    def _begin(self, within: float | None = None) -> _Batch | None:
        """The next frames, on their way through the model; None at the end, or when none came `within` seconds."""
        taken = self._take(self.batch, within)
        if not taken:
            return None
        began = time.monotonic()
        for lane, frame in taken:
            self._under_way[lane] += 1
            self._stats.time("wait", began - frame.captured_at)
        return _Batch(taken, began, self.estimator.start([frame for _, frame in taken]))

    def _take(self, most: int, within: float | None = None) -> list[tuple[int, Frame]]:
        while True:
            try:
                return self._inbox.take(most, fill=not self._is_live, within=within)
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
            with self._of_stream(lane):
                self._emit(lane, self.streams[lane].stabilizer.flush())
        if lane in self._over:
            return
        self._over.add(lane)
        for outlet in self._outlets:
            outlet.buffer.close(StreamEnd(lane, error), lane)

    def _collect(self, batch: _Batch) -> list[Estimate]:
        estimates = batch.wait()
        now = time.monotonic()
        self._stats.time("infer", now - max(batch.began, self._free_at))
        self._free_at = now
        self._stats.count("inferred", len(estimates))
        self.model = self.estimator.info
        return estimates

    def _hand_on(self, batch: _Batch, estimates: Sequence[Estimate]) -> None:
        for (lane, frame), estimate in zip(batch.frames, estimates, strict=True):
            self._under_way[lane] -= 1
            self._forget_other_size(lane, frame)
            self._push(lane, self._result(lane, frame, estimate))
        self._end_idle()

    def _push(self, lane: int, item: DepthFrame) -> None:
        if lane in self._over:
            self._stats.count("stopped", lane=lane)
            return
        with self._of_stream(lane):
            self._emit(lane, self.streams[lane].stabilizer.push(item))

    @contextmanager
    def _of_stream(self, lane: int) -> Iterator[None]:
        """What fails in here fails its stream, and no other."""
        try:
            yield
        except Exception as error:
            self._failed(lane, error)
            self._end(lane, error)

    def _forget_other_size(self, lane: int, frame: Frame) -> None:
        """Pictures of another size are another view: nothing that was learnt before holds."""
        before, self._sizes[lane] = self._sizes[lane], frame.size
        if before is not None and before != frame.size:
            self.streams[lane].stabilizer.reset()
            self.estimator.reset(frame.stream)

    def _result(self, lane: int, frame: Frame, estimate: Estimate) -> DepthFrame:
        info = self.streams[lane].info
        intrinsics = info.intrinsics if info else None
        if intrinsics is None and estimate.focal_px is not None:
            intrinsics = Intrinsics.from_focal(estimate.focal_px, *frame.size)
        return DepthFrame(frame, estimate.depth, self.model.kind, intrinsics=intrinsics)

    def _emit(self, lane: int, results: Iterable[DepthFrame]) -> None:
        """One by one, so that what a stabilizer has held back on disk does not gather in memory."""
        first, *previews = self._outlets
        for result in self._timed(results):
            if result.cut:
                self.estimator.reset(result.frame.stream)
            if not first.buffer.put(Item(lane, result), lane):
                self._stats.count("stopped", lane=lane)
            for outlet in previews:
                outlet.buffer.put(Item(lane, result), lane)

    def _timed(self, results: Iterable[DepthFrame]) -> Iterator[DepthFrame]:
        """The results, with the time it takes to make each."""
        began = time.monotonic()
        for result in results:
            self._stats.time("smooth", time.monotonic() - began)
            yield result
            began = time.monotonic()
