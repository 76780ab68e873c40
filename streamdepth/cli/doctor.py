"""The verb that checks this machine."""

from __future__ import annotations

import typer
from rich.table import Table

from streamdepth.cli.console import configure_logging, out


def doctor() -> None:
    """Check this machine: versions, engines, codecs, window, folders, and the built-in model on one picture.

    Example: streamdepth doctor
    """
    from streamdepth.apps.doctor import run_checks

    configure_logging(quiet=False, verbose=False)
    table = Table("", "what", "found", box=None)
    is_fine = True
    for check in run_checks():
        table.add_row("ok" if check.is_ok else "--" if check.is_optional else "NO", check.name, check.found)
        is_fine = is_fine and (check.is_ok or check.is_optional)
    out.print(table)
    if not is_fine:
        raise typer.Exit(1)
