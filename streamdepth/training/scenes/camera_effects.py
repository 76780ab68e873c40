"""A simulated camera: converts linear light to a picture with the defects of real cameras."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
MIDDLE_GRAY = 0.16
"""Linear value to which auto-exposure brings the picture's mean."""


def photograph(light: Floats, rng: np.random.Generator, darkness: float = 0.0) -> npt.NDArray[np.uint8]:
    """Converts (H, W, 3) linear RGB to uint8 as a camera does; `darkness`, 0 by day to 1 at night, adds noise."""
    picture: Floats = light * exposure(light, darkness) * np.float32(2 ** rng.normal(0, 0.35))
    picture = picture * white_balance(rng) * vignette(light.shape[:2], rng.uniform(0, 0.45) ** 2)[..., None]
    if rng.random() < 0.12 + 0.2 * darkness:
        picture = motion_blur(picture, rng.uniform(0, np.pi), rng.uniform(1.5, 4.5))
    if rng.random() < 0.15:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.9)), np.float32)
    picture = sensor_noise(picture, rng.uniform(0.0, 0.02) + 0.05 * darkness * rng.random(), rng)
    picture = saturate(picture, rng.uniform(0.6, 1.25) * (1 - 0.3 * darkness))
    return tone(picture, rng.uniform(0.0, 1.0), rng.uniform(0.9, 1.15))


def exposure(light: Floats, darkness: float = 0.0) -> np.float32:
    """Returns the factor of an auto-exposure by the log mean; highlights are held back, and dark scenes stay darker."""
    gray = light.mean(axis=-1)
    middle = float(np.exp(np.log(gray + 1e-3).mean()))
    bright = float(np.quantile(gray, 0.95))
    target = MIDDLE_GRAY * (1 - 0.55 * darkness)
    return np.float32(
        min(target / max(middle, 1e-4), 1.6 / max(bright, 1e-3) + 0.35 * target / max(middle, 1e-4), 400.0)
    )


def fog(light: Floats, depth: Floats, extinction: float, color: tuple[float, float, float]) -> Floats:
    """Adds fog by Koschmieder's law: light is lost and air light gained with distance; `extinction` in 1/m."""
    clear = np.exp(-extinction * np.minimum(depth, np.float32(3000)))
    clear = cv2.blur(clear.astype(np.float32), (3, 3))[..., None]
    return np.asarray(light * clear + np.array(color, np.float32) * (1 - clear), np.float32)


def white_balance(rng: np.random.Generator) -> Floats:
    """Returns (3,) gains, from bluish to reddish, with a little green or magenta."""
    warm, tint = rng.normal(0, 0.08), rng.normal(0, 0.03)
    return np.array([1 + warm, 1 + tint, 1 - warm], np.float32)


def vignette(shape: tuple[int, int], strength: float) -> Floats:
    """Returns (H, W) gains: 1 in the middle, 1 - `strength` in the corners."""
    rows, columns = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])
    return np.asarray(1 - strength * (rows**2 + columns**2) / 2, np.float32)


def motion_blur(picture: Floats, angle: float, length: float) -> Floats:
    """Averages along a line of `length` px at `angle` radians."""
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel, middle = np.zeros((size, size), np.float32), size // 2
    for t in np.linspace(-length / 2, length / 2, 33):
        x, y = middle + t * np.cos(angle), middle + t * np.sin(angle)
        kernel[int(np.clip(round(y), 0, size - 1)), int(np.clip(round(x), 0, size - 1))] += 1
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.float32)


def sensor_noise(picture: Floats, amount: float, rng: np.random.Generator) -> Floats:
    """Adds shot noise, whose deviation grows with the root of light, and a noise floor; `amount` is that at white."""
    grain = rng.normal(size=picture.shape).astype(np.float32)
    if rng.random() < 0.5:
        grain = cv2.GaussianBlur(grain, (0, 0), 0.7) * 1.8
    return picture + grain * np.float32(amount) * np.sqrt(np.maximum(picture, 0) + 0.01)


def saturate(picture: Floats, factor: float) -> Floats:
    """Scales the saturation by `factor`."""
    gray = picture.mean(axis=-1, keepdims=True)
    return np.asarray(gray + (picture - gray) * np.float32(factor), np.float32)


def tone(picture: Floats, filmic: float, gamma: float) -> npt.NDArray[np.uint8]:
    """Converts linear light to 8 bits, between a plain sRGB-like curve (`filmic` 0) and one with soft shoulders (1)."""
    x = np.maximum(picture, 0)
    plain = np.minimum(x, 1) ** (1 / 2.2)
    soft = ((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)) ** (1 / 2.2)
    mixed = (plain * (1 - filmic) + np.clip(soft, 0, 1) * filmic) ** gamma
    return np.asarray(np.rint(np.clip(mixed, 0, 1) * 255), np.uint8)
