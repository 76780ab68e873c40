"""Scores of metric depth, frame by frame and over a dataset."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Literal

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthFrame
from streamdepth.evaluation.accuracy.evaluate import ValidRegion
from streamdepth.evaluation.accuracy.metrics import align
from streamdepth.evaluation.metric.reliability import NOTHING, Reliability, obstacle_reliability
from streamdepth.evaluation.metric.sparsification import Sparsification, sparsify


@dataclass(frozen=True, slots=True)
class MetricFrameScore:
    """The scores of one frame."""

    scale: float
    """Median of meters given / true, also of meters that were withheld; NaN where nothing was estimated."""
    abs_rel: float
    """Mean of |d - d*| / d*; NaN where meters were withheld."""
    best_abs_rel: float
    """The same of the same depth with scale and shift fitted to this frame's truth, see `accuracy.metrics.align`."""
    sigma: float
    """One standard deviation of the scale as the frame states it, a share; NaN where it states none."""
    is_given: bool
    """False where meters were withheld."""
    is_refusal_right: bool | None
    """True if meters should be refused in this frame; None where that cannot be told."""
    sparsification: Sparsification | None = None
    """None without confidence, as the next two are NOTHING."""
    pixels: Reliability = NOTHING
    obstacles: Reliability = NOTHING


def score_frame(
    given: DepthFrame,
    nearness: DepthMap,
    truth_m: DepthMap,
    region: ValidRegion,
    *,
    withheld_m: DepthMap | None = None,
    has_evidence: bool | None = None,
    max_scale_error: float = 0.25,
) -> MetricFrameScore:
    """Returns the scores of one frame.

    Args:
        given: the metric depth; all NaN where it is withheld.
        nearness: (h, w) inverse depth of the frame before it became metric.
        truth_m: (H, W) true meters, valid ones only, NaN elsewhere.
        region: the limits; depth beyond is clipped to them, also that of the best fit.
        withheld_m: (h, w) the meters that were withheld, if there are any.
        has_evidence: True if meters can be known by the truth, see `SimulatedReference.has_evidence`.
        max_scale_error: share by which a scale is off if it should have been refused.
    """
    height, width = truth_m.shape
    best = align(resize_depth(nearness, width, height), truth_m, region.nearest_m, region.farthest_m)
    depth = resize_depth(given.depth, width, height)
    known = np.isfinite(truth_m) & ~np.isnan(depth) & np.isfinite(best)
    is_given = bool(known.any())
    estimate = depth if is_given or withheld_m is None else resize_depth(withheld_m, width, height)
    scale = _median_ratio(estimate, truth_m)
    off = abs(math.log(scale)) > math.log1p(max_scale_error) if scale > 0 else None
    counted = known if is_given else np.isfinite(truth_m) & np.isfinite(best)
    error = np.abs(region.clipped(depth[known]) / truth_m[known] - 1).astype(np.float64)
    judged: tuple[Sparsification | None, Reliability, Reliability] = (None, NOTHING, NOTHING)
    if given.confidence is not None and is_given:
        confidence = resize_depth(given.confidence, width, height)[known].astype(np.float64)
        truth_small = cv2.resize(truth_m, given.depth.shape[::-1], interpolation=cv2.INTER_NEAREST)
        obstacles = obstacle_reliability(given, np.asarray(truth_small, np.float32))
        judged = sparsify(error, confidence), Reliability.measure(error, confidence), obstacles
    return MetricFrameScore(
        scale,
        float(error.mean()) if is_given else math.nan,
        float(np.abs(best[counted] / truth_m[counted] - 1).mean()),
        math.nan if given.scale_sigma is None else given.scale_sigma,
        is_given,
        off if has_evidence is None else not has_evidence,
        *judged,
    )


def _median_ratio(depth_m: DepthMap, truth_m: DepthMap) -> float:
    known = np.isfinite(truth_m) & ~np.isnan(depth_m)
    return float(np.median(depth_m[known] / truth_m[known])) if known.any() else math.nan


