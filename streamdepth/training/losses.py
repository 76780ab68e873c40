"""Losses that ignore a picture's unknown scale and shift.

Ranftl et al., "Towards Robust Monocular Depth Estimation" (TPAMI 2020): median and mean absolute deviation normalise
prediction and truth, both in inverse depth; gradients are matched at several scales.
"""

from __future__ import annotations

import torch
from torch import Tensor


def normalise(inverse: Tensor, known: Tensor) -> Tensor:
    """(N, H, W) minus each picture's median, over its mean absolute deviation, of known pixels; 0 elsewhere."""
    median = inverse.masked_fill(~known, torch.nan).flatten(1).nanmedian(1).values[:, None, None]
    # Unknown pixels become zero before any arithmetic: a NaN there would poison the gradients of all.
    centred = torch.where(known, inverse - median, 0.0)
    count = known.sum((1, 2), keepdim=True).clamp_min(1)
    spread = centred.abs().sum((1, 2), keepdim=True) / count
    return centred / spread.clamp_min(1e-6)


def scale_and_shift_loss(prediction: Tensor, truth: Tensor, dense: Tensor, anchor: float = 0.1) -> Tensor:
    """Mean absolute error plus multi-scale gradient error of the normalised maps.

    prediction: (N, H, W); truth: (N, H, W) inverse depth, NaN = unknown; dense: (N,) bool, False leaves a picture's
    gradients out. `anchor` weighs the error of the prediction as it is, which keeps the network's own scale steady.
    """
    known = truth.isfinite()
    target = normalise(truth.nan_to_num(0.0), known)
    own = normalise(prediction, known)
    error = (own - target).abs().clamp_max(5.0).sum() / known.sum()
    plain = torch.where(known, (prediction - target).abs().clamp_max(5.0), 0.0).sum() / known.sum()
    return error + anchor * plain + 0.5 * _gradient_loss((own - target)[dense], known[dense])


def _gradient_loss(difference: Tensor, known: Tensor, scales: int = 4) -> Tensor:
    total = difference.new_zeros(())
    for scale in range(scales):
        d, k = difference[:, :: 2**scale, :: 2**scale], known[:, :: 2**scale, :: 2**scale]
        for axis in (1, 2):
            n = d.shape[axis] - 1
            a, b = d.narrow(axis, 1, n), d.narrow(axis, 0, n)
            both = k.narrow(axis, 1, n) & k.narrow(axis, 0, n)
            total = total + torch.where(both, (a - b).abs().clamp_max(2.0), 0.0).sum() / both.sum().clamp_min(1)
    return total
