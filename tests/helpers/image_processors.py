"""Pictures, and the network inputs that models' own image processors make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]


def photograph(height: int, width: int) -> Array:
    """Draws a picture, (H, W, 3) uint8, with smooth areas, edges up to full contrast and a little noise."""
    rng = np.random.default_rng(height * width)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    image[height // 3 : height // 2, width // 4 : width // 2] = (255, 0, 10)
    return np.clip(image + rng.integers(-4, 5, image.shape), 0, 255).astype(np.uint8)


def pixels_by_transformers(image: Array, settings: dict[str, Any], model_type: str) -> Array:
    """Returns a network's input, (3, h, w), by transformers' own processor, for those that need no torchvision."""
    import transformers as t

    processors = {
        "dpt": t.DPTImageProcessorPil,
        "zoedepth": t.ZoeDepthImageProcessorPil,
        "glpn": t.GLPNImageProcessorPil,
    }
    kind = processors[model_type.replace("depth_anything", "dpt")]
    settings = {k: v for k, v in settings.items() if not k.endswith("_type") and v is not None}
    return np.asarray(kind(**settings)(images=image, return_tensors="np")["pixel_values"][0])


def _normalized(pixels: Array, settings: dict[str, Any]) -> Array:
    """Normalizes (h, w, 3) from 0...255 to (3, h, w)."""
    mean, std = (np.array(settings.get(k, d)) for k, d in (("image_mean", [0.0] * 3), ("image_std", [1.0] * 3)))
    return ((pixels / 255 - mean) / std).transpose(2, 0, 1)


def pixels_by_definition(image: Array, settings: dict[str, Any], model_type: str) -> Array:
    """Returns what the processors that exist for torchvision only would, written down with Pillow and numpy."""
    if model_type == "depth_pro":
        size = settings["size"]
        return _normalized(_bilinear(image.astype(float), size["height"], size["width"]), settings)
    if model_type == "tipsv2_dpt":
        size = settings["size"]["width"], settings["size"]["height"]
        return _normalized(np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)), settings)
    pixels = _normalized(image, settings)
    y, x = (-side % settings["size_divisor"] for side in image.shape[:2])
    return np.pad(pixels, ((0, 0), (y // 2, y - y // 2), (x // 2, x - x // 2)))


def _bilinear(image: Array, height: int, width: int) -> Array:
    """Resizes bilinearly with half-pixel centers and no antialiasing."""
    for axis, size in ((0, height), (1, width)):
        length = image.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.floor(at).astype(int)
        shape = [1, 1, 1]
        shape[axis] = size
        weight = (at - low).reshape(shape)
        high = np.minimum(low + 1, length - 1)
        image = image.take(low, axis) * (1 - weight) + image.take(high, axis) * weight
    return image
