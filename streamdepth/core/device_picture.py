"""Pictures in the memory of a GPU: NV12 planes as tensors, and their conversion and resizing there.

All functions work on tensors of any device and wait for none. Importing this module does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class LumaWeights(NamedTuple):
    """The shares of red and blue in luma, by which the matrices of YUV differ; the rest is green."""

    red: float
    blue: float


BT601 = LumaWeights(0.299, 0.114)
"""ITU-R BT.601-7, section 2.5.1."""
BT709 = LumaWeights(0.2126, 0.0722)
"""ITU-R BT.709-6, section 3."""
BT2020 = LumaWeights(0.2627, 0.0593)
"""ITU-R BT.2020-2, table 4, with constant weights."""


@dataclass(frozen=True, slots=True, eq=False)
class DevicePicture:
    """A picture in NV12, the format that video is decoded to and encoded from on a GPU.

    >>> import torch
    >>> gray = DevicePicture(torch.full((4, 6), 126, dtype=torch.uint8), torch.full((2, 3, 2), 128, dtype=torch.uint8))
    >>> gray.size, gray.rgb()[0, 0].tolist()
    ((6, 4), [128, 128, 128])
    """

    y: Tensor
    """(H, W) uint8 luma; H and W are even."""
    uv: Tensor
    """(H/2, W/2, 2) uint8 chroma: blue difference (Cb), then red difference (Cr); 128 is neutral."""
    weights: LumaWeights = BT709
    is_full_range: bool = False
    """True if black is 0 and white 255, as in JPEG; else black is 16, white 235, and chroma goes from 16 to 240."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self.y.shape[1], self.y.shape[0]

    def rgb(self) -> Tensor:
        """Returns the picture as (H, W, 3) uint8 RGB; two by two pixels share their chroma, as in swscale."""
        u, v = self.uv.float().repeat_interleave(2, 0).repeat_interleave(2, 1).unbind(-1)
        return self._as_bytes(self.y.float(), u, v)

    def rgb_at_size(self, width: int, height: int) -> Tensor:
        """Returns the picture resized, (height, width, 3) uint8 RGB; each pixel is a mean of many when shrunk."""
        y = resize_plane(self.y.float(), width, height)
        u, v = (resize_plane(plane, width, height) for plane in self.uv.float().unbind(-1))
        return self._as_bytes(y, u, v)

    def _as_bytes(self, y: Tensor, u: Tensor, v: Tensor) -> Tensor:
        import torch

        black, luma_span, chroma_span = (0, 255, 255) if self.is_full_range else (16, 219, 224)
        red_weight, blue_weight = self.weights
        luma = (y - black) / luma_span
        red = luma + (v - 128) * (2 * (1 - red_weight) / chroma_span)
        blue = luma + (u - 128) * (2 * (1 - blue_weight) / chroma_span)
        green = (luma - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
        return (torch.stack([red, green, blue], -1) * 255).round_().clamp_(0, 255).byte()

    def as_bt709(self) -> DevicePicture:
        """Returns the picture in BT.709 and limited range, the form in which videos are written."""
        if self.weights == BT709 and not self.is_full_range:
            return self
        return picture_from_rgb(self.rgb())


def picture_from_rgb(rgb: Tensor) -> DevicePicture:
    """Converts (H, W, 3) uint8 RGB with even sides to NV12 in BT.709 and limited range.

    The chroma of two by two pixels is their mean.
    """
    import torch

    red, green, blue = (rgb.float() / 255).unbind(-1)
    luma = BT709.red * red + (1 - BT709.red - BT709.blue) * green + BT709.blue * blue
    differences = torch.stack([(blue - luma) / (2 - 2 * BT709.blue), (red - luma) / (2 - 2 * BT709.red)])
    chroma = torch.nn.functional.avg_pool2d(differences, 2).permute(1, 2, 0)
    return DevicePicture((16 + 219 * luma).round().byte(), (128 + 224 * chroma).round().byte())


def resize_plane(plane: Tensor, width: int, height: int) -> Tensor:
    """Returns a float plane (h, w) at (height, width): means of areas along a side that shrinks, else bilinear."""
    down = _resize_weights(plane.shape[0], height, plane.device)
    across = _resize_weights(plane.shape[1], width, plane.device)
    return down @ plane @ across.T


@lru_cache(maxsize=32)
def _resize_weights(old: int, new: int, device: torch.device) -> Tensor:
    """Returns the (new, old) weights by which the pixels of a line of `old` px make up one of `new` px."""
    import torch

    source = torch.arange(old, dtype=torch.float64)
    step = old / new
    start = torch.arange(new, dtype=torch.float64)[:, None] * step
    if new < old:
        overlap = torch.minimum(start + step, source + 1) - torch.maximum(start, source)
        weights = overlap.clamp(min=0) / step
    else:
        center = (start + step / 2 - 0.5).clamp(0, old - 1)
        weights = (1 - (center - source).abs()).clamp(min=0)
    return weights.float().to(device)
