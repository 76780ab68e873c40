"""The metric reference of a camera whose height above the floor is known."""

from __future__ import annotations

import math

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.affine import Affine
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.floor_classifier import scale_log_sigma
from streamdepth.geometry.gravity import Gravity, estimate_gravity, up_vector
from streamdepth.geometry.level_floor import MIN_PROBABILITY, LevelFloor, find_level_floor
from streamdepth.geometry.metric_fit import ScaleShiftFit, inverse_depth_range
from streamdepth.geometry.projection import ASSUMED_FOV, camera_or_default
from streamdepth.stabilizers.fit_scatter import FitScatter
from streamdepth.stabilizers.metric import MetricReference
from streamdepth.stabilizers.optical_flow import FrameMotion
from streamdepth.stabilizers.scale_drift import ScaleDrift

_GIVEN_PITCH_SIGMA = 1.5
"""Standard error in degrees of a pitch that a user gives."""
_DISAGREEMENT = 3.0
"""Number of standard errors by which a given pitch may differ from the picture's before a notice says so."""
_GIVEN_PITCH_SHARE = 0.7
"""Share of the scale's usual error that remains if the pitch is known; the rest comes from the error of a guessed
pitch. With true pitches it is 0.43 to 0.50, each place judged by 14 others; it is larger here because with a smaller
share more pictures without a floor would be accepted."""
_SLOPE_LOG_SIGMA = 0.15
"""Standard deviation of the logarithm of a floor's slope in the depth of a small network."""
_PITCH_LOG_SIGMA, _USUAL_PITCH_SIGMA = 0.022, 4.0
"""Standard deviation of the logarithm of the scale for a pitch with this standard error in degrees, at a floor whose
`cosine` is 1."""
_MAX_AGE_SECONDS, _MAX_VIEW_CHANGE = 0.5, 0.02
"""Time, and mean change of the picture's brightness (0 to 1), after which gravity is estimated again."""
_NOISE_SHARE = 0.1
"""Share of the covariance that is new in each frame."""


