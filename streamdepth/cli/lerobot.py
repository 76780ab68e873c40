"""The verb for robots' datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import err
from streamdepth.cli.flags import Flags, with_flags

if TYPE_CHECKING:
    from streamdepth.pipeline.pipeline import Pipeline


@with_flags(
    *("model", "inference.batch", "smooth", "camera", "metric"),
    *("render.edges", "outputs.drop_flying", "outputs.overwrite"),
)
def lerobot(
    dataset: Annotated[Path, typer.Argument(help="The folder of a LeRobot dataset, version 3 or 2.1.")],
    camera: Annotated[str, typer.Option("--camera", help="Its pictures, such as observation.images.front.")],
    *,
    flags: Flags,
) -> None:
    """Give a LeRobot dataset depth in meters beside a camera's pictures.

    Example: streamdepth lerobot DATASET --camera observation.images.front -m depth-anything-v2-metric-indoor-small
    """
    settings = flags.settings()
    from streamdepth.apps.lerobot.add_depth import add_depth
    from streamdepth.cli.progress import ProgressBar

    with ProgressBar(err, is_quiet=flags.quiet) as bar:
        key = add_depth(dataset, camera, settings, run=_run, on_written=bar.show)
    if not flags.quiet:
        err.print(f"added {key}")


def _run(pipeline: Pipeline) -> None:
    from streamdepth.utils.interrupts import stop_on_interrupt

    with stop_on_interrupt(pipeline.stop):
        pipeline.run()
    if pipeline.is_stopped:
        err.print("stopped; the dataset is as it was")
        raise typer.Exit(130)
