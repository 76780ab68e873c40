"""A prior for the pitch of a depth map, by a ridge regression in units of half the field of view."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats

FLOOR_PRIORS = Path(__file__).with_name("floor_priors.npz")
_ROWS, _COLUMNS = 8, 8


def pitch_features(inverse: DepthMap, limits: tuple[float, float], camera: Intrinsics) -> Floats:
    """Returns (39,): inverse depth on a coarse grid, mirrored halves averaged, its quantiles, and fields of view.

    Args:
        inverse: (h, w) inverse depth, NaN where unknown.
        limits: (far, near) of it, which become 0 and 1.
        camera: the camera of the whole picture.
    """
    far, near = limits
    normalized = ((inverse - far) / (near - far)).astype(np.float32)
    quantiles = np.nanquantile(normalized, [0.1, 0.25, 0.5, 0.75, 0.9])
    filled = np.where(np.isfinite(normalized), normalized, quantiles[2]).astype(np.float32)
    grid = cv2.resize(filled, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    mirrored = (grid + grid[:, ::-1])[:, : _COLUMNS // 2].ravel() / 2
    half_fov = [
        math.degrees(math.atan(size / 2 / f)) / 30
        for size, f in ((camera.height, camera.fy), (camera.width, camera.fx))
    ]
    return np.concatenate([mirrored, quantiles, half_fov]).astype(np.float64)


def prior_pitch(inverse: DepthMap, limits: tuple[float, float], camera: Intrinsics) -> float:
    """Returns the most likely pitch in degrees for such a depth map, see `pitch_features`."""
    bias, *weights = floor_priors()["pitch"]
    half_fov = math.degrees(math.atan(camera.height / 2 / camera.fy))
    return float(np.clip((bias + pitch_features(inverse, limits, camera) @ weights) * half_fov, -20, 60))


@cache
def floor_priors() -> dict[str, Floats]:
    """Returns the coefficients that `tests/measure/fit_floor_priors.py` made: "pitch" (40,) and "stumps" (N, 4)."""
    with np.load(FLOOR_PRIORS) as file:
        return {name: file[name].astype(np.float64) for name in file.files}
