"""Makes the priors of floors and gravity anew, and tells how good they are at places that they were not made from.

    python tests/measure/fit_floor_priors.py DATASET... [--hold-out NAME...] [--every N] -o floor_priors.npz

Each dataset is a folder as `streamdepth eval` reads it, best with its camera.json, and counts as one place. The true
floor is found in the true depth. Places of `--hold-out` are never learned from; each place is judged by what the
others say.
"""

from __future__ import annotations

import argparse
import math
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import streamdepth as sd
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.evaluation.metric.cameras import dataset_camera
from streamdepth.evaluation.metric.true_floor import find_true_floor
from streamdepth.geometry import pitch_prior
from streamdepth.geometry.gravity import estimate_gravity
from streamdepth.geometry.level_floor import MIN_PROBABILITY, find_level_floor
from streamdepth.geometry.metric_fit import inverse_depth_range

SEEN_SHARE, UNSEEN_SHARE = 0.12, 0.06
_LIMIT = math.log(MIN_PROBABILITY / (1 - MIN_PROBABILITY))
PRIOR_ODDS = 3.5
"""Odds of a floor in the picture of a user who says how high the camera is above it."""


def observe(folder: Path, model: Any, every: int) -> list[dict[str, Any]]:
    """Returns depth, camera and truth of the pictures of one place."""
    data, found = DepthDataset(folder), []
    for pair in data.pairs(data.names(every=every), border=8 if data.name.startswith("nyu") else 0):
        height, width = pair.depth.shape
        camera = dataset_camera(folder) or Intrinsics.from_fov(60, width, height)
        inverse = model.estimator.estimate([Frame(pair.image, 0, 0, Fraction(1), 0.0)])[0].depth
        limits, floor = inverse_depth_range(inverse), find_true_floor(pair.depth, camera)
        if limits is not None:
            found.append({"image": pair.image, "inverse": inverse, "limits": limits, "camera": camera, "floor": floor})
    return found


def fit_pitch(rows: list[dict[str, Any]], weight: np.ndarray, ridge: float = 0.003) -> np.ndarray:
    """Returns (40,): bias and weights of the ridge regression from depth to pitch over half the field of view."""
    x = np.array([row["view"] for row in rows])
    half_fov = np.array([math.degrees(math.atan(r["camera"].height / 2 / r["camera"].fy)) for r in rows])
    y = np.array([row["floor"].pitch_degrees for row in rows]) / half_fov
    mean_x, mean_y = np.average(x, axis=0, weights=weight), np.average(y, weights=weight)
    centered = x - mean_x
    square = (centered * weight[:, None]).T @ centered + ridge * weight.sum() * np.eye(x.shape[1])
    weights = np.linalg.solve(square, (centered * weight[:, None]).T @ (y - mean_y))
    return np.concatenate([[mean_y - mean_x @ weights], weights])


def fit_stumps(x: np.ndarray, y: np.ndarray, weight: np.ndarray, rounds: int = 600) -> np.ndarray:
    """Returns (rounds + 1, 4): feature, threshold, what to add at or below it, and above; by gradient boosting."""
    rng, bins, rate, ridge, least = np.random.default_rng(0), 24, 0.1, 2.0, 20
    weight = weight * len(y) / weight.sum()
    edges = np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1], axis=0)
    code = (x[:, :, None] > edges.T[None]).sum(axis=-1)
    bias = math.log((weight * y).sum() / (weight * (1 - y)).sum())
    logit, stumps = np.full(len(y), bias), [(0, np.inf, bias + math.log(PRIOR_ODDS), 0.0)]
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-logit))
        gradient, curvature, best = weight * (y - p), weight * p * (1 - p), (-math.inf, 0, 0.0, 0.0, 0.0)
        for feature in rng.choice(x.shape[1], max(1, int(0.3 * x.shape[1])), replace=False):
            g, h, n = (np.bincount(code[:, feature], w, bins).cumsum() for w in (gradient, curvature, np.ones(len(y))))
            low, high = g[:-1] / (h[:-1] + ridge), (g[-1] - g[:-1]) / (h[-1] - h[:-1] + ridge)
            gain = low * g[:-1] + high * (g[-1] - g[:-1])
            gain[(n[:-1] < least) | (n[-1] - n[:-1] < least)] = -math.inf
            cut = int(gain.argmax())
            if gain[cut] > best[0]:
                best = (float(gain[cut]), int(feature), float(edges[cut, feature]), low[cut] * rate, high[cut] * rate)
        _, feature, threshold, low, high = best
        logit += np.where(x[:, feature] <= threshold, low, high)
        stumps.append((feature, threshold, low, high))
    return np.array(stumps)


