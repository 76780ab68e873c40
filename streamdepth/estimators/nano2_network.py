"""The second generation of the built-in network: fewer and denser layers, and edges as sharp as the picture's.

The encoder is EfficientNet-Lite0 without its last stage, see `nano_network`. The decoder is made of dense 3x3
convolutions with a residual, which fold into plain convolutions as in Ding et al., "RepVGG" (CVPR 2021): a CPU is
busier with them than with depthwise ones. It ends at a quarter of the input's size. From there on a pixel is a mix of
two surfaces, after Tosi et al., "SMD-Nets" (CVPR 2021): which of the two it shows is told by early features, and so the
depth of a contour may change from one pixel to the next.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamdepth.estimators.nano_network import Encoder, conv

_SUBPIXELS = 4
"""Pixels of the output for each position of the maps at half its size."""


class Dense(nn.Module):
    """A dense 3x3 convolution with a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv(channels, channels, 3, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv(x))


class Rise(nn.Module):
    """One step up the decoder: coarse features enlarged twofold, the encoder's features added, then mixed."""

    def __init__(self, coarse: int, skip: int, outputs: int, blocks: int) -> None:
        super().__init__()
        self.coarse = conv(coarse, outputs, act=False)
        self.skip = conv(skip, outputs, act=False)
        self.mix = nn.Sequential(*(Dense(outputs) for _ in range(blocks)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.mix(F.relu(enlarge(self.coarse(x)) + self.skip(skip)))
        return y


class Surfaces(nn.Module):
    """The head: inverse depth at the input's size, (N, H, W), from features at a quarter of it and at half of it.

    Each position at half the size has four pixels, a far value for each of them, and one gap to a nearer surface; each
    pixel shows a share of the gap, between 0 and 1.
    """

    def __init__(self, coarse: int, fine: int, guide: int) -> None:
        super().__init__()
        self.coarse = conv(coarse, guide, act=False)
        self.fine = conv(fine, guide, act=False)
        self.pixels = nn.Conv2d(guide, 2 * _SUBPIXELS + 1, 3, padding=1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        guide = F.relu(enlarge(self.coarse(coarse)) + self.fine(fine))
        with torch.autocast(guide.device.type, enabled=False):  # steps of bfloat16 would be learned as terraces
            pixels = self.pixels(guide.float())
        far, share, gap = pixels.split((_SUBPIXELS, _SUBPIXELS, 1), 1)
        return F.pixel_shuffle(far + torch.sigmoid(share) * gap, 2).squeeze(1)


class Nano2Network(nn.Module):
    """Relative inverse depth from one picture.

    Input: (N, 3, H, W) float, RGB scaled to [-1, 1], H and W multiples of 32. Output: (N, H, W), unitless, near is
    large; each picture's scale and shift are arbitrary, though training keeps its median near 0 and its mean
    absolute deviation near 1.
    """

    widths = (128, 96, 64, 32, 16)

    def __init__(self) -> None:
        super().__init__()
        w = self.widths
        self.encoder = Encoder(stages=6)
        c2, c4, c8, c16, c32 = self.encoder.channels
        self.reduce = conv(c32, w[0])
        self.context = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(w[0], w[0], 1), nn.ReLU(inplace=True))
        self.bottom = Dense(w[0])
        self.up16 = Rise(w[0], c16, w[1], 2)
        self.up8 = Rise(w[1], c8, w[2], 2)
        self.up4 = Rise(w[2], c4, w[3], 1)
        self.head = Surfaces(w[3], c2, w[4])

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the inputs of `head`: (N, 32, H/4, W/4) of the decoder, (N, 16, H/2, W/2) of the encoder."""
        f2, f4, f8, f16, f32 = self.encoder(x)
        x = self.reduce(f32)
        x = self.bottom(x + self.context(x))
        return self.up4(self.up8(self.up16(x, f16), f8), f4), f2

    def forward(self, x: Tensor) -> Tensor:
        depth: Tensor = self.head(*self.features(x))
        return depth


def enlarge(x: Tensor) -> Tensor:
    """Returns a map with twice the height and width, by bilinear interpolation."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
