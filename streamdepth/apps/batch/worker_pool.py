"""The workers of a cluster: a call goes to the least busy one, and to another one if that is lost."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamdepth.apps.batch.cluster import WorkerSlot, import_ray, worker_slots
from streamdepth.apps.batch.worker import ModelWorker
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, EstimatorError, InferenceError, StreamDepthError
from streamdepth.core.types import ModelInfo

_log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
"""A task that crashed this many workers is given up; so is a worker that crashed this often while it started."""
_START_SECONDS = 600.0
_PROGRESS_GROUP = "progress"
"""Ray's concurrency group of calls that are answered while a conversion runs."""


@dataclass(slots=True, eq=False)
class _PoolWorker:
    """A worker as the pool sees it."""

    actor: Any
    """Ray's handle of the `ModelWorker`."""
    slot: WorkerSlot
    start_attempts: int = 1
    """Number of workers that were started in this slot until one had loaded the model."""
    pending_calls: int = 0


@dataclass(slots=True, eq=False)
class WorkerCall:
    """A method call that a worker executes."""

    method: str
    arguments: tuple[Any, ...]
    worker: _PoolWorker
    reference: Any
    """Ray's reference to the future result."""
    attempts: int = 1
    is_done: bool = False
    value: Any = None
    error: StreamDepthError | None = None


class WorkerLostError(EstimatorError):
    """The call crashed several workers, or no worker is left."""

    default_code = "worker-lost"


