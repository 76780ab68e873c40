"""The score of steadiness: every temporal measure of a clip in one run, of the result and of the raw depth beside it.

The measures are functions of the modules `temporal_steadiness`, `temporal_fidelity` and `temporal_truth`; here they
are taken together, over all shots of a clip. One range per shot, one scale and shift per sequence, bounded memory.
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
from streamdepth.core.types import Intrinsics
from streamdepth.evaluation.steadiness.fidelity import CutRecovery, EdgeRetention, Ghosting, Lag
from streamdepth.evaluation.steadiness.flicker import (
    FlowWarpedError,
    RangeJitter,
    StaticFlicker,
    display_range_jitter,
)
from streamdepth.evaluation.steadiness.frames import Mean, Measure, Sample, Span, Step, Steps
from streamdepth.evaluation.steadiness.truth import Fit, Pose, SequenceAccuracy, Tae, Tepe, metres

_LARGEST_SHAPE_DIFFERENCE = 0.1
Affine = tuple[float, float]
"""Scale and shift."""


@dataclass(frozen=True, slots=True)
class Truth:
    """How the true depth of the samples is used."""

    farthest_m: float = 10.0
    """True depth beyond does not count, and results are clipped to it."""
    camera: Intrinsics | None = None
    poses: Sequence[Pose] | None = None
    """One per sample."""
    is_metric: bool = False
    """Whether the samples' depth is 1 / metres: it is judged as it is then, without a fit."""


