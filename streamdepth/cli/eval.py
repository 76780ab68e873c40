"""The verbs of `streamdepth eval`: parse, call, print."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import JsonOutput, err, exit_on_interrupt, out, print_table
from streamdepth.cli.eval_metric import metric
from streamdepth.cli.eval_steadiness import steadiness
from streamdepth.cli.eval_temporal import temporal
from streamdepth.cli.flags import Flags, Json, with_flags

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.types import ModelInfo
    from streamdepth.evaluation.accuracy.contact_sheet import ContactSheet
    from streamdepth.evaluation.accuracy.protocol import EvaluationProtocol
    from streamdepth.evaluation.accuracy.report import DatasetResult
    from streamdepth.evaluation.datasets import DepthDataset

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def _root() -> None:
    """Measure how good depth is."""


@app.command()
@with_flags("model", "outputs.overwrite")
def accuracy(
    data: Annotated[list[Path], typer.Argument(help="Folders with rgb/, depth/ and index.json in or beside them.")],
    crop: Annotated[str | None, typer.Option("--crop", help="none, eigen (NYU) or garg (KITTI).")] = None,
    min_depth: Annotated[float, typer.Option("--min-depth", help="Meters; nearer ground truth does not count.")] = 1e-3,
    max_depth: Annotated[
        float | None, typer.Option("--max-depth", help="Meters (default: 10); 80 is usual outdoors.")
    ] = None,
    depth_scale: Annotated[float | None, typer.Option("--depth-scale", help="PNG value of one meter.")] = None,
    every: Annotated[int, typer.Option("--every", help="Take every Nth picture.", min=1)] = 1,
    limit: Annotated[int | None, typer.Option("--limit", help="Take at most N pictures of a set.", min=1)] = None,
    all_sets: Annotated[bool, typer.Option("--all", help="DATA are folders of datasets; judge every one.")] = False,
    json: Json = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Draw input, ground truth, prediction, error here.")
    ] = None,
    sheet_count: Annotated[int, typer.Option("--sheet-count", help="Pictures of each dataset on it.", min=1)] = 8,
    *,
    flags: Flags,
) -> None:
    """Compare a model's depth with measured depth, and time it.

    Relative depth is fitted to each picture by scale and shift; metric depth is judged as it is, and fitted too.

    Example: streamdepth eval accuracy DATA --model nano --sheet sheet.png
    """
    settings = flags.settings()
    from streamdepth.evaluation.accuracy import report
    from streamdepth.evaluation.accuracy.contact_sheet import ContactSheet
    from streamdepth.evaluation.accuracy.protocol import EvaluationProtocol
    from streamdepth.evaluation.datasets import DepthDataset, find_datasets

    folders = [path for folder in data for path in find_datasets(folder)] if all_sets else data
    sets = [DepthDataset(path, depth_scale=depth_scale) for path in folders]
    protocol = EvaluationProtocol(crop, min_depth, max_depth, every, limit)
    facts = JsonOutput(json, overwrite=settings.outputs.overwrite)
    drawn = ContactSheet(sheet, sheet_count, overwrite=settings.outputs.overwrite) if sheet else None
    with exit_on_interrupt():
        info, results = _evaluate_datasets(settings, sets, protocol, drawn, is_quiet=flags.quiet)
    if drawn:
        drawn.write()
    facts.write(report.as_json(info, settings.model.size, results))
    if not (flags.quiet or facts.is_printed):
        print_table(report.table(results))
        if len(results) > 1:
            print_table(report.summary(results))
        out.print(*report.footnotes(info, results), sep="\n")


def _evaluate_datasets(
    settings: Settings,
    sets: list[DepthDataset],
    protocol: EvaluationProtocol,
    sheet: ContactSheet | None,
    *,
    is_quiet: bool,
) -> tuple[ModelInfo, list[DatasetResult]]:
    """Evaluates the datasets one after the other; all are checked before the model is loaded."""
    from streamdepth import factory
    from streamdepth.cli.progress import count_bar
    from streamdepth.evaluation.accuracy.protocol import evaluate_dataset

    for data in sets:
        protocol.region(data)
    total = sum(len(protocol.names(data)) for data in sets)
    with count_bar(err, total, is_quiet=is_quiet) as step, closing(factory.make_estimator(settings)) as estimator:
        results = [evaluate_dataset(data, estimator, protocol, step, sheet) for data in sets]
        return estimator.info, results


app.command()(temporal)
app.command()(steadiness)
app.command()(metric)
