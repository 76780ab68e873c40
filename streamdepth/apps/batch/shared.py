"""A fleet, or one stream, on a cluster: short files whole, one to a host; long ones by frames, on all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from streamdepth.apps.batch.cluster import joined
from streamdepth.apps.batch.hosts import Call, Hosts
from streamdepth.apps.batch.run import Begin, Executor, Moved, Task
from streamdepth.apps.batch.spread import SpreadEstimator
from streamdepth.apps.batch.work import Outcome, convert
from streamdepth.config import Settings
from streamdepth.core.errors import StreamDepthError
from streamdepth.core.interfaces import Estimator

_LOOK_SECONDS = 0.5


@contextmanager
def spread_model(settings: Settings) -> Iterator[tuple[Settings, Estimator | None]]:
    """The model on the cluster that `settings` name, with settings that keep all its hosts busy; (settings, None) where
    they name none.
    """
    if settings.cluster is None:
        yield settings, None
        return
    with joined(settings.cluster), _hosts(settings, settings.source[0] if settings.source else "") as hosts:
        estimator = SpreadEstimator(hosts, settings.batch)
        yield settings.model_copy(update={"batch": estimator.most}), estimator


@contextmanager
def _hosts(settings: Settings, source: str) -> Iterator[Hosts]:
    hosts = Hosts(settings, source)
    try:
        yield hosts
    finally:
        hosts.close()


def on_cluster(settings: Settings) -> Executor:
    """The executor of the cluster that `settings` name; joined when there is something to do."""

    def execute(tasks: Sequence[Task], begin: Begin, moved: Moved) -> Iterator[tuple[Task, Outcome]]:
        if not tasks:
            return
        assert settings.cluster is not None
        with joined(settings.cluster), _hosts(settings, tasks[0].job.source) as hosts:
            long = [task for task in tasks if _is_long(task, tasks, hosts)]
            for task in long:
                if begin(task):
                    yield task, _by_frames(task, hosts, moved)
            yield from _whole([task for task in tasks if task not in long], hosts, begin, moved)

    return execute


def _is_long(task: Task, tasks: Sequence[Task], hosts: Hosts) -> bool:
    """Whether it is more than a host's share of all, so that the others would wait for it in the end."""
    total = sum(each.row.input[0] for each in tasks)
    # Between the frames that the model sees, depth is carried from one to the next: there is nothing to share.
    return task.row.input[0] * len(hosts) > total and len(hosts) > 1 and not task.job.settings.refresh


def _by_frames(task: Task, hosts: Hosts, moved: Moved) -> Outcome:
    estimator = SpreadEstimator(hosts, task.job.settings.batch)
    settings = task.settings.model_copy(update={"batch": estimator.most})
    return convert(settings, estimator, partial(moved, task))


def _whole(tasks: Sequence[Task], hosts: Hosts, begin: Begin, moved: Moved) -> Iterator[tuple[Task, Outcome]]:
    """The longest first, so that none is waited for in the end."""
    waiting = deque(sorted(tasks, key=lambda task: -task.row.input[0]))
    running: dict[Call, Task] = {}
    while waiting or running:
        while waiting and (hosts.free or not running):
            task = waiting.popleft()
            if begin(task):
                running[hosts.ask("convert", task.settings)] = task
        for call in hosts.finished(list(running), _LOOK_SECONDS) if running else ():
            yield running.pop(call), _outcome(hosts, call)
        for task, share in zip(running.values(), hosts.shares(list(running)), strict=True):
            moved(task, share)


def _outcome(hosts: Hosts, call: Call) -> Outcome:
    try:
        found: Outcome = hosts.answer(call)
        return found
    except StreamDepthError as error:
        return Outcome.failed(error)
