"""The verbs of `streamdepth eval`: parse, call, print."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamdepth.cli import options as o
from streamdepth.cli.console import JsonOutput, err, nothing_kept, out, print_table, settings_from
from streamdepth.cli.eval_steadiness import steadiness
from streamdepth.cli.eval_temporal import temporal

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.evaluation.contact_sheet import ContactSheet
    from streamdepth.evaluation.datasets import DataSet
    from streamdepth.evaluation.protocol import Protocol
    from streamdepth.evaluation.report import SetResult
    from streamdepth.types import ModelInfo

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def _root() -> None:
    """Measure how good depth is."""


@app.command()
@o.also(o.MODEL)
def accuracy(
    data: Annotated[list[Path], typer.Argument(help="Folders with rgb/, depth/ and index.json in or beside them.")],
    crop: Annotated[str | None, typer.Option("--crop", help="none, eigen (NYU) or garg (KITTI).")] = None,
    min_depth: Annotated[float, typer.Option("--min-depth", help="Metres; nearer truth does not count.")] = 1e-3,
    max_depth: Annotated[
        float | None, typer.Option("--max-depth", help="Metres (default: 10); 80 is usual outdoors.")
    ] = None,
    depth_scale: Annotated[float | None, typer.Option("--depth-scale", help="PNG value of one metre.")] = None,
    every: Annotated[int, typer.Option("--every", help="Take every Nth picture.", min=1)] = 1,
    limit: Annotated[int | None, typer.Option("--limit", help="Take at most N pictures of a set.", min=1)] = None,
    all_sets: Annotated[bool, typer.Option("--all", help="DATA are folders of data sets; judge every one.")] = False,
    json: o.Json = None,
    sheet: Annotated[Path | None, typer.Option("--sheet", help="Draw input, truth, prediction, error here.")] = None,
    sheet_count: Annotated[int, typer.Option("--sheet-count", help="Pictures of each set on it.", min=1)] = 8,
    overwrite: o.Overwrite = None,
    config: o.ConfigFile = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Compare a model's depth with measured depth, and time it.

    Relative depth is fitted to each picture by scale and shift; metric depth is judged as it is, and fitted too.

    Example: streamdepth eval accuracy DATA --model nano --sheet sheet.png
    """
    settings = settings_from(
        {"overwrite": overwrite, "config": config, "set": set, "quiet": quiet, "verbose": verbose, "more": more}
    )
    from streamdepth.evaluation import report
    from streamdepth.evaluation.contact_sheet import ContactSheet
    from streamdepth.evaluation.datasets import DataSet, find_sets
    from streamdepth.evaluation.protocol import Protocol

    folders = [path for folder in data for path in find_sets(folder)] if all_sets else data
    sets = [DataSet(path, depth_scale=depth_scale) for path in folders]
    protocol = Protocol(crop, min_depth, max_depth, every, limit)
    facts = JsonOutput(json, overwrite=settings.overwrite)
    drawn = ContactSheet(sheet, sheet_count, overwrite=settings.overwrite) if sheet else None
    with nothing_kept():
        info, results = _judge(settings, sets, protocol, drawn, is_quiet=quiet)
    if drawn:
        drawn.write()
    facts.write(report.facts(info, settings.size, results))
    if not (quiet or facts.is_printed):
        print_table(report.table(results))
        if len(results) > 1:
            print_table(report.summary(results))
        out.print(*report.notes(info, results), sep="\n")


def _judge(
    settings: Settings, sets: list[DataSet], protocol: Protocol, sheet: ContactSheet | None, *, is_quiet: bool
) -> tuple[ModelInfo, list[SetResult]]:
    """One set after the other. What cannot work is known before the model is loaded."""
    from streamdepth import build
    from streamdepth.cli.progress import counter
    from streamdepth.evaluation.protocol import evaluate_set

    for data in sets:
        protocol.bounds(data)
    total = sum(len(protocol.names(data)) for data in sets)
    with counter(err, total, is_quiet=is_quiet) as step, closing(build.make_estimator(settings)) as estimator:
        results = [evaluate_set(data, estimator, protocol, step, sheet) for data in sets]
        return estimator.info, results


app.command()(temporal)
app.command()(steadiness)
