"""Reports of a temporal score: a table and a plot for people, and the clip as a video to look at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import cast

import cv2
import numpy as np
from rich.table import Table

from streamdepth.core.arrays import Image
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.evaluation.steadiness.flow import working_size
from streamdepth.evaluation.steadiness.frames import ClipFrame
from streamdepth.evaluation.steadiness.score import TemporalScore
from streamdepth.render.colors import colorize
from streamdepth.render.plots import draw_curves

_ROWS = {
    "flow_warped_error": ("flow-warped error", 100, "% of range", "less"),
    "static_flicker_p50": ("static flicker p50", 100, "% of range", "less"),
    "static_flicker_p95": ("static flicker p95", 100, "% of range", "less"),
    "range_jitter": ("range jitter", 100, "% a frame", "less"),
    "center_jitter": ("median jitter", 100, "% of range", "less"),
    "display_range_jitter": ("display range jitter", 100, "% a frame", "less"),
    "display_center_jitter": ("display middle jitter", 100, "% of range", "less"),
    "known": ("known depth", 100, "% of pixels", "more"),
    "lag_frames": ("lag", 1, "frames", "0"),
    "ghosting": ("ghosting", 100, "% of range", "less"),
    "edge_retention": ("edge retention", 1, "of raw", "1"),
    "cut_recovery_frames": ("cut recovery", 1, "frames", "0"),
    "abs_rel": ("AbsRel", 1, "", "less"),
    "delta1": ("delta1", 1, "", "more"),
    "tepe_m": ("TEPE", 1000, "mm", "less"),
    "tepe_relative": ("TEPE relative", 1, "", "less"),
    "tae_percent": ("TAE", 1, "%", "less"),
}
"""Name -> heading, factor to the unit, unit, better value."""
_PLOTS = {
    "flow_warped_error": ("flow-warped error, % of the shot's range", 100.0),
    "median": ("median inverse depth, % of the shot's range", 100.0),
    "abs_rel": ("AbsRel, one fit for the sequence", 1.0),
    "ghosting": ("ghosting: |result - raw| on moving pixels, % of the shot's range", 100.0),
}


def table(score: TemporalScore) -> Table:
    """Returns one row per metric; metrics that do not apply are left out."""
    made = Table("measure", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("raw", "result", "result/raw"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("unit")
    made.add_column("better")
    for name, (heading, factor, unit, better) in _ROWS.items():
        result, raw = score.result.get(name, math.nan), score.raw.get(name, math.nan)
        if math.isfinite(result) or math.isfinite(raw):
            ratio = f"{result / raw:.0%}" if raw and math.isfinite(result / raw) else "-"
            made.add_row(heading, _figure(raw * factor), _figure(result * factor), ratio, unit, better)
    return made


def _figure(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


def footnotes(score: TemporalScore) -> list[str]:
    """Returns the lines beneath the table."""
    lines = [f"{score.frames} frames, {len(score.cuts) + 1} shots, measured in inverse depth with one range per shot"]
    if not math.isfinite(score.result["static_flicker_p50"]):
        lines.append("no static flicker: no pixels stand still for 15 frames, as with a hand-held camera")
    if score.raw and not math.isfinite(score.result["lag_frames"]):
        lines.append("no lag: no depth edge moves")
    if not score.raw:
        lines.append("without raw depth there is no measure of over-smoothing; give --raw, or --model with --smooth")
    return lines


def plot(score: TemporalScore) -> Image:
    """Returns an (H, W, 3) uint8 picture of the metrics that have a value per frame, one below the other."""
    pictures = []
    for name, (title, factor) in _PLOTS.items():
        columns = {"raw": score.per_frame.get(f"{name}_raw"), "result": score.per_frame.get(name)}
        series = {k: [(float(i), factor * v) for i, v in enumerate(c)] for k, c in columns.items() if c}
        if series:
            pictures.append(draw_curves(series, title, "frame", (960, 300)))
    return cast(Image, np.vstack(pictures))


def side_by_side(clip: Iterable[ClipFrame], score: TemporalScore, fps: Fraction) -> Iterator[DepthFrame]:
    """Yields frames whose picture shows the video, the raw depth where there is any, and the result side by side.

    Depth is colored with the one range of its shot. The depth of the frames is the result's; a video sink shows their
    pictures with the style overlay and alpha 0.
    """
    shot = 0
    for number, frame in enumerate(clip):
        shot += number in score.cuts
        size = working_size(frame.image.shape[1], frame.image.shape[0])
        parts = [cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)]
        if frame.raw is not None:
            parts.append(colorize(frame.raw, DepthKind.RELATIVE, score.ranges_raw[shot], size=size))
        parts.append(colorize(frame.depth, DepthKind.RELATIVE, score.ranges[shot], size=size))
        image = np.ascontiguousarray(np.hstack(parts), np.uint8)
        yield DepthFrame(Frame(image, number, number, 1 / fps, 0.0), frame.depth, DepthKind.RELATIVE)
