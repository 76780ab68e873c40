"""A model that is held by many hosts at once, for the frames of one stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamdepth.fleet.hosts import Hosts
from streamdepth.stages import Estimator
from streamdepth.types import Estimate, Frame, ModelInfo

FRAMES_A_CALL = 4
"""Batches that a host gets at a time: sending costs about a millisecond."""


class SpreadEstimator(Estimator):
    """Sends frames to hosts, batch by batch as one machine would make them, and gives the results in order.

    The network knows nothing of other frames, so that depth is the same wherever a frame is computed. All that follows
    the order of frames - cuts, alignment, smoothing, metres, range - happens where the results come together.
    """

    def __init__(self, hosts: Hosts, batch: int) -> None:
        self._hosts, self._batch = hosts, batch

    @property
    def most(self) -> int:
        """Frames that keep all hosts busy."""
        return len(self._hosts) * FRAMES_A_CALL * self._batch

    @property
    def at_once(self) -> int:
        return 2

    @property
    def info(self) -> ModelInfo:
        return self._hosts.info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.start(frames)()

    def start(self, frames: Sequence[Frame]) -> Callable[[], list[Estimate]]:
        batches = [frames[i : i + self._batch] for i in range(0, len(frames), self._batch)]
        each = -(-len(batches) // len(self._hosts))
        calls = [self._hosts.ask("estimate", batches[i : i + each]) for i in range(0, len(batches), each)]

        def wait() -> list[Estimate]:
            answers = [self._hosts.answer(call) for call in calls]
            return [_own(estimate) for answer in answers for batch in answer for estimate in batch]

        return wait


def _own(estimate: Estimate) -> Estimate:
    """With memory of its own: what Ray gives is a read-only view of memory that it must keep."""
    return replace(estimate, depth=estimate.depth.copy())
