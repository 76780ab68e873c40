"""`convert` for many files: total progress, a line for each file, and the failures at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamdepth.apps.batch.batch_run import BatchSummary, PendingTask, run_batch
from streamdepth.apps.batch.cluster_executor import cluster_executor
from streamdepth.apps.batch.manifest import ManifestEntry
from streamdepth.cli.console import err, is_verbose
from streamdepth.cli.progress import percent_done
from streamdepth.config import Settings
from streamdepth.core import errors
from streamdepth.core.errors import StreamDepthError
from streamdepth.core.notices import notices_not_logged
from streamdepth.factory.report_file import ReportFile
from streamdepth.utils.interrupts import interrupt_on_stop_signals
from streamdepth.utils.redact import redact_text

_SHOWN_SECONDS = 0.1
_LINE_SECONDS = 10.0
_MAX_NOTES = 20


def convert_all(settings: Settings, *, is_quiet: bool) -> type[StreamDepthError] | None:
    """Converts the files of the settings and prints the outcome. Returns the class of the first error, or None."""
    stats = ReportFile(settings)
    logged = nullcontext() if is_verbose() else notices_not_logged()
    with logged, _BatchBar(is_quiet=is_quiet) as bar, interrupt_on_stop_signals():
        try:
            summary = run_batch(settings, bar, cluster_executor(settings) if settings.cluster else None)
        except KeyboardInterrupt:
            err.print("stopped; the files that are done stay, and the same command goes on with the others")
            raise typer.Exit(130) from None
    stats.write_json(summary.as_json())
    _print_summary(summary, is_quiet=is_quiet)
    return getattr(errors, summary.first_error_class, StreamDepthError) if summary.first_error_class else None


def _print_summary(summary: BatchSummary, *, is_quiet: bool) -> None:
    failures = [entry for entry in summary.entries if entry.state == "failed"]
    if not is_quiet:
        if not is_verbose():
            _print_notes(summary.notices)
        skipped = f", {summary.skipped} of them before" if summary.skipped else ""
        err.print(
            f"{summary.count('done')} of {len(summary.entries)} files are done{skipped}, {len(failures)} failed; the "
            f"account of all is {summary.manifest}"
        )
    for entry in failures:
        err.print(f"failed: {entry.source}: {entry.error}")


def _print_notes(notices: Mapping[str, Sequence[str]]) -> None:
    for text, sources in list(notices.items())[:_MAX_NOTES]:
        others = f" (and {len(sources) - 1} more)" if len(sources) > 1 else ""
        err.print(f"note: {sources[0]}{others}: {redact_text(text)}")
    if len(notices) > _MAX_NOTES:
        err.print(f"note: {len(notices) - _MAX_NOTES} more; -v shows them as they come")


class _BatchBar:
    """A progress bar by bytes of input, and a line for each file; without a terminal, a line every ten seconds."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        columns = (BarColumn(), TextColumn("{task.fields[percent]} %"), TimeRemainingColumn())
        self._progress = Progress(
            *columns, TextColumn("{task.fields[state]}"), console=err, disable=is_quiet or not err.is_terminal
        )
        self._shares: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._ended = self._failed = 0
        self._began_at = self._shown_at = time.monotonic()

    def __enter__(self) -> _BatchBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_planned(self, pending_tasks: Sequence[PendingTask], skipped: int) -> None:
        self._sizes = {pending.task.name: max(1, pending.entry.input[0]) for pending in pending_tasks}
        self._bar = self._progress.add_task(
            "files", total=sum(self._sizes.values()), percent=0, state="preparing the model"
        )
        if not self._is_quiet:
            before = f"; {skipped} are done and unchanged" if skipped else ""
            err.print(f"{len(pending_tasks)} files to convert{before}")
            for pending in pending_tasks:
                if pending.reason not in ("new", "unfinished"):
                    err.print(f"again: {pending.entry.source}: {pending.reason}")

    def on_progress(self, pending: PendingTask, share: float) -> None:
        self._shares[pending.task.name] = share
        self._show(pending.task.name)

    def on_finished(self, pending: PendingTask, entry: ManifestEntry) -> None:
        self._ended += 1
        self._failed += entry.state == "failed"
        self._shares[entry.name] = 1.0
        self._show(entry.name, now=True)
        if not self._is_quiet:
            rate = f", {entry.frames / entry.seconds:.1f} fps" if entry.seconds else ""
            what = f"{entry.frames} frames{rate}" if entry.state == "done" else f"failed: {entry.error}"
            err.print(f"[{self._ended}/{len(self._sizes)}] {entry.source}: {what}")

    def _show(self, name: str, *, now: bool = False) -> None:
        is_line = self._progress.disable
        interval = _LINE_SECONDS if is_line else _SHOWN_SECONDS
        if self._is_quiet or ((is_line or not now) and time.monotonic() - self._shown_at < interval):
            return
        self._shown_at = time.monotonic()
        done = sum(self._sizes[name] * share for name, share in self._shares.items())
        failed = f", {self._failed} failed" if self._failed else ""
        state = f"{self._ended} of {len(self._sizes)} files{failed}; {name}"
        share = done / sum(self._sizes.values())
        percent = percent_done(share, is_complete=self._ended == len(self._sizes))
        self._progress.update(self._bar, completed=done, percent=percent, state=state)
        if is_line:
            left = (self._shown_at - self._began_at) * (1 / share - 1) if share else 0.0
            err.print(f"{percent} %, {state}" + (f", about {left:.0f} s left" if left else ""))
