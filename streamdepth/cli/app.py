"""The command line: parse, call, print. Only this folder prints, logs to the screen or chooses an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from streamdepth.cli.bench import bench
from streamdepth.cli.calibrate import calibrate
from streamdepth.cli.console import out, print_error
from streamdepth.cli.convert import convert, live, run
from streamdepth.cli.doctor import doctor
from streamdepth.cli.eval import app as evaluating
from streamdepth.cli.exit_codes import exit_code
from streamdepth.cli.export import export, quantize
from streamdepth.cli.geometry import fuse, volume
from streamdepth.cli.image import image
from streamdepth.cli.lerobot import lerobot
from streamdepth.cli.models import models
from streamdepth.cli.probe import probe
from streamdepth.cli.serve import serve
from streamdepth.cli.settings import settings
from streamdepth.cli.train import app as training
from streamdepth.core.errors import DiskFullError, SinkWriteError, SourceOpenError, StreamDepthError
from streamdepth.core.system_libraries import missing_system_library
from streamdepth.core.version import __version__
from streamdepth.core.wording import command_line_wording

_VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "Depth": (convert, live, serve, image, run),
    "Look first": (probe, models, settings, doctor),
    "Meters and 3D": (calibrate, volume, fuse, lerobot),
    "Measure": (bench,),
    "Models of your own": (export, quantize),
}
"""The verbs under their headings in --help."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)


def main() -> None:
    """Runs the `streamdepth` command; an error becomes one line and an exit code."""
    try:
        with command_line_wording():
            app()
    except Exception as error:
        failure = missing_system_library(error) or _as_known_error(error)
        if not isinstance(failure, StreamDepthError):
            print_error(f"internal error, please report it with the output of -v: {type(error).__name__}: {error}")
            sys.exit(1)
        print_error(f"error: {failure}")
        sys.exit(exit_code(type(failure)))


def _as_known_error(error: Exception) -> Exception:
    """Returns a StreamDepthError for an error of the system, such as a wrong path; other errors unchanged."""
    if not isinstance(error, OSError) or error.errno is None:
        return error
    path = f"'{error.filename}'" if error.filename else "a file or a stream"
    reason = f"{path} cannot be used: {error.strerror or error}; check the path, its permissions and the disk"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(reason)
    is_input = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)
    return SourceOpenError(reason, code="not-found") if is_input else SinkWriteError(reason)


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


for _panel, _verbs in _VERBS.items():
    for _verb in _verbs:
        app.command(rich_help_panel=_panel)(_verb)
app.add_typer(evaluating, name="eval", rich_help_panel="Measure")
app.add_typer(training, name="train", rich_help_panel="Models of your own")
