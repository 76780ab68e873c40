"""The floor under a camera, found in its depth, also in a small model's uneven one.

On a plane inverse depth is linear in the picture, and its errors are about the same everywhere: so it is looked for
there, and not among points, which lie ever farther apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streamdepth.core.types import DepthMap, Intrinsics
from streamdepth.geometry.points import Floats, Plane, rays

UNEVEN = 0.06
"""How far a small model's floor may lie from its plane, as a share of the picture's spread of inverse depth."""
_REACHES = (0.01, 0.03, UNEVEN)
_PIXELS = 20_000
_SHARE = 0.25
"""Of the lower half of the picture, what a floor fills at least."""
_UPWARDS = 0.5
"""The cosine of 60 degrees."""


class Slope(NamedTuple):
    """x = across * ray_x + down * ray_y + level, where x is inverse depth, relative or not."""

    across: float
    down: float
    level: float
    error: float
    """Median, in the unit of x."""
    middle: float
    """Median of x on the floor."""
    pixels: int
    """How many lie on it."""


def find_floor(depth_m: DepthMap, camera: Intrinsics) -> Plane | None:
    """(h, w) metres along z -> the floor, to within 60 degrees of the picture's own up; None where none is seen."""
    step = max(1, round(math.sqrt(depth_m.size / _PIXELS)))
    ray, thinned = rays(camera, *depth_m.shape[::-1])[::step, ::step], depth_m[::step, ::step]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(np.isfinite(thinned) & (thinned > 0), 1 / thinned, np.float32(np.nan))
    tries = (floor_slope(inverse, ray, reach, _UPWARDS) for reach in _REACHES)
    found = next((slope for slope in tries if slope), None)
    if found is None:
        return None
    across, down, level, error, middle, pixels = found
    length = float(np.linalg.norm((across, down, level)))
    offset = 1 / length
    normal = -np.array([across, down, level]) * offset
    return Plane(normal, offset, offset * error / max(middle, 1e-9), pixels / thinned.size)


def floor_slope(inverse: DepthMap, ray: Floats, reach: float = UNEVEN, upwards: float = 0.0) -> Slope | None:
    """By RANSAC; None where no floor fills a quarter of the lower half of the picture.

    It rises towards the viewer by more than it leans, and faces upwards by more than `upwards`, the cosine of an angle,
    which only inverse metres can tell.

    Args:
        inverse: (h, w), NaN where unknown.
        ray: (h, w, 2), as `geometry.rays` gives them.
        reach: how far from the plane its pixels may lie, as a share of the picture's spread.
    """
    half = inverse.shape[0] // 2
    x, at = inverse[half:].ravel().astype(np.float64), ray[half:].reshape(-1, 2)
    known = np.isfinite(x)
    x, at = x[known], np.column_stack([at[known], np.ones(known.sum())])
    if len(x) < 100:
        return None
    reach *= float(np.ptp(np.percentile(x, (2, 98))))
    best = _most_agreed(x, at, reach, upwards)
    if best is None:
        return None
    near = np.abs(at @ best - x) < reach
    across, down, level = np.linalg.lstsq(at[near], x[near], rcond=None)[0].tolist()
    error = float(np.median(np.abs(at[near] @ (across, down, level) - x[near])))
    return Slope(across, down, level, error, float(np.median(x[near])), int(near.sum()))


def _most_agreed(x: Floats, at: Floats, reach: float, upwards: float) -> Floats | None:
    """(3,) of the floor-like planes through three of the points, that with most points within `reach`."""
    rng = np.random.default_rng(0)
    some = rng.choice(len(x), min(len(x), 2000), replace=False)
    threes = rng.choice(some, (300, 3))
    threes = threes[np.abs(np.linalg.det(at[threes])) > 1e-9]
    planes = np.linalg.solve(at[threes], x[threes][..., None])[..., 0]
    down = planes[:, 1]
    planes = planes[(down > np.abs(planes[:, 0])) & (down > upwards * np.linalg.norm(planes, axis=1))]
    # This is where the time goes: in place, and with no more digits than the counting needs.
    off = planes.astype(np.float32) @ at[some].T.astype(np.float32)
    off -= x[some].astype(np.float32)
    counts = np.count_nonzero(np.abs(off, out=off) < reach, axis=1)
    return planes[counts.argmax()] if counts.size and counts.max() > _SHARE * len(some) else None
