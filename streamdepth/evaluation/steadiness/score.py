"""The score of steadiness: every temporal metric of a clip in one run, of the result and of the raw depth beside it.

The metrics are those of the modules `flicker`, `fidelity` and `truth`, taken together over all shots of a clip: with
one range per shot, one scale and shift per sequence, in bounded memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.evaluation.steadiness.fidelity import CutRecovery, EdgeRetention, Ghosting, Lag
from streamdepth.evaluation.steadiness.flicker import (
    FlowWarpedError,
    RangeJitter,
    StaticFlicker,
    display_range_jitter,
)
from streamdepth.evaluation.steadiness.frames import (
    ClipFrame,
    FramePair,
    FramePairBuilder,
    ShotPercentiles,
    TemporalMetric,
    WeightedMean,
)
from streamdepth.evaluation.steadiness.truth import NEAREST_M, Pose, SequenceAccuracy, Tae, Tepe
from streamdepth.geometry.affine import Affine, LeastSquaresFit
from streamdepth.geometry.inverse_depth import clipped_meters

_MAX_SHAPE_DIFFERENCE = 0.1
"""Share by which the shapes of picture and depth may differ."""


@dataclass(frozen=True, slots=True)
class TruthOptions:
    """Options for the use of true depth."""

    farthest_m: float = 10.0
    """True depth beyond this does not count, and results are clipped to it, meters."""
    camera: Intrinsics | None = None
    """The camera, for the temporal alignment error."""
    poses: Sequence[Pose] | None = None
    """The camera's pose of each frame."""
    is_metric: bool = False
    """True if the clip's depth is 1 / meters, so that it is scored without a fit."""


@dataclass(slots=True)
class TemporalScore:
    """The metrics of a clip; NaN where a metric does not apply, such as lag where nothing moves."""

    frames: int
    cuts: list[int]
    """Indices of the first frames of shots, without the first shot's."""
    result: dict[str, float]
    """Name of the metric -> its value for the result."""
    raw: dict[str, float] = field(default_factory=dict)
    """The same for the raw depth; empty without it. Metrics that compare the two are in `result` only."""
    per_frame: dict[str, list[float]] = field(default_factory=dict)
    """A name such as `flow_warped_error` or `flow_warped_error_raw` -> one value per frame, for a plot."""
    ranges: list[tuple[float, float]] = field(default_factory=list)
    """(low, high) of each shot's inverse depth."""
    ranges_raw: list[tuple[float, float]] = field(default_factory=list)
    """The same for the raw depth."""

    def as_json(self) -> dict[str, Any]:
        """Returns the score as plain types for JSON; a metric that does not apply is None."""
        return {
            "frames": self.frames,
            "cuts": self.cuts,
            "result": {k: _json_number(v) for k, v in self.result.items()},
            "raw": {k: _json_number(v) for k, v in self.raw.items()},
            "per_frame": {k: [_json_number(v) for v in values] for k, values in self.per_frame.items()},
        }


def score_clip(
    clip: Iterable[ClipFrame], truth: TruthOptions | None = None, *, same_unit: bool = False
) -> TemporalScore:
    """Scores a clip, which is read twice: first for scales and shifts, then for the metrics.

    Args:
        clip: yields the same frames each time it is iterated.
        truth: options for the metrics that need true depth; the frames must have it then.
        same_unit: True if depth and raw have the same unit, so that no scale and shift is fitted between them.

    Raises:
        SourceOpenError: fewer than two frames ("too-short"), shapes that do not fit ("wrong-shape"), or no known depth
            or ground truth ("no-depth").
    """
    alignment = _AlignmentPass()
    if truth is not None or not same_unit:
        for frame in clip:
            alignment.add(frame, truth, same_unit=same_unit)
    metrics = _MetricsPass(alignment, truth)
    for frame in clip:
        _check_shapes(frame)
        metrics.add(frame)
    if metrics.frames < 2:
        raise SourceOpenError(
            f"a clip of {metrics.frames} frame(s) has no change over time to score; give two or more", code="too-short"
        )
    score = metrics.finish()
    if not score.result["known"]:
        raise SourceOpenError(
            "there is no known depth in any frame; check that the right file was given as depth", code="no-depth"
        )
    if truth is not None and not math.isfinite(score.result["abs_rel"]):
        raise SourceOpenError(
            f"the ground truth has nothing within {truth.farthest_m:g} m where depth is known; raise --max-depth",
            code="no-depth",
        )
    return score


