"""Losses that ignore a picture's unknown scale and shift, and one that asks two views of a picture to agree.

Ranftl et al., "Towards Robust Monocular Depth Estimation" (TPAMI 2020): median and mean absolute deviation normalise
prediction and truth, both in inverse depth; gradients are matched at several scales.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def normalize(inverse: Tensor, known: Tensor) -> Tensor:
    """(N, H, W) minus each picture's median, over its mean absolute deviation, of known pixels; 0 elsewhere."""
    median = inverse.masked_fill(~known, torch.nan).flatten(1).nanmedian(1).values[:, None, None].nan_to_num(0.0)
    # Unknown pixels become zero before any arithmetic: a NaN there would poison the gradients of all.
    centered = torch.where(known, inverse - median, 0.0)
    count = known.sum((1, 2), keepdim=True).clamp_min(1)
    spread = centered.abs().sum((1, 2), keepdim=True) / count
    return centered / spread.clamp_min(1e-6)


def scale_and_shift_loss(prediction: Tensor, truth: Tensor, detail: Tensor, anchor: float = 0.1) -> Tensor:
    """Mean absolute error plus multi-scale gradient error of the normalised maps.

    prediction: (N, H, W); truth: (N, H, W) inverse depth, NaN = unknown; detail: (N,), how much a picture's finest
    gradients count, 0 leaves its gradients out. `anchor` weighs the error of the prediction as it is, which keeps the
    network's own scale steady.
    """
    known = truth.isfinite()
    target = normalize(truth.nan_to_num(0.0), known)
    own = normalize(prediction, known)
    per_picture = known.sum((1, 2)).clamp_min(1) * len(known)
    error = ((own - target).abs().clamp_max(5.0).sum((1, 2)) / per_picture).sum()
    plain = torch.where(known, (prediction - target).abs().clamp_max(5.0), 0.0).sum((1, 2))
    return error + anchor * (plain / per_picture).sum() + gradient_loss(own - target, known, detail)


def gradient_loss(relative_difference: Tensor, known: Tensor, detail: Tensor, scales: int = 4) -> Tensor:
    """Mean absolute gradient of (N, H, W), summed over `scales`: the finest by `detail`, the coarsest by its root."""
    total = relative_difference.new_zeros(())
    for scale in range(scales):
        weight = detail ** (1 - 0.5 * scale / max(scales - 1, 1))
        d, k = relative_difference[:, :: 2**scale, :: 2**scale], known[:, :: 2**scale, :: 2**scale]
        for axis in (1, 2):
            n = d.shape[axis] - 1
            a, b = d.narrow(axis, 1, n), d.narrow(axis, 0, n)
            both = k.narrow(axis, 1, n) & k.narrow(axis, 0, n)
            steps = torch.where(both, (a - b).abs().clamp_max(2.0), 0.0).sum((1, 2)) / both.sum((1, 2)).clamp_min(1)
            total = total + (weight * steps).mean()
    return total


def agreement_loss(first: Tensor, second: Tensor, moves: Tensor) -> Tensor:
    """Mean absolute difference of two predictions (P, H, W) where both views see the scene.

    moves: (P, 2, 3), pixel of the second view -> pixel of the first. The network's own scale counts: a stream shows
    its changes as flicker.
    """
    rows, columns = first.shape[1:]
    grid = F.affine_grid(_normalized(moves, rows, columns), [len(first), 1, rows, columns], align_corners=False)
    there = F.grid_sample(first[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    inside = (grid.abs() < 1).all(-1)
    return torch.where(inside, (there - second).abs(), 0.0).sum() / inside.sum().clamp_min(1)


def _normalized(moves: Tensor, rows: int, columns: int) -> Tensor:
    """The same maps in coordinates from -1 at one border of the picture to 1 at the other."""
    half = moves.new_tensor([columns / 2, rows / 2])
    linear = moves[:, :, :2] * half / half[:, None]
    center = half - 0.5
    shift = (moves[:, :, :2] @ center + moves[:, :, 2] - center) / half
    return torch.cat([linear, shift[:, :, None]], 2)