class WorkerPool:
    """A `ModelWorker` in each slot of the connected cluster. Not thread-safe.

    Engine and precision are chosen once, by one worker on the first frames of `source`, and hold for all workers. A
    worker that is lost is replaced as soon as there is room, unless three have crashed in its slot while they started;
    one that cannot load the model is left out.

    Raises:
        ConfigError, EstimatorError: as loading the model does, if no worker can load it.
    """

    def __init__(self, settings: Settings, source: str) -> None:
        self._ray, self._settings = import_ray(), settings
        self._actor_class = self._ray.remote(concurrency_groups={_PROGRESS_GROUP: 1})(ModelWorker)
        self._ready: list[_PoolWorker] = []
        self._starting: dict[Any, _PoolWorker] = {}
        self._start_error: StreamDepthError | None = None
        """Why the last worker that failed to start did so."""
        workers = deque(self._create(slot) for slot in worker_slots(settings))
        self.info, self._model_settings = self._choose_engine(workers, source)
        """The model's description, the same for all workers, and the settings that make it so."""
        for worker in workers:
            self._start(worker)

    def __len__(self) -> int:
        """Returns the number of workers that are ready or starting."""
        return len(self._ready) + len(self._starting)

    @property
    def idle_count(self) -> int:
        """Number of workers without a call."""
        self._collect_started(0.0)
        return sum(not worker.pending_calls for worker in self._ready)

    def submit(self, method: str, *arguments: Any) -> WorkerCall:
        """Starts a call on the least busy worker. Raises WorkerLostError, or the error that kept workers from starting.

        Args:
            method: the name of a method of `ModelWorker`.
            arguments: those of the method.
        """
        worker = self._least_busy()
        return WorkerCall(method, arguments, worker, self._send(worker, method, arguments))

    def result(self, call: WorkerCall) -> Any:
        """Waits for the call and returns its result. Raises WorkerLostError, and what the method raised."""
        while not call.is_done:
            self._await(call)
        if call.error is not None:
            raise call.error
        return call.value

    def wait_for_any(self, calls: Sequence[WorkerCall], timeout_seconds: float) -> list[WorkerCall]:
        """Waits until one of the calls is done, or the time is over; returns all that are done."""
        ready, _ = self._ray.wait([call.reference for call in calls], num_returns=1, timeout=timeout_seconds)
        for call in calls:
            if call.reference in ready:
                self._await(call)
        return [call for call in calls if call.is_done]

    def progress(self, calls: Sequence[WorkerCall]) -> list[float]:
        """Returns the converted share of each call's file, 0 to 1; 0 if its worker does not answer in time."""
        references = [call.worker.actor.progress.options(concurrency_group=_PROGRESS_GROUP).remote() for call in calls]
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=1.0)
        shares = []
        for reference in references:
            try:
                shares.append(float(self._ray.get(reference)) if reference in ready else 0.0)
            except self._ray.exceptions.RayError:
                shares.append(0.0)
        return shares

    def close(self) -> None:
        """Kills all workers."""
        for worker in (*self._ready, *self._starting.values()):
            self._ray.kill(worker.actor)
        self._ready, self._starting = [], {}

    # ---- starting workers

    def _create(self, slot: WorkerSlot, attempt: int = 1) -> _PoolWorker:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(slot.node, soft=True)
        resources = {"num_cpus": slot.cores, "num_gpus": int(slot.has_gpu)}
        actor_class = self._actor_class.options(scheduling_strategy=strategy, **resources)
        return _PoolWorker(actor_class.remote(self._settings, slot, os.getcwd()), slot, attempt)

    def _start(self, worker: _PoolWorker) -> None:
        self._starting[worker.actor.load_model.remote(self._model_settings)] = worker

    def _choose_engine(self, workers: deque[_PoolWorker], source: str) -> tuple[ModelInfo, dict[str, Any]]:
        """Lets the first worker that can load the model choose; removes it, and those that failed, from `workers`."""
        while workers:
            worker = workers.popleft()
            try:
                choice: tuple[ModelInfo, dict[str, Any]] = self._get(
                    worker.actor.choose_engine.remote(source), _START_SECONDS
                )
                self._ready.append(worker)
                return choice
            except self._ray.exceptions.GetTimeoutError as error:
                raise WorkerLostError(
                    "the cluster gives no room; see what else runs there by 'ray status'", code="no-room"
                ) from error
            except ConfigError:
                raise  # every worker would raise the same
            except (self._ray.exceptions.RayError, StreamDepthError) as error:
                if replacement := self._replacement_of_failed_start(worker, error):
                    workers.appendleft(replacement)
        raise self._no_worker_left()

    def _collect_started(self, timeout_seconds: float) -> None:
        """Adds the workers that have loaded the model by now; waits for one of them if a time is given."""
        if not self._starting:
            return
        ready, _ = self._ray.wait(
            list(self._starting), num_returns=1 if timeout_seconds else len(self._starting), timeout=timeout_seconds
        )
        for reference in ready:
            worker = self._starting.pop(reference)
            try:
                self._get(reference)
                self._ready.append(worker)
            except (self._ray.exceptions.RayError, StreamDepthError) as error:
                if replacement := self._replacement_of_failed_start(worker, error):
                    self._start(replacement)

    def _replacement_of_failed_start(self, worker: _PoolWorker, error: Exception) -> _PoolWorker | None:
        """Returns another worker for one that crashed; None if it could not load the model, or crashed too often."""
        self._ray.kill(worker.actor)
        if isinstance(error, StreamDepthError):
            _log.warning("a worker cannot start, and is left out: %s", _last_line(error))
            self._start_error = error
            return None
        _log.warning("a worker was lost while it started: %s", _last_line(error))
        self._start_error = WorkerLostError(f"workers were lost while they started: {_last_line(error)}")
        return self._create(worker.slot, worker.start_attempts + 1) if worker.start_attempts < _MAX_ATTEMPTS else None

    def _no_worker_left(self) -> StreamDepthError:
        return self._start_error or WorkerLostError(
            "no worker is left on the cluster; see its log, and run the same command again"
        )

    # ---- calls

    def _least_busy(self) -> _PoolWorker:
        self._collect_started(0.0)
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready and self._starting and (seconds := deadline - time.monotonic()) > 0:
            self._collect_started(seconds)
        if not self._ready:
            raise self._no_worker_left()
        return min(self._ready, key=lambda worker: worker.pending_calls)

    def _send(self, worker: _PoolWorker, method: str, arguments: tuple[Any, ...]) -> Any:
        worker.pending_calls += 1
        return getattr(worker.actor, method).remote(*arguments)

    def _await(self, call: WorkerCall) -> None:
        """Waits for the call's worker; if the worker is lost, another one gets the call and it stays open."""
        try:
            call.value = self._get(call.reference)
        except self._ray.exceptions.RayError as error:  # the worker, or the machine that stored the result, is lost
            self._replace(call.worker, error)
            self._resubmit(call)
            return
        except StreamDepthError as error:
            call.error = error
        call.worker.pending_calls -= 1
        call.is_done = True

    def _resubmit(self, call: WorkerCall) -> None:
        try:
            if call.attempts == _MAX_ATTEMPTS:
                raise WorkerLostError(
                    f"this ended {call.attempts} workers, one after the other; is there enough memory?"
                )
            call.attempts += 1
            call.worker = self._least_busy()
            call.reference = self._send(call.worker, call.method, call.arguments)
        except StreamDepthError as error:
            call.error, call.is_done = error, True

    def _replace(self, worker: _PoolWorker, error: Exception) -> None:
        if worker in self._ready:
            _log.warning("a worker was lost, its work goes to another: %s", _last_line(error))
            self._ready.remove(worker)
            self._ray.kill(worker.actor)  # it may be alive and only unreachable
            self._start(self._create(worker.slot))

    def _get(self, reference: Any, timeout_seconds: float | None = None) -> Any:
        """Waits for a result. Raises RayError if the worker is lost, InferenceError for errors of other packages."""
        try:
            return self._ray.get(reference, timeout=timeout_seconds)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, StreamDepthError):
                raise cause from None
            raise InferenceError(f"a worker failed: {type(cause).__name__}: {cause}") from cause


def _last_line(error: Exception) -> str:
    """Returns the last line of one of Ray's messages, which has the cause; the lines before it are a general text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300]