def _check_shapes(frame: ClipFrame) -> None:
    height, width = frame.image.shape[:2]
    for name, depth in (("depth", frame.depth), ("raw depth", frame.raw), ("true depth", frame.truth_m)):
        if depth is None:
            continue
        h, w = depth.shape
        if abs(math.log(width / height * h / w)) > _MAX_SHAPE_DIFFERENCE:
            raise SourceOpenError(
                f"{name} of {w}x{h} px does not fit pictures of {width}x{height} px; both must show the same view",
                code="wrong-shape",
            )


class _AlignmentPass:
    """The first reading fits scale and shift, of the sequence to the ground truth and of each shot to the raw depth."""

    def __init__(self) -> None:
        self.result, self.raw = LeastSquaresFit(), LeastSquaresFit()
        self.shots: list[LeastSquaresFit] = []

    def add(self, frame: ClipFrame, truth: TruthOptions | None, *, same_unit: bool) -> None:
        """Adds the next frame of the clip."""
        if frame.cut or not self.shots:
            self.shots.append(LeastSquaresFit())
        if frame.raw is not None and not same_unit:
            self.shots[-1].add(_resized_like(frame.depth, frame.raw), frame.raw)
        if truth is None or frame.truth_m is None or truth.is_metric:
            return
        target = np.reciprocal(_within(frame.truth_m, truth.farthest_m))
        for fit, depth in ((self.result, frame.depth), (self.raw, frame.raw)):
            if depth is not None:
                fit.add(_resized_like(depth, target), target)

    def to_raw(self, shot: int) -> Affine:
        """Returns the scale and shift of the shot's depth to its raw depth; the identity where none was fitted."""
        return self.shots[shot].affine if shot < len(self.shots) else Affine()


class _ResultMetrics:
    """The metrics of one result: of the depth to be scored, or of the raw depth."""

    def __init__(self, truth: TruthOptions | None, to_truth: Affine) -> None:
        self.truth, self.to_truth = truth, to_truth
        self.error, self.flicker, self.jitter = FlowWarpedError(), StaticFlicker(), RangeJitter()
        self.display_width, self.display_center, self.known = WeightedMean(), WeightedMean(), WeightedMean()
        self.accuracy, self.tepe = SequenceAccuracy(), Tepe()
        self.tae = Tae(truth.camera) if truth and truth.camera and truth.poses else None
        self.shot_range = ShotPercentiles()
        self.abs_rel: list[float] = []
        self.ranges: list[tuple[float, float]] = []
        self._display_ranges: list[tuple[float, float]] = []
        self._previous: tuple[DepthMap, DepthMap] | None = None

    def add(
        self, pair: FramePair, truth_m: DepthMap | None, index: int, display_range: tuple[float, float] | None
    ) -> None:
        """Adds frame `index` of the clip, with its true depth in meters where there is any."""
        self.shot_range.add(pair.depth)
        self.known.add(int(np.isfinite(pair.depth).sum()), pair.depth.size)
        for metric in self._metrics:
            metric.add(pair)
        if display_range is not None:
            self._display_ranges.append(display_range)
        if self.truth is not None and truth_m is not None:
            self._add_truth(pair, truth_m, self.truth, index)

    def _add_truth(self, pair: FramePair, truth_m: DepthMap, truth: TruthOptions, index: int) -> None:
        depth_m = clipped_meters(pair.depth, self.to_truth, NEAREST_M, truth.farthest_m)
        self.abs_rel.append(self.accuracy.add(depth_m, truth_m))
        previous, self._previous = self._previous, (depth_m, truth_m)
        if previous is None or pair.motion is None:
            return
        self.tepe.add(pair.motion, (previous[0], depth_m), (previous[1], truth_m))
        if self.tae is not None and truth.poses is not None:
            known = [np.where(np.isfinite(t), d, np.float32(np.nan)) for d, t in (previous, self._previous)]
            self.tae.add((known[0], truth.poses[index - 1]), (known[1], truth.poses[index]))

    def end_shot(self) -> None:
        """Ends the current shot."""
        for metric in self._metrics:
            metric.end_shot(self.shot_range.width)
        if len(self._display_ranges) > 2:
            jitter = display_range_jitter(self._display_ranges)
            self.display_width.add(jitter.width * len(self._display_ranges), len(self._display_ranges))
            self.display_center.add(jitter.center * len(self._display_ranges), len(self._display_ranges))
        self.ranges.append(self.shot_range.limits)
        self.shot_range, self._previous = ShotPercentiles(), None
        self._display_ranges.clear()

    @property
    def _metrics(self) -> tuple[TemporalMetric[Any], ...]:
        return self.error, self.flicker, self.jitter

    def values(self) -> dict[str, float]:
        """Returns the metrics by the names of the report."""
        rows = {
            "flow_warped_error": self.error.value,
            "static_flicker_p50": self.flicker.value.p50,
            "static_flicker_p95": self.flicker.value.p95,
            "range_jitter": self.jitter.value.width,
            "center_jitter": self.jitter.value.center,
            "display_range_jitter": self.display_width.value,
            "display_center_jitter": self.display_center.value,
            "known": self.known.value,
        }
        if self.truth is not None:
            rows |= {
                "abs_rel": self.accuracy.abs_rel.value,
                "delta1": self.accuracy.delta1.value,
                "tepe_m": self.tepe.value.absolute_m,
                "tepe_relative": self.tepe.value.relative,
                "tae_percent": self.tae.value if self.tae else float("nan"),
            }
        return rows

    def per_frame(self, suffix: str) -> dict[str, list[float]]:
        """Returns name + `suffix` -> one value per frame."""
        rows = {"flow_warped_error": self.error.per_frame, "median": self.jitter.per_frame, "abs_rel": self.abs_rel}
        return {name + suffix: values for name, values in rows.items() if values}


