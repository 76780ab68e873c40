"""The network of ZipDepth as it is run: every block of the training is one convolution here.

Tosi et al., "ZipDepth: Bringing Lightweight Zero-Shot Monocular Depth Anywhere, on Any Device" (ECCV 2026). Four stages
of 3x3 convolutions see the picture at 1/4 to 1/32 of its size; a pyramid of 1x1 convolutions brings their features back
to half of it; the last step to the full size mixes neighboring depths. `zipdepth_weights` makes its weights of the
published ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = (48, 96, 192, 384)
"""Channels of the four stages."""
BLOCKS = (2, 2, 6, 2)
"""3x3 convolutions of each stage, after the one that halves the size."""
HALF_CHANNELS, DECODER_CHANNELS, OUTPUT_CHANNELS = 24, 96, 32
_EXCHANGED = 0.3
"""Share of the features that stages 3 and 4 give each other."""
_POOL = 5
_NEIGHBORS = 9


class ConvRelu(nn.Conv2d):
    """A convolution that keeps the size, or halves it, and a rectifier."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, size, stride, size // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


class StripGate(nn.Module):
    """Weighs each pixel by the means of its row and its column."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate(x.mean(3, keepdim=True) + x.mean(2, keepdim=True)))


class ChannelGate(nn.Module):
    """Weighs each channel by the means of all (squeeze and excitation)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.excite = nn.Conv2d(channels // 8, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(means))))


class GlobalContext(nn.Module):
    """Adds to each pixel what a weighted mean of all pixels tells."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Conv2d(channels, 1, 1)
        self.inner = nn.Conv2d(channels, channels // 4, 1)
        self.outer = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.weight(x).flatten(2), 2)
        context = (x.flatten(2) * weights).sum(2)[:, :, None, None]
        found: Tensor = self.outer(F.relu(self.inner(context)))
        return x + found


class PyramidPooling(nn.Module):
    """Joins the maxima of ever larger neighborhoods."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = ConvRelu(channels, channels // 4, 1)
        self.outer = ConvRelu(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = [self.inner(x)]
        for _ in range(3):
            pooled.append(F.max_pool2d(pooled[-1], _POOL, 1, _POOL // 2))
        joined: Tensor = self.outer(torch.cat(pooled, 1))
        return joined


class Fusion(nn.Module):
    """Adds the features of a coarser level to those of a finer one.

    Projecting before enlarging is the same as the other way round, at a quarter of the work.
    """

    def __init__(self, fine: int, coarse: int, outputs: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(fine, outputs, 1, groups=4)
        self.coarse = nn.Conv2d(coarse, outputs, 1, groups=4, bias=False)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        enlarged = F.interpolate(self.coarse(coarse), fine.shape[2:], mode="bilinear", align_corners=False)
        return F.relu(self.fine(fine) + enlarged)


class ConvexUpsampling(nn.Module):
    """Doubles the size: each new pixel is a mean of nine old ones, with learned weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = ConvRelu(channels, max(channels // 4, 8), 3)
        self.outer = nn.Conv2d(max(channels // 4, 8), 4 * _NEIGHBORS, 1)

    def forward(self, features: Tensor, depth: Tensor) -> Tensor:
        height, width = depth.shape[2:]
        weights = torch.softmax(self.outer(self.inner(features)).unflatten(1, (_NEIGHBORS, 4)), 1)
        around = F.pad(depth, (1, 1, 1, 1), mode="replicate")
        neighbors = torch.cat([around[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)], 1)
        return F.relu(F.pixel_shuffle((weights * neighbors[:, :, None]).sum(1), 2))


class ZipDepthNetwork(nn.Module):
    """Maps normalized pictures (N, 3, H, W), of sides that are multiples of 32 px, to inverse depth (N, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = CHANNELS
        self.stem = ConvRelu(3, HALF_CHANNELS, 3, 2)
        self.stage1 = _stage(HALF_CHANNELS, first, BLOCKS[0])
        self.stage2 = _stage(first, second, BLOCKS[1])
        self.spread = nn.Conv2d(second, second, 5, padding=2, groups=second)
        self.strips = StripGate(second)
        self.stage3 = _stage(second, third, BLOCKS[2])
        self.channels = ChannelGate(third)
        self.context = GlobalContext(third)
        self.stage4 = _stage(third, fourth, BLOCKS[3])
        self.pooling = PyramidPooling(fourth)
        self.up = nn.Conv2d(fourth, third, 1, groups=4, bias=False)
        self.down = nn.Conv2d(third, fourth, 1, groups=4, bias=False)
        widths = [3 * DECODER_CHANNELS, 2 * DECODER_CHANNELS, 3 * DECODER_CHANNELS // 2, DECODER_CHANNELS]
        self.top = ConvRelu(fourth, widths[0], 1)
        self.fuse3 = Fusion(third, widths[0], widths[1])
        self.fuse2 = Fusion(second, widths[1], widths[2])
        self.fuse1 = Fusion(first, widths[2], widths[3])
        self.fuse_half = Fusion(HALF_CHANNELS, widths[3], OUTPUT_CHANNELS)
        self.head = nn.Conv2d(OUTPUT_CHANNELS, 1, 3, padding=1)
        self.upsampling = ConvexUpsampling(OUTPUT_CHANNELS)

    def forward(self, pixels: Tensor) -> Tensor:
        half = self.stem(pixels)
        first = self.stage1(half)
        second = self.strips(self.spread(self.stage2(first)))
        third = self.context(self.channels(self.stage3(second)))
        fourth = self.pooling(self.stage4(third))
        enlarged = F.interpolate(self.up(fourth), third.shape[2:], mode="nearest")
        third, fourth = third + _EXCHANGED * enlarged, fourth + _EXCHANGED * F.avg_pool2d(self.down(third), 2)
        features = self.fuse3(third, self.top(fourth))
        features = self.fuse1(first, self.fuse2(second, features))
        features = self.fuse_half(half, features)
        depth: Tensor = self.upsampling(features, self.head(features))
        return depth.squeeze(1)


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    """Returns the convolution that halves the size and those after it."""
    return nn.Sequential(ConvRelu(inputs, outputs, 3, 2), *(ConvRelu(outputs, outputs, 3) for _ in range(blocks)))
