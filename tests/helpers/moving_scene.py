"""A textured box that moves before a textured wall, with exact depth, for tests of optical flow."""

from __future__ import annotations

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap, Image

WIDTH, HEIGHT, COUNT = 160, 120, 24
NEAR, FAR = 1.0, 0.25
"""Inverse depth of the box and of the wall."""


def texture(seed: int) -> Image:
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 2, WIDTH // 2, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


WALL, BOX = texture(1) // 2, texture(2)[:48, :48] // 2 + 128


def scene(count: int = COUNT, step_px: int = 3) -> list[tuple[Image, DepthMap]]:
    """Returns the picture and the exact inverse depth of a box that moves before a leaning wall."""
    frames = []
    for i in range(count):
        left = 8 + i * step_px % (WIDTH - 56)
        image = WALL.copy()
        image[36:84, left : left + 48] = BOX
        depth = np.repeat(np.linspace(FAR, FAR + 0.1, HEIGHT, dtype=np.float32)[:, None], WIDTH, axis=1)
        depth[36:84, left : left + 48] = NEAR
        frames.append((image, depth))
    return frames
