"""Losses that ignore a picture's unknown scale and shift, and a loss for the agreement of two views.

Ranftl et al., "Towards Robust Monocular Depth Estimation" (TPAMI 2020): median and mean absolute deviation normalize
prediction and ground truth, both in inverse depth; gradients are matched at several scales.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def normalize(inverse: Tensor, known: Tensor) -> Tensor:
    """Returns (N, H, W) minus each picture's median, over its mean absolute deviation, of known pixels; 0 elsewhere."""
    median = inverse.masked_fill(~known, torch.nan).flatten(1).nanmedian(1).values[:, None, None].nan_to_num(0.0)
    # Unknown pixels become zero before any arithmetic: a NaN there would poison the gradients of all.
    centered = torch.where(known, inverse - median, 0.0)
    count = known.sum((1, 2), keepdim=True).clamp_min(1)
    spread = centered.abs().sum((1, 2), keepdim=True) / count
    return centered / spread.clamp_min(1e-6)


def scale_and_shift_loss(
    prediction: Tensor,
    truth: Tensor,
    detail_weights: Tensor,
    picture_weights: Tensor,
    *,
    anchor: float = 0.1,
    gradients: float = 2.0,
) -> Tensor:
    """Returns the mean absolute error plus the multi-scale gradient error of the normalized maps.

    Args:
        prediction: (N, H, W).
        truth: (N, H, W) inverse depth, NaN = unknown.
        detail_weights: (N,) weight of each picture's finest gradients; with 0 its gradients do not count at all.
        picture_weights: (N,) weight of each picture.
        anchor: weight of the error of the prediction without normalization, which keeps the network's scale steady.
        gradients: weight of the gradient error.
    """
    known = truth.isfinite()
    target = normalize(truth.nan_to_num(0.0), known)
    normalized = normalize(prediction, known)
    count = known.sum((1, 2)).clamp_min(1)
    error = (normalized - target).abs().clamp_max(5.0).sum((1, 2)) / count
    plain = torch.where(known, (prediction - target).abs().clamp_max(5.0), 0.0).sum((1, 2)) / count
    gradient = gradient_error(normalized - target, known, detail_weights)
    return (picture_weights * (error + anchor * plain + gradients * gradient)).mean()


def gradient_error(relative_difference: Tensor, known: Tensor, detail_weights: Tensor, scales: int = 4) -> Tensor:
    """Returns the (N,) mean absolute gradients of (N, H, W), as means over scales, each half the size of the last.

    The finest scale is weighted by `detail_weights`, the coarsest by their roots. A coarser pixel is the mean of the
    known ones of four pixels, and it is known where half of them are.
    """
    total, d, k = torch.zeros_like(detail_weights), relative_difference, known
    for scale in range(scales):
        if scale:
            d, k = _halved(d, k)
        weight = detail_weights ** (1 - 0.5 * scale / max(scales - 1, 1))
        total = total + weight * (_mean_step(d, k, 1) + _mean_step(d, k, 2)) / scales
    return total


def _halved(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    share = F.avg_pool2d(known[:, None].float(), 2)[:, 0]
    mean = F.avg_pool2d(torch.where(known, values, 0.0)[:, None], 2)[:, 0] / share.clamp_min(0.25)
    return mean, share >= 0.5


def _mean_step(values: Tensor, known: Tensor, axis: int) -> Tensor:
    """Returns the (N,) mean absolute differences of known neighbors along an axis."""
    count = values.shape[axis] - 1
    both = known.narrow(axis, 1, count) & known.narrow(axis, 0, count)
    steps = (values.narrow(axis, 1, count) - values.narrow(axis, 0, count)).abs().clamp_max(2.0)
    return torch.where(both, steps, 0.0).sum((1, 2)) / both.sum((1, 2)).clamp_min(1)


def agreement_loss(first: Tensor, second: Tensor, view_transforms: Tensor) -> Tensor:
    """Returns the mean absolute difference of two predictions (P, H, W) where both views see the scene.

    Scale is not removed, because its changes are flicker in a stream.

    view_transforms: (P, 2, 3) maps from pixel of the second view to pixel of the first.
    """
    rows, columns = first.shape[1:]
    grid = F.affine_grid(
        _normalized(view_transforms, rows, columns), [len(first), 1, rows, columns], align_corners=False
    )
    warped = F.grid_sample(first[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    inside = (grid.abs() < 1).all(-1)
    return torch.where(inside, (warped - second).abs(), 0.0).sum() / inside.sum().clamp_min(1)


def _normalized(view_transforms: Tensor, rows: int, columns: int) -> Tensor:
    """Returns the same maps in coordinates from -1 at one border of the picture to 1 at the other."""
    half = view_transforms.new_tensor([columns / 2, rows / 2])
    linear = view_transforms[:, :, :2] * half / half[:, None]
    center = half - 0.5
    shift = (view_transforms[:, :, :2] @ center + view_transforms[:, :, 2] - center) / half
    return torch.cat([linear, shift[:, :, None]], 2)
