"""Batches of training views: drawn near uniformly over places, cut, disturbed and normalised on the device."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.errors import SourceOpenError
from streamdepth.training import placing
from streamdepth.training.disturb import disturb, make_dice
from streamdepth.training.pack import is_pack, read_packed
from streamdepth.training.samples import Sample, read_samples
from streamdepth.training.settings import TrainSet, TrainSettings

POWER = 0.1
"""A set of c pictures is drawn as often as c to this power says: near uniformly over places."""
MOST_PASSES = 4.0
"""No picture is drawn more often than this many times the mean of all."""
FLAT = 0.3
"""A view whose truth deviates less than this share of the whole picture's deviation counts less, down to nothing."""
LEAST_KNOWN = 64
"""px of truth, without which a view does not count at all."""
BLURRED = 1.4
"""Pictures that shrink more than that are averaged over 2x2 px first, or they would shimmer as no camera does."""


@dataclass(frozen=True, slots=True)
class Batch:
    """N views of pictures; the last P are second views of the first P, from a camera that moved a little."""

    images: Tensor
    """(N, 3, H, W) float32 in [-1, 1], channels last in memory."""
    truth: Tensor
    """(N, H, W) float32 inverse depth of any scale and shift, NaN = unknown."""
    detail: Tensor
    """(N,) how much gradients count, see `samples.DETAIL`."""
    weight: Tensor
    """(N,) how much the view counts, 0 to 1."""
    moves: Tensor
    """(P, 2, 3): pixel (x, y, 1) of the second view -> pixel of the first."""


def sampling(counts: Sequence[int], weights: Sequence[float]) -> Tensor:
    """(S,) the chance of each set, of so many pictures and such a wish, capped by `MOST_PASSES`."""
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


def read_sets(root: Path, sets: Sequence[TrainSet]) -> Iterator[list[Sample]]:
    """The samples of each set, from folders in `root` or from the pack that `root` is.

    Raises SourceOpenError when a set cannot be read, or holds nothing to learn from.
    """
    for data in sets:
        if is_pack(root):
            samples = read_packed(root, data.name, data.depth)
        else:
            samples = read_samples(root / data.name, data.depth, border=data.border)
        if not samples:
            raise SourceOpenError(f"no picture of '{root / data.name}' has depth to learn from: it is unknown, or flat")
        yield samples


def open_views(root: Path, settings: TrainSettings, device: torch.device) -> tuple[Views, list[Sample]]:
    """The views of all sets of a training, and the samples held back from it.

    root: the folder of the data sets, or of their pack. Raises SourceOpenError as `read_sets` does.
    """
    sets = list(read_sets(root, settings.sets))
    held_back = [sample for samples in sets for sample in _hold_back(samples, settings.hold_back)]
    chances = sampling([len(samples) for samples in sets], [data.weight for data in settings.sets])
    return Views(sets, chances, device, settings.seed), held_back


def _hold_back(samples: list[Sample], share: float) -> list[Sample]:
    """Takes the end of `samples` away and returns it: of a video the neighbours of a frame are nearly that frame."""
    count = min(math.ceil(len(samples) * share), len(samples) - 1)
    held_back = samples[len(samples) - count :]
    del samples[len(samples) - count :]
    return held_back


class Views:
    """Batches of `sets` of samples, drawn with `chances`; batch number `step` is the same for the same seed."""

    def __init__(self, sets: Sequence[Sequence[Sample]], chances: Tensor, device: torch.device, seed: int = 0) -> None:
        self.sets, self.chances, self.device, self.seed = sets, chances, device, seed

    def draw(self, step: int, size: tuple[int, int], batch: int, pairs: int) -> Batch:
        """`batch` views of `size` (height, width), the last `pairs` of them second views."""
        dice = make_dice(self.seed * 1_000_003 + step, self.device)
        rng = dice.choices
        samples = self._choose(batch - pairs, rng)
        shapes = torch.tensor([sample.codes.shape for sample in samples])
        maps = placing.placements(shapes, size, rng)
        moves = placing.nudges(pairs, size, rng)
        maps = torch.cat([maps, placing.compose(maps[:pairs], moves)])
        order = [*range(batch - pairs), *range(pairs)]
        views = [self._cut(samples[i], place, size) for i, place in zip(order, maps, strict=True)]
        images, truth = torch.cat([view for view, _ in views]), torch.cat([truth for _, truth in views])
        details = torch.tensor([samples[i].detail for i in order], device=self.device)
        images = disturb(images, dice).mul_(2).sub_(1).contiguous(memory_format=torch.channels_last)
        return Batch(images, truth, details, view_weights(truth), moves.to(self.device))

    def _choose(self, count: int, rng: torch.Generator) -> list[Sample]:
        places = torch.multinomial(self.chances, count, replacement=True, generator=rng).tolist()
        ranks = torch.rand(count, generator=rng).tolist()
        return [self.sets[i][int(rank * len(self.sets[i]))] for i, rank in zip(places, ranks, strict=True)]

    def _cut(self, sample: Sample, place: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W) in [0, 1] and (1, H, W) truth: median 0, mean absolute deviation 1 in the whole picture."""
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
    """(N,): 1, less for a view that is flat against its whole picture, 0 for one with next to no truth."""
    known = truth.isfinite()
    count = known.flatten(1).sum(1)
    median = truth.flatten(1).nanmedian(1).values[:, None, None]
    spread = torch.where(known, (truth - median).abs(), 0.0).flatten(1).sum(1) / count.clamp_min(1)
    return (spread / FLAT).clamp(0, 1) * (count >= LEAST_KNOWN)
