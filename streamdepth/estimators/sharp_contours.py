"""Depth whose contours are as sharp as the picture's: a guided filter, then a shock filter.

A small network blurs a contour over some ten pixels. In a window around each pixel, depth lies somewhere between the
farthest and the nearest; that share is laid along the edges of the picture by a guided filter (He, Sun and Tang, TPAMI
2013, in its fast form, arXiv 1505.00996), and is then pushed towards the nearer of both ends, as a shock filter does it
(Osher and Rudin, SIAM J. Numer. Anal. 1990). Slopes are left alone: depth lies half-way between the ends there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RADIUS = 4
"""Half of the windows' side, in px of a picture of half the network's size."""
GAIN = 5.0
"""Steepening of a contour: a share of 0.6 or more becomes 1, one of 0.4 or less becomes 0."""
NOISE = 4e-3
"""Variance of brightness (-1 to 1) below which the picture is taken for even: the epsilon of the guided filter."""
SLOPE, CONTOUR = 0.05, 0.2
"""Deviation of the share in a window up to which depth is left alone, and from which on it is sharpened in full."""
_BRIGHTNESS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (Rec. ITU-R BT.601)."""


class SharpContours(nn.Module):
    """A network for relative inverse depth, followed by the filter of this module.

    Input: what `network` takes, (N, 3, H, W) RGB in [-1, 1], H and W even. Output: (N, H, W), within the range of the
    network's output around each pixel.
    """

    weights: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("weights", torch.tensor(_BRIGHTNESS).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        depth = self.network(x).unsqueeze(1)
        brightness = (x.to(depth.dtype) * self.weights.to(depth.dtype)).sum(1, keepdim=True)
        return sharpen(depth, brightness).squeeze(1)


def sharpen(depth: Tensor, brightness: Tensor) -> Tensor:
    """Returns depth with its contours sharpened along those of the picture.

    depth: (N, 1, H, W), H and W even. brightness: (N, 1, H, W), -1 to 1.
    """
    half, guide = F.avg_pool2d(depth, 2), F.avg_pool2d(brightness, 2)
    # Maps are filtered and enlarged together, as channels: engines work on eight channels in the time of one.
    near, negative_far = _largest(torch.cat([half, -half], 1)).chunk(2, 1)
    gap = near + negative_far
    share = (half + negative_far) / gap.clamp_min(1e-6)
    means = _mean(torch.cat([share, guide, guide * share, guide * guide, share * share], 1)).chunk(5, 1)
    mean_share, mean_guide, covariance, variance, deviation = means
    slope = (covariance - mean_guide * mean_share) / (variance - mean_guide * mean_guide + NOISE)
    line = _mean(torch.cat([slope, mean_share - slope * mean_guide], 1))
    deviation = (deviation - mean_share * mean_share).clamp_min(0).sqrt()
    strength = ((deviation - SLOPE) / (CONTOUR - SLOPE)).clamp(0, 1)
    slope, offset, gap, far, strength = _enlarge(torch.cat([line, gap, -negative_far, strength], 1)).chunk(5, 1)
    steep = ((slope * brightness + offset - 0.5) * GAIN + 0.5).clamp(0, 1)
    return depth + strength * (far + steep * gap - depth)


def _mean(x: Tensor) -> Tensor:
    """Returns the mean of the window around each pixel, of those pixels that lie in the picture."""
    side = 2 * RADIUS + 1
    rows = F.avg_pool2d(x, (side, 1), 1, (RADIUS, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), 1, (0, RADIUS), count_include_pad=False)


def _largest(x: Tensor) -> Tensor:
    """Returns the largest value of the window around each pixel."""
    side = 2 * RADIUS + 1
    return F.max_pool2d(F.max_pool2d(x, (side, 1), 1, (RADIUS, 0)), (1, side), 1, (0, RADIUS))


def _enlarge(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
