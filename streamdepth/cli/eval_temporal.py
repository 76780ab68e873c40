"""The verb `streamdepth eval temporal`: parse, call, print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamdepth.cli.console import JsonOutput, err, exit_on_interrupt, out
from streamdepth.cli.eval_input import FARTHEST_M, USUAL_FPS, check_repeatable, is_dataset_folder, make_source
from streamdepth.cli.flags import Flags, Json, with_flags
from streamdepth.core.errors import ConfigError

if TYPE_CHECKING:
    from streamdepth.config import Settings
    from streamdepth.core.interfaces import Source
    from streamdepth.core.types import DepthFrame
    from streamdepth.evaluation.steadiness.clip import EvaluationClip
    from streamdepth.evaluation.steadiness.inputs import DepthSequence
    from streamdepth.evaluation.steadiness.score import TemporalScore, TruthOptions


@with_flags("model", "inference.batch", "smooth", "max_frames", "outputs.overwrite")
def temporal(
    video: Annotated[
        Path, typer.Argument(help="A video, a folder of pictures in order, or a dataset with rgb/, depth/.")
    ],
    depth: Annotated[
        Path | None, typer.Argument(help="Its depth: a depth video, any gray video, a folder of depth pictures.")
    ] = None,
    raw: Annotated[Path | None, typer.Option("--raw", help="The same depth before smoothing.")] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="Ground truth: a dataset's folder, or metric depth.")
    ] = None,
    cuts: Annotated[str | None, typer.Option("--cuts", help="Frames that begin shots: 120,310 or a file.")] = None,
    max_depth: Annotated[
        float | None, typer.Option("--max-depth", help="Meters; ground truth beyond does not count.")
    ] = None,
    json: Json = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the measures over time into this .png.")] = None,
    side_by_side: Annotated[Path | None, typer.Option("--side-by-side", help="Video, raw, result as a video.")] = None,
    *,
    flags: Flags,
) -> None:
    """Score how steady depth is, and what its smoothing has cost.

    Scores a video with its depth, or runs a model and a preset of --smooth on the video and scores that.

    Example: streamdepth eval temporal clip.mp4 --model nano --smooth default --plot steady.png
    """
    _check_given(depth, raw, flags.values)
    settings = flags.settings()
    _check_outputs(plot, side_by_side, settings)
    facts = JsonOutput(json, overwrite=settings.outputs.overwrite)
    from streamdepth.sinks.output_checks import check_distinct

    check_distinct([None if facts.is_printed else json, plot, side_by_side], [video, depth, raw, truth])
    with exit_on_interrupt(), ExitStack() as stack:
        job = TemporalEvaluation(video, settings, stack)
        job.take_truth(truth, max_depth, cuts)
        if depth:
            job.take_depth(depth, raw)
        else:
            job.estimate(is_quiet=flags.quiet)
        score = job.score()
        facts.write(job.facts | score.as_json())
        job.draw(score, plot, side_by_side)
    if not (flags.quiet or facts.is_printed):
        _print(score)


def _check_given(depth: Path | None, raw: Path | None, given: dict[str, Any]) -> None:
    flags = [f"--{name.replace('_', '-')}" for name in given if name not in ("max_frames", "overwrite")]
    if depth is not None and flags:
        raise ConfigError(
            f"the depth '{depth}' needs no model; leave out {', '.join(flags)}, or the depth to have it made",
            code="conflict",
        )
    if depth is None and raw is not None:
        raise ConfigError("--raw goes with depth that is given; the raw depth of a model is known", code="conflict")


def _check_outputs(plot: Path | None, video: Path | None, settings: Settings) -> None:
    """Raises ConfigError or SinkOpenError, before any work, for outputs that cannot be written."""
    from streamdepth.render.plots import check_plots
    from streamdepth.sinks.muxer import VIDEO_FORMATS
    from streamdepth.sinks.output_checks import check_output

    for path, suffixes in ((plot, (".png",)), (video, tuple(VIDEO_FORMATS))):
        if path and path.suffix.lower() not in suffixes:
            raise ConfigError(f"cannot write '{path}'; it must end in {' '.join(suffixes)}", code="unknown-format")
        if path:
            check_output(path, overwrite=settings.outputs.overwrite)
    if plot:
        check_plots()


class TemporalEvaluation:
    """One evaluation, step by step: pictures and ground truth, then depth, then the score, then drawings."""

    def __init__(self, video: Path, settings: Settings, stack: ExitStack) -> None:
        self.video, self.settings, self.stack = video, settings, stack
        with closing(self.make_source()) as source:
            self.info = source.open()
        check_repeatable(self.info)
        self.facts: dict[str, Any] = {"video": self.info.name}
        self.clip: EvaluationClip
        self.true_depth: DepthSequence | None = None
        self.truth_options: TruthOptions | None = None
        self.cuts: frozenset[int] | None = None

    def make_source(self) -> Source:
        """Returns a source of the pictures that is not open yet."""
        return make_source(self.video, self.settings)

    def take_truth(self, truth: Path | None, farthest_m: float | None, cuts: str | None) -> None:
        """Reads the true depth, the camera and the cuts, if they are given."""
        from streamdepth.evaluation.datasets import DepthDataset
        from streamdepth.evaluation.steadiness.clip import read_cuts
        from streamdepth.evaluation.steadiness.inputs import open_truth, read_camera
        from streamdepth.evaluation.steadiness.score import TruthOptions

        self.cuts = read_cuts(cuts) if cuts else None
        path = truth or (self.video if is_dataset_folder(self.video) else None)
        if path is None:
            return
        self.true_depth, camera = open_truth(path), None
        if (path / "rgb").is_dir():
            data = DepthDataset(path)
            farthest_m, camera = farthest_m or data.max_depth_m, read_camera(path, len(data.names()))
        self.truth_options = TruthOptions(farthest_m or FARTHEST_M, *(camera or ()))

    def take_depth(self, depth: Path, raw: Path | None) -> None:
        """Reads the depth to be scored from files."""
        from streamdepth.evaluation.steadiness.clip import EvaluationClip
        from streamdepth.evaluation.steadiness.inputs import open_depth

        self.facts |= {"depth": str(depth), "raw_depth": str(raw) if raw else None}
        self.clip = EvaluationClip(self.make_source, open_depth(depth), open_depth(raw) if raw else None)

    def estimate(self, *, is_quiet: bool) -> None:
        """Runs the model with its smoothing once; the depth stays on disk until `stack` is closed."""
        from streamdepth import factory
        from streamdepth.cli.progress import count_bar
        from streamdepth.evaluation.steadiness.clip import EvaluationClip
        from streamdepth.evaluation.steadiness.inputs import DepthDiskCache, DepthSequence, DepthTap
        from streamdepth.pipeline.pipeline import Pipeline, Stream
        from streamdepth.stabilizers import make_stabilizer

        settings = self.settings
        result, raw = self.stack.enter_context(DepthDiskCache()), self.stack.enter_context(DepthDiskCache())
        is_smoothed, chain = settings.smooth != "off", make_stabilizer(settings.smooth, settings.render.range)
        estimator = self.stack.enter_context(closing(factory.make_estimator(settings)))
        stream = Stream(self.make_source(), DepthTap(chain, raw.add) if is_smoothed else chain)
        pipeline = Pipeline([stream], estimator, batch=settings.inference.batch, max_frames=settings.max_frames)
        ranges: list[tuple[int, float, float]] = []
        cuts: set[int] = set()
        with count_bar(err, self.info.frame_count or 0, is_quiet=is_quiet) as step:
            for number, item in enumerate(pipeline.frames()):
                result.add(item.depth)
                cuts |= {number} if item.cut else set()
                ranges += [(number, *item.range)] if item.range else []
                step()
        kind = estimator.info.kind
        self.facts |= {"model": asdict(estimator.info) | {"kind": kind.value}, "smooth": settings.smooth}
        depth = DepthSequence(settings.smooth, kind, result.__iter__, has_known_unit=True, ranges=ranges)
        before = DepthSequence("raw", kind, raw.__iter__, has_known_unit=True) if is_smoothed else None
        self.clip = EvaluationClip(self.make_source, depth, before, cuts=frozenset(cuts))

    def score(self) -> TemporalScore:
        """Returns the score of the clip, after adding ground truth and cuts to it."""
        from streamdepth.core.types import DepthKind
        from streamdepth.evaluation.steadiness.score import score_clip

        cuts = self.clip.cuts if self.cuts is None else self.cuts
        self.clip = replace(self.clip, truth=self.true_depth, cuts=cuts, max_frames=self.settings.max_frames)
        is_metric = self.clip.depth.kind is DepthKind.METRIC
        truth_options = replace(self.truth_options, is_metric=is_metric) if self.truth_options else None
        return score_clip(self.clip, truth_options, same_unit=self.clip.same_unit)

    def draw(self, score: TemporalScore, plot: Path | None, video: Path | None) -> None:
        """Writes the plot and the video, if their paths are given."""
        from PIL import Image

        from streamdepth.evaluation.steadiness import report as temporal_report
        from streamdepth.sinks.pending_files import atomic_write

        if plot:
            with atomic_write(plot, overwrite=self.settings.outputs.overwrite) as temporary:
                Image.fromarray(temporal_report.plot(score)).save(temporary)
        if video:
            fps = self.info.fps or Fraction(USUAL_FPS)
            _write_video(
                video, temporal_report.side_by_side(self.clip, score, fps), fps, self.settings.outputs.overwrite
            )


def _write_video(path: Path, items: Iterator[DepthFrame], fps: Fraction, overwrite: bool) -> None:
    from streamdepth.core.render_options import RenderOptions
    from streamdepth.core.types import ModelInfo, StreamInfo
    from streamdepth.sinks.video import VideoSink

    sink = VideoSink(path, RenderOptions(style="overlay", alpha=0.0, legend=False), overwrite=overwrite)
    try:
        for number, item in enumerate(items):
            if number == 0:
                height, width = item.frame.image.shape[:2]
                info = StreamInfo(path.name, width, height, fps=fps, time_base=1 / fps)
                sink.open(info, ModelInfo("", item.kind))
            sink.write(item)
    except BaseException:
        sink.discard()
        raise
    sink.close()


def _print(score: TemporalScore) -> None:
    from streamdepth.evaluation.steadiness import report as temporal_report

    out.print(temporal_report.table(score))
    for line in temporal_report.footnotes(score):
        out.print(line)