def logits(stumps: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Returns the logit of each row of features."""
    feature, threshold, low, high = stumps.T
    return np.where(x[:, feature.astype(int)] <= threshold, low, high).sum(axis=1)


def place_weights(places: np.ndarray) -> np.ndarray:
    """Returns weights by which a place of many pictures counts as the root of their number."""
    return np.array([1 / (places == place).sum() ** 0.5 for place in places])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--hold-out", nargs="*", default=[])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("floor_priors.npz"))
    options = parser.parse_args()
    model = sd.load_model("nano")
    rows = []
    for folder in options.datasets:
        rows += [row | {"place": folder.name} for row in observe(folder, model, options.every)]
    for row in rows:
        row["view"] = pitch_prior.pitch_features(row["inverse"], row["limits"], row["camera"])
        share = 0.0 if row["floor"] is None else row["floor"].share
        row["label"] = 1 if share > SEEN_SHARE else 0 if share < UNSEEN_SHARE else -1
    learned = [row for row in rows if row["place"] not in options.hold_out]
    seen = [row for row in learned if row["label"] == 1]
    pitch = fit_pitch(seen, place_weights(np.array([row["place"] for row in seen])))
    pitch_prior.floor_priors()["pitch"] = pitch
    for row in rows:
        row["gravity"] = estimate_gravity(row["image"], row["inverse"], row["camera"])
        line = find_level_floor(row["inverse"], row["camera"], row["gravity"].up, row["limits"])
        row["features"] = None if line is None else line.features
    known = [row for row in rows if row["features"] is not None and row["label"] >= 0]
    x, y = np.array([row["features"] for row in known]), np.array([row["label"] for row in known])
    place = np.array([row["place"] for row in known])
    is_learned, weight = ~np.isin(place, options.hold_out), place_weights(place)
    for label in (0, 1):
        weight[y == label] /= max(weight[(y == label) & is_learned].sum(), 1e-9)
    for name in sorted(set(place)):
        of_place = place == name
        chosen = is_learned & ~of_place
        if len(set(y[chosen])) < 2:
            continue
        value = logits(fit_stumps(x[chosen], y[chosen], weight[chosen]), x[of_place])
        floors, others = value[y[of_place] == 1], value[y[of_place] == 0]
        tilt = [
            math.degrees(math.acos(np.clip(row["gravity"].up @ row["floor"].up, -1, 1)))
            for row in known
            if row["place"] == name and row["label"] == 1
        ]
        refused = [int((part < _LIMIT).sum()) for part in (floors, others)]
        sys.stdout.write(
            f"{name}: {len(floors)} with a floor, {refused[0]} refused; {len(others)} without, {refused[1]} refused; "
            f"tilt {np.median(tilt) if tilt else math.nan:.1f} degrees\n"
        )
    if len(set(y[is_learned])) == 2:
        stumps = fit_stumps(x[is_learned], y[is_learned], weight[is_learned])
        np.savez_compressed(options.output, stumps=stumps.astype(np.float32), pitch=pitch.astype(np.float32))


if __name__ == "__main__":
    main()
