"""Evaluation of a model's depth against the ground truth, over many pictures.

Relative depth is aligned to each picture's ground truth by scale and shift; metric depth is scored as it is, and
aligned too. Ground truth outside the crop or the range of distances, such as sky, counts neither in the scores nor in
the alignment. Only boundary F1 uses it, with depth beyond the range clipped to its end in ground truth and prediction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from fractions import Fraction

import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import InferenceError, SourceOpenError
from streamdepth.core.interfaces import Estimator
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthKind, Frame
from streamdepth.evaluation.accuracy.boundary import DENSE_SHARE, boundary_f1
from streamdepth.evaluation.accuracy.crops import NO_CROP, Crop
from streamdepth.evaluation.accuracy.metrics import Scores, align, score
from streamdepth.evaluation.accuracy.ordinal import ordinal_accuracy
from streamdepth.evaluation.datasets import ImageDepthPair

NEAREST_M = 1e-3
"""Default of the smallest distance at which ground truth counts, meters."""


@dataclass(frozen=True, slots=True)
class ValidRegion:
    """The part of the ground truth that counts: a crop and a range of distances."""

    crop: Crop = NO_CROP
    nearest_m: float = NEAREST_M
    farthest_m: float = NO_CROP.farthest_m
    """The true distances that count are between `nearest_m` and this, meters."""

    def valid(self, truth_m: DepthMap) -> DepthMap:
        """Returns `truth_m` within the crop and the range, NaN elsewhere."""
        inside = self.cropped(truth_m)
        return np.where((inside >= self.nearest_m) & (inside <= self.farthest_m), inside, np.float32(np.nan))

    def cropped(self, truth_m: DepthMap) -> DepthMap:
        """Returns `truth_m` within the crop, NaN elsewhere."""
        region = self.crop.region(truth_m.shape[1], truth_m.shape[0])
        inside = np.full_like(truth_m, np.nan)
        inside[region] = truth_m[region]
        return inside

    def clipped(self, depth_m: DepthMap) -> DepthMap:
        """Returns `depth_m` clipped to the range of distances; NaN stays NaN."""
        return np.clip(depth_m, self.nearest_m, self.farthest_m)

    def contour_truth(self, truth_m: DepthMap) -> DepthMap:
        """Returns the ground truth for boundary F1; all NaN where it is too sparse for contours."""
        region = self.crop.region(truth_m.shape[1], truth_m.shape[0])
        is_dense = (~np.isnan(truth_m[region])).mean() >= DENSE_SHARE
        return self.clipped(self.cropped(truth_m)) if is_dense else np.full_like(truth_m, np.nan)


DEFAULT_REGION = ValidRegion()


@dataclass(frozen=True, slots=True)
class EvaluatedImage:
    """One evaluated picture with its scores."""

    pair: ImageDepthPair
    truth_m: DepthMap
    """(h, w) true depth, NaN where it does not count."""
    aligned_m: DepthMap
    """(h, w) prediction with scale and shift fitted to the ground truth."""
    aligned: Scores
    """Scores of `aligned_m`."""
    unaligned: Scores | None
    """Scores of metric depth as it is; None for relative depth."""


@dataclass(slots=True)
class Accuracy:
    """The accuracy of a model over many pictures."""

    kind: DepthKind
    region: ValidRegion
    scores: list[tuple[Scores, Scores | None]] = field(default_factory=list)
    """(aligned, unaligned) scores of each picture."""
    seconds: list[float] = field(default_factory=list)
    """Time of each picture, without the first one's warm-up."""
    picture_px: tuple[int, int] = (0, 0)
    """(width, height) of the last picture."""
    output_px: tuple[int, int] = (0, 0)
    """(width, height) of the model's depth of it."""
    skipped_pictures: int = 0
    """Number of pictures without any valid ground truth."""
    known_pixels: int = 0
    """Number of pixels in the crop whose true depth is known."""
    valid_pixels: int = 0
    """Number of known pixels within the range of distances."""
    predicted_pixels: int = 0
    """Number of valid pixels with a finite prediction; only these are in the scores."""

    @property
    def aligned(self) -> Scores:
        """Mean scores with scale and shift fitted to each picture."""
        return _mean([aligned for aligned, _ in self.scores])

    @property
    def unaligned(self) -> Scores | None:
        """Mean scores of metric depth as it is; None for relative depth."""
        return (
            _mean([unaligned for _, unaligned in self.scores if unaligned]) if self.kind is DepthKind.METRIC else None
        )

    @property
    def scored_pictures(self) -> int:
        """Number of pictures in the scores."""
        return len(self.scores)

    def percentile_seconds(self, percent: float) -> float:
        """Returns a percentile of the time per picture: 50 is the median."""
        return float(np.percentile(self.seconds, percent))


