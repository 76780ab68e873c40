"""Finds the sky in a picture by a small network on colors, texture and inverse depth.

Sky is infinitely far (REP 117), which a network's depth with a scale and shift never is. Each cell of a coarse grid has
features of itself, of the column above it and of the whole picture, and a perceptron with two hidden layers gives its
probability. `tests/measure/fit_sky.py` makes the weights from pictures whose sky is known; the README of this folder
says how good they are at places that they were not made from.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.ranges import robust_range
from streamdepth.geometry.arrays import Mask

Samples = npt.NDArray[np.float32]
SKY_WEIGHTS = Path(__file__).with_name("sky_weights.npz")
GRID_SIDE = 64
"""Cells along the grid's longer side."""
MIN_PROBABILITY = 0.5
"""Smallest probability of a cell of the sky."""
_MIN_MEAN_PROBABILITY, _MIN_AREA = 0.7, 0.004
"""Smallest mean probability of a region of sky, and its smallest share of the picture."""
_GUIDE_RADIUS, _GUIDE_EPSILON = 0.02, 1e-3
"""Radius of the guided filter as a share of the map's width, and its variance of brightness (0 to 1) that is noise."""


def sky_probability(image: Image, inverse: DepthMap) -> DepthMap:
    """Returns a (rows, columns) grid of the probability that a cell shows sky.

    Args:
        image: (H, W, 3) RGB of any size; 160 px on the longer side are enough.
        inverse: (h, w) inverse depth of the same view, up to scale and shift, NaN where unknown.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    columns, rows = (max(8, round(GRID_SIDE * side / longer)) for side in (width, height))
    features = sky_features(image, inverse, (columns, rows))
    weights = _sky_weights()
    hidden = (features - weights["mean"]) / weights["spread"]
    for layer in ("1", "2"):
        hidden = np.maximum(hidden @ weights["weight" + layer] + weights["bias" + layer], 0)
    logit = hidden @ weights["weight3"] + weights["bias3"]
    return cast(DepthMap, (1 / (1 + np.exp(-np.clip(logit, -30, 30)))).astype(np.float32).reshape(rows, columns))


def sky_region(probability: DepthMap) -> Mask:
    """Returns (rows, columns), True for sky: regions of likely cells that reach the picture's upper border."""
    is_likely = (probability > MIN_PROBABILITY).astype(np.uint8)
    region = np.zeros(probability.shape, np.bool_)
    if not is_likely[0].any():
        return region
    _, labels = cv2.connectedComponents(is_likely, connectivity=4)
    for label in np.unique(labels[0][is_likely[0] > 0]):
        part = labels == label
        is_large = part.sum() >= _MIN_AREA * part.size
        if is_large and probability[part].mean() >= _MIN_MEAN_PROBABILITY:
            region |= part
    return region


def refine_sky(probability: DepthMap, region: Mask, image: Image) -> DepthMap:
    """Returns the probability of sky at the picture's size, (H, W), along its edges; 0 away from the region.

    It is enlarged by a guided filter (He, Sun and Tang, TPAMI 2013) with the picture's blue as the guide.
    """
    height, width = image.shape[:2]
    near = cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    coarse = cv2.resize(np.where(near, probability, np.float32(0)), (width, height), interpolation=cv2.INTER_LINEAR)
    guide = image[..., 2].astype(np.float32) / 255
    radius = max(1, round(_GUIDE_RADIUS * width))
    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_sky = cv2.blur(guide, size), cv2.blur(coarse, size)
    variance = cv2.blur(guide * guide, size) - mean_guide * mean_guide
    slope = (cv2.blur(guide * coarse, size) - mean_guide * mean_sky) / (variance + np.float32(_GUIDE_EPSILON))
    offset = mean_sky - slope * mean_guide
    return cast(DepthMap, np.clip(cv2.blur(slope, size) * guide + cv2.blur(offset, size), 0, 1))


def sky_features(image: Image, inverse: DepthMap, size: tuple[int, int]) -> Samples:
    """Returns (cells, features) of a grid of (columns, rows) `size`, row by row.

    A cell has its color, texture, place and nearness; how strong the strongest edge and how near the nearest part is in
    the column above it; and the brightness and depth of the whole picture.
    """
    rgb = image.astype(np.float32) / 255
    smooth = cv2.blur(rgb, (3, 3))
    steps = [np.abs(cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=1)).max(axis=2) for order in ((1, 0), (0, 1))]
    edge = cv2.dilate(np.maximum(*steps), np.ones((3, 3), np.uint8))
    texture = cv2.blur(np.abs(rgb - smooth).max(axis=2), (5, 5))
    color, edge, texture = (_shrink(part, size) for part in (rgb, edge, texture))
    near = _shrink(_normalized(inverse), size)
    window = np.ones((3, 3), np.uint8)
    contrast = cv2.dilate(near, window) - cv2.erode(near, window)
    light = color.max(axis=2)
    bright = float(np.percentile(light, 90))
    row = np.repeat((np.arange(size[1], dtype=np.float32) + 0.5)[:, None] / size[1], size[0], axis=1)
    edge_above, near_above = (np.maximum.accumulate(part, axis=0) for part in (edge, near))
    whole = [bright, float(light.mean()), float(np.median(near))]
    maps = [
        *(color[..., i] for i in range(3)),
        light - color.min(axis=2),
        color[..., 2] - color[..., 0],
        light - np.float32(bright),
        np.abs(color - color[:1]).max(axis=2),
        *(np.log(part + np.float32(0.003)) for part in (edge, texture, edge_above)),
        row,
        near,
        near_above,
        contrast,
        *(np.full_like(row, value) for value in whole),
    ]
    return np.stack(maps, axis=-1).reshape(-1, len(maps)).astype(np.float32)


def _normalized(inverse: DepthMap) -> DepthMap:
    """Returns inverse depth, 0 at the picture's far end and 1 at its near end; unknown parts count as near."""
    far, near = robust_range(inverse) or (0.0, 1.0)
    scaled = (inverse - np.float32(far)) / np.float32(max(near - far, 1e-9))
    return cast(DepthMap, np.clip(np.nan_to_num(scaled, nan=1.0), -0.2, 1.2).astype(np.float32))


def _shrink(values: npt.NDArray[Any], size: tuple[int, int]) -> DepthMap:
    return cast(DepthMap, cv2.resize(values, size, interpolation=cv2.INTER_AREA))


@cache
def _sky_weights() -> dict[str, Samples]:
    with np.load(SKY_WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files}
