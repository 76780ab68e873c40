"""Pictures with depth for training: read once, kept small in memory, cropped and disturbed anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.evaluation.datasets import read_pairs
from streamdepth.types import DepthMap, Image

HEIGHT = 240
"""Pictures are kept at this height."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one data set takes part: how often it is drawn, the frame cut away, whether its depth has holes."""

    name: str
    weight: float
    border: int = 0
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, (H, W, 3) uint8 RGB, and its inverse depth, (H, W) float32 in 1/m, NaN = unknown."""

    image: Image
    inverse: DepthMap


def read_folder(root: Path, recipe: Recipe) -> list[Sample]:
    """All pictures of one data set, at `HEIGHT`. Raises SourceOpenError when they cannot be read."""
    return [_shrink(pair.image, pair.depth) for pair in read_pairs(root, recipe.name, recipe.border)]


def _shrink(image: Image, metres: DepthMap) -> Sample:
    height, width = metres.shape
    size = (round(width * HEIGHT / height), HEIGHT)
    small = np.full((size[1], size[0]), np.nan, np.float32)
    ys, xs = np.nonzero(np.isfinite(metres))
    # Scattering keeps every LiDAR point, where picking pixels would lose most of them.
    small[ys * HEIGHT // height, xs * size[0] // width] = 1.0 / metres[ys, xs]
    return Sample(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), small)


class Crops:
    """Random batches: one size a batch, each picture from a set drawn by weight."""

    sizes = ((192, 256), (192, 256), (160, 288), (224, 224), (256, 192), (192, 320))

    def __init__(self, root: Path, recipes: Sequence[Recipe], batch: int, seed: int) -> None:
        self.sets = [read_folder(root, r) for r in recipes]
        self.recipes = recipes
        self.batch = batch
        self.seed = seed
        weights = np.array([r.weight for r in recipes])
        self.weights = weights / weights.sum()

    def draw(self, step: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Batch number `step`, the same for the same seed: (N, H, W, 3) uint8, (N, H, W) float32, (N,) dense or not."""
        rng = np.random.default_rng((self.seed, step))
        size = self.sizes[rng.integers(len(self.sizes))]
        chosen = rng.choice(len(self.sets), self.batch, p=self.weights)
        pairs = [crop(self.sets[i][rng.integers(len(self.sets[i]))], size, rng) for i in chosen]
        images = np.stack([disturb(image, rng) for image, _ in pairs])
        dense = np.array([not self.recipes[i].sparse for i in chosen])
        return images, np.stack([inverse for _, inverse in pairs]), dense


def crop(sample: Sample, size: tuple[int, int], rng: np.random.Generator) -> tuple[Image, DepthMap]:
    """A random part of the picture at (height, width), turned by up to 6 degrees, mirrored half of the time."""
    height, width = sample.inverse.shape
    fit = min(height / size[0], width / size[1])
    zoom = fit * rng.uniform(0.55, 1.0)
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    zoom_x, zoom_y = min(zoom * stretch, width / size[1]), min(zoom / stretch, height / size[0])
    flip = -1.0 if rng.random() < 0.5 else 1.0
    angle = np.deg2rad(rng.uniform(-6, 6) if rng.random() < 0.5 else 0.0)
    center_x = rng.uniform(zoom_x * size[1] / 2, width - zoom_x * size[1] / 2)
    center_y = rng.uniform(zoom_y * size[0] / 2, height - zoom_y * size[0] / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([flip * zoom_x, zoom_y])
    offset = np.array([center_x, center_y]) - linear @ np.array([size[1] / 2, size[0] / 2])
    matrix = np.column_stack([linear, offset])
    target = (size[1], size[0])
    inverse_map = cv2.WARP_INVERSE_MAP
    image = cv2.warpAffine(
        sample.image, matrix, target, flags=cv2.INTER_LINEAR | inverse_map, borderMode=cv2.BORDER_REFLECT_101
    )
    inverse = cv2.warpAffine(
        sample.inverse, matrix, target, flags=cv2.INTER_NEAREST | inverse_map, borderValue=float("nan")
    )
    return np.asarray(image, np.uint8), np.asarray(inverse, np.float32)


def disturb(image: Image, rng: np.random.Generator) -> Image:
    """What cameras do to a picture: exposure, white balance, colour, blur, noise, compression."""
    out: npt.NDArray[Any] = cv2.LUT(image, _tone_curves(rng))
    saturation = 0.0 if rng.random() < 0.05 else rng.uniform(0.5, 1.4)
    gray = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    out = cv2.addWeighted(out, saturation, gray, 1 - saturation, 0)
    if rng.random() < 0.2:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.3:
        noise = rng.integers(0, 256, out.shape, np.uint8)
        out = cv2.addWeighted(out, 1.0, noise, strength := rng.uniform(0.0, 0.12), -128 * strength)
    if rng.random() < 0.25:
        packed = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        out = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return np.asarray(out, np.uint8)


def _tone_curves(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """(1, 256, 3): gamma, exposure, white balance and contrast as one table for each channel."""
    x = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-0.4, 0.4)) * np.exp(rng.uniform(-0.3, 0.3))
    x = x * np.exp(rng.normal(0, 0.06, 3))
    x = 0.5 + (x - 0.5) * rng.uniform(0.7, 1.3)
    return np.asarray(np.clip(x * 255.0, 0, 255)[None], np.uint8)
