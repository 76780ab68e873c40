"""Random crops of training pictures: zoomed, stretched, mirrored, rolled; all views of a batch at once.

A placement is an affine map (2, 3): pixel (x, y, 1) of the view -> pixel of the picture; whole numbers are centers.
"""

from __future__ import annotations

import torch
from torch import Tensor

WHOLE = 0.35
"""Share of the views that show the whole picture, resized to the view's aspect as far as `SQUEEZE` allows."""
SQUEEZE = 1.4
CLOSEST = 0.45
"""Smallest part of the possible height and width that the other views show."""
ROLLS = ((0.0, 0.4), (8.0, 0.4), (35.0, 0.2))
"""Largest roll in degrees, and its probability."""


def uniform(count: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Returns (count,) random numbers."""
    return low + (high - low) * torch.rand(count, generator=rng)


def placements(shapes: Tensor, size: tuple[int, int], plain: Tensor, rng: torch.Generator) -> Tensor:
    """Returns (N, 2, 3) maps of views of `size` (height, width) into pictures of `shapes`, (N, 2) likewise.

    plain: (N,) bool, the views that show the whole picture without roll.
    """
    count, height, width = len(shapes), shapes[:, 0].float(), shapes[:, 1].float()
    limit = torch.stack([width / size[1], height / size[0]], 1)
    zoom = limit.min(1, keepdim=True).values * uniform(count, CLOSEST, 1.0, rng)[:, None]
    stretch = uniform(count, -0.12, 0.12, rng).exp()
    part = torch.minimum(torch.stack([zoom[:, 0] * stretch, zoom[:, 0] / stretch], 1), limit)
    squeezed = torch.minimum(limit, SQUEEZE * limit.min(1, keepdim=True).values)
    zooms = torch.where(plain[:, None] | (torch.rand(count, 1, generator=rng) < WHOLE), squeezed, part)
    flips = torch.where(torch.rand(count, generator=rng) < 0.5, -1.0, 1.0)
    rolls = _rolls(count, rng).masked_fill(plain, 0.0)
    linear = rotations(rolls) @ torch.diag_embed(zooms * torch.stack([flips, torch.ones(count)], 1))
    room = torch.stack([width, height], 1) - zooms * torch.tensor([size[1], size[0]])
    targets = torch.stack([width, height], 1) / 2 + (torch.rand(count, 2, generator=rng) - 0.5) * room
    return about(linear, size, targets)


def nudges(count: int, size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Returns (count, 2, 3) small moves of a camera, as between two frames of a video.

    They are up to 4 % of the width to the side, 4 px up or down, 2 degrees, and 3 % of zoom.
    """
    rows, columns = size
    zoom = uniform(count, -0.03, 0.03, rng).exp()
    linear = rotations(uniform(count, -2, 2, rng)) * zoom[:, None, None]
    shift = torch.stack([uniform(count, -0.04, 0.04, rng) * columns, uniform(count, -4, 4, rng)], 1)
    return about(linear, size, torch.tensor([columns, rows]) / 2 + shift)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Returns the (N, 2, 3) maps that apply `inner` first, then `outer`."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    return torch.cat([linear, outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]], 2)


def rotations(degrees: Tensor) -> Tensor:
    """Returns (N, 2, 2) rotations."""
    angle = torch.deg2rad(degrees)
    return torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)


def about(linear: Tensor, size: tuple[int, int], targets: Tensor) -> Tensor:
    """Returns maps with linear part `linear` (N, 2, 2) that put the middle of a view at `targets` (N, 2)."""
    middle = torch.tensor([size[1] / 2 - 0.5, size[0] / 2 - 0.5])
    shift = targets - 0.5 - linear @ middle
    return torch.cat([linear, shift[:, :, None]], 2)


def sample_grid(place: Tensor, size: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """Returns (1, H, W, 2): a view's places on a picture of `shape`, for `grid_sample` with align_corners=False."""
    pixels = place.new_tensor([shape[1], shape[0]])
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in size)
    x, y, shift = (2 * place / pixels[:, None]).unbind(1)
    return (columns[:, None] * x + rows[:, None, None] * y + shift + 1 / pixels - 1)[None]


def shrink_factor(place: Tensor) -> float:
    """Returns the number of the picture's pixels per pixel of the view, along one axis."""
    return float(torch.linalg.det(place[:, :2]).abs().sqrt())


def _rolls(count: int, rng: torch.Generator) -> Tensor:
    largest, chances = (torch.tensor(values) for values in zip(*ROLLS, strict=True))
    return uniform(count, -1, 1, rng) * largest[torch.multinomial(chances, count, replacement=True, generator=rng)]
