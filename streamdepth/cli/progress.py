"""Progress bars and the summary of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamdepth.pipeline.pipeline import Pipeline
from streamdepth.pipeline.report import Report


class ProgressBar:
    """A progress bar with frame rate, time left and drops, on a terminal only."""

    def __init__(self, console: Console, *, is_quiet: bool) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[state]}"))
        self._progress = Progress(*columns, console=console, disable=is_quiet or not console.is_terminal)
        self._task = self._progress.add_task("frames", total=None, state="preparing the model")
        self._shown_at = 0.0

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, pipeline: Pipeline) -> None:
        """Moves the bar, ten times a second at most."""
        now = time.monotonic()
        if self._progress.disable or now - self._shown_at < 0.1:
            return
        self._shown_at = now
        report = pipeline.report()
        drops = sum(report.dropped.values())
        state = f"{report.fps:.0f} fps" + (f", {drops} dropped" if drops else "")
        self._progress.update(self._task, completed=report.written, total=pipeline.expected_frames, state=state)


@contextmanager
def count_bar(console: Console, total: int, *, is_quiet: bool) -> Iterator[Callable[[], None]]:
    """Shows a progress bar over `total` pictures, on a terminal only; yields a function to call after each."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=is_quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("pictures", total=total)
        yield lambda: progress.advance(task)


def stream_lines(report: Report) -> list[str]:
    """Returns a line about each of several streams; nothing for a single one."""
    lines = []
    for stream in report.streams if len(report.streams) > 1 else ():
        back = f", came back {stream.reconnects} times" if stream.reconnects else ""
        why = f": {stream.reason}" if stream.reason else ""
        lines.append(f"{stream.name}: {stream.written} of {stream.read} frames{back}, {stream.state}{why}")
    return lines


def summary_line(report: Report, reason: str = "") -> str:
    """Returns one line: frames, speed, the model and why it runs where it does, latency, drops."""
    total = report.latency_ms.get("total", {})
    drops = ", ".join(f"{n} {cause.replace('_', ' ')}" for cause, n in report.dropped.items())
    return (
        f"{report.written} of {report.read} frames in {report.seconds:.1f} s ({report.fps:.1f} fps), "
        f"{report.model} on {report.engine} {report.device} {report.precision}{f' ({reason})' if reason else ''}, "
        f"latency p50 {total.get('p50', 0):.0f} ms p95 {total.get('p95', 0):.0f} ms"
        + (f"; {report.inferred} inferred, {report.propagated} propagated" if report.propagated else "")
        + (f"; dropped: {drops}" if drops else "")
        + (f"; came back {report.reconnects} times" if report.reconnects else "")
    )
