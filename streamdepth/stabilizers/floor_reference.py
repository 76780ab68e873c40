"""The metric reference of a camera whose height above the floor is known."""

from __future__ import annotations

import math

from streamdepth.core.arrays import DepthMap
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.floor import fit_floor
from streamdepth.geometry.metric_fit import ScaleShiftFit, inverse_depth_range, typical_shift
from streamdepth.geometry.projection import ASSUMED_FOV, camera_or_default, rays
from streamdepth.stabilizers.metric import MetricReference


class FloorReference(MetricReference):
    """A floor seen by a camera `height_m` above it; an unknown camera is taken as `camera_or_default` does.

    On a plane, 1 / z is linear in the picture (n . ray / height), which fixes the scale. The shift of relative depth
    follows from `pitch_degrees`, the angle by which the camera looks down, or without it from what pictures usually
    show (`geometry.metric_fit.TYPICAL_RATIO`). The pitch is exact for exact depth, but multiplies the errors of a small
    model's floor.
    """

    name = "the floor"

    def __init__(self, height_m: float, pitch_degrees: float | None = None) -> None:
        self.height_m, self.pitch_degrees = height_m, pitch_degrees
        self._is_camera_known = True
        if pitch_degrees is None:
            self.caveat = "; the shift is guessed from what pictures usually show"

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        if item.intrinsics is None and self._is_camera_known:
            self._is_camera_known = False
            self.caveat += (
                f"; the camera is unknown: {ASSUMED_FOV:g} degrees are assumed; --fov or --camera-info tells it"
            )
        limits, floor = (
            inverse_depth_range(inverse),
            fit_floor(inverse, rays(camera_or_default(item), *inverse.shape[::-1])),
        )
        if limits is None or floor is None:
            return None
        across, down, level, residual, median, pixels = floor
        shift = 0.0
        if item.kind is DepthKind.RELATIVE:
            slope, pitch = math.hypot(across, down), self.pitch_degrees
            shift = typical_shift(limits) if pitch is None else math.tan(math.radians(pitch)) * slope - level
        normal_length = math.hypot(across, down, level + shift)
        scale = 1 / (self.height_m * normal_length)
        return ScaleShiftFit(scale, scale * shift, residual / max(median + shift, 1e-9), pixels)
