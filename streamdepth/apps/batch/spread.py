"""A model that is held by many hosts at once, for the frames of one stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamdepth.apps.batch.hosts import Hosts
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, Image, LazyImage, ModelInfo, YuvPlanes

FRAMES_A_CALL = 4
"""Batches that a host gets at a time: sending costs about a millisecond."""


class SpreadEstimator(Estimator):
    """Sends frames to hosts, batch by batch as one machine would make them, and gives the results in order.

    The network knows nothing of other frames, so that depth is the same wherever a frame is computed. All that follows
    the order of frames - cuts, alignment, smoothing, metres, range - happens where the results come together. Pictures
    are made as the network looks at them before they are sent: that is less, and the same wherever they arrive.
    """

    def __init__(self, hosts: Hosts, batch: int) -> None:
        self._hosts, self._batch = hosts, batch
        self._looks: dict[tuple[int, int], tuple[int, int] | None] = {}

    @property
    def most(self) -> int:
        """Frames that keep all hosts busy."""
        return self._count * FRAMES_A_CALL * self._batch

    @property
    def _count(self) -> int:
        return max(1, len(self._hosts))  # where none is left, asking one says so

    @property
    def max_in_flight(self) -> int:
        return 2

    @property
    def info(self) -> ModelInfo:
        return self._hosts.info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.start(frames)()

    def start(self, frames: Sequence[Frame]) -> Callable[[], list[Estimate]]:
        made = [self._made(frame) for frame in frames]
        batches = [made[i : i + self._batch] for i in range(0, len(made), self._batch)]
        each = -(-len(batches) // self._count)
        calls = [self._hosts.ask("estimate", batches[i : i + each]) for i in range(0, len(batches), each)]

        def wait() -> list[Estimate]:
            answers = [self._hosts.answer(call) for call in calls]
            return [_own(estimate) for answer in answers for batch in answer for estimate in batch]

        return wait

    def _made(self, frame: Frame) -> Frame:
        """To be sent."""
        if frame.size not in self._looks:
            self._looks[frame.size] = self._hosts.answer(self._hosts.ask("looks_at", *frame.size))
        size = self._looks[frame.size]
        return replace(frame, pixels=_Small(frame.size, frame.shrunk(*size)) if size else frame.image)


class _Small(LazyImage):
    """A picture of `size`, of which only what a network looks at was kept."""

    def __init__(self, size: tuple[int, int], small: Image) -> None:
        self.size, self._small = size, small

    def rgb(self) -> Image:
        raise NotImplementedError("the whole picture was not sent")

    def shrunk(self, width: int, height: int) -> Image:
        if self._small.shape[:2] != (height, width):
            raise NotImplementedError(f"{width}x{height} px were not sent")
        return self._small

    def planes(self) -> YuvPlanes | None:
        return None


def _own(estimate: Estimate) -> Estimate:
    """With memory of its own: what Ray gives is a read-only view of memory that it must keep."""
    return replace(estimate, depth=estimate.depth.copy())
