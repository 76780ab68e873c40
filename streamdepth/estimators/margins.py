"""Margins around pictures: how they bring a picture to a network's input size, and how its depth loses them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.estimators.engines import Pixels

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Margins:
    """The padding around a picture, in px of the padded picture, which has `height` x `width` px."""

    left: int
    top: int
    right: int
    bottom: int
    height: int
    width: int

    @classmethod
    def around(cls, size: tuple[int, int], padded_size: tuple[int, int]) -> Margins | None:
        """Returns the margins of a picture in the middle, both sizes (height, width) in px; None where none are needed.

        Where the number is odd, the right and the lower margin have one px more.

        >>> Margins.around((360, 640), (640, 640))
        Margins(left=0, top=140, right=0, bottom=140, height=640, width=640)
        """
        if size == padded_size:
            return None
        y, x = padded_size[0] - size[0], padded_size[1] - size[1]
        return cls(x // 2, y // 2, x - x // 2, y - y // 2, *padded_size)


def repeat_edges(picture: Image, margins: Margins | None) -> Image:
    """Returns an (h, w, 3) picture with margins in which the pixels of its edges are repeated."""
    if margins is None:
        return picture
    sides = (margins.top, margins.bottom, margins.left, margins.right)
    return np.asarray(cv2.copyMakeBorder(picture, *sides, cv2.BORDER_REPLICATE), np.uint8)


def repeat_edges_of_tensor(pixels: Tensor, margins: Margins | None) -> Tensor:
    """Returns pictures (N, C, h, w) as `repeat_edges` does, float32."""
    if margins is None:
        return pixels
    from torch.nn import functional as F

    return F.pad(pixels.float(), (margins.left, margins.right, margins.top, margins.bottom), mode="replicate")


def crop_margins(maps: Pixels, margins: Margins | None) -> Pixels:
    """Returns the part of a padded picture's maps that shows the picture, at about the same scale.

    The maps, such as depth, may be larger or smaller than the padded picture. Where the margins fall on whole px of
    them, values stay as they are; elsewhere the picture is sampled anew, bilinearly.

    Args:
        maps: (N, h, w), or (N, h, w, C).
        margins: of the padded picture; None leaves the maps as they are.

    >>> crop_margins(np.zeros((1, 160, 160), np.float32), Margins.around((360, 640), (640, 640))).shape
    (1, 90, 160)
    """
    if margins is None:
        return maps
    y, x = maps.shape[1] / margins.height, maps.shape[2] / margins.width
    top, bottom, left, right = margins.top * y, margins.bottom * y, margins.left * x, margins.right * x
    if all(side.is_integer() for side in (top, bottom, left, right)):
        return maps[:, int(top) : maps.shape[1] - int(bottom), int(left) : maps.shape[2] - int(right)]
    return _sample_picture(maps, margins)


def _sample_picture(maps: Pixels, margins: Margins) -> Tensor:
    import torch
    from torch.nn import functional as F

    maps = torch.as_tensor(maps)
    channels = maps[:, None] if maps.ndim == 3 else maps.permute(0, 3, 1, 2)
    y = 1 - (margins.top + margins.bottom) / margins.height
    x = 1 - (margins.left + margins.right) / margins.width
    shift_y, shift_x = (margins.top - margins.bottom) / margins.height, (margins.left - margins.right) / margins.width
    theta = torch.tensor([[[x, 0.0, shift_x], [0.0, y, shift_y]]], dtype=maps.dtype, device=maps.device)
    size = [*channels.shape[:2], max(1, round(maps.shape[1] * y)), max(1, round(maps.shape[2] * x))]
    grid = F.affine_grid(theta.expand(len(maps), 2, 3), size, align_corners=False)
    sampled = F.grid_sample(channels, grid, padding_mode="border", align_corners=False)
    return sampled[:, 0] if maps.ndim == 3 else sampled.permute(0, 2, 3, 1)
