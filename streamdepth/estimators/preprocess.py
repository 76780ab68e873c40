"""A model's own image processing, done in one pass on the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from streamdepth.core.errors import ConfigError, ModelLoadError

Size = int | tuple[int, int]
"""Of the network's input: px of the side that decides the scale, or (width, height)."""

# Defaults of transformers' image processors, for what a model's configuration does not say.
_DPT: dict[str, Any] = {"size": 384, "resample": 3, "image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "DPT": _DPT,
    "ZoeDepth": _DPT
    | {"size": {"height": 384, "width": 512}, "resample": 2, "do_pad": True, "keep_aspect_ratio": True}
    | {"ensure_multiple_of": 32},
    "GLPN": {"resample": 2, "do_normalize": False, "size_divisor": 32},
    "DepthPro": _DPT | {"size": 1536, "resample": 2},
    "CHMv2": _DPT
    | {"do_resize": False, "do_pad": True, "ensure_multiple_of": 16, "keep_aspect_ratio": True, "size_divisor": 16}
    | {"image_mean": (0.420, 0.411, 0.296), "image_std": (0.213, 0.156, 0.143)},
    "Tipsv2Dpt": {"size": 448, "resample": 2, "do_normalize": False},
}
_PROCESSORS = {
    "dpt": "DPT",
    "depth_anything": "DPT",
    "zoedepth": "ZoeDepth",
    "glpn": "GLPN",
    "depth_pro": "DepthPro",
    "chmv2": "CHMv2",
    "tipsv2_dpt": "Tipsv2Dpt",
}
_RESAMPLING = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True, slots=True)
class Margins:
    """Padding around a picture in px of the padded picture of `height` x `width` px."""

    left: int
    top: int
    right: int
    bottom: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a picture becomes a network's input."""

    size: tuple[int, int] | None
    """(height, width) in px; None keeps the picture's own, but for `multiple`."""
    keep_aspect: bool = False
    """Both sides are scaled alike, by the factor of the side that needs the smaller change."""
    multiple: int = 1
    """Sides become multiples of this: the nearest, or the next below where `floor` is set."""
    floor: bool = False
    resampling: str = "bilinear"
    antialias: bool = True
    """Averages when shrinking, as Pillow does, and rounds to whole grey levels."""
    align_corners: bool | None = None
    reflect: bool = False
    """Reflected margins before resizing, as ZoeDepth wants."""
    pad_multiple: int | None = None
    """Zeros around the normalised picture, up to multiples of this."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Of values in 0...1."""
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    rescale: float = 1 / 255
    longest: int | None = None
    """px: with it, `size` is that of the short side, whatever the scale, and the long side is never longer."""

    @classmethod
    def from_processor(cls, config: Mapping[str, Any], model_type: str) -> InputSpec:
        """config: the model's `preprocessor_config.json`.

        Raises ModelLoadError when it asks for the unknown, TypeError or ValueError for what is no setting at all.
        """
        family = _family(config, model_type)
        c = _DEFAULTS[family] | {key: value for key, value in config.items() if value is not None}
        if c["resample"] not in _RESAMPLING:
            raise ModelLoadError(f"the model resamples with Pillow's mode {c['resample']}; 0, 2 and 3 are supported")
        normalize = c.get("do_normalize", True)
        spec = cls(
            size=_height_width(c["size"]) if c.get("do_resize", True) and family != "GLPN" else None,
            keep_aspect=bool(c.get("keep_aspect_ratio", False)),
            multiple=max(1, round(c.get("ensure_multiple_of", 1))) if c.get("do_resize", True) else 1,
            resampling=_RESAMPLING[c["resample"]],
            mean=_three(c["image_mean"]) if normalize else (0.0, 0.0, 0.0),
            std=_three(c["image_std"]) if normalize else (1.0, 1.0, 1.0),
            rescale=float(c.get("rescale_factor", 1 / 255)) if c.get("do_rescale", True) else 1.0,
        )
        return _specialise(spec, family, c)

    def resized(self, size: Size, multiple: int) -> InputSpec:
        """The same with another input size, rounded to multiples of `multiple` px. Raises ConfigError."""
        width, height = (size, size) if isinstance(size, int) else size
        if min(width, height) < multiple:
            raise ConfigError(f"an input of {size} px is too small for this model; the least is {multiple}")
        keep = isinstance(size, int) and (self.keep_aspect or self.size is None)
        multiple = math.lcm(multiple, self.multiple)
        return replace(self, size=(height, width), keep_aspect=keep, multiple=multiple, floor=False)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the network's input for a picture of this size, before `pad_multiple`."""
        if self.size is None:
            rounding = math.floor if self.floor else round
            return self._rounded(height, rounding), self._rounded(width, rounding)
        y, x = self.size[0] / height, self.size[1] / width
        if self.longest is not None:
            y = x = min(self.size[0] / min(height, width), self.longest / max(height, width))
        elif self.keep_aspect:
            y = x = x if abs(1 - x) < abs(1 - y) else y
        return self._rounded(y * height, round), self._rounded(x * width, round)

    def _rounded(self, side: float, rounding: Any) -> int:
        return max(1, int(rounding(side / self.multiple))) * self.multiple

    def prepare(self, images: Tensor) -> tuple[Tensor, Margins | None]:
        """(N, H, W, 3) uint8 on the network's device -> (N, 3, h, w) float32 and the margins that were added."""
        pixels, margins = images.permute(0, 3, 1, 2), None
        if self.reflect:
            pixels, margins = _reflect(pixels.float())
        pixels = self.normalize(self._resize(pixels))
        if self.pad_multiple:
            pixels, margins = _pad(pixels, self.pad_multiple)
        return pixels, margins

    def normalize(self, pixels: Tensor) -> Tensor:
        """(N, 3, h, w) grey levels -> float32 as the network wants them."""
        scale = torch.tensor(self.std, device=pixels.device).view(3, 1, 1) / self.rescale
        shift = torch.tensor(self.mean, device=pixels.device).view(3, 1, 1) / self.rescale
        return (pixels.float() - shift).div_(scale)

    def _resize(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, h, w)."""
        height, width = pixels.shape[-2:]
        size = self.output_size(height, width)
        if size == (height, width):
            return pixels
        if self.antialias and self.resampling != "nearest-exact":
            return _resize_bytes(pixels, size, self.resampling)
        corners = None if self.resampling == "nearest-exact" else bool(self.align_corners)
        return F.interpolate(pixels.float(), size, mode=self.resampling, align_corners=corners)


def _resize_bytes(pixels: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """(N, 3, H, W) uint8 -> (N, 3, *size), whole grey levels.

    Pillow and torch resize bytes along rows, round, then along columns. Only on CPUs can torch do so.
    """
    if pixels.device.type == "cpu":
        return F.interpolate(pixels, size, mode=mode, antialias=True)
    pixels = pixels.float()
    for step in ((pixels.shape[-2], size[1]), size):
        if step != tuple(pixels.shape[-2:]):
            pixels = F.interpolate(pixels, step, mode=mode, antialias=True).clamp(0, 255).round()
    return pixels


def _family(config: Mapping[str, Any], model_type: str) -> str:
    """The image processor's name without `ImageProcessor` and its older forms."""
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or _PROCESSORS[model_type])
    family = (
        name.removesuffix("Fast").removesuffix("Pil").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    )
    if family not in _DEFAULTS:
        raise ModelLoadError(f"the model's image processor {name} is not supported; allowed are {', '.join(_DEFAULTS)}")
    return family


