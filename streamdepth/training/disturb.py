"""Augmentation of whole batches on the training device: the changes that cameras and codecs make to pictures.

Pictures are (N, 3, H, W) float32 in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.training.jpeg import compress
from streamdepth.training.placing import uniform

CHANCES = {"vignette": 0.15, "night": 0.05, "blur": 0.3, "noise": 0.35, "small": 0.12, "jpeg": 0.25}
_KERNEL = 11


@dataclass(frozen=True, slots=True)
class Dice:
    """The random numbers of a batch: a few for each picture from the CPU, noise from the pictures' device."""

    choices: torch.Generator
    noise: torch.Generator

    def uniform(self, images: Tensor, low: float, high: float) -> Tensor:
        """Returns (N, 1, 1, 1) random numbers on the device of `images`."""
        return _each(uniform(len(images), low, high, self.choices), images)

    def normal_like(self, images: Tensor) -> Tensor:
        """Returns standard normal noise."""
        return torch.randn(images.shape, generator=self.noise, device=images.device)


def make_dice(seed: int, device: torch.device) -> Dice:
    """Returns dice that give the same numbers for the same seed on one device."""
    return Dice(torch.Generator().manual_seed(seed), torch.Generator(device).manual_seed(seed))


def disturb(images: Tensor, dice: Dice) -> Tensor:
    """Changes exposure and colors of all pictures, and degrades some: vignette, little light, blur, noise, JPEG."""
    images = tone(images, dice)
    for name, effect in _EFFECTS:
        chosen = (torch.rand(len(images), generator=dice.choices) < CHANCES[name]).nonzero()[:, 0].to(images.device)
        if len(chosen):
            images = images.index_copy(0, chosen, effect(images[chosen], dice).clamp(0, 1))
    return images


def tone(images: Tensor, dice: Dice) -> Tensor:
    """Changes gamma, exposure, white balance, contrast and saturation; some pictures lose or swap their colors."""
    count, rng = len(images), dice.choices
    gamma, gain = uniform(count, -0.4, 0.4, rng).exp(), uniform(count, -0.4, 0.35, rng).exp()
    balance = (0.08 * torch.randn(count, 3, generator=rng)).exp() * gain[:, None]
    contrast = uniform(count, 0.65, 1.3, rng)[:, None, None]
    mixing = contrast * _color_matrices(count, rng) * balance[:, None, :]
    shaped = images.clamp_min(1e-4) ** _each(gamma, images)
    mixed = torch.einsum("nij,njhw->nihw", mixing.to(images.device), shaped)
    return (mixed + _each(0.5 * (1 - contrast[:, 0, 0]), images)).clamp(0, 1)


def _color_matrices(count: int, rng: torch.Generator) -> Tensor:
    """Returns (N, 3, 3): saturation, none at all for 6 %, and for 4 % the channels in another order."""
    saturation = uniform(count, 0.5, 1.4, rng) * (torch.rand(count, generator=rng) >= 0.06)
    gray = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    matrices = torch.eye(3) * saturation[:, None, None] + gray * (1 - saturation[:, None, None])
    order = torch.randperm(3, generator=rng)
    swapped = torch.rand(count, generator=rng) < 0.04
    return torch.where(swapped[:, None, None], matrices[:, order], matrices)


def vignette(images: Tensor, dice: Dice) -> Tensor:
    """Darkens the corners."""
    y = torch.linspace(-1, 1, images.shape[2], device=images.device)[:, None]
    x = torch.linspace(-1, 1, images.shape[3], device=images.device)
    return images * (1 - dice.uniform(images, 0.1, 0.5) * (x**2 + y**2) / 2)


def night(images: Tensor, dice: Dice) -> Tensor:
    """Simulates night: little light, amplified, with shot noise that grows with the root of the light."""
    photons = 255 * dice.uniform(images, 0.04, 0.2) * images
    noisy = (photons + photons.sqrt() * dice.normal_like(photons)).clamp_min(0)
    return noisy.round() * dice.uniform(images, 2, 6) / 255


def blur(images: Tensor, dice: Dice) -> Tensor:
    """Simulates defocus or motion blur by a Gaussian, round or elongated along a direction."""
    (count, channels), rng = images.shape[:2], dice.choices
    width = uniform(count, 0.4, 1.4, rng)
    length = torch.where(torch.rand(count, generator=rng) < 0.4, uniform(count, 1.0, 3.0, rng), width)
    kernels = _gaussians(width, length, uniform(count, 0, math.pi, rng)).to(images.device)
    weight = kernels.repeat_interleave(channels, 0)[:, None]
    padded = F.pad(images.flatten(0, 1)[None], (_KERNEL // 2,) * 4, mode="reflect")
    return F.conv2d(padded, weight, groups=len(weight)).view_as(images)


def _gaussians(width: Tensor, length: Tensor, angle: Tensor) -> Tensor:
    """Returns (N, K, K) kernels that sum up to 1; standard deviations in px across and along the angle."""
    side = torch.arange(_KERNEL) - _KERNEL // 2
    y, x = torch.meshgrid(side, side, indexing="ij")
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, across = (x * cos + y * sin) / length[:, None, None], (y * cos - x * sin) / width[:, None, None]
    kernels = (-(along**2 + across**2) / 2).exp()
    return kernels / kernels.sum((1, 2), keepdim=True)


def noise(images: Tensor, dice: Dice) -> Tensor:
    """Adds a sensor's noise, of one strength for each picture."""
    return images + dice.uniform(images, 0.0, 0.06) * dice.normal_like(images)


def small(images: Tensor, dice: Dice) -> Tensor:
    """Simulates pictures of low resolution that were enlarged."""
    factor = float(uniform(1, 0.35, 0.75, dice.choices))
    size = [max(8, round(side * factor)) for side in images.shape[2:]]
    reduced = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
    return F.interpolate(reduced, images.shape[2:], mode="bilinear", align_corners=False)


def jpeg(images: Tensor, dice: Dice) -> Tensor:
    """Compresses the pictures, with loss."""
    return compress(images, uniform(len(images), 20, 90, dice.choices).to(images.device))


def _each(values: Tensor, images: Tensor) -> Tensor:
    """(N,) -> (N, 1, 1, 1) on the device of `images`."""
    return values.to(images.device)[:, None, None, None]


_EFFECTS = (
    ("vignette", vignette),
    ("night", night),
    ("blur", blur),
    ("noise", noise),
    ("small", small),
    ("jpeg", jpeg),
)
