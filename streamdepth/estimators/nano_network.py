"""The network of the built-in model: an EfficientNet-Lite0 encoder with a U-shaped decoder.

The encoder follows Tan and Le, "EfficientNet" (ICML 2019) in its Lite0 form: no squeeze-and-excitation, ReLU6
throughout. The decoder is made of residual blocks, a depthwise convolution followed by two pointwise ones, after Liu et
al., "A ConvNet for the 2020s" (CVPR 2022), with batch norm so that everything folds into plain convolutions.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

_STAGES = (
    # expansion, channels, blocks, stride, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_TAPS = (0, 1, 2, 4)
"""Stages whose features the decoder gets, besides the last stage."""


def conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, depthwise: bool = False, act: bool = True
) -> nn.Sequential:
    """Returns a convolution with batch norm, and with ReLU6 if `act`."""
    groups = inputs if depthwise else 1
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]
    if act:
        layers.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """A block of pointwise expansion, depthwise convolution and pointwise projection; residual if shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        layers = [conv(inputs, hidden)] if expansion != 1 else []
        layers.append(conv(hidden, hidden, kernel, stride, depthwise=True))
        layers.append(conv(hidden, outputs, act=False))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class Encoder(nn.Module):
    """Maps RGB in [-1, 1] to feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size.

    stages: the number of stages, from the first; 6 leave out the last.
    """

    def __init__(self, stages: int = len(_STAGES)) -> None:
        super().__init__()
        self.stem = conv(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        self.taps = (*_TAPS, stages - 1)
        self.channels = tuple(_STAGES[i][1] for i in self.taps)
        inputs = 32
        for expansion, outputs, blocks, stride, kernel in _STAGES[:stages]:
            stage = [InvertedResidual(inputs, outputs, expansion, stride, kernel)]
            stage += [InvertedResidual(outputs, outputs, expansion, 1, kernel) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            inputs = outputs

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.taps:
                features.append(x)
        return features


class Mix(nn.Module):
    """A residual block of the decoder: depthwise convolution, pointwise expansion, pointwise projection."""

    def __init__(self, channels: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.spatial = conv(channels, channels, kernel, depthwise=True, act=False)
        self.expand = conv(channels, channels * expansion)
        self.project = conv(channels * expansion, channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.expand(self.spatial(x)))
        return x + y


class Fuse(nn.Module):
    """One step up the decoder: coarse features are enlarged twofold, the encoder's added, and both mixed."""

    def __init__(self, coarse: int, skip: int, outputs: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.coarse = conv(coarse, outputs, act=False)
        self.skip = conv(skip, outputs, act=False)
        self.mix = nn.Sequential(*(Mix(outputs, 2, kernel) for _ in range(blocks)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(self.coarse(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        y: Tensor = self.mix(x + self.skip(skip))
        return y


class NanoNetwork(nn.Module):
    """A network that computes relative inverse depth from one picture.

    Input: (N, 3, H, W) float, RGB scaled to [-1, 1], H and W multiples of 32. Output: (N, H, W), unitless, near is
    large; each picture's scale and shift are arbitrary, though training keeps its median near 0 and its mean
    absolute deviation near 1. The last convolution works at half the size and yields four pixels at a time, after Shi
    et al., "Real-Time Single Image and Video Super-Resolution" (CVPR 2016): edges are sharp at little cost.
    """

    widths = (256, 128, 96, 64, 32)

    def __init__(self) -> None:
        super().__init__()
        w = self.widths
        self.encoder = Encoder()
        c2, c4, c8, c16, c32 = self.encoder.channels
        self.reduce = conv(c32, w[0], act=False)
        self.context = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(w[0], w[0], 1), nn.ReLU6(inplace=True))
        self.bottom = nn.Sequential(Mix(w[0], 3, 5), Mix(w[0], 3, 5))
        self.up16 = Fuse(w[0], c16, w[1], 2, 5)
        self.up8 = Fuse(w[1], c8, w[2], 2, 5)
        self.up4 = Fuse(w[2], c4, w[3], 2, 3)
        self.up2 = Fuse(w[3], c2, w[4], 1, 3)
        self.head = nn.Conv2d(w[4], 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        f2, f4, f8, f16, f32 = self.encoder(x)
        x = self.reduce(f32)
        x = self.bottom(x + self.context(x))
        x = self.up2(self.up4(self.up8(self.up16(x, f16), f8), f4), f2)
        return F.pixel_shuffle(self.head(x), 2).squeeze(1)


def load_imagenet_encoder(encoder: Encoder, weights: dict[str, Tensor]) -> None:
    """Fills `encoder` from an EfficientNet-Lite0 classifier's weights, which list the same layers in the same order.

    Stages that the encoder leaves out are the last. Raises ValueError when a shape differs.
    """
    expected = encoder.state_dict()
    names = [n for n in weights if not n.startswith(("_conv_head", "_bn1.", "_fc"))][: len(expected)]
    if len(names) != len(expected) or any(
        weights[n].shape != expected[k].shape for n, k in zip(names, expected, strict=True)
    ):
        raise ValueError("these are not the weights of an EfficientNet-Lite0 classifier")
    encoder.load_state_dict({k: weights[n] for n, k in zip(names, expected, strict=True)})