def _three(values: Any) -> tuple[float, ...]:
    """Of red, green and blue."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= set(size):
        return int(size["height"]), int(size["width"])
    raise ModelLoadError(f"the model's input size {size!r} is not supported; allowed are height and width")


def _specialise(spec: InputSpec, family: str, config: Mapping[str, Any]) -> InputSpec:
    pads = bool(config.get("do_pad", False))
    if family == "ZoeDepth":
        return replace(spec, antialias=False, align_corners=True, reflect=pads)
    if family == "DepthPro":
        return replace(spec, antialias=False)
    if family == "GLPN":
        return replace(spec, multiple=int(config["size_divisor"]), floor=True)
    divisor = config.get("size_divisor")
    return replace(spec, pad_multiple=int(divisor)) if pads and divisor else spec


def _reflect(pixels: Tensor) -> tuple[Tensor, Margins]:
    """ZoeDepth's margins of 3 sqrt(side / 2) px; pictures too small to reflect repeat their border."""
    height, width = pixels.shape[-2:]
    y, x = (int(math.sqrt(side / 2) * 3) for side in (height, width))
    mode = "reflect" if y < height and x < width else "replicate"
    return F.pad(pixels, (x, x, y, y), mode=mode), Margins(x, y, x, y, height + 2 * y, width + 2 * x)


def _pad(pixels: Tensor, multiple: int) -> tuple[Tensor, Margins | None]:
    """Zeros on all sides, one more at the right and the bottom where the number is odd."""
    height, width = pixels.shape[-2:]
    y, x = -height % multiple, -width % multiple
    if not (x or y):
        return pixels, None
    margins = Margins(x // 2, y // 2, x - x // 2, y - y // 2, height + y, width + x)
    return F.pad(pixels, (margins.left, margins.right, margins.top, margins.bottom)), margins
