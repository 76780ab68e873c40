"""`convert` of many files: progress over all, a line for each, failures at the end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamdepth.apps.batch.manifest import Row
from streamdepth.apps.batch.run import Summary, Task, run
from streamdepth.apps.batch.shared import on_cluster
from streamdepth.cli.console import err
from streamdepth.config import Settings
from streamdepth.core import errors
from streamdepth.core.errors import StreamDepthError
from streamdepth.factory.stats_file import StatsFile

_SHOWN_SECONDS = 0.1


def convert_all(settings: Settings, *, quiet: bool) -> type[StreamDepthError] | None:
    """Converts the files that `settings` name, and says what became of them; returns the kind of the first failure."""
    stats = StatsFile(settings)
    with _Bar(quiet=quiet) as bar, _stop_by_signal():
        try:
            summary = run(settings, bar, on_cluster(settings) if settings.cluster else None)
        except KeyboardInterrupt:
            err.print("stopped; the files that are done stay, and the same command goes on with the others")
            raise typer.Exit(130) from None
    stats.write_facts(summary.as_json())
    _tell(summary, quiet=quiet)
    return getattr(errors, summary.first_failure, StreamDepthError) if summary.first_failure else None


def _tell(summary: Summary, *, quiet: bool) -> None:
    failures = [row for row in summary.rows if row.state == "failed"]
    if not quiet:
        skipped = f", {summary.skipped} of them before" if summary.skipped else ""
        err.print(
            f"{summary.count('done')} of {len(summary.rows)} files are done{skipped}, {len(failures)} failed; the "
            f"account of all is {summary.manifest}"
        )
    for row in failures:
        err.print(f"failed: {row.source}: {row.error}")


@contextmanager
def _stop_by_signal() -> Iterator[None]:
    """A polite kill ends the run as Ctrl-C does: at once, without what is unfinished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Bar:
    """Progress by bytes of input, on a terminal only; a line for each file anywhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        columns = (BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
        self._progress = Progress(
            *columns, TextColumn("{task.fields[state]}"), console=err, disable=quiet or not err.is_terminal
        )
        self._shares: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._ended = self._failed = 0
        self._shown_at = 0.0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def planned(self, todo: Sequence[Task], skipped: int) -> None:
        self._sizes = {task.job.name: max(1, task.row.input[0]) for task in todo}
        self._bar = self._progress.add_task("files", total=sum(self._sizes.values()), state="preparing the model")
        if not self._quiet:
            before = f"; {skipped} are done and unchanged" if skipped else ""
            err.print(f"{len(todo)} files to convert{before}")
            for task in todo:
                if task.why not in ("new", "unfinished"):
                    err.print(f"again: {task.row.source}: {task.why}")

    def moved(self, task: Task, share: float) -> None:
        self._shares[task.job.name] = share
        self._show(task.job.name)

    def ended(self, task: Task, row: Row) -> None:
        self._ended += 1
        self._failed += row.state == "failed"
        self._shares[row.name] = 1.0
        self._show(row.name, now=True)
        if not self._quiet:
            rate = f", {row.frames / row.seconds:.1f} fps" if row.seconds else ""
            what = f"{row.frames} frames{rate}" if row.state == "done" else f"failed: {row.error}"
            err.print(f"[{self._ended}/{len(self._sizes)}] {row.source}: {what}")

    def _show(self, name: str, *, now: bool = False) -> None:
        if self._progress.disable or (not now and time.monotonic() - self._shown_at < _SHOWN_SECONDS):
            return
        self._shown_at = time.monotonic()
        done = sum(self._sizes[name] * share for name, share in self._shares.items())
        failed = f", {self._failed} failed" if self._failed else ""
        self._progress.update(
            self._bar, completed=done, state=f"{self._ended} of {len(self._sizes)} files{failed}; {name}"
        )