class FloorReference(MetricReference):
    """A floor seen by a camera `height_m` above it; an unknown camera is taken as `camera_or_default` does.

    The direction of up comes from the picture's vertical lines and the usual pitch (`geometry.gravity`), or in part
    from `pitch_degrees`, the angle by which the camera looks down. Each pixel of the floor then has a known distance.
    The floor's level in relative depth determines one of scale and shift; its slope, and the usual ratio of far to
    near, determine the other (`geometry.level_floor`). A frame in which no floor is likely gives no fit, and `refusal`
    says why.
    """

    name = "the floor"

    def __init__(self, height_m: float, pitch_degrees: float | None = None) -> None:
        self.height_m, self.pitch_degrees = height_m, pitch_degrees
        self.reset()

    def reset(self) -> None:
        self.caveat = self.refusal = self._camera_caveat = ""
        self._is_pitch_known = False
        self._gravity: tuple[float, Floats, Gravity] | None = None
        self._scatter = FitScatter()

    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        if item.intrinsics is None:
            self._camera_caveat = (
                f"; the camera is unknown: {ASSUMED_FOV:g} degrees are assumed; --fov or --camera-info tells it"
            )
        limits, camera = inverse_depth_range(inverse), camera_or_default(item)
        if limits is None:
            self.refusal = "no floor is seen: the depth is flat"
            return None
        floor, gravity = self._find_floor(inverse, camera, limits, self._estimate_gravity(item, inverse, camera))
        if floor is None or floor.probability < MIN_PROBABILITY:
            likely = 0.0 if floor is None else floor.probability
            self.refusal = (
                f"no floor is seen: the most likely one has a probability of {likely:.0%} only; show more of the "
                "floor, or give distances by --anchor or --sparse"
            )
            return None
        self.refusal = ""
        fit = self._fit_floor(floor, gravity, item.kind)
        common = self._scatter.update(Affine(fit.scale, fit.shift), float(np.nanmedian(inverse)))
        return fit._replace(least_common_sigma=common)

    def _find_floor(
        self, inverse: DepthMap, camera: Intrinsics, limits: tuple[float, float], seen: Gravity
    ) -> tuple[LevelFloor | None, Gravity]:
        """Returns the most likely floor, and the gravity with which it was found.

        If no floor fits the given pitch, but one fits the picture's own, the given pitch is wrong and is not used.
        """
        given = self._with_given_pitch(seen)
        floor = find_level_floor(inverse, camera, given.up, limits)
        if given is seen or (floor is not None and floor.probability >= MIN_PROBABILITY):
            return floor, given
        other = find_level_floor(inverse, camera, seen.up, limits)
        if other is None or other.probability < MIN_PROBABILITY:
            return floor, given
        self._doubt_given_pitch(seen)
        return other, seen

    def _estimate_gravity(self, item: DepthFrame, inverse: DepthMap, camera: Intrinsics) -> Gravity:
        """Returns gravity in this frame; the last estimate is used again while the picture hardly changes."""
        thumbnail = cv2.resize(item.frame.image, (32, 24), interpolation=cv2.INTER_AREA).astype(np.float64) / 255
        if self._gravity is not None:
            time, view, gravity = self._gravity
            is_recent = 0 <= item.frame.time - time < _MAX_AGE_SECONDS
            if is_recent and np.abs(view - thumbnail).mean() < _MAX_VIEW_CHANGE:
                return gravity
        gravity = estimate_gravity(item.frame.image, inverse, camera)
        self._gravity = item.frame.time, thumbnail, gravity
        return gravity

    def _with_given_pitch(self, gravity: Gravity) -> Gravity:
        self._is_pitch_known = False
        if self.pitch_degrees is None:
            guessed = f"{gravity.pitch_degrees:.0f} +- {gravity.sigma_degrees:.0f} degrees"
            self.caveat = f"{self._camera_caveat}; the pitch is guessed from the picture: {guessed}"
            return gravity
        self.caveat = self._camera_caveat
        difference = abs(self.pitch_degrees - gravity.pitch_degrees)
        self._is_pitch_known = True
        if difference > _DISAGREEMENT * (gravity.sigma_degrees + _GIVEN_PITCH_SIGMA):
            self._doubt_given_pitch(gravity)
        return Gravity(up_vector(self.pitch_degrees, gravity.roll_degrees), _GIVEN_PITCH_SIGMA)

    def _doubt_given_pitch(self, seen: Gravity) -> None:
        self._is_pitch_known = False
        self.caveat = (
            f"{self._camera_caveat}; --camera-pitch is {self.pitch_degrees:g} degrees, but the picture looks like "
            f"{seen.pitch_degrees:.0f} +- {seen.sigma_degrees:.0f}: check the mount, or leave it out"
        )

    def track(self, item: DepthFrame, motion: FrameMotion, drift: ScaleDrift, estimate: Affine | None) -> None:
        if item.cut:
            self._scatter.reset()
        self._scatter.carry(drift)

    def _fit_floor(self, floor: LevelFloor, gravity: Gravity, kind: DepthKind) -> ScaleShiftFit:
        inverse_m = floor.cosine / self.height_m
        of_pitch = _PITCH_LOG_SIGMA / floor.cosine * math.sqrt(gravity.sigma_degrees / _USUAL_PITCH_SIGMA)
        of_floor = scale_log_sigma(floor.features) * (_GIVEN_PITCH_SHARE if self._is_pitch_known else 1)
        sigmas = np.array([math.hypot(of_floor, of_pitch), _SLOPE_LOG_SIGMA])
        if kind is DepthKind.METRIC:
            scale = inverse_m / floor.x
            covariance = np.diag([(scale * sigmas[0]) ** 2, 0.0])
            return ScaleShiftFit(scale, 0.0, floor.residual / floor.x, floor.pixels, covariance, _NOISE_SHARE)
        scale = 1 / (floor.slope * self.height_m)
        shift = inverse_m - scale * floor.x
        to_state: Floats = np.array([[scale, scale], [shift, -scale * floor.x]]) * sigmas
        residual = floor.residual * scale / inverse_m
        return ScaleShiftFit(scale, shift, residual, floor.pixels, to_state @ to_state.T, _NOISE_SHARE)
