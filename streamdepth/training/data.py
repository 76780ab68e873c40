"""Pictures with depth for training: read once, kept small in memory, cropped and disturbed anew each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.training.augment import Matrix, compose, cut, disturb, nudge, placement
from streamdepth.training.settings import TrainSet, TrainSettings

HEIGHT = 240
"""Higher pictures are reduced to this height."""
DETAIL = {"sparse": 0.0, "sensor": 0.3, "exact": 1.0}
"""How much the finest gradients of a set's depth count: none with holes, little where sensors blur the edges."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, (H, W, 3) uint8 RGB, and its inverse depth, (H, W) float32 in 1/m, 0 = infinite, NaN = unknown."""

    image: Image
    inverse: DepthMap


@dataclass(frozen=True, slots=True)
class Batch:
    """N views of pictures; the last P are second views of the first P, from a camera that moved a little."""

    images: Tensor
    """(N, H, W, 3) uint8 RGB."""
    truth: Tensor
    """(N, H, W) float32 inverse depth of any scale, NaN = unknown."""
    detail: Tensor
    """(N,) float32, see `DETAIL`."""
    moves: Tensor
    """(P, 2, 3) float32: pixel (x, y, 1) of the second view -> pixel of the first."""

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


def read_folder(root: Path, data: TrainSet) -> list[Sample]:
    """All pictures of one data set, `HEIGHT` px high at most. Raises SourceOpenError when they cannot be read."""
    return [_shrink(pair.image, pair.depth) for pair in DepthDataset(root / data.name).pairs(border=data.border)]


def _shrink(image: Image, metres: DepthMap) -> Sample:
    height, width = metres.shape
    rows = min(height, HEIGHT)
    size = (round(width * rows / height), rows)
    small = np.full((size[1], size[0]), np.nan, np.float32)
    ys, xs = np.nonzero(~np.isnan(metres))
    # Scattering keeps every LiDAR point, where picking pixels would lose most of them.
    small[ys * rows // height, xs * size[0] // width] = 1.0 / metres[ys, xs]
    return Sample(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), small)


class Crops:
    """Random batches: one size a batch, each picture from a set drawn by weight.

    `pairs` of the `batch` views are second views of a picture in the batch. Raises SourceOpenError for pictures that
    cannot be read.
    """

    def __init__(self, root: Path, settings: TrainSettings) -> None:
        sets = settings.sets
        self.samples = [read_folder(root, data) for data in sets]
        self.held_back = [_hold_back(samples, settings.hold_back) for samples in self.samples]
        self.details = [DETAIL[data.depth] for data in sets]
        self.batch, self.pairs, self.sizes, self.seed = settings.batch, settings.pairs, settings.sizes, settings.seed
        weights = np.array([data.weight for data in sets])
        self.weights = weights / weights.sum()

    def draw(self, step: int) -> Batch:
        """Batch number `step`, the same for the same seed."""
        rng = np.random.default_rng((self.seed, step))
        size = self.sizes[rng.integers(len(self.sizes))]
        sets = rng.choice(len(self.samples), self.batch - self.pairs, p=self.weights)
        samples = [self.samples[i][rng.integers(len(self.samples[i]))] for i in sets]
        places = [placement(sample.inverse.shape, size, rng) for sample in samples]
        moves = [nudge(size, rng) for _ in range(self.pairs)]
        places += [compose(first, move) for first, move in zip(places, moves, strict=False)]
        views = [
            cut(sample.image, sample.inverse, place, size)
            for sample, place in zip(samples + samples[: self.pairs], places, strict=True)
        ]
        details = [self.details[i] for i in sets]
        return Batch(
            torch.from_numpy(np.stack([disturb(image, rng) for image, _ in views])),
            torch.from_numpy(np.stack([inverse for _, inverse in views])),
            torch.tensor(details + details[: self.pairs]),
            torch.from_numpy(_stack(moves)),
        )


def _hold_back(samples: list[Sample], share: float) -> list[Sample]:
    """Takes the end of `samples` away and returns it: of a video the neighbours of a frame are nearly that frame."""
    count = min(math.ceil(len(samples) * share), len(samples) - 1)
    held_back = samples[len(samples) - count :]
    del samples[len(samples) - count :]
    return held_back


def _stack(moves: Sequence[Matrix]) -> npt.NDArray[np.float32]:
    return np.array(moves, np.float32).reshape(-1, 2, 3)
