"""The command line: parse, call, print. The only place that prints, logs to the screen or chooses an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from streamdepth.cli import options as o
from streamdepth.cli.bench import bench
from streamdepth.cli.calibrate import calibrate
from streamdepth.cli.console import complain, configure, err, out, settings_from
from streamdepth.cli.eval import app as evaluating
from streamdepth.cli.export import export, quantize
from streamdepth.cli.geometry import fuse, volume
from streamdepth.cli.image import image
from streamdepth.cli.lerobot import lerobot
from streamdepth.cli.serve import serve
from streamdepth.cli.train import app as training
from streamdepth.core.errors import (
    ConfigError,
    DiskFullError,
    EstimatorError,
    MissingDependencyError,
    SinkError,
    SourceError,
    StreamDepthError,
)
from streamdepth.core.version import __version__

if TYPE_CHECKING:
    from streamdepth.config import Settings

EXIT_CODES: tuple[tuple[type[StreamDepthError], int], ...] = (
    (ConfigError, 2),
    (MissingDependencyError, 2),
    (SourceError, 3),
    (EstimatorError, 4),
    (DiskFullError, 6),
    (SinkError, 5),
    (StreamDepthError, 1),
)

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


def main() -> None:
    """The entry point of the `streamdepth` command."""
    try:
        app()
    except StreamDepthError as error:
        complain(f"error: {error}")
        sys.exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind)))
    except Exception as error:
        complain(f"internal error, please report it with the output of -v: {type(error).__name__}: {error}")
        sys.exit(1)


def _run(settings: Settings, quiet: bool) -> None:
    """Runs a pipeline to its end with a progress bar, and prints and stores its report."""
    from streamdepth import factory
    from streamdepth.api import stop_on_interrupt
    from streamdepth.apps.batch.cluster_executor import cluster_estimator
    from streamdepth.apps.batch.tasks import is_batch

    if is_batch(settings):
        from streamdepth.cli.batch import convert_all

        if failure := convert_all(settings, quiet=quiet):
            raise typer.Exit(next(code for kind, code in EXIT_CODES if issubclass(failure, kind)))
        return
    from streamdepth.cli.progress import Bar, stream_lines, summary
    from streamdepth.factory.stats_file import StatsFile

    stats = StatsFile(settings)
    with (
        cluster_estimator(settings) as (settings, estimator),
        Bar(err, is_quiet=quiet) as bar,
        factory.pipeline(settings, lambda _: bar.show(pipeline), estimator=estimator) as pipeline,
        stop_on_interrupt(pipeline),
    ):
        try:
            pipeline.run()
        except KeyboardInterrupt:
            err.print("interrupted for the second time: nothing was kept")
            raise typer.Exit(130) from None
        except SourceError:
            if not pipeline.is_stopped or pipeline.report().read:
                raise
        finally:
            report = pipeline.report()
            stats.write(report)
            if not quiet and report.written:
                err.print(summary(report, pipeline.estimator.info.reason))
                for line in stream_lines(report):
                    err.print(line)
    if not report.written:
        err.print("stopped before the first frame: nothing was written")
        raise typer.Exit(130 if pipeline.is_stopped else 3)


def _has_output(settings: Settings) -> bool:
    files = settings.output or settings.depth_out or settings.points or settings.mesh
    return bool(files or settings.push or settings.publish)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"streamdepth {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Any video stream in, steady depth out."""


