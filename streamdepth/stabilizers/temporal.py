"""Smoothing over time along the motion: from frame to frame, and for files in both directions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.device_map import StoredMap, for_depth_field
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame
from streamdepth.stabilizers.disk_queue import DiskQueue
from streamdepth.stabilizers.optical_flow import FrameMotion, MotionTracker
from streamdepth.stabilizers.recursive_filter import FilterState, Past, RecursiveFilter, weighted_mean

if TYPE_CHECKING:
    from streamdepth.stabilizers.device_filter import DeviceFilter


class TemporalFilter(Stabilizer):
    """A running mean along the motion, which trusts the past where flow and depth agree and the present elsewhere.

    The result stays within the range of the inputs; unknown pixels take the new value. Starts anew at cuts, gaps and
    changes of size. State: two maps of the depth's size. Depth that lies on a GPU is smoothed there and stays there.

    Args:
        memory_seconds: the longest memory, that of static parts. Frames further apart have more weight, so that the
            result does not depend on the frame rate.
        tolerance: how far the past may be from the new depth before it is forgotten, in multiples of the network's
            noise, which is measured. Except for the network's lone outliers, the result stays within a third of it.
    """

    def __init__(
        self,
        memory_seconds: float = 1.5,
        tolerance: float = 9.0,
        *,
        tracker: MotionTracker | None = None,
    ) -> None:
        self.memory_seconds, self.tolerance = memory_seconds, tolerance
        self._tracker = tracker or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._array_filter: RecursiveFilter | None = None
        self._device_filter: DeviceFilter | None = None

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        motion = self._tracker.track(item.frame)
        if item.cut or motion.to_previous is None:
            self._array_filter = self._device_filter = None
        smoothed = self._smooth(item, motion)
        return [replace(item, depth=for_depth_field(smoothed))]

    def _smooth(self, item: DepthFrame, motion: FrameMotion) -> StoredMap:
        """Smooths the depth on its own device; starts anew if the model moves to another one."""
        if item.device_depth is None:
            self._device_filter = None
            self._array_filter = self._array_filter or RecursiveFilter(self.memory_seconds, self.tolerance)
            return self._array_filter.push(item, motion.to_previous, motion.seconds)
        from streamdepth.stabilizers.device_filter import DeviceFilter

        self._array_filter = None
        self._device_filter = self._device_filter or DeviceFilter(self.memory_seconds, self.tolerance)
        return self._device_filter.push(item, motion.to_previous, motion.seconds)


@dataclass(frozen=True, slots=True)
class _PendingFrame:
    """A frame that waits for what comes after it."""

    item: DepthFrame
    motion: FrameMotion
    state: FilterState
    """The forward filter's state after this frame."""


class TwoSidedFilter(Stabilizer):
    """`TemporalFilter` in both directions: each frame is the mean of those before and after it, without lag.

    For files only: items come out `lookahead_frames` or more later, in blocks of as many. At most twice as many wait,
    their pictures on disk; frames further ahead are not used. Nothing is carried across cuts.
    """

    is_offline = True

    def __init__(
        self,
        memory_seconds: float = 0.4,
        tolerance: float = 12.0,
        lookahead_frames: int = 24,
        *,
        tracker: MotionTracker | None = None,
    ) -> None:
        self.memory_seconds, self.tolerance, self.lookahead_frames = memory_seconds, tolerance, lookahead_frames
        self._tracker = tracker or MotionTracker()
        self._queue = DiskQueue()
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._queue.clear()
        self._pending: deque[_PendingFrame] = deque()
        self._forward = self._new_filter()

    def push(self, item: DepthFrame) -> Iterator[DepthFrame]:
        motion = self._tracker.track(item.frame)
        flows = motion.to_previous
        if item.cut or flows is None:
            yield from self.flush()
        past = self._forward.predict(item, flows, motion.seconds) if flows else None
        state = self._forward.update(item.depth, past, motion.seconds)
        kept = replace(state, evidence_seconds=state.evidence_seconds.copy())
        self._pending.append(_PendingFrame(self._queue.put(item), motion, kept))
        if len(self._pending) >= 2 * self.lookahead_frames:
            yield from self._release(self.lookahead_frames)

    def flush(self) -> Iterator[DepthFrame]:
        yield from self._release(len(self._pending))
        self._forward = self._new_filter()

    def _new_filter(self) -> RecursiveFilter:
        return RecursiveFilter(self.memory_seconds, self.tolerance)

    def _release(self, count: int) -> Iterator[DepthFrame]:
        for pending, depth in zip(list(self._pending)[:count], self._smooth()[:count], strict=True):
            self._pending.popleft()
            yield replace(self._queue.take(pending.item), depth=depth)

    def _smooth(self) -> list[DepthMap]:
        """Runs backward over all pending frames and returns past, present and future weighted by their evidence."""
        backward, smoothed = self._new_filter(), list[DepthMap]()
        following: FrameMotion | None = None
        for pending in reversed(self._pending):
            item, state = pending.item, pending.state
            flows, seconds = (following.to_previous, following.seconds) if following else (None, 0.0)
            future = backward.predict(item, flows.reversed(), seconds) if flows else None
            smoothed.append(_join(state, item.depth, future) if future else state.depth)
            backward.update(item.depth, future, seconds)
            following = pending.motion
        return smoothed[::-1]


@np.errstate(invalid="ignore")
def _join(state: FilterState, new: DepthMap, future: Past) -> DepthMap:
    """Returns the mean of the state after a frame and the future warped to it; `new` is the frame's own depth."""
    change = future.change + (state.depth - new)
    copied = Past(change, future.evidence_seconds.copy())  # the mean changes it
    return weighted_mean(state.depth, copied, state.evidence_seconds).depth
