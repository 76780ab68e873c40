"""Progress of a run: a bar on a terminal, or else a line every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamdepth.core.types import DepthFrame
from streamdepth.pipeline.pipeline import Pipeline

_BAR_SECONDS = 0.1
_LINE_SECONDS = 10.0


class ProgressBar:
    """A progress bar with frame rate, time left and drops; without a terminal, a line every ten seconds."""

    def __init__(self, console: Console, *, is_quiet: bool) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[state]}"))
        self._console, self._is_quiet = console, is_quiet
        self._progress = Progress(*columns, console=console, disable=is_quiet or not console.is_terminal)
        self._task = self._progress.add_task("frames", total=None, state="preparing the model")
        self._shown_at, self._said_at = 0.0, time.monotonic()
        self._first_time: float | None = None
        self._last_time = 0.0

    @property
    def seconds(self) -> float:
        """Duration of the frames that were written, on the source's clock."""
        return max(0.0, self._last_time - (self._first_time or 0.0))

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, pipeline: Pipeline, item: DepthFrame | None = None) -> None:
        """Counts `item`, a frame that was written, and moves the bar, ten times a second at most."""
        if item is not None:
            fps = pipeline.streams[0].info.fps if pipeline.streams[0].info else None
            first = item.frame.time if self._first_time is None else self._first_time
            self._first_time = first
            self._last_time = max(self._last_time, item.frame.time + (float(1 / fps) if fps else 0.0))
        now = time.monotonic()
        if self._is_quiet:
            return
        if self._progress.disable:
            if now - self._said_at >= _LINE_SECONDS:
                self._said_at = now
                self._console.print(_line(pipeline))
        elif now - self._shown_at >= _BAR_SECONDS:
            self._shown_at = now
            report = pipeline.report()
            drops = sum(report.dropped.values())
            state = f"{report.fps:.0f} fps" + (f", {drops} dropped" if drops else "")
            self._progress.update(self._task, completed=report.written, total=pipeline.expected_frames, state=state)


def _line(pipeline: Pipeline) -> str:
    report, total = pipeline.report(), pipeline.expected_frames
    drops = sum(report.dropped.values())
    share = f" ({percent_done(report.written / total)} %)" if total else ""
    done = f"{report.written} of {total} frames{share}" if total else f"{report.written} frames"
    left = f", {(total - report.written) / report.fps:.0f} s left" if total and report.fps else ""
    return f"{done}, {report.fps:.1f} fps{left}" + (f", {drops} dropped" if drops else "")


def percent_done(share: float, *, is_complete: bool = False) -> int:
    """Returns a share of 0 to 1 in whole percent, rounded down; 100 only if `is_complete`."""
    return 100 if is_complete else min(int(100 * share), 99)


@contextmanager
def count_bar(console: Console, total: int, *, is_quiet: bool) -> Iterator[Callable[[], None]]:
    """Shows a progress bar over `total` pictures, on a terminal only; yields a function to call after each."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=is_quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("pictures", total=total)
        yield lambda: progress.advance(task)
