"""Small frames with depth for tests of stabilizers and of measures of steadiness."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import cv2
import numpy as np

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind, Frame


def depth_frame(time: float, depth: np.ndarray, image: np.ndarray | None = None, kind=DepthKind.RELATIVE) -> DepthFrame:
    if image is None:
        image = np.full((36, 64, 3), 90, np.uint8)
    frame = Frame(image, 0, round(time * 1000), Fraction(1, 1000), 0.0, "s")
    return DepthFrame(frame, depth.astype(np.float32), kind)


def push_all(stabilizer: Stabilizer, items: Iterable[DepthFrame]) -> list[DepthFrame]:
    """Pushes all items and flushes; returns all that comes out."""
    return [out for item in items for out in stabilizer.push(item)] + list(stabilizer.flush())


def texture(rng: np.random.Generator, shape: tuple[int, int] = (36, 64)) -> np.ndarray:
    """Draws a picture that optical flow can follow, (H, W, 3) uint8."""
    coarse = rng.integers(0, 256, (shape[0] // 6, shape[1] // 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def flat(value: float, shape=(12, 16)) -> np.ndarray:
    return np.full(shape, value, np.float32)


def ramp(scale: float = 1.0) -> np.ndarray:
    return np.linspace(0, scale, 192, dtype=np.float32).reshape(12, 16)