@dataclass(frozen=True, slots=True)
class MetricScore:
    """The scores of one reference on one dataset."""

    frames: int
    share_given: float
    """Share of the frames whose meters were not withheld."""
    scale_p10: float
    scale_p50: float
    scale_p90: float
    """Percentiles over the given frames of the median of meters given / true; 1 is right."""
    abs_rel: float
    best_abs_rel: float
    """Means over the given frames; see `MetricFrameScore`."""
    ratio: float
    """abs_rel / best_abs_rel: the cost of estimated scale and shift."""
    ratio_p50: float
    """Median over the given frames of their own ratio."""
    refusals_right: int
    refusals_due: int
    """Refused frames among those that should be refused."""
    refusals_wrong: int
    refusals_undue: int
    """Refused frames among those that should not be refused."""
    within_sigma: float
    """Share of the given frames whose scale is off by at most one `sigma`: 0.68 is right, more means that the
    stated errors are too large."""
    sigma_p50: float
    """Median of the one-sigma errors that the given frames state."""
    ause: float
    ause_random: float
    """Means over the given frames; see `sparsification`."""
    share_sure: float
    sure_ratio: float
    calibration_error: float
    """Of pixels, see `Reliability`."""
    obstacles_share_sure: float
    obstacles_sure_ratio: float
    obstacles_calibration_error: float
    """The same of the nearest obstacle of each of five sectors."""

    def as_json(self) -> dict[str, float | int | None]:
        """Returns the figures ready for JSON: five digits, None for NaN."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def _rounded(value: float) -> float | int | None:
    return value if isinstance(value, int) else float(f"{value:.5g}") if math.isfinite(value) else None


@dataclass(slots=True)
class MetricScorer:
    """Collects the frames of one reference on one dataset."""

    frames: list[MetricFrameScore] = field(default_factory=list)

    def total(self) -> MetricScore:
        """Returns the figures of all frames so far; NaN where there are none to count."""
        given = [frame for frame in self.frames if frame.is_given]
        scale = np.array([frame.scale for frame in given])
        errors = np.array([(frame.abs_rel, frame.best_abs_rel) for frame in given]).reshape(-1, 2)
        sigma = np.array([frame.sigma for frame in given])
        said = np.isfinite(sigma)
        with np.errstate(invalid="ignore", divide="ignore"):
            is_within = np.abs(np.log(scale)) <= sigma
            ratios = errors[:, 0] / errors[:, 1]
        due = [frame for frame in self.frames if frame.is_refusal_right]
        undue = [frame for frame in self.frames if frame.is_refusal_right is False]
        abs_rel, best = (_mean(column) for column in errors.T)
        p10, p50, p90 = _percentiles(scale, 10, 50, 90)
        return MetricScore(
            frames=len(self.frames),
            share_given=len(given) / len(self.frames) if self.frames else math.nan,
            scale_p10=p10,
            scale_p50=p50,
            scale_p90=p90,
            abs_rel=abs_rel,
            best_abs_rel=best,
            ratio=abs_rel / best if best else math.nan,
            ratio_p50=_percentiles(ratios, 50)[0],
            refusals_right=sum(not frame.is_given for frame in due),
            refusals_due=len(due),
            refusals_wrong=sum(not frame.is_given for frame in undue),
            refusals_undue=len(undue),
            within_sigma=_mean(is_within[said].astype(np.float64)),
            sigma_p50=_percentiles(sigma[said], 50)[0],
            ause=_mean(np.array([found.ause for found in self.sparsifications])),
            ause_random=_mean(np.array([found.ause_random for found in self.sparsifications])),
            **_sure("", self.reliability("pixels")),
            **_sure("obstacles_", self.reliability("obstacles")),
        )

    @property
    def sparsifications(self) -> list[Sparsification]:
        """The sparsification of each frame that has a confidence."""
        return [frame.sparsification for frame in self.frames if frame.sparsification is not None]

    def reliability(self, things: Literal["pixels", "obstacles"]) -> Reliability:
        """Returns the sums over all frames."""
        return reduce(Reliability.added, (getattr(frame, things) for frame in self.frames), NOTHING)


def _sure(prefix: str, found: Reliability) -> dict[str, float]:
    names = ("share_sure", "sure_ratio", "calibration_error")
    return {prefix + name: getattr(found, name) for name in names}


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _percentiles(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], *percents: float) -> list[float]:
    known = values[np.isfinite(values)]
    return [float(value) for value in np.percentile(known, percents)] if known.size else [math.nan] * len(percents)
