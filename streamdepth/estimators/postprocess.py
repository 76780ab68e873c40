"""Conversion of a network's output to depth and focal length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from streamdepth.estimators.engines import Pixels
from streamdepth.estimators.preprocess import Margins

if TYPE_CHECKING:
    from torch import Tensor

_MIN_INVERSE, _MAX_INVERSE = 1e-4, 1e4
"""Bounds of inverse depth in 1/m."""


def crop_margins(depth: Pixels, margins: Margins | None) -> Pixels:
    """Returns the part of a padded picture's depth (N, h, w) that shows the picture, at about the same scale.

    The margins need not fall on whole px of `depth`, so that the picture is sampled anew, bilinearly; where they do,
    its values stay as they are.
    """
    if margins is None:
        return depth
    import torch
    from torch.nn import functional as F

    depth = torch.as_tensor(depth)
    height, width = (margins.height - margins.top - margins.bottom, margins.width - margins.left - margins.right)
    y, x = height / margins.height, width / margins.width
    shift_y, shift_x = (margins.top - margins.bottom) / margins.height, (margins.left - margins.right) / margins.width
    theta = torch.tensor([[[x, 0.0, shift_x], [0.0, y, shift_y]]], dtype=depth.dtype, device=depth.device)
    size = (len(depth), 1, max(1, round(depth.shape[1] * y)), max(1, round(depth.shape[2] * x)))
    grid = F.affine_grid(theta.expand(len(depth), 2, 3), list(size), align_corners=False)
    return F.grid_sample(depth[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def metric_from_canonical(inverse: Pixels, fov_degrees: Pixels) -> Tensor:
    """Converts Depth Pro's canonical inverse depth (N, h, w) to meters, by the horizontal field of view (N,).

    Bochkovskii et al., "Depth Pro" (ICLR 2025), section 3.2: the network gives the inverse depth of a camera whose
    focal length equals the picture's width; the true one is 1 / (2 tan(fov / 2)) widths.
    """
    import torch

    width_over_focal = 2 * torch.tan(torch.deg2rad(torch.as_tensor(fov_degrees)) / 2)
    return 1 / (torch.as_tensor(inverse) * width_over_focal[:, None, None]).clamp(_MIN_INVERSE, _MAX_INVERSE)


def focal_px(fov_degrees: float, width: int) -> float | None:
    """Returns the focal length in px of a picture `width` px wide; None when the angle is impossible."""
    if not 0 < fov_degrees < 180:
        return None
    return width / 2 / math.tan(math.radians(fov_degrees) / 2)
