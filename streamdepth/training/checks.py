"""Validation during training: on pictures held back from it, and on datasets never trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.estimators.nano import MULTIPLE, AnyNano, NanoEstimator
from streamdepth.evaluation.accuracy.crops import EIGEN_CROP, NO_CROP
from streamdepth.evaluation.accuracy.evaluate import ValidRegion, evaluate
from streamdepth.evaluation.datasets import DepthDataset
from streamdepth.training.losses import normalize
from streamdepth.training.samples import Sample


def to_input(images: Tensor) -> Tensor:
    """Converts (N, H, W, 3) uint8 to (N, 3, H, W) float in [-1, 1], channels last in memory."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


@torch.no_grad()
def validation_error(network: AnyNano, samples: Sequence[Sample]) -> float | None:
    """Returns the mean absolute error of depth normalized by median and mean deviation; None without samples."""
    errors = []
    for sample in samples:
        rows, columns = (max(1, round(side / MULTIPLE)) * MULTIPLE for side in sample.codes.shape)
        image = cv2.resize(sample.image, (columns, rows), interpolation=cv2.INTER_AREA)
        out = network(to_input(torch.from_numpy(image)[None]))
        truth = torch.from_numpy(sample.codes.astype(np.float32))[None]
        own = F.interpolate(out[:, None], truth.shape[1:], mode="bilinear")[:, 0]
        difference = normalize(own, truth > 0) - normalize(truth, truth > 0)
        errors.append(difference.abs().sum().item() / (truth > 0).sum().item())
    return float(np.mean(errors)) if errors else None


def delta1_on(weights: Path, root: Path, name: str, most: int) -> float:
    """Returns delta1 on at most `most` evenly spaced pictures of a dataset, scale and shift fitted to each."""
    data = DepthDataset(root / name)
    crop = EIGEN_CROP if data.name.startswith("nyu") else NO_CROP
    pairs = data.pairs(data.names(every=math.ceil(len(data) / most)), border=crop.border_px)
    estimator = NanoEstimator(weights=weights, engine="torch", device="cpu")
    return evaluate(pairs, estimator, ValidRegion(crop)).aligned.delta1
