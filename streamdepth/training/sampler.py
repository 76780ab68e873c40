"""Batches of training views: drawn near uniformly over places, cropped, degraded and normalized on the device."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.core.errors import SourceOpenError
from streamdepth.training import placing
from streamdepth.training.disturb import disturb, make_dice
from streamdepth.training.pack import is_pack, read_packed
from streamdepth.training.samples import Sample, read_samples
from streamdepth.training.settings import TrainSet, TrainSettings
from streamdepth.utils.cpu import usable_cores

POWER = 0.1
"""Exponent of the number of pictures in the probability of a set; sets are drawn nearly uniformly."""
MOST_PASSES = 4.0
"""Largest probability of a picture, relative to the mean of all."""
FLAT = 0.3
"""Deviation of a view's truth, relative to the whole picture's, below which the view gets less weight."""
LEAST_KNOWN = 64
"""Number of known px below which a view has no weight."""
BLURRED = 1.4
"""Reduction above which pictures are first averaged over 2x2 px, against aliasing."""


@dataclass(frozen=True, slots=True)
class Batch:
    """N views of pictures; the last P are second views of the first P, by a camera that has moved a little."""

    images: Tensor
    """(N, 3, H, W) float32 in [-1, 1], channels last in memory."""
    truth: Tensor
    """(N, H, W) float32 inverse depth of any scale and shift, NaN = unknown."""
    detail_weights: Tensor
    """(N,) weights of the finest gradients, see `samples.DETAIL_WEIGHTS`."""
    picture_weights: Tensor
    """(N,) weights of whole views, 0 to 1, see `view_weights`."""
    view_transforms: Tensor
    """(P, 2, 3) maps from pixel (x, y, 1) of the second view to the pixel of the first."""


def sampling(counts: Sequence[int], weights: Sequence[float]) -> Tensor:
    """Returns the (S,) probabilities of sets with these numbers of pictures and weights, limited by MOST_PASSES."""
    count = torch.tensor(counts, dtype=torch.float64)
    chance = torch.tensor(weights, dtype=torch.float64) * count**POWER
    cap = MOST_PASSES * count / count.sum()
    chance /= chance.sum()
    for _ in range(len(counts)):  # what the cap takes from some goes to the others
        over = chance >= cap
        chance = torch.where(
            over, cap, chance * (1 - cap[over].sum()).clamp_min(0) / chance[~over].sum().clamp_min(1e-12)
        )
        if not (chance > cap * (1 + 1e-9)).any():
            break
    return chance / chance.sum()


def read_set(root: Path, data: TrainSet) -> list[Sample]:
    """Returns the samples of a set, from its folder in `root` or from the pack that `root` is.

    Raises SourceOpenError when the set cannot be read, or has no usable picture.
    """
    if is_pack(root):
        samples = read_packed(root, data.name, data.depth)
    else:
        samples = read_samples(root / data.name, data.depth, border=data.border)
    if not samples:
        raise SourceOpenError(
            f"no picture of '{root / data.name}' has depth to learn from: it is unknown, or flat", code="no-truth"
        )
    return samples


def make_sampler(root: Path, settings: TrainSettings, device: torch.device) -> tuple[BatchSampler, list[Sample]]:
    """Returns a sampler of all sets of a training, and the samples that are kept for validation.

    root: the folder of the datasets, or of their pack. Raises SourceOpenError as `read_set` does.
    """
    with ThreadPoolExecutor(usable_cores()) as pool:
        sets = list(pool.map(functools.partial(read_set, root), settings.sets))
    validation = [sample for samples in sets for sample in _split_off(samples, settings.validation_share)]
    chances = sampling([len(samples) for samples in sets], [data.weight for data in settings.sets])
    return BatchSampler(sets, chances, device, settings.seed), validation


def _split_off(samples: list[Sample], share: float) -> list[Sample]:
    """Removes the end of `samples` and returns it, since neighboring frames of a video are too similar to be split."""
    count = min(math.ceil(len(samples) * share), len(samples) - 1)
    held_back = samples[len(samples) - count :]
    del samples[len(samples) - count :]
    return held_back


class BatchSampler:
    """Draws batches from `sets` of samples by their probabilities; a seed and a step always give the same batch."""

    def __init__(self, sets: Sequence[Sequence[Sample]], chances: Tensor, device: torch.device, seed: int = 0) -> None:
        self.sets, self.chances, self.device, self.seed = sets, chances, device, seed

    def draw(self, step: int, size: tuple[int, int], batch: int, pairs: int, plain: float = 0.0) -> Batch:
        """Returns `batch` views of `size` (height, width), the last `pairs` of which are second views.

        plain: the share of views that are neither cropped, rolled nor degraded.
        """
        dice = make_dice(self.seed * 1_000_003 + step, self.device)
        rng = dice.choices
        samples = self._choose(batch - pairs, rng)
        shapes = torch.tensor([sample.codes.shape for sample in samples])
        is_plain = torch.rand(len(samples), generator=rng) < plain
        maps = placing.placements(shapes, size, is_plain, rng)
        moves = placing.nudges(pairs, size, rng)
        maps = torch.cat([maps, placing.compose(maps[:pairs], moves)])
        order = [*range(batch - pairs), *range(pairs)]
        views = [self._cut(samples[i], place, size) for i, place in zip(order, maps, strict=True)]
        images, truth = torch.cat([view for view, _ in views]), torch.cat([truth for _, truth in views])
        details = torch.tensor([samples[i].detail_weight for i in order], device=self.device)
        changed = ~is_plain[order].to(images.device)
        images[changed] = disturb(images[changed], dice)
        images = images.mul_(2).sub_(1).contiguous(memory_format=torch.channels_last)
        return Batch(images, truth, details, view_weights(truth), moves.to(self.device))

    def _choose(self, count: int, rng: torch.Generator) -> list[Sample]:
        places = torch.multinomial(self.chances, count, replacement=True, generator=rng).tolist()
        ranks = torch.rand(count, generator=rng).tolist()
        return [self.sets[i][int(rank * len(self.sets[i]))] for i, rank in zip(places, ranks, strict=True)]

    def _cut(self, sample: Sample, place: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Returns (1, 3, H, W) in [0, 1] and (1, H, W) truth, of median 0 and mean deviation 1 in the whole picture."""
        grid = placing.sample_grid(place, size, sample.codes.shape).to(self.device)
        picture = torch.from_numpy(sample.image).to(self.device).permute(2, 0, 1)[None].float().div_(255)
        if placing.shrink_factor(place) > BLURRED:
            picture = F.avg_pool2d(picture, 2)  # places on the grid are shares of the side, and so stay the same
        view = F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)
        codes = torch.from_numpy(sample.codes.astype(np.float32)).to(self.device)[None, None]
        # Beyond the picture's border grid_sample finds 0, and so does nearest sampling where depth is unknown.
        truth = F.grid_sample(codes, grid, mode="nearest", align_corners=False)[:, 0]
        return view, ((truth - sample.middle) / max(sample.deviation, 1.0)).masked_fill_(truth == 0, torch.nan)


def view_weights(truth: Tensor) -> Tensor:
    """Returns (N,) weights: 1, less for a view that is flat compared to its whole picture, 0 with hardly any truth."""
    known = truth.isfinite()
    count = known.flatten(1).sum(1)
    median = truth.flatten(1).nanmedian(1).values[:, None, None]
    spread = torch.where(known, (truth - median).abs(), 0.0).flatten(1).sum(1) / count.clamp_min(1)
    return (spread / FLAT).clamp(0, 1) * (count >= LEAST_KNOWN)
