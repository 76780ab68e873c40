"""The verb that shows streams in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import err, out
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    from streamdepth.apps.web.server import WebServer
    from streamdepth.config import Settings


@with_flags(
    *("web", "model", "inference.batch", "inference.fps", "smooth", "render", "camera", "metric", "zones"),
    *("max_frames", "max_seconds", "max_side", "allow_partial"),
    *("outputs.hold_last", "outputs.stats", "outputs.overwrite"),
    without=["render.edges"],
)
def serve(
    source: Annotated[list[str] | None, typer.Argument(help="Camera numbers, URLs or files; files are looped.")] = None,
    static: Annotated[
        Path | None,
        typer.Option(
            "--static",
            metavar="DIR",
            help="Instead of serving, write a page that computes depth in the visitor's own browser to this folder.",
        ),
    ] = None,
    onnxruntime_web: Annotated[
        Path | None,
        typer.Option(
            "--onnxruntime-web",
            metavar="PATH",
            help="The npm package onnxruntime-web for --static: its .tgz file or folder.",
        ),
    ] = None,
    *,
    flags: Flags,
) -> None:
    """Watch and tune streams in a browser, with 3D view, recordings, JSON API and Prometheus metrics.

    Example: streamdepth serve 0 rtsp://camera.local/stream
    """
    settings = flags.settings(source=source)
    if static is not None:
        _write_static_site(static, onnxruntime_web, settings, is_quiet=flags.quiet)
        return
    if onnxruntime_web is not None:
        raise ConfigError("--onnxruntime-web goes with --static DIR, which writes a page to a folder", code="conflict")
    from streamdepth.apps.web.server import WebServer
    from streamdepth.apps.web.session_factory import open_session, server_options
    from streamdepth.cli.summary import engine_line, frames_line
    from streamdepth.factory.report_file import ReportFile
    from streamdepth.utils.interrupts import stop_on_interrupt

    report_file = ReportFile(settings)
    with open_session(settings) as session, WebServer(session, server_options(settings)) as server:
        _print_address(server, settings.web.token)
        if not flags.quiet:
            err.print(f"recordings and snapshots go to {settings.web.folder.resolve()}")

        def stop() -> None:
            if session.pipeline.is_preparing_model:
                raise KeyboardInterrupt
            session.pipeline.stop()

        with stop_on_interrupt(stop):
            try:
                session.pipeline.run()
            except KeyboardInterrupt:
                raise typer.Exit(130) from None
            finally:
                report = session.pipeline.report()
                report_file.write(report)
                if not flags.quiet and report.written:
                    if flags.verbose:
                        err.print(engine_line(report, session.estimator.info.reason))
                    err.print(frames_line(report))


def _write_static_site(folder: Path, runtime: Path | None, settings: Settings, *, is_quiet: bool) -> None:
    if settings.source:
        raise ConfigError(
            "a page of --static takes the visitor's camera and files, and no source; leave the source out",
            code="option-conflict",
        )
    from streamdepth import factory
    from streamdepth.apps.web.static_site import write_static_site

    network = factory.make_network(settings)
    write_static_site(folder, network, runtime, colormap=settings.render.colormap, overwrite=settings.outputs.overwrite)
    if not is_quiet:
        err.print(f"{folder}: put it on any web server with HTTPS, or try it: python -m http.server -d {folder}")


def _print_address(server: WebServer, own_token: str | None) -> None:
    """Prints the page's address; the token in it goes to a terminal only, because a service's output is logged."""
    if sys.stdout.isatty() or not server.access.token:
        out.print(server.address_with_token)
        return
    out.print(server.address)
    if own_token is None:
        err.print(f"its token is in the file {server.write_token_file()}")
