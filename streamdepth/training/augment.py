"""Augmentation of training pictures: random crops with small camera motions, and the faults of real cameras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image

Matrix = npt.NDArray[np.float64]
"""(2, 3) affine map from pixel (x, y, 1) of the result to the pixel it comes from; pixel centers are whole numbers."""


def random_crop(shape: tuple[int, int], size: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """Returns a random crop of `size` (height, width) in a picture of `shape`: zoomed, stretched, mirrored, rolled."""
    (height, width), (rows, columns) = shape, size
    zoom = min(height / rows, width / columns) * rng.uniform(0.5, 1.0)
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    zoom_x, zoom_y = min(zoom * stretch, width / columns), min(zoom / stretch, height / rows)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn = _rotation(np.deg2rad(rng.uniform(-1, 1) * rng.choice((0, 8, 35), p=(0.4, 0.4, 0.2))))
    center_x = rng.uniform(zoom_x * columns / 2, width - zoom_x * columns / 2)
    center_y = rng.uniform(zoom_y * rows / 2, height - zoom_y * rows / 2)
    return _about(turn @ np.diag([flip * zoom_x, zoom_y]), (columns / 2, rows / 2), (center_x, center_y))


def random_camera_motion(size: tuple[int, int], rng: np.random.Generator) -> Matrix:
    """Returns a small random motion of the camera, as between two frames of a video.

    It is up to 4 % of the width to the side, 4 px up or down, 2 degrees, and 3 % of zoom.
    """
    rows, columns = size
    turn = _rotation(np.deg2rad(rng.uniform(-2, 2))) * np.exp(rng.uniform(-0.03, 0.03))
    center = (columns / 2, rows / 2)
    return _about(turn, center, (center[0] + rng.uniform(-0.04, 0.04) * columns, center[1] + rng.uniform(-4, 4)))


def compose_affine(outer: Matrix, inner: Matrix) -> Matrix:
    """Returns the map that applies `inner` first, then `outer`."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def crop_view(image: Image, inverse: DepthMap, matrix: Matrix, size: tuple[int, int]) -> tuple[Image, DepthMap]:
    """Samples picture and inverse depth at `size` by the affine `matrix` (crop, zoom, rotation, mirroring).

    Beyond the border the picture is reflected and depth is NaN.
    """
    target = (size[1], size[0])
    # Without an average over the pixels that fall together, a strong reduction would shimmer as no camera does.
    shrink = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink > 1.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 * shrink), np.uint8)
    part = cv2.warpAffine(
        image, matrix, target, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
    )
    depth = cv2.warpAffine(
        inverse, matrix, target, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderValue=float("nan")
    )
    return np.asarray(part, np.uint8), np.asarray(depth, np.float32)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Degrades a picture as cameras do: exposure, white balance, color, vignette, blur, noise, compression."""
    out = _color(np.asarray(cv2.LUT(image, _tone_curves(rng)), np.uint8), rng)
    for chance, effect in _EFFECTS:
        if rng.random() < chance:
            out = effect(out, rng)
    return out


def _rotation(angle: float) -> Matrix:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _about(linear: Matrix, center: tuple[float, float], target: tuple[float, float]) -> Matrix:
    """Returns the affine map with this linear part that maps `center` to `target`."""
    return np.column_stack([linear, np.array(target) - linear @ np.array(center)])


def _tone_curves(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Returns (1, 256, 3): gamma, exposure, white balance and contrast as one table for each channel."""
    x = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-0.4, 0.4)) * np.exp(rng.uniform(-0.35, 0.3))
    x = x * np.exp(rng.normal(0, 0.06, 3))
    x = 0.5 + (x - 0.5) * rng.uniform(0.7, 1.3)
    return np.asarray(np.clip(x * 255.0, 0, 255)[None], np.uint8)


def _color(image: Image, rng: np.random.Generator) -> Image:
    saturation = 0.0 if rng.random() < 0.05 else rng.uniform(0.5, 1.4)
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, saturation, gray, 1 - saturation, 0), np.uint8)


def _vignette(image: Image, rng: np.random.Generator) -> Image:
    rows, columns = image.shape[:2]
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)
    gain = 1 - rng.uniform(0.1, 0.5) * (x**2 + y**2) / 2
    return np.asarray(image * gain[..., None], np.uint8)


def _night(image: Image, rng: np.random.Generator) -> Image:
    """Darkens and amplifies a picture; shot noise grows with the root of the light."""
    light = image * rng.uniform(0.04, 0.2)
    return np.asarray(np.clip(rng.poisson(light) * rng.uniform(2.0, 6.0), 0, 255), np.uint8)


def _defocus(image: Image, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5)), np.uint8)


def _motion_blur(image: Image, rng: np.random.Generator) -> Image:
    length, angle = int(rng.integers(2, 6)), rng.uniform(0, np.pi)
    kernel = np.zeros((2 * length + 1,) * 2, np.float32)
    dx, dy = length * np.cos(angle), length * np.sin(angle)
    ends = [(round(length + s * dx), round(length + s * dy)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _noise(image: Image, rng: np.random.Generator) -> Image:
    noise, strength = rng.integers(0, 256, image.shape, np.uint8), rng.uniform(0.0, 0.14)
    return np.asarray(cv2.addWeighted(image, 1.0, noise, strength, -128 * strength), np.uint8)


def _compress(image: Image, rng: np.random.Generator) -> Image:
    packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


_Effect = Callable[[Image, Any], Image]
_EFFECTS: tuple[tuple[float, _Effect], ...] = (
    (0.15, _vignette),
    (0.05, _night),
    (0.2, _defocus),
    (0.1, _motion_blur),
    (0.35, _noise),
    (0.25, _compress),
)
