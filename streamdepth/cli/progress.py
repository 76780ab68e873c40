"""What the command line shows and keeps of a run: a progress bar, a summary, the report as a file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamdepth.config import Settings
from streamdepth.pipeline import Pipeline
from streamdepth.sinks.output import check_output, complete_file
from streamdepth.stats import Report


class Bar:
    """A progress bar with frame rate, time left and drops, on a terminal only."""

    def __init__(self, console: Console, *, is_quiet: bool) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[state]}"))
        self._progress = Progress(*columns, console=console, disable=is_quiet or not console.is_terminal)
        self._task = self._progress.add_task("frames", total=None, state="preparing the model")
        self._shown_at = 0.0

    def __enter__(self) -> Bar:
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
def counter(console: Console, total: int, *, is_quiet: bool) -> Iterator[Callable[[], None]]:
    """A progress bar over `total` pictures, on a terminal only; what it yields is called after each."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=is_quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("pictures", total=total)
        yield lambda: progress.advance(task)


class StatsFile:
    """The report as a JSON file, where `--stats` asks for one. Replaces that of a run that has read nothing.

    Raises SinkOpenError at once when it could not be written.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.stats
        self._overwrite = settings.overwrite or (self._path is not None and _is_of_nothing(self._path))
        if self._path:
            check_output(self._path, overwrite=self._overwrite)

    def write(self, report: Report) -> None:
        """Raises SinkError."""
        self.write_facts(report.as_json())

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Raises SinkError."""
        if self._path is None:
            return
        with complete_file(self._path, overwrite=self._overwrite) as temporary:
            temporary.write_text(json.dumps(facts, indent=2) + "\n")


def _is_of_nothing(path: Path) -> bool:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("read") == 0 and "streams" in facts


def stream_lines(report: Report) -> list[str]:
    """Of several streams, one line each: what became of it."""
    lines = []
    for stream in report.streams if len(report.streams) > 1 else ():
        back = f", came back {stream.reconnects} times" if stream.reconnects else ""
        why = f": {stream.reason}" if stream.reason else ""
        lines.append(f"{stream.name}: {stream.written} of {stream.read} frames{back}, {stream.state}{why}")
    return lines


def summary(report: Report, reason: str = "") -> str:
    """One line: frames, speed, model and why it runs where it does, latency, drops."""
    total = report.latency_ms.get("total", {})
    drops = ", ".join(f"{n} {cause.replace('_', ' ')}" for cause, n in report.dropped.items())
    return (
        f"{report.written} of {report.read} frames in {report.seconds:.1f} s ({report.fps:.1f} fps), "
        f"{report.model} on {report.engine} {report.device} {report.precision}{f' ({reason})' if reason else ''}, "
        f"latency p50 {total.get('p50', 0):.0f} ms p95 {total.get('p95', 0):.0f} ms"
        + (f"; {report.inferred} inferred, {report.carried} carried" if report.carried else "")
        + (f"; dropped: {drops}" if drops else "")
        + (f"; came back {report.reconnects} times" if report.reconnects else "")
    )
