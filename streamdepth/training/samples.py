"""Pictures with ground truth in memory; depth of every kind is kept as inverse depth up to scale and shift.

The losses ignore a picture's scale and shift, so that 16-bit codes linear in inverse depth suffice, whether the truth
is meters, disparity or inverse depth of unknown scale and shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.evaluation.datasets import DepthDataset

SHORT_SIDE = 288
"""Larger pictures are reduced to this short side, px."""
Codes = npt.NDArray[np.uint16]
FARTHEST, NEAREST = 1, 65535
"""Codes of a picture's smallest and largest inverse depth; 0 is unknown."""
STRAY = 0.0005
"""Share of the known pixels at either end that are treated as outliers, which do not widen the range of the codes."""

Quality = Literal["sparse", "sensor", "views", "exact"]
DETAIL_WEIGHTS: dict[Quality, float] = {"sparse": 0.0, "sensor": 0.3, "views": 0.5, "exact": 1.0}
"""Weight of gradients in the loss: 0 between sparse points, small for sensors, which blur edges, 1 for rendered
depth and a large model's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, (H, W, 3) uint8 RGB, with codes of its inverse depth, (H, W) uint16: see `FARTHEST`."""

    image: Image
    codes: Codes
    detail_weight: float
    """Weight of its finest gradients."""
    middle: float
    """Median of the known codes."""
    deviation: float
    """Their mean absolute deviation from it."""


def read_samples(folder: Path, quality: Quality, *, border: int = 0) -> list[Sample]:
    """Returns the pictures of a dataset with usable truth, at most SHORT_SIDE px on the short side.

    border: px cut away on each side. Raises SourceOpenError when the set cannot be read.
    """
    data = DepthDataset(folder)
    found = (_reduce(pair.image, np.reciprocal(pair.depth)) for pair in data.pairs(border=border))
    usable = ((image, inverse) for image, inverse in found if is_usable(inverse, is_affine=data.is_affine))
    return [make_sample(image, encode(inverse), DETAIL_WEIGHTS[quality]) for image, inverse in usable]


def make_sample(image: Image, codes: Codes, detail_weight: float) -> Sample:
    """Returns a sample with median and deviation of its codes."""
    known = codes[codes > 0].astype(np.float32)
    middle = float(np.median(known))
    return Sample(image, codes, detail_weight, middle, float(np.abs(known - middle).mean()))


def _reduce(image: Image, inverse: DepthMap) -> tuple[Image, DepthMap]:
    """Returns both at one size, at most SHORT_SIDE; every known point of sparse truth is kept."""
    height, width = inverse.shape
    factor = min(1.0, SHORT_SIDE / min(height, width))
    rows, columns = round(height * factor), round(width * factor)
    if image.shape[:2] != (rows, columns):
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    if (rows, columns) == (height, width):
        return image, inverse
    small = np.full((rows, columns), np.nan, np.float32)
    ys, xs = np.nonzero(~np.isnan(inverse))
    small[ys * rows // height, xs * columns // width] = inverse[ys, xs]
    return image, small


def encode(inverse: DepthMap) -> Codes:
    """Converts (H, W) inverse depth, NaN = unknown, to codes that are linear over the picture's own range."""
    known = np.isfinite(inverse)
    if not known.any():
        return np.zeros(inverse.shape, np.uint16)
    low, high = np.quantile(inverse[known], (STRAY, 1 - STRAY))
    scaled = np.clip((inverse - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1)
    codes = FARTHEST + np.round(np.where(known, scaled, 0) * (NEAREST - FARTHEST))
    return np.where(known, codes, 0).astype(np.uint16)


LEAST_KNOWN = 400
"""Number of known px below which a picture is left out."""
LEAST_RANGE = 0.02
"""Range of inverse depth, as a share of its median, below which truth counts as flat."""
MOST_ROUGH = 0.05
"""Mean difference of neighbors, as a share of the range, above which truth counts as broken, since it is only noise."""


def is_usable(inverse: DepthMap, *, is_affine: bool = False) -> bool:
    """Returns True if (H, W) inverse depth, NaN = unknown, is usable: known in places, not flat, not broken.

    Truth that is affine has no zero, so that it counts as flat only if it is constant.
    """
    known = inverse[np.isfinite(inverse)]
    if known.size < LEAST_KNOWN:
        return False
    low, median, high = np.quantile(known, (0.02, 0.5, 0.98))
    if high - low <= (0 if is_affine else LEAST_RANGE * median):
        return False
    steps = np.abs(np.diff(inverse, axis=1))
    steps = steps[np.isfinite(steps)]
    return steps.size < LEAST_KNOWN or bool(steps.mean() <= MOST_ROUGH * (high - low))