@o.also(
    *(o.MODEL, o.COMPILE, o.BATCH, o.PACE, o.CLUSTER, o.VIEW, o.EDGES, o.LIMITS),
    *(o.RECORDING, o.ROBOT, o.CAMERA, o.METRES, o.SHAPES, o.EVERY),
)
def convert(
    source: Annotated[list[str], typer.Argument(help="Files, folders, URLs, camera numbers, lavfi:...")],
    output: o.Output = None,
    depth_out: o.DepthOut = None,
    drop_flying: o.DropFlying = None,
    stats: o.Stats = None,
    overwrite: o.Overwrite = None,
    config: o.ConfigFile = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Turn a video into a depth video.

    Example: streamdepth convert in.mp4 -o out.mp4 --depth-out depth.mkv
    """
    settings = settings_from(locals())
    if not (_has_output(settings) or settings.ply_every):
        raise ConfigError("convert needs an output: -o out.mp4 for a video to watch, --depth-out depth.mkv for data")
    _run(settings, quiet)


@o.also(o.MODEL, o.COMPILE, o.PACE, o.VIEW, o.EDGES, o.HOLD, o.LIMITS, o.RECORDING, o.ROBOT, o.CAMERA, o.METRES)
def live(
    source: Annotated[
        str | None, typer.Argument(help="A camera number, a file or a URL (default: the first camera).")
    ] = None,
    output: o.Output = None,
    depth_out: o.DepthOut = None,
    drop_flying: o.DropFlying = None,
    stats: o.Stats = None,
    overwrite: o.Overwrite = None,
    config: o.ConfigFile = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Watch depth in a window, files at their own pace; q or Esc ends.

    Example: streamdepth live 0 --style side-by-side
    """
    settings = settings_from({**locals(), "window": True, "pace": True})
    _run(settings if settings.source else settings.model_copy(update={"source": ("0",)}), quiet)


@o.also(o.PACE, o.RECORDING, o.ROBOT, o.CAMERA, o.METRES, o.HOLD)
def run(
    config: Annotated[Path, typer.Argument(help="YAML file with settings.")],
    source: Annotated[list[str] | None, typer.Option("--source", help="Instead of the file's source.")] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="Instead of the file's output.")] = None,
    stats: o.Stats = None,
    max_frames: o.MaxFrames = None,
    max_seconds: o.MaxSeconds = None,
    overwrite: o.Overwrite = None,
    allow_partial: o.AllowPartial = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Run what a configuration file says.

    Example: streamdepth run configs/webcam.yaml --set camera.fps=15
    """
    settings = settings_from(locals())
    if not (_has_output(settings) or settings.window):
        raise ConfigError(f"'{config}' names no output; add output:, depth_out:, publish: or window: true")
    _run(settings, quiet)


@o.also(o.CAMERA)
def probe(
    source: Annotated[str | None, typer.Argument(help="Anything convert takes.")] = None,
    cameras: Annotated[bool, typer.Option("--cameras", help="List the cameras of this machine instead.")] = False,
    max_side: o.MaxSide = None,
    config: o.ConfigFile = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Say what a source is, without running a model.

    Example: streamdepth probe in.mp4
    """
    if cameras:
        return _print_cameras()
    if source is None:
        raise ConfigError("probe needs a source: a camera's number, a file or a URL; --cameras lists the cameras")
    settings = settings_from({k: v for k, v in locals().items() if k != "cameras"})
    from streamdepth import factory

    opened = factory.make_source(source, settings)
    try:
        info = opened.open()
        table = Table(show_header=False, box=None)
        for name, value in factory.describe(info):
            table.add_row(name, value)
        out.print(table)
    finally:
        opened.close()
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


def models() -> None:
    """List the models with short names, what they give and their licences.

    Example: streamdepth models
    """
    from streamdepth.estimators.catalog import CATALOG

    table = Table("name", "kind", "unit", "size", "licence", "hub id", box=None)
    for entry in CATALOG.values():
        license = entry.license + ("" if entry.commercial else " (needs --accept-license)")
        table.add_row(
            entry.name,
            entry.kind.value,
            entry.kind.unit or "-",
            str(entry.size or "-"),
            license,
            entry.hub_id or "built in",
        )
    out.print(table)


def doctor() -> None:
    """Check this machine: versions, engines, codecs, window, folders, and the built-in model on one picture.

    Example: streamdepth doctor
    """
    from streamdepth.apps.doctor import examine

    configure(quiet=False, verbose=False)
    table = Table("", "what", "found", box=None)
    is_fine = True
    for check in examine():
        table.add_row("ok" if check.is_fine else "--" if check.is_optional else "NO", check.name, check.found)
        is_fine = is_fine and (check.is_fine or check.is_optional)
    out.print(table)
    if not is_fine:
        raise typer.Exit(1)


_VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "Depth": (convert, live, serve, image, run),
    "Look first": (probe, models, doctor),
    "Metres and 3D": (calibrate, volume, fuse, lerobot),
    "Measure": (bench,),
    "Models of your own": (export, quantize),
}
for panel, verbs in _VERBS.items():
    for verb in verbs:
        app.command(rich_help_panel=panel)(verb)
app.add_typer(evaluating, name="eval", rich_help_panel="Measure")
app.add_typer(training, name="train", rich_help_panel="Models of your own")
