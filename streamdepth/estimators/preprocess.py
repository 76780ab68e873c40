"""A model's own image processing, done on the network's device."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.estimators.margins import Margins, repeat_edges_of_tensor

if TYPE_CHECKING:
    from torch import Tensor

Size = int | tuple[int, int]
"""Input size of a network: px of the side that decides the scale, or (width, height)."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The steps by which a picture becomes a network's input: pad, resize, pad, normalize, pad again."""

    size: tuple[int, int] | None
    """(height, width) in px; None keeps the picture's own size, rounded to `multiple`."""
    keep_aspect: bool = False
    """True if both sides are scaled alike, by the factor of the side that needs the smaller change."""
    letterbox: bool = False
    """True if the picture keeps its aspect within `size`, and its edges are repeated to fill the rest; `keep_aspect` is
    ignored then. Networks that were trained without margins err less with repeated edges than with gray ones."""
    multiple: int = 1
    """Sides in px are rounded to multiples of this: to the nearest, or down if `floor` is set."""
    floor: bool = False
    resampling: str = "bilinear"
    """A mode of `torch.nn.functional.interpolate`."""
    antialias: bool = True
    """True if shrinking averages, as Pillow does, and rounds to whole gray levels."""
    align_corners: bool | None = None
    reflect_padding: bool = False
    """True if margins are reflected around the picture before resizing, as ZoeDepth wants."""
    pad_multiple: int | None = None
    """The normalized picture is padded with zeros to multiples of this, in px."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Mean of red, green and blue, 0 to 1, that is subtracted."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Standard deviation of red, green and blue, 0 to 1, that is divided by."""
    rescale: float = 1 / 255
    """Factor from gray levels to 0 to 1."""
    max_long_side: int | None = None
    """px: if given, `size` is that of the short side, whatever the scale, and the long side is at most this."""

    def with_size(self, size: Size, multiple: int) -> InputSpec:
        """Returns the same steps with another input size, rounded to multiples of `multiple` px. Raises ConfigError."""
        width, height = (size, size) if isinstance(size, int) else size
        if min(width, height) < multiple:
            raise ConfigError(
                f"an input of {size} px is too small for this model; the least is {multiple}", code="bad-size"
            )
        keep = isinstance(size, int) and (self.keep_aspect or self.size is None)
        multiple = math.lcm(multiple, self.multiple)
        return replace(self, size=(height, width), keep_aspect=keep, multiple=multiple, floor=False)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns (height, width) in px of the network's input, without its margins, for a picture of this size.

        >>> InputSpec((384, 384), letterbox=True).output_size(720, 1280)
        (216, 384)
        """
        if self.size is None:
            rounding = math.floor if self.floor else round
            return self._rounded(height, rounding), self._rounded(width, rounding)
        if self.letterbox:
            return self._fitted(height, width)
        y, x = self.size[0] / height, self.size[1] / width
        if self.max_long_side is not None:
            y = x = min(self.size[0] / min(height, width), self.max_long_side / max(height, width))
        elif self.keep_aspect:
            y = x = x if abs(1 - x) < abs(1 - y) else y
        return self._rounded(y * height, round), self._rounded(x * width, round)

    def letterbox_margins(self, height: int, width: int) -> Margins | None:
        """Returns the margins of a letterbox for a picture of this size in px; None where it needs or has none."""
        if not self.letterbox:
            return None
        return Margins.around(self.output_size(height, width), self._letterbox_size())

    def _letterbox_size(self) -> tuple[int, int]:
        assert self.size is not None
        return self._rounded(self.size[0], round), self._rounded(self.size[1], round)

    def _fitted(self, height: int, width: int) -> tuple[int, int]:
        box = self._letterbox_size()
        scale = min(box[0] / height, box[1] / width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _rounded(self, side: float, rounding: Any) -> int:
        return max(1, int(rounding(side / self.multiple))) * self.multiple

    def prepare(self, images: Tensor | npt.NDArray[np.uint8]) -> tuple[Tensor, Margins | None]:
        """Converts (N, H, W, 3) uint8 to the network's input, (N, 3, h, w) float32; returns the added margins too."""
        pixels, margins = _channels_first(images), None
        if self.reflect_padding:
            pixels, margins = _pad_reflecting(pixels.float())
        pixels = self._resize(pixels)
        if self.letterbox:
            margins = self.letterbox_margins(*pixels.shape[-2:])
            pixels = repeat_edges_of_tensor(pixels, margins)
        pixels = self._normalize(pixels)
        if self.pad_multiple:
            pixels, margins = _pad_with_zeros(pixels, self.pad_multiple)
        return pixels, margins

    def normalize(self, images: Tensor | npt.NDArray[np.uint8]) -> Tensor:
        """Normalizes (N, h, w, 3) uint8 of the input's size to the network's input, (N, 3, h, w) float32."""
        return self._normalize(_channels_first(images))

    def _normalize(self, pixels: Tensor) -> Tensor:
        import torch

        scale = torch.tensor(self.std, device=pixels.device).view(3, 1, 1) / self.rescale
        shift = torch.tensor(self.mean, device=pixels.device).view(3, 1, 1) / self.rescale
        return (pixels.float() - shift).div_(scale)

    def _resize(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[-2:]
        size = self.output_size(height, width)
        if size == (height, width):
            return pixels
        if self.antialias and self.resampling != "nearest-exact":
            return _resize_bytes(pixels, size, self.resampling)
        from torch.nn import functional as F

        corners = None if self.resampling == "nearest-exact" else bool(self.align_corners)
        return F.interpolate(pixels.float(), size, mode=self.resampling, align_corners=corners)


def _channels_first(images: Tensor | npt.NDArray[np.uint8]) -> Tensor:
    import torch

    return torch.as_tensor(images).permute(0, 3, 1, 2)


def _resize_bytes(pixels: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Resizes (N, 3, H, W) uint8 to `size` with whole gray levels, as Pillow does.

    Pillow and torch resize bytes along rows, round, and go on along columns. Torch can do so on CPUs only; elsewhere
    the two steps are made one by one.
    """
    from torch.nn import functional as F

    if pixels.device.type == "cpu":
        return F.interpolate(pixels, size, mode=mode, antialias=True)
    pixels = pixels.float()
    for step in ((pixels.shape[-2], size[1]), size):
        if step != tuple(pixels.shape[-2:]):
            pixels = F.interpolate(pixels, step, mode=mode, antialias=True).clamp(0, 255).round()
    return pixels


def _pad_reflecting(pixels: Tensor) -> tuple[Tensor, Margins]:
    """Adds ZoeDepth's margins of 3 sqrt(side / 2) px; pictures too small to be reflected repeat their border."""
    from torch.nn import functional as F

    height, width = pixels.shape[-2:]
    y, x = (int(math.sqrt(side / 2) * 3) for side in (height, width))
    mode = "reflect" if y < height and x < width else "replicate"
    return F.pad(pixels, (x, x, y, y), mode=mode), Margins(x, y, x, y, height + 2 * y, width + 2 * x)


def _pad_with_zeros(pixels: Tensor, multiple: int) -> tuple[Tensor, Margins | None]:
    """Adds zeros on all sides, one more at the right and the bottom where the number is odd."""
    height, width = pixels.shape[-2:]
    margins = Margins.around((height, width), (height + -height % multiple, width + -width % multiple))
    if margins is None:
        return pixels, None
    from torch.nn import functional as F

    return F.pad(pixels, (margins.left, margins.right, margins.top, margins.bottom)), margins
