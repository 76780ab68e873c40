"""The verbs that describe sources and models."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from streamdepth.cli.console import err, out, print_table
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError
from streamdepth.utils.speeds import known_speeds

if TYPE_CHECKING:
    from streamdepth.estimators.catalog import CatalogEntry


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


def models(
    name: Annotated[str | None, typer.Argument(help="Only this model, with all that is known of it.")] = None,
) -> None:
    """List the models with short names: kind of depth, download, speed here, and which to take.

    Example: streamdepth models depth-anything-v2-small
    """
    from streamdepth.estimators.catalog import CATALOG, find_entry, similar_names

    if name is not None:
        entry = find_entry(name)
        if entry is None:
            close = ", ".join(similar_names(name)) or "one of `streamdepth models`"
            raise ConfigError(f"there is no model {name!r} in the catalog; did you mean {close}?", code="unknown-model")
        facts = Table(show_header=False, box=None)
        for key, value in _model_facts(entry):
            facts.add_row(key, value)
        out.print(facts)
        return
    speeds = known_speeds()
    table = Table("name", "kind", "download", "fps here", "", box=None, padding=(0, 1, 0, 0))
    for entry in CATALOG.values():
        remark = entry.advice or ("" if entry.allows_commercial_use else "--accept-license")
        table.add_row(entry.name, entry.kind.value, _download(entry), _speed(speeds.get(entry.name)), remark)
    print_table(table)
    out.print(
        "a name gives more, such as the license: streamdepth models NAME\n"
        "fps here: frames a second of the network alone, in its last run here; - was not measured yet,\n"
        "measure it without a download: streamdepth bench --model NAME --random-weights --alone"
    )


def _speed(frames_per_second: float | None) -> str:
    return "-" if frames_per_second is None else f"{frames_per_second:.3g}"


def _download(entry: CatalogEntry) -> str:
    size = entry.download_mb
    if not size:
        return "?" if size is None else "-"
    return f"{size} MB" if size < 1000 else f"{size / 1000:.1f} GB"


def _model_facts(entry: CatalogEntry) -> list[tuple[str, str]]:
    """Returns (name, value) rows for people."""
    size = entry.size if isinstance(entry.size, int) else "x".join(map(str, entry.size or ()))
    needs = "" if entry.allows_commercial_use else " (needs --accept-license)"
    return [
        ("name", entry.name),
        ("hub id", entry.hub_id or "built in"),
        ("kind", f"{entry.kind.value}, {'meters' if entry.unit else 'inverse depth without unit'}"),
        ("input size", f"{size} px" if size else "the picture's own"),
        ("download", _download(entry)),
        ("fps here", _speed(known_speeds().get(entry.name))),
        ("license", entry.license + needs),
        ("note", "; ".join(filter(None, (entry.note, entry.advice))) or "-"),
        ("use", f"streamdepth convert in.mp4 -o out.mp4 --model {entry.name}"),
    ]
