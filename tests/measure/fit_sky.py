"""Makes the weights of the sky's detector anew, and tells how good they are at places that they were not made from.

    python tests/measure/fit_sky.py DATASET... [--every N] [--folds N] -o sky_weights.npz

Each dataset is a folder as `streamdepth eval` reads it, with sky as its `infinity`, and counts as one place. Where a
dataset has no sky, all of its pixels are none. Each place is judged by what the others say.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

import streamdepth as sd
from streamdepth.core.types import Frame
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.geometry import sky
from streamdepth.stabilizers.optical_flow import flow_size

HIDDEN = 24, 12
CELLS = 160
"""Cells that are learned from each picture and each change of its colors."""
SKY_ODDS = 0.5
"""Odds of sky among what is learned; regions that are not far away do not count afterwards."""


@dataclass
class SkyPicture:
    """A picture with its depth and its true sky."""

    place: str
    small: np.ndarray
    """(h, w, 3) RGB, 160 px on the longer side."""
    inverse: np.ndarray
    sky: np.ndarray
    """(h, w) share of sky, 0 to 1."""


def observe(folder: Path, model: sd.DepthModel, every: int) -> list[SkyPicture]:
    """Returns the pictures of one place with the model's depth."""
    data, found = DepthDataset(folder), []
    for pair in data.pairs(data.names(every=every)):
        inverse = model.estimator.estimate([Frame(pair.image, 0, 0, Fraction(1), 0.0)])[0].depth
        size = flow_size(pair.image.shape[1], pair.image.shape[0])
        small = cv2.resize(pair.image, size, interpolation=cv2.INTER_AREA)
        truth = cv2.resize(np.isposinf(pair.depth).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        found.append(SkyPicture(data.name, small, inverse, truth))
    return found


def recolored(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture of another brightness, contrast, saturation and white balance; one in six is gray."""
    values = (image.astype(np.float32) / 255) ** rng.uniform(0.6, 1.6) * rng.uniform(0.75, 1.2)
    gray = values.mean(axis=2, keepdims=True)
    saturation = rng.uniform(0.3, 2.2) if rng.random() > 1 / 6 else 0.0
    values = (gray + saturation * (values - gray)) * rng.uniform(0.85, 1.15, 3)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def cells(picture: SkyPicture, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of all cells and their share of sky."""
    size = [max(8, round(sky.GRID_SIDE * side / max(image.shape[:2]))) for side in image.shape[1::-1]]
    truth = cv2.resize(picture.sky, size, interpolation=cv2.INTER_AREA)
    return sky.sky_features(image, picture.inverse, tuple(size)), truth.ravel()


def samples(pictures: list[SkyPicture], variants: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns features, labels, weights and the number of the picture of cells that are all sky or have none."""
    rng, parts = np.random.default_rng(0), []
    count = {place: sum(p.place == place for p in pictures) for place in {p.place for p in pictures}}
    for number, picture in enumerate(pictures):
        for variant in range(variants):
            image = picture.small if variant == 0 else recolored(picture.small, rng)
            x, y = cells(picture, image)
            pure = np.flatnonzero((y < 0.02) | (y > 0.98))
            chosen = rng.choice(pure, min(CELLS, len(pure)), replace=False)
            weight = np.full(len(chosen), 1 / count[picture.place] ** 0.6)
            parts.append((x[chosen], y[chosen] > 0.5, weight, np.full(len(chosen), number)))
    x, y, weight, number = (np.concatenate(part) for part in zip(*parts, strict=True))
    weight[y] *= SKY_ODDS * weight[~y].sum() / weight[y].sum()
    return x, y, weight / weight.mean(), number


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, epochs: int = 8) -> dict[str, np.ndarray]:
    """Returns the weights of the perceptron."""
    torch.manual_seed(0)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    inputs, labels, weights = (
        torch.tensor(a, dtype=torch.float32) for a in ((x - mean) / spread, y.astype(np.float32), weight)
    )
    sizes = (x.shape[1], *HIDDEN, 1)
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
    net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.02)
    steps = epochs * (len(x) // 1024 + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(1024):
            noisy = inputs[part] + 0.1 * torch.randn(len(part), x.shape[1])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                net(noisy)[:, 0], labels[part] * 0.98 + 0.01, weights[part]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    found = {"mean": mean, "spread": spread}
    for i, layer in enumerate(layers, 1):
        found |= {f"weight{i}": layer.weight.detach().numpy().T, f"bias{i}": layer.bias.detach().numpy()}
    return found


def use(weights: dict[str, np.ndarray]) -> None:
    """Makes the detector of this process use these weights."""
    sky._sky_weights.cache_clear()
    sky._sky_weights = lambda: weights
    sky._sky_weights.cache_clear = lambda: None


def judge(picture: SkyPicture) -> tuple[float, float, float]:
    """Returns the shares of the picture that are sky, that are sky and found, and that are found but none."""
    region = sky.sky_region(sky.sky_probability(picture.small, picture.inverse)).astype(np.float32)
    found = cv2.resize(region, picture.small.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    return (
        float((picture.sky > 0.5).mean()),
        float((found & (picture.sky > 0.5)).mean()),
        float((found & (picture.sky < 0.02)).mean()),
    )


def cross_validate(pictures: list[SkyPicture], folds: int) -> None:
    """Prints for each place what weights of other places find there."""
    places = sorted(
        {p.place for p in pictures}, key=lambda place: (-sum(p.sky.sum() for p in pictures if p.place == place), place)
    )
    x, y, weight, number = samples(pictures)
    for fold in range(folds):
        held = set(places[fold::folds])
        is_held = np.array([p.place in held for p in pictures])
        used = ~is_held[number]
        use(fit(x[used], y[used], weight[used]))
        for place in sorted(held):
            shares = np.array([judge(p) for p in pictures if p.place == place])
            wrong = int((shares[:, 2] > 0.005).sum())
            hit = shares[:, 1].sum() / max(shares[:, 0].sum(), 1e-9)
            sys.stdout.write(
                f"{place}: {len(shares)} pictures, {shares[:, 0].mean():.1%} sky, {hit:.1%} of it found, "
                f"{shares[:, 2].mean():.2%} wrongly, in {wrong} pictures\n"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    model = sd.load_model("nano")
    pictures = [p for folder in options.datasets for p in observe(folder, model, options.every)]
    cross_validate(pictures, options.folds)
    x, y, weight, _ = samples(pictures)
    np.savez(options.output, **{name: part.astype(np.float32) for name, part in fit(x, y, weight).items()})


if __name__ == "__main__":
    sys.exit(main())
