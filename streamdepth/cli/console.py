"""Consoles for standard output and standard error, logging to the screen, and facts as JSON."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.logging import RichHandler
from rich.segment import Segment
from rich.table import Table

from streamdepth.utils.printable import escape_control
from streamdepth.utils.redact import redact_text


class _EscapingConsole(Console):
    """A console that escapes control characters in all texts, so that no text can control the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escape_control(segment.text))


_PLAIN: dict[str, Any] = {"highlight": False, "soft_wrap": True, "markup": False, "emoji": False}
out = _EscapingConsole(width=None if sys.stdout and sys.stdout.isatty() else 200, **_PLAIN)
err = _EscapingConsole(stderr=True, **_PLAIN)

_verbose = False


def is_verbose() -> bool:
    """True if the command was given --verbose."""
    return _verbose


def print_error(text: str) -> None:
    """Prints one line on standard error, without secrets of addresses; with --verbose a traceback before it."""
    if _verbose:
        err.print(redact_text(traceback.format_exc()))
    err.print(redact_text(" ".join(text.split())))


def configure_logging(*, quiet: bool, verbose: bool) -> None:
    """Shows streamdepth's log on standard error: warnings; with `verbose` everything, with `quiet` errors only."""
    global _verbose
    _verbose = verbose
    level = logging.ERROR if quiet else logging.DEBUG if verbose else logging.WARNING
    handler = RichHandler(console=err, show_time=verbose, show_path=verbose)
    handler.addFilter(_redact)
    logger = logging.getLogger("streamdepth")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def _redact(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact_text(record.getMessage()), None
    return True


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Makes Ctrl-C end the command with one line and exit code 130, for work that writes only at its end."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted: nothing was written")
        raise typer.Exit(130) from None


def print_table(table: Table) -> None:
    """Prints a table at its full width: a narrow terminal wraps lines, where rich would cut figures off."""
    table.width = out.measure(table, options=out.options.update(width=10_000)).maximum
    out.print(table)


class JsonOutput:
    """A JSON output: a file, or for `-` standard output, which then gets nothing else.

    Raises SinkOpenError at once when the file could not be written, or is one of the `inputs`.
    """

    def __init__(self, path: Path | None, *, overwrite: bool = False, inputs: Iterable[Path | None] = ()) -> None:
        from streamdepth.sinks.output_checks import check_distinct, check_output

        self.is_printed = path == Path("-")
        self._path, self._overwrite = path, overwrite
        if path and not self.is_printed:
            check_distinct([path], inputs)
            check_output(path, overwrite=overwrite)

    def write(self, facts: dict[str, Any]) -> None:
        """Writes facts in plain types. Raises SinkError."""
        from streamdepth.sinks.pending_files import atomic_write

        text = json.dumps(facts, indent=2)
        if self.is_printed:
            out.print(text)
        elif self._path:
            with atomic_write(self._path, overwrite=self._overwrite) as temporary:
                temporary.write_text(text + "\n")
