"""The verb `streamdepth eval metric`: parse, call, print."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import JsonOutput, err, exit_on_interrupt, print_table
from streamdepth.cli.flags import Flags, Json, with_flags
from streamdepth.core.errors import ConfigError
from streamdepth.core.notices import notices_not_logged

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.types import ModelInfo
    from streamdepth.evaluation.datasets import DepthDataset
    from streamdepth.evaluation.metric.evaluate import MetricProtocol, ReferenceResult


@with_flags("model", "smooth", "outputs.overwrite")
def metric(
    data: Annotated[list[Path], typer.Argument(help="Folders with rgb/, depth/ and index.json in or beside them.")],
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            help="What is known: sparse, sparse-30, anchors, camera-height or camera-height-and-pitch (default: all). "
            "Repeatable.",
        ),
    ] = None,
    max_depth: Annotated[
        float | None, typer.Option("--max-depth", help="Meters; farther truth does not count.")
    ] = None,
    every: Annotated[int, typer.Option("--every", help="Take every Nth picture of sets that are no video.", min=1)] = 1,
    limit: Annotated[int | None, typer.Option("--limit", help="Take at most N pictures of a set.", min=1)] = None,
    all_sets: Annotated[bool, typer.Option("--all", help="DATA are folders of datasets; judge every one.")] = False,
    plots: Annotated[
        Path | None, typer.Option("--plots", help="Folder for plots of the confidence (sparsification, reliability).")
    ] = None,
    json: Json = None,
    *,
    flags: Flags,
) -> None:
    """Measure how far meters can be trusted, depending on the distances that are known.

    Example: streamdepth eval metric kitchen_video desk_video --reference sparse --json metric.json
    """
    settings = flags.settings()
    from streamdepth.evaluation.datasets import DepthDataset, find_datasets
    from streamdepth.evaluation.metric import report
    from streamdepth.evaluation.metric.evaluate import MetricProtocol
    from streamdepth.evaluation.metric.simulated_references import SIMULATED_REFERENCES
    from streamdepth.render.plots import check_plots

    if unknown := sorted(set(reference or ()) - set(SIMULATED_REFERENCES)):
        raise ConfigError(
            f"unknown reference '{unknown[0]}'; choose among: {', '.join(SIMULATED_REFERENCES)}",
            code="unknown-reference",
        )
    folders = [path for folder in data for path in find_datasets(folder)] if all_sets else data
    sets = [DepthDataset(path) for path in folders]
    protocol = MetricProtocol(tuple(reference or ()), settings.smooth, max_depth, every, limit)
    facts = JsonOutput(json, overwrite=settings.outputs.overwrite)
    if plots is not None:
        check_plots()
    with exit_on_interrupt(), notices_not_logged():  # each reference and set would say its own
        info, results = _evaluate_datasets(settings, sets, protocol, is_quiet=flags.quiet)
    if plots is not None:
        _write_plots(plots, results, overwrite=settings.outputs.overwrite)
    facts.write(report.as_json(info, protocol, results))
    if not (flags.quiet or facts.is_printed):
        print_table(report.table(results))


def _write_plots(folder: Path, results: list[ReferenceResult], *, overwrite: bool) -> None:
    from PIL import Image

    from streamdepth.evaluation.metric.plots import draw_confidence
    from streamdepth.sinks.pending_files import atomic_write

    for name, picture in draw_confidence(results).items():
        with atomic_write(folder / f"{name}.png", overwrite=overwrite) as temporary:
            Image.fromarray(picture).save(temporary)


def _evaluate_datasets(
    settings: Settings, sets: list[DepthDataset], protocol: MetricProtocol, *, is_quiet: bool
) -> tuple[ModelInfo, list[ReferenceResult]]:
    from streamdepth import factory
    from streamdepth.cli.progress import count_bar
    from streamdepth.evaluation.metric.evaluate import evaluate_metric

    total = sum(len(protocol.names(data)) for data in sets)
    with count_bar(err, total, is_quiet=is_quiet) as step, closing(factory.make_estimator(settings)) as estimator:
        results = [row for data in sets for row in evaluate_metric(data, estimator, protocol, step)]
        return estimator.info, results
