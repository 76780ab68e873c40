"""The verb for robots' data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamdepth.cli import options as o
from streamdepth.cli.console import err, settings_from

if TYPE_CHECKING:
    from streamdepth.pipeline.pipeline import Pipeline


@o.also(o.MODEL, o.BATCH, o.CAMERA, o.METRES)
def lerobot(
    dataset: Annotated[Path, typer.Argument(help="The folder of a LeRobot data set, version 3.")],
    camera: Annotated[str, typer.Option("--camera", help="Its pictures, such as observation.images.front.")],
    smooth: o.Smooth = None,
    edges: o.Edges = None,
    drop_flying: o.DropFlying = None,
    overwrite: o.Overwrite = None,
    config: o.ConfigFile = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Give a LeRobot data set depth in metres beside a camera's pictures.

    Example: streamdepth lerobot DATASET --camera observation.images.front -m depth-anything-v2-metric-indoor-small
    """
    flags = {name: value for name, value in locals().items() if name not in ("dataset", "camera")}
    settings = settings_from(flags)
    from streamdepth.apps.lerobot.add_depth import add_depth
    from streamdepth.cli.progress import Bar

    with Bar(err, is_quiet=quiet) as bar:
        key = add_depth(dataset, camera, settings, run=_run, on_written=bar.show)
    if not quiet:
        err.print(f"added {key}")


def _run(pipeline: Pipeline) -> None:
    from streamdepth.api import stop_on_interrupt

    with stop_on_interrupt(pipeline):
        pipeline.run()
    if pipeline.is_stopped:
        err.print("stopped; the data set is as it was")
        raise typer.Exit(130)