def evaluate(
    pairs: Iterable[ImageDepthPair],
    estimator: Estimator,
    region: ValidRegion = DEFAULT_REGION,
    on_picture: Callable[[EvaluatedImage], None] = lambda _: None,
) -> Accuracy:
    """Runs the model on one picture after the other and scores it at the ground truth's size.

    Args:
        pairs: pictures with their true depth.
        estimator: the model.
        region: the part of the ground truth that counts.
        on_picture: called with each picture that is scored.

    Raises:
        SourceOpenError: no picture has valid ground truth (code "no-truth").
        ConfigError: the crop does not fit the pictures.
        EstimatorError: as the model raises it, and (code "no-depth") for a picture without any valid depth.
    """
    result = Accuracy(estimator.info.kind, region)
    for pair in pairs:
        truth = region.valid(pair.depth)
        result.known_pixels += int(np.count_nonzero(~np.isnan(region.cropped(pair.depth))))
        if np.isnan(truth).all():
            result.skipped_pictures += 1
            continue
        depth = _run_timed(estimator, pair.image, result)
        evaluated = _evaluate_image(pair, truth, depth, result.kind, region)
        result.scores.append((evaluated.aligned, evaluated.unaligned))
        result.valid_pixels += int(np.count_nonzero(np.isfinite(truth)))
        result.predicted_pixels += int(np.count_nonzero(np.isfinite(truth) & np.isfinite(evaluated.aligned_m)))
        on_picture(evaluated)
    if not result.scores:
        raise SourceOpenError(
            f"none of {result.skipped_pictures} pictures has known depth between {region.nearest_m:g} and "
            f"{region.farthest_m:g} m in the crop; check depth_scale, --max-depth and --crop",
            code="no-truth",
        )
    return result


def _run_timed(estimator: Estimator, image: Image, result: Accuracy) -> DepthMap:
    """Returns the model's depth; its time and sizes are recorded in `result`."""
    frames = [Frame(image, 0, 0, Fraction(1), 0.0)]
    if not result.seconds:
        estimator.estimate(frames)  # a first run compiles, allocates and warms up
    start = time.perf_counter()
    depth = estimator.estimate(frames)[0].depth
    result.seconds.append(time.perf_counter() - start)
    result.picture_px, result.output_px = image.shape[1::-1], depth.shape[::-1]
    return depth


def _evaluate_image(
    pair: ImageDepthPair, truth: DepthMap, depth: DepthMap, kind: DepthKind, region: ValidRegion
) -> EvaluatedImage:
    depth = resize_depth(depth, truth.shape[1], truth.shape[0])
    if not (np.isfinite(truth) & np.isfinite(depth)).any():
        raise InferenceError(
            f"the model gives no depth for the picture '{pair.name}'; try --precision float32", code="no-depth"
        )
    clipped = region.clipped(depth) if kind is DepthKind.METRIC else None
    nearness = depth if clipped is None else np.reciprocal(clipped)
    aligned = align(nearness, truth, region.nearest_m, region.farthest_m)
    contours, ordinal = region.contour_truth(pair.depth), ordinal_accuracy(nearness, truth)
    unaligned = None if clipped is None else _scores(clipped, truth, contours, ordinal)
    return EvaluatedImage(pair, truth, aligned, _scores(aligned, truth, contours, ordinal), unaligned)


def _scores(depth_m: DepthMap, truth_m: DepthMap, contours_m: DepthMap, ordinal: float) -> Scores:
    return replace(score(depth_m, truth_m), boundary_f1=boundary_f1(depth_m, contours_m), ordinal=ordinal)


def _mean(rows: Sequence[Scores]) -> Scores:
    """Returns the means over pictures; those without contours do not count in boundary_f1, flat ones not in ordinal."""
    columns = np.array([astuple(row) for row in rows]).T
    return Scores(*(float(np.mean(c[~np.isnan(c)])) if (~np.isnan(c)).any() else float("nan") for c in columns))
