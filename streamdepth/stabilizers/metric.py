"""Conversion of relative depth to meters by known distances."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.notices import warn_once
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.affine import Affine
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.inverse_depth import finite_inverse_depth
from streamdepth.geometry.metric_fit import ScaleShiftFit, inverse_depth_range, to_meters
from streamdepth.geometry.scale_filter import ScaleShiftFilter
from streamdepth.stabilizers.confidence import ConfidenceEstimator
from streamdepth.stabilizers.optical_flow import FrameMotion, MotionTracker
from streamdepth.stabilizers.scale_drift import ScaleDrift, ScaleDriftEstimator

MAX_SCALE_ERROR = 0.25
"""Default of the one-sigma error of the scale beyond which meters are withheld, as a share."""


class MetricReference(ABC):
    """A known distance or camera fact from which depth in meters can be fitted."""

    name = ""
    """A noun phrase for messages, such as "the floor"."""
    caveat = ""
    """Words for messages, beginning with a semicolon, on what makes these meters uncertain."""

    points: Floats | None = None
    """(N, 3) x, y in px of the frame and meters of the points that `fit` has just used; None for references without
    points."""
    interval_seconds = 0.0
    """Time for which a fit stays in use before the next is made; 0 makes one in every frame."""

    refusal = ""
    """Reason why the newest frame gave no fit, a clause for messages; empty if the reference is merely not visible."""

    contradiction = ""
    """Reason why the newest fit is in doubt, a clause for messages; empty without one."""

    def track(self, item: DepthFrame, motion: FrameMotion, drift: ScaleDrift, estimate: Affine | None) -> None:
        """Follows the motion to a frame; called for every frame, before `fit`.

        `estimate` has the scale and shift that are expected before `fit`; None if nothing is known.
        """

    @abstractmethod
    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        """Returns the fit of this frame alone; None where the reference cannot be seen in it.

        inverse: inverse depth of the frame, (h, w), as `geometry.inverse_depth.finite_inverse_depth` gives it.
        """

    def reset(self) -> None:
        """Forgets the stream."""


class MetricConverter(Stabilizer):
    """Keeps one estimate of scale and shift over time, and converts depth to meters along z with it.

    The estimate is that of `geometry.scale_filter`. Each fit of the reference updates it by the weight of its
    covariance. Without a fit the estimate is kept and becomes less certain as the picture moves; a cut resets it. While
    the scale's one-sigma error exceeds `max_scale_error`, or nothing is known yet, depth is withheld: it is NaN, since
    relative values must not be taken for meters. Single pixels whose distance is less certain than that are NaN, too.
    `notices` has the first fit's residual, and says once when meters are withheld.

    Args:
        reference: what is known in meters.
        max_scale_error: limit of the error, as a share; math.inf never withholds an estimate.
        tracker: shared with the stages before, if they let no frame wait.
    """

    def __init__(
        self,
        reference: MetricReference,
        max_scale_error: float = MAX_SCALE_ERROR,
        tracker: MotionTracker | None = None,
    ) -> None:
        self.reference, self.max_scale_error = reference, max_scale_error
        self._tracker, self._has_own_tracker = tracker or MotionTracker(), tracker is None
        self._filter, self._drift = ScaleShiftFilter(), ScaleDriftEstimator(self._tracker)
        self._confidence = ConfidenceEstimator()
        self._notices: list[str] = []
        self._facts: dict[str, float | int | None] = {}
        self._given = self._withheld = 0
        self.reset()

    def reset(self) -> None:
        self._forget()
        self._is_fit_announced = self._is_absence_announced = False
        self.reference.reset()
        if self._has_own_tracker:
            self._tracker.reset()

    def _forget(self) -> None:
        self._drift.reset()
        self._confidence.reset()
        self._filter.reset()
        self._residual: float | None = None
        self._fitted_at: float | None = None

    def output_kind(self, kind: DepthKind) -> DepthKind:
        return DepthKind.METRIC

    @property
    def notices(self) -> Sequence[str]:
        return self._notices

    @property
    def estimate(self) -> Affine | None:
        """(scale, shift) of the newest frame, also where its meters are withheld; None where nothing is known."""
        state = self._filter.state
        return None if state is None else Affine(float(state[0]), float(state[1]))

    @property
    def facts(self) -> dict[str, float | int | None]:
        return self._facts

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        inverse = finite_inverse_depth(item.depth, item.kind)
        motion = self._tracker.track(item.frame)
        if item.cut:
            self._forget()
        drift = self._drift.measure(item, motion, self._to_inverse_m(inverse))
        limits = inverse_depth_range(inverse)
        if limits is not None:
            is_relative = item.kind is DepthKind.RELATIVE
            self._filter.predict(drift.log_change, drift.variance, limits, has_shift=is_relative)
        self.reference.track(item, motion, drift, self.estimate)
        if limits is not None and self._is_fit_due(item.frame.time):
            self._update(item, inverse, limits)
        self._drift.remember(item, motion, self._to_inverse_m(inverse))
        item = replace(
            item,
            kind=DepthKind.METRIC,
            scale_sigma=self._filter.sigma_at(_median(inverse)),
            metric_residual=self._residual,
            evidence_age_seconds=None if self._fitted_at is None else item.frame.time - self._fitted_at,
        )
        is_withheld = self.estimate is None or (item.scale_sigma or 0.0) > self.max_scale_error
        self._count(item, is_withheld=is_withheld)
        if self.estimate is None or is_withheld:
            self._announce_absence(item)
            return [replace(item, depth=np.full_like(inverse, np.nan), confidence=None)]
        item = replace(item, depth=self._certain_meters(inverse, self.estimate), metric_fit=(*self.estimate,))
        points = self.reference.points if item.evidence_age_seconds == 0 else None
        return [replace(item, confidence=self._confidence.estimate(item, drift.flow, points))]

    def _certain_meters(self, inverse: DepthMap, estimate: Affine) -> DepthMap:
        """Returns meters along z, (h, w); NaN where `max_scale_error` is exceeded."""
        is_uncertain = self._filter.is_uncertain(inverse, self.max_scale_error)
        return np.where(is_uncertain, np.float32(np.nan), to_meters(inverse, *estimate))

    def _count(self, item: DepthFrame, *, is_withheld: bool) -> None:
        self._withheld, self._given = self._withheld + is_withheld, self._given + (not is_withheld)
        sigma, residual, age = item.scale_sigma, item.metric_residual, item.evidence_age_seconds
        self._facts = {
            "scale_sigma": round(sigma, 4) if sigma is not None and math.isfinite(sigma) else None,
            "metric_residual": None if residual is None else round(residual, 4),
            "evidence_age_seconds": None if age is None else round(age, 3),
            "frames_in_meters": self._given,
            "frames_withheld": self._withheld,
        }

    def _to_inverse_m(self, inverse: DepthMap) -> DepthMap | None:
        """Returns inverse depth in 1/m as it is known now; None where nothing is known."""
        estimate = self.estimate
        return None if estimate is None else inverse * np.float32(estimate.scale) + np.float32(estimate.shift)

    def _is_fit_due(self, time: float) -> bool:
        return self._fitted_at is None or not 0 <= time - self._fitted_at < self.reference.interval_seconds

    def _update(self, item: DepthFrame, inverse: DepthMap, limits: tuple[float, float]) -> None:
        fit = self.reference.fit(item, inverse)
        if fit is None:
            return
        self._filter.update(fit, limits)
        self._residual, self._fitted_at = fit.residual, item.frame.time
        self._announce_fit(fit)

    def _announce_fit(self, fit: ScaleShiftFit) -> None:
        if self._is_fit_announced:
            return
        self._is_fit_announced = True
        points = f"{fit.points} point{'s' * (fit.points > 1)}"
        few = "; three points or more tell scale and shift apart, with fewer the shift is guessed"
        warn_once(
            f"meters from {self.reference.name}: median residual {fit.residual:.1%} at {points} "
            f"(1/m = {fit.scale:.4g} x + {fit.shift:.4g}){few * (fit.points < 3)}{self.reference.caveat}",
            self._notices,
        )

    def _announce_absence(self, item: DepthFrame) -> None:
        if self._is_absence_announced:
            return
        self._is_absence_announced = True
        why = self.reference.refusal or f"{self.reference.name} cannot be seen"
        if self.estimate is not None:
            limit = f"--max-scale-error is {self.max_scale_error:.0%}"
            doubt = self.reference.contradiction and f", since {self.reference.contradiction}"
            why = f"the scale is known to {item.scale_sigma:.0%} only, and {limit}{doubt}"
        warn_once(f"no meters from frame {item.frame.index} on: {why}; depth is unknown (NaN) meanwhile", self._notices)


def _median(values: DepthMap) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan
