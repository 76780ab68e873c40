"""The run of a batch: decides which files to convert, lets an executor convert them, and keeps the manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from streamdepth import factory
from streamdepth.apps.batch.conversion import ConversionResult, convert_file
from streamdepth.apps.batch.manifest import (
    Manifest,
    ManifestEntry,
    output_fingerprint,
    reason_to_convert,
    was_written_by_batch,
)
from streamdepth.apps.batch.tasks import ConversionTask, find_tasks, output_folders
from streamdepth.config import Settings
from streamdepth.core.errors import ConfigError, MissingDependencyError, SinkOpenError, StreamDepthError
from streamdepth.core.interfaces import Estimator
from streamdepth.sinks.write_errors import map_write_errors
from streamdepth.utils import storage
from streamdepth.utils.redact import redact

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PendingTask:
    """A task that has to be done, as the manifest says."""

    task: ConversionTask
    entry: ManifestEntry
    """The manifest's new entry, still without a result."""
    reason: str
    """Why it has to be done, in words."""
    previous: ManifestEntry | None = None
    """The entry of an earlier run."""

    @property
    def settings(self) -> Settings:
        """The settings of the conversion; they overwrite, because existing outputs have been checked before."""
        return self.task.settings.replace(overwrite=True)

    @property
    def input_bytes(self) -> int:
        """Size of the input file; 0 if it does not exist."""
        return self.entry.input[0]


class BatchEvents(Protocol):
    """Callbacks of a batch; they run on the thread that runs the batch."""

    def on_planned(self, pending_tasks: Sequence[PendingTask], skipped: int) -> None:
        """Called once, before the first task; `skipped` files are done already."""

    def on_progress(self, pending: PendingTask, share: float) -> None:
        """Called again and again while a file is converted; `share` of its frames are done, 0 to 1."""

    def on_finished(self, pending: PendingTask, entry: ManifestEntry) -> None:
        """Called when a file is converted or has failed."""


StartTask = Callable[[PendingTask], bool]
OnTaskProgress = Callable[[PendingTask, float], None]
Executor = Callable[[Sequence[PendingTask], StartTask, OnTaskProgress], Iterable[tuple[PendingTask, ConversionResult]]]
"""A function (pending tasks, start, on_progress) that does tasks in any order, and yields each with its result.

It calls `start` before each task and leaves the task out if that returns False."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """The results of a batch."""

    entries: list[ManifestEntry]
    """The manifest's entries of all files."""
    skipped: int
    """Number of files that were done already."""
    manifest: str
    """Path or address of the manifest."""
    first_error_class: str = ""
    """Name of the class of this run's first error; empty if there was none."""
    model: dict[str, str] = field(default_factory=dict)
    """Name, engine, device and precision of the model."""
    notices: dict[str, list[str]] = field(default_factory=dict)
    """Sentence that a user should read -> the sources that it is about."""

    def count(self, state: str) -> int:
        """Returns the number of files in a state of the manifest."""
        return sum(entry.state == state for entry in self.entries)

    def as_json(self) -> dict[str, Any]:
        """Returns the summary in plain types, ready for `json.dumps`."""
        counts = {"done": self.count("done"), "skipped": self.skipped, "failed": self.count("failed")}
        return {**self.model, **counts, "files": [asdict(entry) for entry in self.entries]}


def run_batch(settings: Settings, events: BatchEvents, executor: Executor | None = None) -> BatchSummary:
    """Converts all files of `settings` that are not done yet, and keeps a manifest in the output folder.

    Args:
        settings: name the sources, and a folder for each kind of output.
        events: gets the progress.
        executor: does the tasks; by default, one after the other in this process with one model.

    Raises:
        ConfigError, SourceOpenError, SinkError: for errors of the whole batch; errors of one file are in its entry.
    """
    tasks = find_tasks(settings)
    folders = output_folders(settings)
    if not folders:
        raise ConfigError(
            "several files need a folder to write to: -o out/ for videos, --depth-out depth/ for data", code="no-output"
        )
    folder = next(iter(folders.values()))
    _make_folder(folder)
    with Manifest(folder) as manifest:
        return _BatchRun(manifest, events).run(tasks, executor or sequential_executor(settings))


def sequential_executor(settings: Settings) -> Executor:
    """Returns the executor of this process: one file after the other, with a model that the first file loads."""

    def execute(
        pending_tasks: Sequence[PendingTask], start: StartTask, on_progress: OnTaskProgress
    ) -> Iterator[tuple[PendingTask, ConversionResult]]:
        estimator: Estimator | None = None
        try:
            for pending in pending_tasks:
                if start(pending):
                    if estimator is None:
                        _check_packages(pending.settings)
                    estimator = estimator or factory.make_estimator(settings.replace(throughput=True))
                    yield pending, convert_file(pending.settings, estimator, partial(on_progress, pending))
        finally:
            if estimator is not None:
                estimator.close()

    return execute


