"""The command line: parse, call, print. Only this folder prints, logs to the screen or chooses an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from streamdepth.cli.bench import bench
from streamdepth.cli.calibrate import calibrate
from streamdepth.cli.console import complain, out
from streamdepth.cli.convert import convert, live, run
from streamdepth.cli.doctor import doctor
from streamdepth.cli.eval import app as evaluating
from streamdepth.cli.exit_codes import exit_code
from streamdepth.cli.export import export, quantize
from streamdepth.cli.geometry import fuse, volume
from streamdepth.cli.image import image
from streamdepth.cli.lerobot import lerobot
from streamdepth.cli.probe import models, probe
from streamdepth.cli.serve import serve
from streamdepth.cli.settings import settings
from streamdepth.cli.train import app as training
from streamdepth.core.errors import StreamDepthError
from streamdepth.core.system_libraries import missing_system_library
from streamdepth.core.version import __version__

_VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "Depth": (convert, live, serve, image, run),
    "Look first": (probe, models, settings, doctor),
    "Meters and 3D": (calibrate, volume, fuse, lerobot),
    "Measure": (bench,),
    "Models of your own": (export, quantize),
}
"""The verbs under their headings in --help."""

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


def main() -> None:
    """Runs the `streamdepth` command; an error becomes one line and an exit code."""
    try:
        app()
    except Exception as error:
        failure = missing_system_library(error) or error
        if not isinstance(failure, StreamDepthError):
            complain(f"internal error, please report it with the output of -v: {type(error).__name__}: {error}")
            sys.exit(1)
        complain(f"error: {failure}")
        sys.exit(exit_code(type(failure)))


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        out.print(f"streamdepth {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Any video stream in, steady depth out."""


<<<<<<< HEAD
for _panel, _verbs in _VERBS.items():
    for _verb in _verbs:
        app.command(rich_help_panel=_panel)(_verb)
=======
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
    from streamdepth.apps.doctor import run_checks

    configure(quiet=False, verbose=False)
    table = Table("", "what", "found", box=None)
    is_fine = True
    for check in run_checks():
        table.add_row("ok" if check.is_ok else "--" if check.is_optional else "NO", check.name, check.found)
        is_fine = is_fine and (check.is_ok or check.is_optional)
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
>>>>>>> 6ce16dc (A missing system library is one line with the command that helps, in every verb; the doctor goes on without OpenCV)
app.add_typer(evaluating, name="eval", rich_help_panel="Measure")
app.add_typer(training, name="train", rich_help_panel="Models of your own")
