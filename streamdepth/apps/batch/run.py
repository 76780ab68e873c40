"""A fleet from beginning to end: what is to be done, doing it, and telling what became of each file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from streamdepth import factory
from streamdepth.apps.batch import jobs
from streamdepth.apps.batch.jobs import Job
from streamdepth.apps.batch.manifest import Manifest, Row, is_ours, now, why
from streamdepth.apps.batch.work import Outcome, convert
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, SinkOpenError, StreamDepthError
from streamdepth.core.interfaces import Estimator
from streamdepth.sinks.output import writing
from streamdepth.utils import storage
from streamdepth.utils.redact import redact


@dataclass(frozen=True, slots=True)
class Task:
    """One file that is to be converted."""

    job: Job
    row: Row
    why: str
    """In words."""
    old: Row | None = None
    """Of an earlier run."""

    @property
    def settings(self) -> Settings:
        """To convert it by, once the way is clear."""
        return self.job.settings.model_copy(update={"overwrite": True})


class Watch(Protocol):
    """Who is told how a fleet gets on."""

    def planned(self, todo: Sequence[Task], skipped: int) -> None: ...

    def moved(self, task: Task, share: float) -> None:
        """`share` of its frames are done, 0 to 1."""

    def ended(self, task: Task, row: Row) -> None: ...


Begin = Callable[[Task], bool]
Moved = Callable[[Task, float], None]
Executor = Callable[[Sequence[Task], Begin, Moved], Iterable[tuple[Task, Outcome]]]
"""Does tasks in any order: (tasks, begin, moved) -> each with its outcome. `begin` comes first, and says whether to."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a fleet."""

    rows: list[Row]
    """Of all its files."""
    skipped: int
    """Of which so many were done already."""
    manifest: str
    """Its address."""
    first_failure: str = ""
    """The class of the first error of this run."""
    model: dict[str, str] = field(default_factory=dict)

    def count(self, state: str) -> int:
        return sum(row.state == state for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Plain types, ready for `json.dumps`."""
        counts = {"done": self.count("done"), "skipped": self.skipped, "failed": self.count("failed")}
        return {**self.model, **counts, "files": [asdict(row) for row in self.rows]}


def run(settings: Settings, watch: Watch, executor: Executor | None = None) -> Summary:
    """Converts all files of `settings` that are not done yet, and keeps account of them in the output folder.

    executor: None does one after the other here, with one model. Raises ConfigError, SourceOpenError and SinkError for
    what concerns all files; what concerns one file is in its row.
    """
    found = jobs.find(settings)
    folders = jobs.output_folders(settings)
    if not folders:
        raise ConfigError("several files need a folder to write to: -o out/ for videos, --depth-out depth/ for data")
    folder = next(iter(folders.values()))
    _make_folder(folder)
    with Manifest(folder) as manifest:
        return _Run(manifest, watch).all(found, executor or one_by_one(settings))


def one_by_one(settings: Settings) -> Executor:
    """The executor of this process: one model, loaded when the first file needs it."""

    def execute(tasks: Sequence[Task], begin: Begin, moved: Moved) -> Iterator[tuple[Task, Outcome]]:
        estimator: Estimator | None = None
        try:
            for task in tasks:
                if begin(task):
                    estimator = estimator or factory.make_estimator(settings.model_copy(update={"throughput": True}))
                    yield task, convert(task.settings, estimator, partial(moved, task))
        finally:
            if estimator is not None:
                estimator.close()

    return execute


class _Run:
    def __init__(self, manifest: Manifest, watch: Watch) -> None:
        self._manifest, self._watch = manifest, watch
        self._first_failure = ""
        self._model: dict[str, str] = {}

    def all(self, found: Sequence[Job], executor: Executor) -> Summary:
        tasks = [task for job in found if (task := self._task(job))]
        self._watch.planned(tasks, len(found) - len(tasks))
        for task, outcome in executor(tasks, self._begin, self._watch.moved):
            self._end(task, outcome)
        rows = [self._manifest.rows[job.name] for job in found]
        skipped = len(found) - len(tasks)
        return Summary(rows, skipped, self._manifest.address, self._first_failure, self._model)

    def _task(self, job: Job) -> Task | None:
        row, old = Row.of(job), self._manifest.rows.get(job.name)
        try:
            reason = why(job, row, old)
        except SinkOpenError as error:  # its turn comes, and it fails alone if that is still so
            reason = str(error)
        return Task(job, row, reason, old) if reason else None

    def _begin(self, task: Task) -> bool:
        try:
            if not task.job.settings.overwrite:
                _check_nothing_is_lost(task)
            for path in task.job.paths:
                _make_folder(path.parent)
            self._manifest.write(task.row)
            _remove(task.job.numbered)  # those of other settings would lie among the new ones
        except StreamDepthError as error:
            self._end(task, Outcome.failed(error), has_begun=False)
            return False
        return True

    def _end(self, task: Task, outcome: Outcome, *, has_begun: bool = True) -> None:
        """Once it has begun all that is there is ours, whatever came of it; before, what was so stays so."""
        written = dict.fromkeys(task.job.outputs)
        try:
            for setting, address in task.job.outputs.items():
                if has_begun or is_ours(task.old, setting, address):
                    written[setting] = now(setting, address)
        except SinkOpenError as error:
            outcome = Outcome.failed(error, outcome.report)
        report = outcome.report
        row = replace(
            task.row,
            state="failed" if outcome.error else "done",
            outputs=written,
            error=outcome.error,
            kind=outcome.kind,
            frames=report.written if report else 0,
            seconds=report.seconds if report else 0.0,
        )
        if report:
            self._model = {k: getattr(report, k) for k in ("model", "engine", "device", "precision")}
        if outcome.error and not self._first_failure:
            self._first_failure = outcome.kind or "StreamDepthError"
        self._manifest.write(row)
        self._watch.ended(task, row)


def _check_nothing_is_lost(task: Task) -> None:
    """Raises SinkOpenError where something is in the way that no earlier run has written."""
    taken = [
        address
        for setting, address in task.job.outputs.items()
        if not is_ours(task.old, setting, address) and now(setting, address) is not None
    ]
    if taken:
        raise SinkOpenError(
            f"'{redact(taken[0])}' exists already, and not from an earlier run; use --overwrite or another folder"
        )


def _remove(files: Sequence[Path]) -> None:
    """Raises SinkWriteError."""
    for file in files:
        with writing(file):
            file.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    if not storage.is_remote(storage.address_from_path(path)):
        factory.make_folder(path)
