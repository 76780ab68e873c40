"""Resampling and statistics of depth maps in torch, on their own device, with the results of OpenCV and NumPy.

Nothing here waits for the device or moves a map to the CPU. Importing this module loads torch.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.core.ranges import SAMPLE_PIXELS
from streamdepth.stabilizers.optical_flow import Flow


def resize(values: Tensor, shape: tuple[int, int]) -> Tensor:
    """Returns (h, w) values at `shape` (height, width), bilinearly, as `cv2.resize` does."""
    if tuple(values.shape) == shape:
        return values
    return F.interpolate(values[None, None], shape, mode="bilinear", align_corners=False)[0, 0]


def shrink(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns values at (width, height) `size` as `optical_flow.shrink_map` does."""
    fourfold = resize(values, (4 * size[1], 4 * size[0]))
    return F.avg_pool2d(fourfold[None, None], 4)[0, 0]


def sampling_grid(flow: Flow, shape: tuple[int, int], device: torch.device) -> Tensor:
    """Returns (2, h, w): for each pixel of a map of `shape` the x and y in px that `flow`, of any size, points to."""
    height, width = shape
    vectors = torch.from_numpy(flow).to(device).permute(2, 0, 1)
    scale = vectors.new_tensor((width / flow.shape[1], height / flow.shape[0])).view(2, 1, 1)
    if flow.shape[:2] != shape:
        vectors = F.interpolate((vectors * scale)[None], shape, mode="bilinear", align_corners=False)[0]
    return vectors + _pixel_grid(height, width, device)


@lru_cache(maxsize=16)
def _pixel_grid(height: int, width: int, device: torch.device) -> Tensor:
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=device),
        torch.arange(width, dtype=torch.float32, device=device),
        indexing="ij",
    )
    return torch.stack([x, y])


def warp(values: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Samples (h, w) values at a grid of `sampling_grid`; border pixels are replicated, as `optical_flow.warp` does.

    `mode` is bilinear or nearest.
    """
    height, width = values.shape
    scale = grid.new_tensor((2 / max(width - 1, 1), 2 / max(height - 1, 1))).view(2, 1, 1)
    normalized = (grid * scale - 1).permute(1, 2, 0)[None]
    return F.grid_sample(values[None, None], normalized, mode=mode, padding_mode="border", align_corners=True)[0, 0]


def half_curvature(values: Tensor, axis: int) -> Tensor:
    """Returns half the second derivative of (h, w) values along an axis, 0 for x, 1 for y; borders are replicated."""
    padding = (1, 1, 0, 0) if axis == 0 else (0, 0, 1, 1)
    padded = F.pad(values[None, None], padding, mode="replicate")[0, 0]
    count = values.shape[1 - axis]
    before, after = (padded.narrow(1 - axis, start, count) for start in (0, 2))
    return (before + after) / 2 - values


def neighbor_sum(values: Tensor) -> Tensor:
    """Returns the sum of the eight neighbors of each of (h, w) values, which are mirrored at the border."""
    mode = "reflect" if min(values.shape) > 1 else "replicate"
    padded = F.pad(values[None, None], (1, 1, 1, 1), mode=mode)[0, 0]
    left, middle, right = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    rows = left + middle + right
    return rows[:-2] + rows[2:] + left[1:-1] + right[1:-1]


def finite_range(values: Tensor) -> Tensor:
    """Returns the smallest and the largest finite value, (2,); (inf, -inf) where none is finite."""
    finite = values.isfinite()
    return torch.stack([values.where(finite, math.inf).amin(), values.where(finite, -math.inf).amax()])


def robust_range(
    values: Tensor, shares: tuple[float, float] = (0.02, 0.98), *, max_pixels: int = SAMPLE_PIXELS
) -> Tensor:
    """Returns `core.ranges.robust_range` of (h, w) values, (2,); NaN if none is finite."""
    step = max(1, math.isqrt(values.numel() // max_pixels))
    return finite_ranks(values[::step, ::step], shares)


def finite_ranks(values: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Returns the finite values below which the given shares of all finite ones lie; NaN where none is finite."""
    finite = values.isfinite()
    ranked = values.where(finite, math.inf).flatten().sort().values
    last = finite.sum() - 1
    positions = torch.stack([(last * share).round().long() for share in shares]).clamp_(min=0)
    return ranked[positions].where(last >= 0, math.nan)
