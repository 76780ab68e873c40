"""How near a model's depth is to the truth, over many pictures.

Relative depth is fitted to each picture's truth by scale and shift; metric depth is judged as it is, and fitted too.
Truth outside the crop or the cap counts neither in the scores nor in the fit, and so what is infinitely far never does.
Contours alone know it: for them everything beyond the cap stands at the cap, in truth and prediction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from fractions import Fraction

import numpy as np

from streamdepth.errors import InferenceError, SourceOpenError
from streamdepth.evaluation.boundary import DENSE_SHARE, boundary_f1
from streamdepth.evaluation.crops import NO_CROP, Crop
from streamdepth.evaluation.datasets import Pair
from streamdepth.evaluation.metrics import Scores, align, score
from streamdepth.evaluation.ordinal import ordinal_accuracy
from streamdepth.render import resize_depth
from streamdepth.stages import Estimator
from streamdepth.types import DepthKind, DepthMap, Frame, Image

NEAREST_M = 1e-3
"""Truth below it does not count, unless a user says otherwise."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What of the truth counts."""

    crop: Crop = NO_CROP
    nearest_m: float = NEAREST_M
    farthest_m: float = NO_CROP.farthest_m

    def counted(self, truth_m: DepthMap) -> DepthMap:
        """`truth_m` within crop and cap, NaN elsewhere."""
        inside = self.cropped(truth_m)
        return np.where((inside >= self.nearest_m) & (inside <= self.farthest_m), inside, np.float32(np.nan))

    def cropped(self, truth_m: DepthMap) -> DepthMap:
        """`truth_m` within the crop, NaN elsewhere."""
        region = self.crop.region(truth_m.shape[1], truth_m.shape[0])
        inside = np.full_like(truth_m, np.nan)
        inside[region] = truth_m[region]
        return inside

    def capped(self, depth_m: DepthMap) -> DepthMap:
        """`depth_m` with what lies outside the cap at its ends; NaN stays."""
        return np.clip(depth_m, self.nearest_m, self.farthest_m)

    def contours(self, truth_m: DepthMap) -> DepthMap:
        """Truth to find contours in; NaN throughout where it is too sparse for them."""
        region = self.crop.region(truth_m.shape[1], truth_m.shape[0])
        is_dense = (~np.isnan(truth_m[region])).mean() >= DENSE_SHARE
        return self.capped(self.cropped(truth_m)) if is_dense else np.full_like(truth_m, np.nan)


USUAL = Bounds()


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture and what came of it."""

    pair: Pair
    truth_m: DepthMap
    """(h, w), NaN where it does not count."""
    aligned_m: DepthMap
    """(h, w) the prediction after the fit."""
    aligned: Scores
    as_is: Scores | None
    """Of metric depth without a fit."""


@dataclass(slots=True)
class Accuracy:
    """The means over a set of pictures; grows with each `add`."""

    kind: DepthKind
    bounds: Bounds
    rows: list[tuple[Scores, Scores | None]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """What each picture took, the first one's warm-up aside."""
    picture_px: tuple[int, int] = (0, 0)
    """(width, height) of the last picture."""
    output_px: tuple[int, int] = (0, 0)
    """(width, height) of the model's answer to it."""
    skipped: int = 0
    """Pictures without any truth that counts."""
    known: int = 0
    """Pixels in the crop whose depth is known."""
    counted: int = 0
    """Those of them within the cap."""
    predicted: int = 0
    """Those of them for which the model gave a number: only these are in the scores."""

    @property
    def aligned(self) -> Scores:
        """After the fit of scale and shift to each picture."""
        return _mean([aligned for aligned, _ in self.rows])

    @property
    def as_is(self) -> Scores | None:
        """Of metric depth without a fit, None for relative depth."""
        return _mean([row for _, row in self.rows if row]) if self.kind is DepthKind.METRIC else None

    @property
    def pictures(self) -> int:
        """How many are in the scores."""
        return len(self.rows)

    def percentile_seconds(self, percent: float) -> float:
        """What a picture took: 50 is the median."""
        return float(np.percentile(self.seconds, percent))


def evaluate(
    pairs: Iterable[Pair],
    estimator: Estimator,
    bounds: Bounds = USUAL,
    on_picture: Callable[[Judged], None] = lambda _: None,
) -> Accuracy:
    """Runs the model on one picture after the other and compares, at the truth's size.

    on_picture: gets each picture in the scores.
    Raises SourceOpenError when no truth counts, ConfigError when the crop does not fit, and what the estimator raises.
    """
    result = Accuracy(estimator.info.kind, bounds)
    for pair in pairs:
        truth = bounds.counted(pair.depth)
        result.known += int(np.count_nonzero(~np.isnan(bounds.cropped(pair.depth))))
        if np.isnan(truth).all():
            result.skipped += 1
            continue
        depth = _timed(estimator, pair.image, result)
        judged = _judge(pair, truth, depth, result.kind, bounds)
        result.rows.append((judged.aligned, judged.as_is))
        result.counted += int(np.count_nonzero(np.isfinite(truth)))
        result.predicted += int(np.count_nonzero(np.isfinite(truth) & np.isfinite(judged.aligned_m)))
        on_picture(judged)
    if not result.rows:
        raise SourceOpenError(
            f"none of {result.skipped} pictures has known depth between {bounds.nearest_m:g} and "
            f"{bounds.farthest_m:g} m in the crop; check depth_scale, --max-depth and --crop"
        )
    return result


def _timed(estimator: Estimator, image: Image, result: Accuracy) -> DepthMap:
    """The model's depth; what it took and the sizes are noted in `result`."""
    frames = [Frame(image, 0, 0, Fraction(1), 0.0)]
    if not result.seconds:
        estimator.estimate(frames)  # a first run compiles, allocates and warms up
    began = time.perf_counter()
    depth = estimator.estimate(frames)[0].depth
    result.seconds.append(time.perf_counter() - began)
    result.picture_px, result.output_px = image.shape[1::-1], depth.shape[::-1]
    return depth


def _judge(pair: Pair, truth: DepthMap, depth: DepthMap, kind: DepthKind, bounds: Bounds) -> Judged:
    depth = resize_depth(depth, truth.shape[1], truth.shape[0])
    if not (np.isfinite(truth) & np.isfinite(depth)).any():
        raise InferenceError(f"the model gives no depth for the picture '{pair.name}'; try --precision float32")
    capped = bounds.capped(depth) if kind is DepthKind.METRIC else None
    nearness = depth if capped is None else np.reciprocal(capped)
    aligned = align(nearness, truth, bounds.nearest_m, bounds.farthest_m)
    contours, order = bounds.contours(pair.depth), ordinal_accuracy(nearness, truth)
    as_is = None if capped is None else _scores(capped, truth, contours, order)
    return Judged(pair, truth, aligned, _scores(aligned, truth, contours, order), as_is)


def _scores(depth_m: DepthMap, truth_m: DepthMap, contours_m: DepthMap, order: float) -> Scores:
    return replace(score(depth_m, truth_m), boundary_f1=boundary_f1(depth_m, contours_m), ordinal=order)


def _mean(rows: Sequence[Scores]) -> Scores:
    """Over pictures; those without contours do not count in boundary_f1, nor flat ones in ordinal."""
    columns = np.array([astuple(row) for row in rows]).T
    return Scores(*(float(np.mean(c[~np.isnan(c)])) if (~np.isnan(c)).any() else float("nan") for c in columns))