class _MetricsPass:
    """The second reading: every metric, frame by frame."""

    def __init__(self, alignment: _AlignmentPass, truth: TruthOptions | None) -> None:
        self.alignment, self.truth = alignment, truth
        self.frames, self.cuts = 0, list[int]()
        self.result = _ResultMetrics(truth, alignment.result.affine)
        self.raw: _ResultMetrics | None = None
        self.fidelity: dict[str, TemporalMetric[float]] = {
            "lag_frames": Lag(),
            "ghosting": Ghosting(),
            "edge_retention": EdgeRetention(),
            "cut_recovery_frames": CutRecovery(),
        }
        self.pairs = FramePairBuilder()

    def add(self, frame: ClipFrame) -> None:
        """Adds the next frame of the clip."""
        if frame.cut and self.frames:
            self._end_shot()
            self.cuts.append(self.frames)
            self.pairs = FramePairBuilder()
        pair = self.pairs.push(frame.image, frame.depth, frame.raw)
        truth_m = self._true_depth(frame, pair)
        self.result.add(pair, truth_m, self.frames, frame.display_range)
        if pair.raw is not None:
            self._add_raw(pair, truth_m)
        self.frames += 1

    def _add_raw(self, pair: FramePair, truth_m: DepthMap | None) -> None:
        if self.raw is None:
            self.raw = _ResultMetrics(self.truth, self.alignment.raw.affine)
        self.raw.add(pair.with_raw_as_depth(), truth_m, self.frames, None)
        scale, shift = self.alignment.to_raw(len(self.cuts))
        in_raw_unit = replace(pair, depth=np.float32(scale) * pair.depth + np.float32(shift))
        for metric in self.fidelity.values():
            metric.add(in_raw_unit)

    def _true_depth(self, frame: ClipFrame, pair: FramePair) -> DepthMap | None:
        if self.truth is None or frame.truth_m is None:
            return None
        valid = _within(frame.truth_m, self.truth.farthest_m)
        size = (pair.depth.shape[1], pair.depth.shape[0])
        return np.asarray(cv2.resize(valid, size, interpolation=cv2.INTER_NEAREST_EXACT), np.float32)

    def _end_shot(self) -> None:
        if self.raw is not None:
            for metric in self.fidelity.values():
                metric.end_shot(self.raw.shot_range.width)
            self.raw.end_shot()
        self.result.end_shot()

    def finish(self) -> TemporalScore:
        """Ends the last shot and returns the score."""
        self._end_shot()
        result, raw = self.result.values(), self.raw.values() if self.raw else {}
        per_frame = self.result.per_frame("")
        if self.raw is not None:
            result |= {name: metric.value for name, metric in self.fidelity.items()}
            per_frame |= self.raw.per_frame("_raw")
            per_frame["ghosting"] = self.fidelity["ghosting"].per_frame
        ranges_raw = self.raw.ranges if self.raw else []
        return TemporalScore(self.frames, self.cuts, result, raw, per_frame, self.result.ranges, ranges_raw)


def _within(truth_m: DepthMap, farthest_m: float) -> DepthMap:
    """Returns the ground truth, NaN where it is unknown, not above 0, or too far."""
    return np.where((truth_m > 0) & (truth_m <= farthest_m), truth_m, np.float32(np.nan))


def _resized_like(depth: DepthMap, like: DepthMap) -> DepthMap:
    if depth.shape == like.shape:
        return depth
    return np.asarray(cv2.resize(depth, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _json_number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
