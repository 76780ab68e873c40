"""A box before a wall, seen by two eyes, with exact disparity; and what others do to make the second view."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import Image
from streamdepth.render.disparity import Disparity

WIDTH, HEIGHT = 160, 90
LEFT, TOP, SIDE = 60, 25, 40
"""The box in the left picture, px."""


@dataclass(frozen=True)
class StereoScene:
    """Two views of the scene."""

    left: Image
    right: Image
    disparity: Disparity
    """(H, W) px, of the left picture."""
    hole: npt.NDArray[np.bool_]
    """(H, W), True where the right eye sees what the left one does not."""
    wall_at_hole: Image
    """(H, W, 3): the color of the wall to the right of each row's hole."""


def stereo_scene(near_px: int = 12, far_px: int = 2, seed: int = 1) -> StereoScene:
    """Returns a blue wall and a red box in front of it, both textured, at these disparities."""
    wall = _texture(seed, WIDTH + far_px, HEIGHT) // np.array([4, 4, 2], np.uint8)
    box = _texture(seed + 1, SIDE, SIDE) // np.array([2, 4, 4], np.uint8) + np.array([128, 0, 0], np.uint8)
    rows = slice(TOP, TOP + SIDE)
    left, right = wall[:, :WIDTH].copy(), wall[:, far_px:].copy()
    left[rows, LEFT : LEFT + SIDE] = box
    right[rows, LEFT - near_px : LEFT - near_px + SIDE] = box
    disparity = np.full((HEIGHT, WIDTH), far_px, np.float32)
    disparity[rows, LEFT : LEFT + SIDE] = near_px
    hole = np.zeros((HEIGHT, WIDTH), np.bool_)
    hole[:, WIDTH - far_px :] = True
    end = LEFT + SIDE
    hole[rows, end - near_px : end - far_px] = True
    beside = np.repeat(left[:, -1:], WIDTH, axis=1)
    beside[rows, : WIDTH - far_px] = left[rows, end : end + 1]
    return StereoScene(left, right, disparity, hole, beside)


def _texture(seed: int, width: int, height: int) -> Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def forward_warped(left: Image, disparity: Disparity) -> Image:
    """Returns the right view by plain forward warping: each pixel to the nearest place, near over far, holes black."""
    order = np.argsort(disparity, axis=None, kind="stable")
    rows, columns = np.divmod(order, disparity.shape[1])
    places = np.rint(columns - disparity.ravel()[order]).astype(int)
    is_inside = (places >= 0) & (places < disparity.shape[1])
    view = np.zeros_like(left)
    view[rows[is_inside], places[is_inside]] = left[rows[is_inside], columns[is_inside]]
    return view


def edge_stretched(left: Image, disparity: Disparity) -> Image:
    """Returns the right view by backward warping with the left view's disparity, which stretches edges over holes."""
    rows, columns = np.indices(disparity.shape, np.float32)
    view = cv2.remap(left, columns + disparity, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(view, np.uint8)


def psnr(found: Image, exact: Image) -> float:
    """Returns the peak signal-to-noise ratio in dB."""
    return float(cv2.PSNR(found, exact))