@dataclass(slots=True)
class TemporalScore:
    """What came out. NaN where a measure does not apply, such as lag where nothing moves."""

    frames: int
    cuts: list[int]
    """Numbers of the frames that begin a shot, the first frame aside."""
    result: dict[str, float]
    raw: dict[str, float] = field(default_factory=dict)
    """The same of raw; empty without it. The measures that compare the two are in `result` only."""
    per_frame: dict[str, list[float]] = field(default_factory=dict)
    """For a plot: a name such as `flow_warped_error` or `flow_warped_error_raw` -> one value per frame."""
    ranges: list[tuple[float, float]] = field(default_factory=list)
    """The range of each shot, inverse depth."""
    ranges_raw: list[tuple[float, float]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain types; what does not apply is null."""
        return {
            "frames": self.frames,
            "cuts": self.cuts,
            "result": {k: _plain(v) for k, v in self.result.items()},
            "raw": {k: _plain(v) for k, v in self.raw.items()},
            "per_frame": {k: [_plain(v) for v in values] for k, values in self.per_frame.items()},
        }


def score_clip(clip: Iterable[Sample], truth: Truth | None = None, *, same_unit: bool = False) -> TemporalScore:
    """Scores a clip, which is read twice: first for scales and shifts, then for the measures.

    Args:
        clip: gives the same samples each time it is iterated.
        truth: for the measures that need true depth; the samples must have it then.
        same_unit: depth and raw are known to have the same unit, so that no scale and shift is fitted between them.

    Raises:
        SourceOpenError: fewer than two frames, sizes that do not fit, or no known depth.
    """
    fits = _Fits()
    if truth is not None or not same_unit:
        for sample in clip:
            fits.add(sample, truth, same_unit=same_unit)
    run = _Run(fits, truth)
    for sample in clip:
        _check(sample)
        run.add(sample)
    if run.frames < 2:
        raise SourceOpenError(f"a clip of {run.frames} frame(s) has no change over time to score; give two or more")
    score = run.finish()
    if not score.result["known"]:
        raise SourceOpenError("there is no known depth in any frame; check that the right file was given as depth")
    if truth is not None and not math.isfinite(score.result["abs_rel"]):
        raise SourceOpenError(
            f"the truth has nothing within {truth.farthest_m:g} m where depth is known; raise --max-depth"
        )
    return score


def _check(sample: Sample) -> None:
    height, width = sample.image.shape[:2]
    for name, depth in (("depth", sample.depth), ("raw depth", sample.raw), ("true depth", sample.truth_m)):
        if depth is None:
            continue
        h, w = depth.shape
        if abs(math.log(width / height * h / w)) > _LARGEST_SHAPE_DIFFERENCE:
            raise SourceOpenError(
                f"{name} of {w}x{h} px does not fit pictures of {width}x{height} px; both must show the same view"
            )


class _Fits:
    """Scale and shift of the whole sequence to the truth, and of each shot to raw."""

    def __init__(self) -> None:
        self.result, self.raw = Fit(), Fit()
        self.shots: list[Fit] = []

    def add(self, sample: Sample, truth: Truth | None, *, same_unit: bool) -> None:
        if sample.cut or not self.shots:
            self.shots.append(Fit())
        if sample.raw is not None and not same_unit:
            self.shots[-1].add(_sized(sample.depth, sample.raw), sample.raw)
        if truth is None or sample.truth_m is None or truth.is_metric:
            return
        target = np.reciprocal(_within(sample.truth_m, truth.farthest_m))
        for fit, depth in ((self.result, sample.depth), (self.raw, sample.raw)):
            if depth is not None:
                fit.add(_sized(depth, target), target)

    def to_raw(self, shot: int) -> Affine:
        """Of the shot with that number; nothing changes where no fit was asked for."""
        return self.shots[shot].scale_and_shift if shot < len(self.shots) else (1.0, 0.0)


class _Column:
    """The measures of one result."""

    def __init__(self, truth: Truth | None, fit: Affine) -> None:
        self.truth, self.fit = truth, fit
        self.error, self.flicker, self.jitter = FlowWarpedError(), StaticFlicker(), RangeJitter()
        self.display_width, self.display_centre, self.known = Mean(), Mean(), Mean()
        self.accuracy, self.tepe = SequenceAccuracy(), Tepe()
        self.tae = Tae(truth.camera) if truth and truth.camera and truth.poses else None
        self.span = Span()
        self.abs_rel: list[float] = []
        self.ranges: list[tuple[float, float]] = []
        self._ranges: list[tuple[float, float]] = []
        self._last: tuple[DepthMap, DepthMap] | None = None

    def add(self, step: Step, truth_m: DepthMap | None, number: int, range: tuple[float, float] | None) -> None:
        self.span.add(step.depth)
        self.known.add(int(np.isfinite(step.depth).sum()), step.depth.size)
        for measure in self._measures:
            measure.add(step)
        if range is not None:
            self._ranges.append(range)
        if self.truth is not None and truth_m is not None:
            self._add_truth(step, truth_m, self.truth, number)

    def _add_truth(self, step: Step, truth_m: DepthMap, truth: Truth, number: int) -> None:
        depth_m = metres(step.depth, *self.fit, truth.farthest_m)
        self.abs_rel.append(self.accuracy.add(depth_m, truth_m))
        last, self._last = self._last, (depth_m, truth_m)
        if last is None or step.motion is None:
            return
        self.tepe.add(step.motion, (last[0], depth_m), (last[1], truth_m))
        if self.tae is not None and truth.poses is not None:
            known = [np.where(np.isfinite(t), d, np.float32(np.nan)) for d, t in (last, self._last)]
            self.tae.add((known[0], truth.poses[number - 1]), (known[1], truth.poses[number]))

    def end_shot(self) -> None:
        for measure in self._measures:
            measure.end_shot(self.span.width)
        if len(self._ranges) > 2:
            jitter = display_range_jitter(self._ranges)
            self.display_width.add(jitter.width * len(self._ranges), len(self._ranges))
            self.display_centre.add(jitter.centre * len(self._ranges), len(self._ranges))
        self.ranges.append(self.span.limits)
        self.span, self._last = Span(), None
        self._ranges.clear()

    @property
    def _measures(self) -> tuple[Measure[Any], ...]:
        return self.error, self.flicker, self.jitter

    def values(self) -> dict[str, float]:
        """By the names of the table."""
        rows = {
            "flow_warped_error": self.error.value,
            "static_flicker_p50": self.flicker.value.p50,
            "static_flicker_p95": self.flicker.value.p95,
            "range_jitter": self.jitter.value.width,
            "centre_jitter": self.jitter.value.centre,
            "display_range_jitter": self.display_width.value,
            "display_centre_jitter": self.display_centre.value,
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
        rows = {"flow_warped_error": self.error.per_frame, "median": self.jitter.per_frame, "abs_rel": self.abs_rel}
        return {name + suffix: values for name, values in rows.items() if values}


class _Run:
    """The second reading: every measure, frame by frame."""

    def __init__(self, fits: _Fits, truth: Truth | None) -> None:
        self.fits, self.truth = fits, truth
        self.frames, self.cuts = 0, list[int]()
        self.result = _Column(truth, fits.result.scale_and_shift)
        self.raw: _Column | None = None
        self.fidelity: dict[str, Measure[float]] = {
            "lag_frames": Lag(),
            "ghosting": Ghosting(),
            "edge_retention": EdgeRetention(),
            "cut_recovery_frames": CutRecovery(),
        }
        self.steps = Steps()

    def add(self, sample: Sample) -> None:
        if sample.cut and self.frames:
            self._end_shot()
            self.cuts.append(self.frames)
            self.steps = Steps()
        step = self.steps.push(sample.image, sample.depth, sample.raw)
        truth_m = self._truth(sample, step)
        self.result.add(step, truth_m, self.frames, sample.range)
        if step.raw is not None:
            self._add_raw(step, truth_m)
        self.frames += 1

    def _add_raw(self, step: Step, truth_m: DepthMap | None) -> None:
        if self.raw is None:
            self.raw = _Column(self.truth, self.fits.raw.scale_and_shift)
        self.raw.add(step.of_raw(), truth_m, self.frames, None)
        scale, shift = self.fits.to_raw(len(self.cuts))
        in_raw_unit = replace(step, depth=np.float32(scale) * step.depth + np.float32(shift))
        for measure in self.fidelity.values():
            measure.add(in_raw_unit)

    def _truth(self, sample: Sample, step: Step) -> DepthMap | None:
        if self.truth is None or sample.truth_m is None:
            return None
        near = _within(sample.truth_m, self.truth.farthest_m)
        size = (step.depth.shape[1], step.depth.shape[0])
        return np.asarray(cv2.resize(near, size, interpolation=cv2.INTER_NEAREST_EXACT), np.float32)

    def _end_shot(self) -> None:
        if self.raw is not None:
            for measure in self.fidelity.values():
                measure.end_shot(self.raw.span.width)
            self.raw.end_shot()
        self.result.end_shot()

    def finish(self) -> TemporalScore:
        self._end_shot()
        result, raw = self.result.values(), self.raw.values() if self.raw else {}
        per_frame = self.result.per_frame("")
        if self.raw is not None:
            result |= {name: measure.value for name, measure in self.fidelity.items()}
            per_frame |= self.raw.per_frame("_raw")
            per_frame["ghosting"] = self.fidelity["ghosting"].per_frame
        ranges_raw = self.raw.ranges if self.raw else []
        return TemporalScore(self.frames, self.cuts, result, raw, per_frame, self.result.ranges, ranges_raw)


def _within(truth_m: DepthMap, farthest_m: float) -> DepthMap:
    """NaN where truth is unknown, not above 0, or too far."""
    return np.where((truth_m > 0) & (truth_m <= farthest_m), truth_m, np.float32(np.nan))


def _sized(depth: DepthMap, like: DepthMap) -> DepthMap:
    if depth.shape == like.shape:
        return depth
    return np.asarray(cv2.resize(depth, (like.shape[1], like.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
