"""The verb that describes sources."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer
from rich.table import Table

from streamdepth.cli.console import err, out
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError


@with_flags("camera", "max_side")
def probe(
    source: Annotated[str | None, typer.Argument(help="Anything convert takes.")] = None,
    cameras: Annotated[bool, typer.Option("--cameras", help="List the cameras of this machine instead.")] = False,
    *,
    flags: Flags,
) -> None:
    """Describe a source without running a model.

    Example: streamdepth probe in.mp4
    """
    if cameras:
        return _print_cameras()
    if source is None:
        raise ConfigError(
            "probe needs a source: a camera's number, a file or a URL; --cameras lists the cameras", code="no-source"
        )
    settings = flags.settings()
    from streamdepth import factory
    from streamdepth.cli.stream_facts import stream_facts

    with closing(factory.make_source(source, settings)) as opened:
        table = Table(show_header=False, box=None)
        for name, value in stream_facts(opened.open()):
            table.add_row(name, value)
        out.print(table)
    return None


def _print_cameras() -> None:
    from streamdepth.sources.camera_discovery import list_cameras

    table = Table("source", "name", box=None)
    for camera in list_cameras():
        table.add_row(str(camera.index), camera.name)
    if table.row_count:
        out.print(table)
    else:
        err.print("no camera was found on this machine; in a container, is /dev/video0 passed on?")
