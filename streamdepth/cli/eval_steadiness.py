"""The verb `streamdepth eval steadiness`: parse, call, print."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import JsonOutput, err, exit_on_interrupt, out
from streamdepth.cli.eval_input import FARTHEST_M, check_repeatable, is_dataset_folder, make_source
from streamdepth.cli.flags import Flags, Json, with_flags
from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.interfaces import Estimator, Source
    from streamdepth.evaluation.steadiness.compare import MethodResult, StabilizerComparison
    from streamdepth.evaluation.steadiness.inputs import DepthDiskCache, DepthSequence


@with_flags("model", "max_frames", "outputs.overwrite")
def steadiness(
    video: Annotated[list[Path] | None, typer.Argument(help="Videos, or sets with rgb/ and depth/.")] = None,
    generated: Annotated[
        bool, typer.Option("--generated", help="Also sequences with exact depth: snow, zoom, cut, flash, fade...")
    ] = False,
    noisy: Annotated[
        bool, typer.Option("--noisy", help="Also with noise on the model's depth, as of a worse one.")
    ] = False,
    max_depth: Annotated[
        float | None, typer.Option("--max-depth", help="Meters; ground truth beyond does not count.")
    ] = None,
    json: Json = None,
    *,
    flags: Flags,
) -> None:
    """Compare every preset of --smooth with what others do, on the same depth.

    Example: streamdepth eval steadiness kitchen_video desk_video --generated --noisy --json steadiness.json
    """
    settings = flags.settings()
    from streamdepth import factory
    from streamdepth.evaluation.steadiness.compare import table

    if not (video or generated):
        raise ConfigError(
            "nothing was given to compare on; name videos or sets with rgb/ and depth/, or --generated",
            code="no-source",
        )
    facts = JsonOutput(json, overwrite=settings.outputs.overwrite, inputs=video or ())
    rows: list[MethodResult] = []
    with exit_on_interrupt():
        with closing(factory.make_estimator(settings)) as estimator:
            for path in video or ():
                rows += _compare(path, settings, estimator, noisy=noisy, farthest_m=max_depth, is_quiet=flags.quiet)
            info = estimator.info
        if generated:
            rows += _compare_generated(noisy=noisy, is_quiet=flags.quiet)
    facts.write({"model": asdict(info) | {"kind": info.kind.value}, "rows": [row.as_json() for row in rows]})
    if not (flags.quiet or facts.is_printed):
        out.print(table(rows), width=1000)


def _compare(
    path: Path, settings: Settings, estimator: Estimator, *, noisy: bool, farthest_m: float | None, is_quiet: bool
) -> list[MethodResult]:
    """Runs the network once and compares all methods on its depth."""
    from streamdepth.evaluation.steadiness.compare import cached_sequence
    from streamdepth.evaluation.steadiness.inputs import DepthDiskCache

    with DepthDiskCache() as store:
        _estimate(make_source(path, settings), estimator, store, settings.max_frames)
        job = _job(path, settings, cached_sequence(store, estimator.info.kind), farthest_m)
        return _run([job], noisy=noisy, is_quiet=is_quiet)


def _compare_generated(*, noisy: bool, is_quiet: bool) -> list[MethodResult]:
    from streamdepth.evaluation.steadiness.generated import synthetic_sequences

    return _run([sequence.comparison() for sequence in synthetic_sequences()], noisy=noisy, is_quiet=is_quiet)


def _run(jobs: list[StabilizerComparison], *, noisy: bool, is_quiet: bool) -> list[MethodResult]:
    from streamdepth.cli.progress import count_bar
    from streamdepth.evaluation.steadiness.baselines import DepthNoise
    from streamdepth.evaluation.steadiness.compare import map_sequence, stabilization_methods

    if noisy:
        jobs = [
            *jobs,
            *(replace(job, name=f"{job.name}, noisy", raw=map_sequence(job.raw, DepthNoise)) for job in jobs),
        ]
    rows: list[MethodResult] = []
    with count_bar(err, len(jobs) * len(stabilization_methods()), is_quiet=is_quiet) as step:
        for job in jobs:
            for row in job.compare():
                rows.append(row)
                step()
    return rows


def _estimate(source: Source, estimator: Estimator, store: DepthDiskCache, max_frames: int | None) -> None:
    with closing(source):
        check_repeatable(source.open())
        for frame in islice(iter(source.read, None), max_frames):
            store.add(estimator.estimate([frame])[0].depth)


def _job(path: Path, settings: Settings, raw: DepthSequence, farthest_m: float | None) -> StabilizerComparison:
    from streamdepth.core.types import DepthKind
    from streamdepth.evaluation.datasets import DepthDataset
    from streamdepth.evaluation.steadiness.compare import StabilizerComparison
    from streamdepth.evaluation.steadiness.inputs import open_truth, read_camera
    from streamdepth.evaluation.steadiness.score import TruthOptions

    job = StabilizerComparison(path.name, lambda: make_source(path, settings), raw, max_frames=settings.max_frames)
    if not is_dataset_folder(path):
        return job
    data = DepthDataset(path)
    farthest_m = farthest_m or data.max_depth_m or FARTHEST_M
    camera, poses = read_camera(path, len(data.names())) or (None, None)
    truth_options = TruthOptions(farthest_m, camera, poses, raw.kind is DepthKind.METRIC)
    return replace(job, truth=open_truth(path), truth_options=truth_options)
