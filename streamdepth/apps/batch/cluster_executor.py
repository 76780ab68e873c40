"""The executor of a batch on a cluster: short files go whole to one worker each, long ones frame by frame to all."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from streamdepth.apps.batch.batch_run import Executor, OnTaskProgress, PendingTask, StartTask
from streamdepth.apps.batch.cluster import cluster_connection
from streamdepth.apps.batch.conversion import ConversionResult, convert_file
from streamdepth.apps.batch.distributed_estimator import DistributedEstimator
from streamdepth.apps.batch.worker_pool import WorkerCall, WorkerPool
from streamdepth.config import Settings
from streamdepth.core.errors import StreamDepthError
from streamdepth.core.interfaces import Estimator

_POLL_SECONDS = 0.5


@contextmanager
def cluster_estimator(settings: Settings) -> Iterator[tuple[Settings, Estimator | None]]:
    """Yields settings with a batch that keeps all workers busy, and the model on the cluster of `settings`.

    If the settings name no cluster, it yields (settings, None).
    """
    if settings.cluster is None:
        yield settings, None
        return
    with cluster_connection(settings.cluster), _pool(settings, settings.source[0] if settings.source else "") as pool:
        estimator = DistributedEstimator(pool, settings.inference.batch)
        yield settings.replace(batch=estimator.max_frames_per_call), estimator


@contextmanager
def _pool(settings: Settings, source: str) -> Iterator[WorkerPool]:
    pool = WorkerPool(settings, source)
    try:
        yield pool
    finally:
        pool.close()


def cluster_executor(settings: Settings) -> Executor:
    """Returns the executor that works on the cluster of `settings`; it connects when there is something to do."""

    def execute(
        pending_tasks: Sequence[PendingTask], start: StartTask, on_progress: OnTaskProgress
    ) -> Iterator[tuple[PendingTask, ConversionResult]]:
        if not pending_tasks:
            return
        assert settings.cluster is not None
        with cluster_connection(settings.cluster), _pool(settings, pending_tasks[0].task.source) as pool:
            long = [pending for pending in pending_tasks if _is_long(pending, pending_tasks, pool)]
            for pending in long:
                if start(pending):
                    yield pending, _convert_frame_by_frame(pending, pool, on_progress)
            short = [pending for pending in pending_tasks if pending not in long]
            yield from _convert_whole_files(short, pool, start, on_progress)

    return execute


def _is_long(pending: PendingTask, pending_tasks: Sequence[PendingTask], pool: WorkerPool) -> bool:
    """True if a file is more than one worker's share of the batch: the other workers would idle in the end.

    With keyframe inference, depth is propagated from frame to frame, so such a file cannot be shared.
    """
    total = sum(each.input_bytes for each in pending_tasks)
    is_shareable = not pending.task.settings.inference.fps
    return pending.input_bytes * len(pool) > total and len(pool) > 1 and is_shareable


def _convert_frame_by_frame(pending: PendingTask, pool: WorkerPool, on_progress: OnTaskProgress) -> ConversionResult:
    estimator = DistributedEstimator(pool, pending.task.settings.inference.batch)
    settings = pending.settings.replace(batch=estimator.max_frames_per_call)
    return convert_file(settings, estimator, partial(on_progress, pending))


def _convert_whole_files(
    pending_tasks: Sequence[PendingTask], pool: WorkerPool, start: StartTask, on_progress: OnTaskProgress
) -> Iterator[tuple[PendingTask, ConversionResult]]:
    """Converts one file per worker at a time, the largest first, so that no worker idles long in the end."""
    queue = deque(sorted(pending_tasks, key=lambda pending: -pending.input_bytes))
    running: dict[WorkerCall, PendingTask] = {}
    while queue or running:
        while queue and (pool.idle_count or not running):
            pending = queue.popleft()
            if start(pending):
                running[pool.submit("convert", pending.settings)] = pending
        for call in pool.wait_for_any(list(running), _POLL_SECONDS) if running else ():
            yield running.pop(call), _result(pool, call)
        for pending, share in zip(running.values(), pool.progress(list(running)), strict=True):
            on_progress(pending, share)


def _result(pool: WorkerPool, call: WorkerCall) -> ConversionResult:
    try:
        result: ConversionResult = pool.result(call)
        return result
    except StreamDepthError as error:
        return ConversionResult.failed(error)
