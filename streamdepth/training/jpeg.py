"""The loss of JPEG for batches on any device: the quantized cosine transform of ITU-T T.81, without a file."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 8
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Table K.1 of the standard."""
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Table K.2."""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """Returns (N, 3, H, W) in [0, 1] as read back from a JPEG of `quality`, (N,) 1 to 100; colors at half the size.

    H and W are multiples of 16.
    """
    matrix = images.new_tensor(_TO_YCC)
    ycc = torch.einsum("ij,njhw->nihw", matrix, images * 255) - images.new_tensor([128.0, 0.0, 0.0])[:, None, None]
    luma = _quantize(ycc[:, :1], images.new_tensor(_LUMA), quality)
    chroma = _quantize(F.avg_pool2d(ycc[:, 1:], 2), images.new_tensor(_CHROMA), quality)
    chroma = F.interpolate(chroma, scale_factor=2.0, mode="bilinear", align_corners=False)
    rgb = torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix), torch.cat([luma + 128, chroma], 1))
    return (rgb / 255).clamp(0, 1)


def _quantize(planes: Tensor, table: Tensor, quality: Tensor) -> Tensor:
    """Returns (N, C, H, W), each 8x8 block cosine-transformed, rounded to steps of the table, and transformed back."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality) / 100
    steps = (table * scale[:, None, None]).clamp(1, 255)[:, None, None, None]
    count, channels, height, width = planes.shape
    blocks = planes.reshape(count, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).transpose(3, 4)
    basis = _cosines().to(planes.device)
    coefficients = (basis @ blocks @ basis.T / steps).round() * steps
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(planes.shape)


def _cosines() -> Tensor:
    """Returns the orthonormal cosine transform, (8, 8)."""
    k, n = torch.arange(_BLOCK)[:, None], torch.arange(_BLOCK)
    basis = torch.cos(math.pi * (2 * n + 1) * k / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    basis[0] /= math.sqrt(2)
    return basis