def _check_packages(settings: Settings) -> None:
    """Raises MissingDependencyError, before the model is loaded, if no file of the batch can be written."""
    try:
        for sink in factory.make_sinks(settings):
            sink.check()
    except MissingDependencyError:
        raise
    except StreamDepthError as error:  # that is one file's fault, and stands in its entry
        _log.debug("%s", error)


class _BatchRun:
    """One run over the tasks of a batch, with its manifest."""

    def __init__(self, manifest: Manifest, events: BatchEvents) -> None:
        self._manifest, self._events = manifest, events
        self._first_error_class = ""
        self._model: dict[str, str] = {}
        self._notices: dict[str, list[str]] = {}

    def run(self, tasks: Sequence[ConversionTask], executor: Executor) -> BatchSummary:
        pending_tasks = [pending for task in tasks if (pending := self._pending(task))]
        skipped = len(tasks) - len(pending_tasks)
        self._events.on_planned(pending_tasks, skipped)
        for pending, result in executor(pending_tasks, self._start, self._events.on_progress):
            self._finish(pending, result)
        entries = [self._manifest.entries[task.name] for task in tasks]
        return BatchSummary(
            entries, skipped, self._manifest.address, self._first_error_class, self._model, self._notices
        )

    def _pending(self, task: ConversionTask) -> PendingTask | None:
        """Returns None if the task is done already."""
        entry, previous = ManifestEntry.started(task), self._manifest.entries.get(task.name)
        try:
            reason = reason_to_convert(task, entry, previous)
        except SinkOpenError as error:  # if the storage still does not answer then, this task alone fails
            reason = str(error)
        return PendingTask(task, entry, reason, previous) if reason else None

    def _start(self, pending: PendingTask) -> bool:
        """Prepares the outputs of a task; returns False, with the task failed, if they cannot be written."""
        try:
            if not pending.task.settings.outputs.overwrite:
                _check_overwrites_only_own_files(pending)
            for path in pending.task.output_paths:
                _make_folder(path.parent)
            self._manifest.write(pending.entry)
            # files of an earlier run with other settings must not lie among the new ones
            _remove(pending.task.existing_numbered_files())
        except StreamDepthError as error:
            self._finish(pending, ConversionResult.failed(error), was_started=False)
            return False
        return True

    def _finish(self, pending: PendingTask, result: ConversionResult, *, was_started: bool = True) -> None:
        """Writes the entry of a finished task.

        If the task was started, every output that exists counts as this batch's; otherwise only those an earlier run
        wrote.
        """
        outputs = dict.fromkeys(pending.task.output_addresses)
        try:
            for setting, address in pending.task.output_addresses.items():
                if was_started or was_written_by_batch(pending.previous, setting, address):
                    outputs[setting] = output_fingerprint(setting, address)
        except SinkOpenError as error:
            result = ConversionResult.failed(error, result.report)
        report = result.report
        entry = replace(
            pending.entry,
            state="failed" if result.error else "done",
            outputs=outputs,
            error=result.error,
            error_class=result.error_class,
            frames=report.written if report else 0,
            seconds=report.seconds if report else 0.0,
        )
        for text in report.notices if report else ():
            if text != result.error:
                self._notices.setdefault(text, []).append(entry.source)
        if report:
            self._model = {k: getattr(report, k) for k in ("model", "engine", "device", "precision")}
        if result.error and not self._first_error_class:
            self._first_error_class = result.error_class or "StreamDepthError"
        self._manifest.write(entry)
        self._events.on_finished(pending, entry)


def _check_overwrites_only_own_files(pending: PendingTask) -> None:
    """Raises SinkOpenError ("exists") if a file is in the way that no earlier run of the batch has written."""
    foreign = [
        address
        for setting, address in pending.task.output_addresses.items()
        if not was_written_by_batch(pending.previous, setting, address)
        and output_fingerprint(setting, address) is not None
    ]
    if foreign:
        raise SinkOpenError(
            f"'{redact(foreign[0])}' exists already, and not from an earlier run; use --overwrite or another folder",
            code="exists",
        )


def _remove(files: Sequence[Path]) -> None:
    """Deletes the files. Raises SinkWriteError."""
    for file in files:
        with map_write_errors(file):
            file.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    if not storage.is_remote(storage.address_from_path(path)):
        factory.make_folder(path)
