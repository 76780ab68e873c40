"""An estimator that distributes the frames of one stream over the workers of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamdepth.apps.batch.worker_pool import WorkerCall, WorkerPool
from streamdepth.core.arrays import Image
from streamdepth.core.futures import Future
from streamdepth.core.interfaces import Estimator
from streamdepth.core.types import Estimate, Frame, LazyImage, ModelInfo, YuvPlanes

BATCHES_PER_CALL = 4
"""Batches that a worker gets at a time: each call costs about a millisecond."""


class DistributedEstimator(Estimator):
    """Sends frames to the workers in the batches that a single machine would make, and returns results in order.

    A network sees each frame alone, so its depth is the same on every worker. All that depends on the order of frames
    (cuts, alignment, smoothing, meters, range) happens in the process that collects the results. Frames are shrunk to
    the network's input size before they are sent, which saves traffic and is the same on every machine.
    """

    def __init__(self, pool: WorkerPool, batch: int) -> None:
        self._pool, self._batch = pool, batch
        self._input_sizes: dict[tuple[int, int], tuple[int, int] | None] = {}

    @property
    def max_frames_per_call(self) -> int:
        """Number of frames in one `submit` that keeps all workers busy."""
        return self._worker_count * BATCHES_PER_CALL * self._batch

    @property
    def _worker_count(self) -> int:
        return max(1, len(self._pool))  # without workers, the pool raises when it gets a call

    @property
    def max_in_flight(self) -> int:
        return 2

    @property
    def info(self) -> ModelInfo:
        return self._pool.info

    def estimate(self, frames: Sequence[Frame]) -> list[Estimate]:
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> Future[list[Estimate]]:
        small = [self._shrunk(frame) for frame in frames]
        batches = [small[i : i + self._batch] for i in range(0, len(small), self._batch)]
        per_worker = -(-len(batches) // self._worker_count)
        calls = [self._pool.submit("estimate", batches[i : i + per_worker]) for i in range(0, len(batches), per_worker)]
        return _DistributedEstimates(self._pool, calls)

    def _shrunk(self, frame: Frame) -> Frame:
        """Returns the frame at the network's input size, which is all that has to be sent."""
        if frame.size not in self._input_sizes:
            self._input_sizes[frame.size] = self._pool.result(self._pool.submit("input_size", *frame.size))
        size = self._input_sizes[frame.size]
        pixels = _ShrunkImage(frame.size, frame.image_at_size(*size)) if size else frame.image
        return replace(frame, pixels=pixels, valid=None)


class _DistributedEstimates:
    """The results of frames that workers compute, in the order of the calls."""

    def __init__(self, pool: WorkerPool, calls: Sequence[WorkerCall]) -> None:
        self._pool, self._calls = pool, calls

    def result(self) -> list[Estimate]:
        results = [self._pool.result(call) for call in self._calls]
        return [_copied(estimate) for result in results for batch in result for estimate in batch]


class _ShrunkImage(LazyImage):
    """An image of `size` (width, height) that carries only its shrunk version."""

    def __init__(self, size: tuple[int, int], small: Image) -> None:
        self.size, self._small = size, small

    def rgb(self) -> Image:
        raise NotImplementedError("the image was sent at the network's input size only")

    def image_at_size(self, width: int, height: int) -> Image:
        if self._small.shape[:2] != (height, width):
            raise NotImplementedError(f"the image was not sent at {width}x{height} px")
        return self._small

    def yuv_planes(self) -> YuvPlanes | None:
        return None


def _copied(estimate: Estimate) -> Estimate:
    """Copies the maps: Ray's result is a read-only view that would keep all of its shared memory alive."""
    confidence = None if estimate.confidence is None else estimate.confidence.copy()
    return replace(estimate, depth=estimate.depth.copy(), confidence=confidence)
