"""Depth of a view by a plane sweep: other views are warped over planes of many depths, and the best match wins.

Collins, "A Space-Sweep Approach to True Multi-Image Matching" (CVPR 1996). The cost is one minus the normalized cross
correlation of small windows, as the mean of the better half of the views, because occluders hide places from some of
them (Kang et al., CVPR 2001). Nothing is rectified, so that the camera may also move forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Mask
from streamdepth.geometry.projection import rays
from streamdepth.training.motion.semi_global import smooth_costs
from streamdepth.training.motion.structure import View

Floats32 = npt.NDArray[np.float32]
WIDEST_PX = 384
"""Longer side of the depth maps."""
WINDOW_PX = 7
STEP_PX = 0.8
"""Motion of a pixel from one plane to the next in the farthest view."""
PLANES = (24, 128)
"""Smallest and largest number of planes."""
RANGE = (0.5, 1.4)
"""Factors for the 2nd and 98th percentile of the known inverse depths, which limit the planes."""
NOISE = 3.0
"""Deviation of gray values, of 255, below which a window has no texture."""
WORST_COST = 0.5
"""Cost above which the best match is rejected."""


@dataclass(frozen=True, slots=True)
class SweptView:
    """A view at the size of its depth map."""

    view: View
    gray: Floats32
    """(h, w) gray values."""
    camera: Intrinsics

    @property
    def straight(self) -> Floats32:
        """The picture without the lens's distortion, for `camera.pinhole`."""
        distortion = np.array(self.camera.distortion)
        return np.asarray(cv2.undistort(self.gray, self.camera.matrix, distortion), np.float32)


def prepare(view: View) -> SweptView:
    """Returns a view at the size of its depth map."""
    height, width = view.image.shape[:2]
    factor = min(1.0, WIDEST_PX / max(height, width))
    size = round(width * factor), round(height * factor)
    small = cv2.resize(cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    return SweptView(view, np.asarray(small, np.float32), view.camera.resized(*size))


def sweep(reference: SweptView, others: Sequence[SweptView]) -> Floats32:
    """Returns (h, w) inverse depth of the reference, in the unit of its reconstruction; NaN where nothing matches."""
    warps = [_Warp(reference, other) for other in others]
    planes = _planes(reference.view, warps)
    costs = np.stack([_better_half([warp.cost(plane) for warp in warps]) for plane in planes], axis=-1)
    return _winners(costs, smooth_costs(costs, reference.gray), planes)


class _Warp:
    """The homographies, one per plane, that bring another view's picture over the reference's."""

    def __init__(self, reference: SweptView, other: SweptView) -> None:
        height, width = reference.gray.shape
        ray = rays(reference.camera, width, height)
        motion = other.view.transform @ np.linalg.inv(reference.view.transform)
        matrix = other.camera.pinhole.matrix
        ahead = np.concatenate([ray, np.ones((height, width, 1))], axis=-1)
        self.far = np.nan_to_num(ahead @ (matrix @ motion[:3, :3]).T).astype(np.float32)
        self.shift = (matrix @ motion[:3, 3]).astype(np.float32)
        self.picture = other.straight
        self.window = _Window(reference.gray)

    def places(self, inverse: float) -> tuple[Floats32, Floats32]:
        """Returns (h, w) columns and rows in the other view of the points at an inverse depth."""
        x, y, z = np.moveaxis(self.far + self.shift * np.float32(inverse), -1, 0)
        z = np.where(z > 1e-6, z, np.float32(np.nan))
        return x / z, y / z

    def cost(self, inverse: float) -> Floats32:
        """Returns (h, w) costs of an inverse depth, 0 to 1; 1 outside of the other view."""
        x, y = self.places(inverse)
        height, width = self.picture.shape
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        warped = cv2.remap(self.picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.where(inside, self.window.cost(np.asarray(warped, np.float32)), np.float32(1))


class _Window:
    """Normalized cross correlation of one picture's windows with those of others."""

    def __init__(self, gray: Floats32) -> None:
        self.gray, self.mean = gray, _blurred(gray)
        self.variance = _blurred(gray * gray) - self.mean**2

    def cost(self, other: Floats32) -> Floats32:
        mean = _blurred(other)
        variance = _blurred(other * other) - mean**2
        covariance = _blurred(self.gray * other) - self.mean * mean
        texture = np.sqrt((np.maximum(self.variance, 0) + NOISE**2) * (np.maximum(variance, 0) + NOISE**2))
        return np.asarray(np.clip(1 - covariance / texture, 0, 1), np.float32)


def _blurred(values: Floats32) -> Floats32:
    return np.asarray(cv2.blur(values, (WINDOW_PX, WINDOW_PX)), np.float32)


def _better_half(costs: Sequence[Floats32]) -> Floats32:
    ordered = np.sort(np.stack(costs, axis=-1), axis=-1)
    return np.asarray(ordered[..., : (len(costs) + 1) // 2].mean(axis=-1), np.float32)


def _planes(view: View, warps: Sequence[_Warp]) -> Floats32:
    """Returns the inverse depths of all planes, at even distances."""
    depth = (view.points @ view.transform[2, :3]) + view.transform[2, 3]
    low, high = np.quantile(1 / depth[depth > 0], (0.02, 0.98)) * RANGE
    ways = [np.hypot(*np.subtract(warp.places(high), warp.places(low))) for warp in warps]
    way = max(float(np.nanmedian(way)) for way in ways)
    return np.linspace(low, high, int(np.clip(way / STEP_PX, *PLANES)), dtype=np.float32)


def _winners(costs: Floats32, smooth: Floats32, planes: Floats32) -> Floats32:
    """Returns the inverse depth of the smallest smoothed cost, refined by a parabola; NaN for bad matches."""
    best = smooth.argmin(axis=-1)
    inner = np.clip(best, 1, len(planes) - 2)[..., None]
    before, here, after = (np.take_along_axis(smooth, inner + i, -1)[..., 0] for i in (-1, 0, 1))
    bend = np.maximum(before - 2 * here + after, 1e-6)
    place = inner[..., 0] + np.clip((before - after) / (2 * bend), -0.5, 0.5)
    inverse = planes[0] + place * (planes[1] - planes[0])
    is_match: Mask = np.take_along_axis(costs, inner, -1)[..., 0] < WORST_COST
    return np.where(is_match & (best == inner[..., 0]), inverse, np.nan).astype(np.float32)
