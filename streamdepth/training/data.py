"""Pictures with depth for training: read once, kept small in memory, cropped and degraded anew each time."""

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
from streamdepth.training.augment import Matrix, compose_affine, crop_view, degrade, random_camera_motion, random_crop
from streamdepth.training.settings import TrainSet, TrainSettings

MAX_HEIGHT = 240
"""Higher pictures are reduced to this height, px."""
DETAIL_WEIGHTS = {"sparse": 0.0, "sensor": 0.3, "exact": 1.0}
"""Kind of depth -> weight of its finest gradients: none with holes, little where sensors blur the edges."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, (H, W, 3) uint8 RGB, and its inverse depth, (H, W) float32 in 1/m, 0 = infinite, NaN = unknown."""

    image: Image
    inverse: DepthMap


@dataclass(frozen=True, slots=True)
class Batch:
    """N views of pictures; the last P are second views of the first P, by a camera that has moved a little."""

    images: Tensor
    """(N, H, W, 3) uint8 RGB."""
    truth: Tensor
    """(N, H, W) float32 inverse depth of any scale, NaN = unknown."""
    detail_weights: Tensor
    """(N,) float32, see DETAIL_WEIGHTS."""
    view_transforms: Tensor
    """(P, 2, 3) float32 maps from pixel (x, y, 1) of the second view to the pixel of the first."""

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on another device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


def read_samples(root: Path, data: TrainSet) -> list[Sample]:
    """Reads all pictures of a dataset, at most MAX_HEIGHT px high. Raises SourceOpenError when one cannot be read."""
    return [_downscaled(pair.image, pair.depth) for pair in DepthDataset(root / data.name).pairs(border=data.border)]


def _downscaled(image: Image, meters: DepthMap) -> Sample:
    height, width = meters.shape
    rows = min(height, MAX_HEIGHT)
    size = (round(width * rows / height), rows)
    small = np.full((size[1], size[0]), np.nan, np.float32)
    ys, xs = np.nonzero(~np.isnan(meters))
    # Scattering keeps every LiDAR point, where picking pixels would lose most of them.
    small[ys * rows // height, xs * size[0] // width] = 1.0 / meters[ys, xs]
    return Sample(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), small)


class BatchSampler:
    """A sampler of random batches: each batch has one size, and each picture comes from a dataset drawn by weight.

    `pairs` of the `batch` views are second views of a picture in the batch. Raises SourceOpenError for pictures that
    cannot be read.
    """

    def __init__(self, root: Path, settings: TrainSettings) -> None:
        sets = settings.sets
        self.samples = [read_samples(root, data) for data in sets]
        self.validation = [_split_off_validation(samples, settings.validation_share) for samples in self.samples]
        self.detail_weights = [DETAIL_WEIGHTS[data.depth] for data in sets]
        self.batch, self.pairs, self.sizes, self.seed = settings.batch, settings.pairs, settings.sizes, settings.seed
        weights = np.array([data.weight for data in sets])
        self.weights = weights / weights.sum()

    def draw(self, step: int) -> Batch:
        """Returns batch number `step`, the same for the same seed."""
        rng = np.random.default_rng((self.seed, step))
        size = self.sizes[rng.integers(len(self.sizes))]
        sets = rng.choice(len(self.samples), self.batch - self.pairs, p=self.weights)
        samples = [self.samples[i][rng.integers(len(self.samples[i]))] for i in sets]
        places = [random_crop(sample.inverse.shape, size, rng) for sample in samples]
        view_transforms = [random_camera_motion(size, rng) for _ in range(self.pairs)]
        places += [compose_affine(first, move) for first, move in zip(places, view_transforms, strict=False)]
        views = [
            crop_view(sample.image, sample.inverse, place, size)
            for sample, place in zip(samples + samples[: self.pairs], places, strict=True)
        ]
        detail_weights = [self.detail_weights[i] for i in sets]
        return Batch(
            torch.from_numpy(np.stack([degrade(image, rng) for image, _ in views])),
            torch.from_numpy(np.stack([inverse for _, inverse in views])),
            torch.tensor(detail_weights + detail_weights[: self.pairs]),
            torch.from_numpy(_stack(view_transforms)),
        )


def _split_off_validation(samples: list[Sample], share: float) -> list[Sample]:
    """Removes the end of `samples` and returns it; neighbors in a video are too alike to be split at random."""
    count = min(math.ceil(len(samples) * share), len(samples) - 1)
    validation = samples[len(samples) - count :]
    del samples[len(samples) - count :]
    return validation


def _stack(view_transforms: Sequence[Matrix]) -> npt.NDArray[np.float32]:
    return np.array(view_transforms, np.float32).reshape(-1, 2, 3)
