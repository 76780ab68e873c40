"""`streamdepth serve`: the streams in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streamdepth.cli import options as o
from streamdepth.cli.console import err, out, settings_from

Host = Annotated[
    str | None,
    typer.Option("--host", help="Where to listen: 127.0.0.1, or 0.0.0.0 for all of the network, which needs a token."),
]
Port = Annotated[int | None, typer.Option("--port", help="Where to listen; 0 takes a free one (default: 8000).")]
Token = Annotated[
    str | None, typer.Option("--token", help="What visitors must know (default: made when it is needed).")
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="A further name that browsers know this machine by. Repeatable."),
]
Certificate = Annotated[Path | None, typer.Option("--certificate", help="PEM file: the page is HTTPS then.")]
Key = Annotated[Path | None, typer.Option("--key", help="PEM file with the certificate's key.")]
Folder = Annotated[Path | None, typer.Option("--folder", help="For snapshots and recordings (default: recordings).")]
BrowserCamera = Annotated[
    bool | None, typer.Option("--browser-camera", help="Take the camera of whoever opens the page, such as a phone's.")
]
Viewers = Annotated[int | None, typer.Option("--max-viewers", help="How many may look on at a time (default: 32).")]

_WEB = ("host", "port", "token", "allow_host", "certificate", "key", "folder", "browser_camera", "max_viewers")


@o.also(o.MODEL, o.COMPILE, o.BATCH, o.VIEW, o.HOLD, o.LIMITS, o.CAMERA, o.METRES)
def serve(
    source: Annotated[list[str] | None, typer.Argument(help="Camera numbers, URLs, files, which repeat.")] = None,
    host: Host = None,
    port: Port = None,
    token: Token = None,
    allow_host: AllowHost = None,
    certificate: Certificate = None,
    key: Key = None,
    folder: Folder = None,
    browser_camera: BrowserCamera = None,
    max_viewers: Viewers = None,
    refresh: o.Refresh = None,
    stats: o.Stats = None,
    overwrite: o.Overwrite = None,
    config: o.ConfigFile = None,
    set: o.Set = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    *,
    more: dict[str, Any],
) -> None:
    """Watch and tune streams in a browser, with 3D view, recordings, JSON API and Prometheus metrics.

    Example: streamdepth serve 0 rtsp://camera.local/stream
    """
    flags = locals()
    web = {name: flags.pop(name) for name in _WEB}
    settings = settings_from({**flags, "web": {k: v for k, v in web.items() if v not in (None, [])}})
    from streamdepth.api import stop_on_interrupt
    from streamdepth.apps.web.server import WebServer
    from streamdepth.apps.web.serving import bind_of, serving
    from streamdepth.cli.progress import summary
    from streamdepth.factory.stats_file import StatsFile

    report_file = StatsFile(settings)
    with serving(settings) as served, WebServer(served, bind_of(settings)) as server:
        out.print(server.first_address)
        with stop_on_interrupt(served.pipeline):
            try:
                served.pipeline.run()
            except KeyboardInterrupt:
                raise typer.Exit(130) from None
            finally:
                report = served.pipeline.report()
                report_file.write(report)
                if not quiet and report.written:
                    err.print(summary(report, served.estimator.info.reason))
