"""The floor under a camera, found in its depth, even if a small model's floor is uneven.

The inverse depth of a plane is linear in the picture, and the errors of networks are about the same everywhere in
inverse depth. Therefore the floor is searched for in inverse depth, and not among points in space.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.ranges import robust_range
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.gravity import estimate_gravity
from streamdepth.geometry.level_floor import MIN_PROBABILITY, find_level_floor
from streamdepth.geometry.metric_fit import inverse_depth_range
from streamdepth.geometry.planes import Plane, refine_plane
from streamdepth.geometry.projection import back_project, camera_or_default, rays

UNEVEN_TOLERANCE = 0.06
"""Distance of a small model's floor from its plane, as a share of the picture's range of inverse depth."""
_EVEN_TOLERANCES = (0.01, 0.03)
"""The same for a sensor's or exact depth."""
_SAMPLED_PIXELS = 20_000
_MIN_SHARE = 0.25
"""Smallest share of the lower half of the picture that a floor fills."""


class FloorFit(NamedTuple):
    """A plane in inverse depth x, relative or metric: x = across * ray_x + down * ray_y + level."""

    across: float
    down: float
    level: float
    error: float
    """Median distance of the floor's pixels from the plane, in the unit of x."""
    median: float
    """Median of x on the floor."""
    pixels: int
    """Number of pixels on the floor."""


def find_floor(item: DepthFrame, *, max_tilt_degrees: float = 60.0, refine: bool = False) -> Plane | None:
    """Returns the floor that the camera sees, or None where none is seen.

    An even floor fills at least a quarter of the lower half of the picture, and its plane is fitted to its points.
    The slope of a floor in a network's depth (`item.metric_fit` is set, or no even floor is found) is unreliable: its
    direction is then that of `gravity.estimate_gravity`, and `level_floor.find_level_floor` decides whether it is one.

    Args:
        item: a frame with metric depth. A camera that is not known is taken to have a field of view of 60 degrees.
        max_tilt_degrees: how far the floor's normal may lie from the picture's own up.
        refine: True fits the plane to the points within 2 cm of it: for even floors, and depth that is nearly exact.

    Raises:
        ConfigError: the depth is relative; code "not-metric".

    A camera 1.2 m above an endless floor:

    >>> from fractions import Fraction
    >>> from streamdepth import Frame, Intrinsics
    >>> camera = Intrinsics.from_fov(70, 160, 120)
    >>> down = rays(camera, 160, 120)[..., 1]
    >>> depth_m = np.where(down > 0, 1.2 / np.maximum(down, 1e-3), np.inf).astype(np.float32)
    >>> frame = Frame(np.zeros((120, 160, 3), np.uint8), 0, 0, Fraction(1, 30), 0.0)
    >>> floor = find_floor(DepthFrame(frame, depth_m, DepthKind.METRIC, intrinsics=camera))
    >>> round(floor.offset, 3)
    1.2
    """
    if item.kind is not DepthKind.METRIC:
        raise ConfigError(
            "a floor is found in meters, and this depth is relative; use a metric model", code="not-metric"
        )
    depth_m, camera = item.depth, camera_or_default(item)
    step = max(1, round(math.sqrt(depth_m.size / _SAMPLED_PIXELS)))
    ray, sampled = rays(camera, *depth_m.shape[::-1])[::step, ::step], depth_m[::step, ::step]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(np.isfinite(sampled) & (sampled > 0), 1 / sampled, np.float32(np.nan))
    min_cosine = math.cos(math.radians(max_tilt_degrees))
    if item.metric_fit is not None and not refine:
        return _find_uneven_floor(item, inverse, camera)
    tolerances = (*_EVEN_TOLERANCES, UNEVEN_TOLERANCE) if refine else _EVEN_TOLERANCES
    fits = (fit_floor(inverse, ray, tolerance, min_cosine) for tolerance in tolerances)
    fit = next((fit for fit in fits if fit), None)
    if fit is None:
        return None if refine else _find_uneven_floor(item, inverse, camera)
    gradient = np.array([fit.across, fit.down, fit.level])
    offset = 1 / float(np.linalg.norm(gradient))
    plane = Plane(-gradient * offset, offset, offset * fit.error / max(fit.median, 1e-9), fit.pixels / sampled.size)
    return refine_plane(plane, back_project(depth_m, camera)) if refine else plane


