"""Conversion of a network's output to depth and focal length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from streamdepth.estimators.engines import Pixels

if TYPE_CHECKING:
    from torch import Tensor

_MIN_INVERSE, _MAX_INVERSE = 1e-4, 1e4
"""Bounds of inverse depth in 1/m."""


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
