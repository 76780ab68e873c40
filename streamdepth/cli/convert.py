"""The verbs that run a pipeline to its end: convert, live and run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamdepth.cli.console import err, is_verbose
from streamdepth.cli.exit_codes import INTERRUPTED, exit_code
from streamdepth.cli.flags import Flags, with_flags
from streamdepth.core.errors import ConfigError, SourceError
from streamdepth.core.notices import notices_not_logged

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.pipeline.report import Report

_NAMES = ("names", "robot.mount")
_MIN_TIMED_FRAMES = 8
_LIMITS = ("max_frames", "max_seconds", "max_side", "allow_partial", "input_fps", "find_bars")
_PARTS = ("start", "end", "fps", "crop", "deinterlace", "gpu_decoding")


@with_flags(
    *(
        "outputs",
        "model",
        "inference",
        "cluster",
        "smooth",
        "render",
        "camera",
        "metric",
        "zones",
        "video",
        *_NAMES,
        *_LIMITS,
        *_PARTS,
    ),
    without=["outputs.hold_last"],
)
def convert(
    source: Annotated[list[str], typer.Argument(help="Files, folders, URLs, camera numbers, lavfi:...")],
    *,
    flags: Flags,
) -> None:
    """Turn a video into a depth video.

    Example: streamdepth convert in.mp4 -o out.mp4 --depth-out depth.mkv
    """
    from streamdepth import factory

    settings = flags.settings(source=source)
    if not factory.has_outputs(settings):
        raise ConfigError(
            "convert needs an output: -o out.mp4 for a video to watch, --depth-out depth.mkv for data",
            code="no-output",
        )
    run_pipeline(settings, is_quiet=flags.quiet)


@with_flags(
    *(
        "outputs",
        "model",
        "inference",
        "smooth",
        "render",
        "camera",
        "metric",
        "zones",
        "video",
        *_NAMES,
        *_LIMITS,
        *_PARTS,
    ),
    without=["outputs.points", "outputs.mesh", "outputs.ply_every"],
)
def live(
    source: Annotated[
        str | None, typer.Argument(help="A camera number, a file or a URL (default: the first camera).")
    ] = None,
    *,
    flags: Flags,
) -> None:
    """Watch depth in a window, files at their own frame rate; h shows its keys, q or Esc ends.

    Keys: 1 picture, 2 overlay, 3 depth, 4 both, 5 anaglyph; c colors; i near and far swapped; + - overlay; l legend;
    p pause; s snapshot; f frames per second; h all keys.

    Example: streamdepth live 0 --style side-by-side
    """
    settings = flags.settings(source=source, window=True, realtime=True)
    run_pipeline(settings if settings.source else settings.replace(source=("0",)), is_quiet=flags.quiet)


@with_flags(
    *("outputs", "inference", "camera", "metric", "zones", "video", *_NAMES, *_LIMITS, *_PARTS),
    without=["inference.batch", "outputs.points", "outputs.mesh", "outputs.ply_every", "outputs.drop_flying"],
    has_config_flag=False,
)
def run(
    config: Annotated[Path, typer.Argument(help="YAML file with settings.")],
    source: Annotated[list[str] | None, typer.Option("--source", help="Instead of the file's source.")] = None,
    *,
    flags: Flags,
) -> None:
    """Run what a configuration file says.

    Example: streamdepth run configs/webcam.yaml --set camera.fps=15
    """
    from streamdepth import factory

    settings = flags.settings(config_file=config, source=source)
    if not factory.has_outputs(settings):
        raise ConfigError(
            f"'{config}' names no output; below outputs: add video:, depth:, publish: or window: true",
            code="no-output",
        )
    run_pipeline(settings, is_quiet=flags.quiet)


def run_pipeline(settings: Settings, *, is_quiet: bool) -> None:
    """Runs a pipeline, or a batch of files, to its end with a progress bar; prints and stores its report."""
    from streamdepth.apps.batch.tasks import is_batch

    if not is_batch(settings):
        _run_streams(settings, is_quiet=is_quiet)
        return
    from streamdepth.cli.batch import convert_all

    if failure := convert_all(settings, is_quiet=is_quiet):
        raise typer.Exit(exit_code(failure))


def _record_speed(settings: Settings, report: Report) -> None:
    """Stores the speed of the network for `streamdepth models`, if it ran on enough frames one by one."""
    from streamdepth.utils.speeds import record_speed

    milliseconds = report.latency_ms.get("infer", {}).get("p50", 0.0)
    is_usual = settings.model.size is None and settings.inference.batch == 1 and not settings.cluster
    if is_usual and report.inferred >= _MIN_TIMED_FRAMES and milliseconds > 0:
        record_speed(settings.model.name, 1000 / milliseconds)


def _run_streams(settings: Settings, *, is_quiet: bool) -> None:
    from streamdepth import factory
    from streamdepth.apps.batch.cluster_executor import cluster_estimator
    from streamdepth.cli.progress import ProgressBar
    from streamdepth.cli.summary import note_lines, summary_lines
    from streamdepth.factory.report_file import ReportFile
    from streamdepth.utils.interrupts import stop_on_interrupt

    stats = ReportFile(settings)
    # A live stream may run for days, so its notices are shown when they come.
    has_notes = not is_verbose() and all(map(factory.is_recorded, settings.source))

    def stop() -> None:
        if pipeline.is_preparing_model:
            raise KeyboardInterrupt
        if not is_quiet:
            err.print("stopping, and completing what was written; once more ends at once")
        pipeline.stop()

    with (
        notices_not_logged() if has_notes else nullcontext(),
        cluster_estimator(settings) as (settings, estimator),
        ProgressBar(err, is_quiet=is_quiet) as bar,
        factory.open_pipeline(settings, lambda item: bar.show(pipeline, item), estimator=estimator) as pipeline,
        stop_on_interrupt(stop, lambda: pipeline.is_complete),
    ):
        try:
            pipeline.run()
        except KeyboardInterrupt:
            if not pipeline.is_stopped:
                err.print("interrupted while the model was prepared: nothing was written")
                raise typer.Exit(INTERRUPTED) from None
            if not pipeline.is_complete:
                err.print("interrupted for the second time: what was not complete was not kept")
                raise typer.Exit(INTERRUPTED) from None
        except SourceError:
            if not pipeline.is_stopped or pipeline.report().read:
                raise
        finally:
            report = pipeline.report()
            stats.write(report)
            _record_speed(settings, report)
            if not is_quiet:
                notes = note_lines(pipeline) if has_notes else []
                seconds = bar.seconds if len(pipeline.streams) == 1 else 0.0
                summary = summary_lines(settings, pipeline, report, seconds, notes=notes, is_verbose=is_verbose())
                for line in summary if report.written else notes:
                    err.print(line)
    if not report.written:
        err.print("stopped before the first frame: nothing was written")
        raise typer.Exit(INTERRUPTED if pipeline.is_stopped else exit_code(SourceError))
