"""What every verb shares: the two consoles, logging to the screen, and settings from flags."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from streamdepth.utils.redact import redact_text

if TYPE_CHECKING:
    from streamdepth.config import Settings

_PLAIN: dict[str, Any] = {"highlight": False, "soft_wrap": True, "markup": False, "emoji": False}
out = Console(width=None if sys.stdout.isatty() else 200, **_PLAIN)
err = Console(stderr=True, **_PLAIN)

_verbose = False
_NOT_SETTINGS = ("config", "set", "quiet", "verbose", "more")


def complain(text: str) -> None:
    """One line for the user; a traceback before it when asked for. No secret of an address is shown."""
    if _verbose:
        err.print(redact_text(traceback.format_exc()))
    err.print(redact_text(" ".join(text.split())))


def configure(*, quiet: bool, verbose: bool) -> None:
    """Shows streamdepth's log on standard error: warnings, with `verbose` all, with `quiet` errors only."""
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


def settings_from(flags: dict[str, Any]) -> Settings:
    """Settings from a verb's arguments; `--config` and `--set` are applied beneath the flags. Raises ConfigError.

    `more` holds those that came by `options.also`.
    """
    from streamdepth import config  # not needed for --help, and slow to load

    configure(quiet=flags["quiet"], verbose=flags["verbose"])
    values = {k: v for k, v in (flags | flags.get("more", {})).items() if k not in _NOT_SETTINGS}
    values = {k: v for k, v in values.items() if v != []}  # a repeatable flag that was not given
    return config.load(flags["config"], flags["set"], values)


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Ctrl-C within it ends the command with one line and exit code 130. For work that writes at its end."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted: nothing was written")
        raise typer.Exit(130) from None


def print_table(table: Table) -> None:
    """On standard output at its full width: a narrow terminal wraps lines, where rich would cut figures off."""
    table.width = out.measure(table, options=out.options.update(width=10_000)).maximum
    out.print(table)


class JsonOutput:
    """Facts as JSON, to a file or, for `-`, to standard output, which then holds nothing else.

    Raises SinkOpenError at once when the file could not be written, or is one of the `inputs`.
    """

    def __init__(self, path: Path | None, *, overwrite: bool = False, inputs: Iterable[Path | None] = ()) -> None:
        from streamdepth.sinks.output import check_apart, check_output

        self.is_printed = path == Path("-")
        self._path, self._overwrite = path, overwrite
        if path and not self.is_printed:
            check_apart([path], inputs)
            check_output(path, overwrite=overwrite)

    def write(self, facts: dict[str, Any]) -> None:
        """Raises SinkError."""
        from streamdepth.sinks.output import complete_file

        text = json.dumps(facts, indent=2)
        if self.is_printed:
            out.print(text)
        elif self._path:
            with complete_file(self._path, overwrite=self._overwrite) as temporary:
                temporary.write_text(text + "\n")
