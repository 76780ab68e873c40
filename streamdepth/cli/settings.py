"""The verb that lists all settings."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from streamdepth.cli.console import print_table
from streamdepth.core.errors import ConfigError


def settings(
    section: Annotated[str | None, typer.Argument(help="Only this section, such as render.")] = None,
) -> None:
    """List every setting with its default and meaning.

    Example: streamdepth settings render
    """
    from streamdepth.config.reference import rows

    chosen = [row for row in rows() if section in (None, row[0], row[0].rpartition(".")[0])]
    if not chosen:
        sections = dict.fromkeys(row[0].partition(".")[0] for row in rows() if "." in row[0])
        raise ConfigError(f"there is no section '{section}'; use one of {', '.join(sections)}", code="not-found")
    table = Table("key", "default", "flag or keyword", "meaning", box=None)
    for row in chosen:
        table.add_row(*row)
    print_table(table)