def _find_uneven_floor(item: DepthFrame, inverse: DepthMap, camera: Intrinsics) -> Plane | None:
    """Returns a level plane through the floor in a network's depth, whose slope is no evidence of a tilt."""
    limits = inverse_depth_range(inverse)
    if limits is None:
        return None
    gravity = estimate_gravity(item.frame.image, inverse, camera)
    floor = find_level_floor(inverse, camera, gravity.up, limits)
    if floor is None or floor.probability < MIN_PROBABILITY:
        return None
    height = floor.cosine / floor.x
    return Plane(gravity.up, height, height * floor.residual / floor.x, floor.share)


def fit_floor(
    inverse: DepthMap, ray: Floats, tolerance: float = UNEVEN_TOLERANCE, min_cosine: float = 0.0
) -> FloorFit | None:
    """Fits a floor by RANSAC; returns None where none fills a quarter of the lower half of the picture.

    A floor comes nearer towards the bottom of the picture by more than it leans to a side.

    Args:
        inverse: (h, w) inverse depth, relative or metric, NaN where unknown.
        ray: (h, w, 2), as `projection.rays` gives them.
        tolerance: distance from the plane up to which a pixel lies on it, as a share of the picture's robust range.
        min_cosine: cosine of the largest angle between the floor's normal and the picture's up; metric depth only.
    """
    half = inverse.shape[0] // 2
    x, ray_xy1 = inverse[half:].ravel().astype(np.float64), ray[half:].reshape(-1, 2)
    known = np.isfinite(x) & np.isfinite(ray_xy1[:, 0])
    x, ray_xy1 = x[known], np.column_stack([ray_xy1[known], np.ones(known.sum())])
    if len(x) < 100:
        return None
    low, high = robust_range(inverse[half:], max_pixels=None) or (0.0, 0.0)
    tolerance *= high - low
    plane = _ransac(x, ray_xy1, tolerance, min_cosine)
    if plane is None:
        return None
    inliers = np.abs(ray_xy1 @ plane - x) < tolerance
    across, down, level = np.linalg.lstsq(ray_xy1[inliers], x[inliers], rcond=None)[0].tolist()
    error = float(np.median(np.abs(ray_xy1[inliers] @ (across, down, level) - x[inliers])))
    return FloorFit(across, down, level, error, float(np.median(x[inliers])), int(inliers.sum()))


def _ransac(x: Floats, ray_xy1: Floats, tolerance: float, min_cosine: float) -> Floats | None:
    """Returns the floor-like plane through three pixels with the most pixels within `tolerance`, (3,)."""
    rng = np.random.default_rng(0)
    some = rng.choice(len(x), min(len(x), 2000), replace=False)
    triples = rng.choice(some, (300, 3))
    triples = triples[np.abs(np.linalg.det(ray_xy1[triples])) > 1e-9]
    planes = np.linalg.solve(ray_xy1[triples], x[triples][..., None])[..., 0]
    down = planes[:, 1]
    planes = planes[(down > np.abs(planes[:, 0])) & (down > min_cosine * np.linalg.norm(planes, axis=1))]
    # This takes most of the time, so it is done in place and in float32, which is enough for counting.
    distance = planes.astype(np.float32) @ ray_xy1[some].T.astype(np.float32)
    distance -= x[some].astype(np.float32)
    counts = np.count_nonzero(np.abs(distance, out=distance) < tolerance, axis=1)
    return planes[counts.argmax()] if counts.size and counts.max() > _MIN_SHARE * len(some) else None
