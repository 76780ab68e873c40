"""How near depth is to the truth, picture by picture: `python -m streamdepth.evaluation.accuracy ROOT NAME`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from streamdepth.evaluation.datasets import Pair, read_pairs
from streamdepth.stages import Estimator
from streamdepth.types import DepthKind, DepthMap, Frame

NYU_BORDER_PX = 8
"""The white frame around NYU Depth v2's pictures."""
EIGEN_CROP = (slice(45 - NYU_BORDER_PX, 471 - NYU_BORDER_PX), slice(41 - NYU_BORDER_PX, 601 - NYU_BORDER_PX))
"""Rows and columns that count on NYU Depth v2 without its frame (Eigen et al., NeurIPS 2014)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one picture, or the mean of many. Definitions: Eigen et al., NeurIPS 2014, section 4.2."""

    abs_rel: float
    """Mean of |d - d*| / d*."""
    rmse_m: float
    """Root of the mean squared error, metres."""
    log10: float
    """Mean of |log10 d - log10 d*|."""
    delta1: float
    """Share of pixels with max(d / d*, d* / d) < 1.25."""


def align(prediction: DepthMap, truth_m: DepthMap, nearest_m: float = 1e-3, farthest_m: float = 10.0) -> DepthMap:
    """Relative inverse depth -> metres: scale and shift fitted by least squares in inverse depth to known pixels.

    Ranftl et al., TPAMI 2020. The result is clipped to [nearest_m, farthest_m].
    """
    known = np.isfinite(truth_m) & np.isfinite(prediction)
    p, t = prediction[known].astype(np.float64), 1.0 / truth_m[known].astype(np.float64)
    centred = p - p.mean()
    variance = (centred**2).mean()
    scale = (centred * (t - t.mean())).mean() / variance if variance > 0 else 0.0
    inverse = scale * (prediction - p.mean()) + t.mean()
    return np.asarray(1.0 / np.clip(inverse, 1.0 / farthest_m, 1.0 / nearest_m), np.float32)


def score(depth_m: DepthMap, truth_m: DepthMap) -> Scores:
    """Both (H, W) metres; pixels whose truth is NaN do not count."""
    known = np.isfinite(truth_m)
    d, t = depth_m[known].astype(np.float64), truth_m[known].astype(np.float64)
    ratio = np.maximum(d / t, t / d)
    return Scores(
        abs_rel=float((np.abs(d - t) / t).mean()),
        rmse_m=float(np.sqrt(((d - t) ** 2).mean())),
        log10=float(np.abs(np.log10(d) - np.log10(t)).mean()),
        delta1=float((ratio < 1.25).mean()),
    )


def evaluate(
    pairs: Iterable[Pair],
    estimator: Estimator,
    *,
    crop: tuple[slice, slice] | None = None,
    farthest_m: float = 10.0,
) -> tuple[Scores, int, float]:
    """Mean scores, the number of pictures, and the median seconds a picture took.

    Relative depth is aligned to each picture's truth; truth beyond `farthest_m` does not count.
    """
    rows: list[Scores] = []
    seconds: list[float] = []
    for pair in pairs:
        began = time.perf_counter()
        depth = estimator.estimate([Frame(pair.image, 0, 0, Fraction(1), 0.0)])[0].depth
        seconds.append(time.perf_counter() - began)
        rows.append(_score_pair(pair, depth, estimator.info.kind, crop, farthest_m))
    mean = Scores(*(float(np.mean(column)) for column in zip(*(asdict(r).values() for r in rows), strict=True)))
    return mean, len(rows), float(np.median(seconds))


def _score_pair(
    pair: Pair, depth: DepthMap, kind: DepthKind, crop: tuple[slice, slice] | None, farthest_m: float
) -> Scores:
    height, width = pair.depth.shape
    full = np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    truth = np.where(pair.depth <= farthest_m, pair.depth, np.nan).astype(np.float32)
    if crop:
        full, truth = full[crop], truth[crop]
    if kind is DepthKind.RELATIVE:
        return score(align(full, truth, farthest_m=farthest_m), truth)
    return score(np.clip(full, 1e-3, farthest_m), truth)


def main() -> None:
    """Prints the built-in model's scores on one data set as JSON."""
    from streamdepth.estimators.nano import NanoEstimator

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of data sets with index.json")
    parser.add_argument("name", help="the data set")
    parser.add_argument("--weights", type=Path, help="other weights than the shipped ones")
    parser.add_argument("--size", type=int, help="px of the input's short side")
    parser.add_argument("--farthest", type=float, default=10.0, help="metres beyond which truth does not count")
    options = parser.parse_args()
    is_nyu = options.name.startswith("nyu")
    estimator = NanoEstimator(size=options.size, weights=options.weights)
    pairs = read_pairs(options.root, options.name, NYU_BORDER_PX if is_nyu else 0)
    scores, count, seconds = evaluate(
        pairs, estimator, crop=EIGEN_CROP if is_nyu else None, farthest_m=options.farthest
    )
    facts = {"set": options.name, "pictures": count, "ms": round(seconds * 1e3, 1)}
    print(json.dumps(facts | {k: round(v, 4) for k, v in asdict(scores).items()}))  # noqa: T201 - its whole purpose


if __name__ == "__main__":
    main()
