"""Losses that ignore a picture's unknown scale and shift, and one that asks two views of a picture to agree.

Ranftl et al., "Towards Robust Monocular Depth Estimation" (TPAMI 2020): median and mean absolute deviation normalise
prediction and truth, both in inverse depth; gradients are matched at several scales.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def normalise(inverse: Tensor, known: Tensor) -> Tensor:
    """(N, H, W) minus each picture's median, over its mean absolute deviation, of known pixels; 0 elsewhere."""
    median = inverse.masked_fill(~known, torch.nan).flatten(1).nanmedian(1).values[:, None, None].nan_to_num(0.0)
    # Unknown pixels become zero before any arithmetic: a NaN there would poison the gradients of all.
    centred = torch.where(known, inverse - median, 0.0)
    count = known.sum((1, 2), keepdim=True).clamp_min(1)
    spread = centred.abs().sum((1, 2), keepdim=True) / count
    return centred / spread.clamp_min(1e-6)


def scale_and_shift_loss(
    prediction: Tensor, truth: Tensor, detail: Tensor, weight: Tensor, *, anchor: float = 0.1, gradients: float = 2.0
) -> Tensor:
    """Mean absolute error plus multi-scale gradient error of the normalised maps.

    prediction: (N, H, W); truth: (N, H, W) inverse depth, NaN = unknown; detail: (N,), how much a picture's finest
    gradients count, 0 leaves its gradients out; weight: (N,), how much a picture counts at all. `anchor` weighs the
    error of the prediction as it is, which keeps the network's own scale steady; `gradients` weighs their error.
    """
    known = truth.isfinite()
    target = normalise(truth.nan_to_num(0.0), known)
    own = normalise(prediction, known)
    count = known.sum((1, 2)).clamp_min(1)
    error = (own - target).abs().clamp_max(5.0).sum((1, 2)) / count
    plain = torch.where(known, (prediction - target).abs().clamp_max(5.0), 0.0).sum((1, 2)) / count
    steps = gradient_error(own - target, known, detail)
    return (weight * (error + anchor * plain + gradients * steps)).mean()


def gradient_error(difference: Tensor, known: Tensor, detail: Tensor, scales: int = 4) -> Tensor:
    """(N,) mean absolute gradient of (N, H, W), the mean over `scales`, each half the size of the one before.

    The finest scale counts by `detail`, the coarsest by its root. A coarser pixel is the mean of the known
    ones of four, and known where half of them are.
    """
    total, d, k = torch.zeros_like(detail), difference, known
    for scale in range(scales):
        if scale:
            d, k = _halve(d, k)
        weight = detail ** (1 - 0.5 * scale / max(scales - 1, 1))
        total = total + weight * (_steps(d, k, 1) + _steps(d, k, 2)) / scales
    return total


def _halve(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    share = F.avg_pool2d(known[:, None].float(), 2)[:, 0]
    mean = F.avg_pool2d(torch.where(known, values, 0.0)[:, None], 2)[:, 0] / share.clamp_min(0.25)
    return mean, share >= 0.5


def _steps(values: Tensor, known: Tensor, axis: int) -> Tensor:
    """(N,) mean absolute difference of neighbours along an axis that are both known."""
    count = values.shape[axis] - 1
    both = known.narrow(axis, 1, count) & known.narrow(axis, 0, count)
    steps = (values.narrow(axis, 1, count) - values.narrow(axis, 0, count)).abs().clamp_max(2.0)
    return torch.where(both, steps, 0.0).sum((1, 2)) / both.sum((1, 2)).clamp_min(1)


def agreement_loss(first: Tensor, second: Tensor, moves: Tensor) -> Tensor:
    """Mean absolute difference of two predictions (P, H, W) where both views see the scene.

    moves: (P, 2, 3), pixel of the second view -> pixel of the first. The network's own scale counts: a stream shows
    its changes as flicker.
    """
    rows, columns = first.shape[1:]
    grid = F.affine_grid(_normalised(moves, rows, columns), [len(first), 1, rows, columns], align_corners=False)
    there = F.grid_sample(first[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    inside = (grid.abs() < 1).all(-1)
    return torch.where(inside, (there - second).abs(), 0.0).sum() / inside.sum().clamp_min(1)


def _normalised(moves: Tensor, rows: int, columns: int) -> Tensor:
    """The same maps in coordinates from -1 at one border of the picture to 1 at the other."""
    half = moves.new_tensor([columns / 2, rows / 2])
    linear = moves[:, :, :2] * half / half[:, None]
    center = half - 0.5
    shift = (moves[:, :, :2] @ center + moves[:, :, 2] - center) / half
    return torch.cat([linear, shift[:, :, None]], 2)
