"""Conversion of relative depth to meters where the user knows distances: the last stage before the display range."""

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
from streamdepth.geometry.inverse_depth import finite_inverse_depth
from streamdepth.geometry.metric_fit import ScaleShiftFit, to_meters

_REFIT_SECONDS = 0.5


class MetricReference(ABC):
    """A known distance or camera fact from which depth in meters can be fitted."""

    name = ""
    """A noun phrase for messages, such as "the floor"."""
    caveat = ""
    """Words for messages, beginning with a semicolon, on what makes these meters uncertain."""

    @abstractmethod
    def fit(self, item: DepthFrame, inverse: DepthMap) -> ScaleShiftFit | None:
        """Returns the fit of this frame alone; None where the reference cannot be seen in it.

        inverse: inverse depth of the frame, (h, w), as `geometry.inverse_depth.finite_inverse_depth` gives it.
        """

    def reset(self) -> None:
        """Forgets the stream."""


class MetricConverter(Stabilizer):
    """Fits scale and shift of inverse depth to a reference, and converts depth to meters along z.

    Where the reference cannot be seen, the shot's last fit is used; a new fit is approached over `seconds`, and a cut
    forgets it. Without a fit depth is unknown (NaN): relative values never pass for meters. `notices` has the residual.
    """

    def __init__(self, reference: MetricReference, seconds: float = 2.0) -> None:
        self.reference, self.seconds = reference, seconds
        self._notices: list[str] = []
        self.reset()

    def reset(self) -> None:
        self._fit: ScaleShiftFit | None = None
        self._fitted_at = -math.inf
        self._is_fit_announced = self._is_absence_announced = False
        self.reference.reset()

    def output_kind(self, kind: DepthKind) -> DepthKind:
        return DepthKind.METRIC

    @property
    def notices(self) -> Sequence[str]:
        return self._notices

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        inverse = finite_inverse_depth(item.depth, item.kind)
        if item.cut:
            self._fit = None
        if self._fit is None or not 0 <= item.frame.time - self._fitted_at < _REFIT_SECONDS:
            self._update_fit(item, inverse)
        if self._fit is None:
            self._announce_absence(item)
            return [replace(item, depth=np.full_like(inverse, np.nan), kind=DepthKind.METRIC)]
        metric_fit = self._fit.scale, self._fit.shift
        return [replace(item, depth=to_meters(inverse, self._fit), kind=DepthKind.METRIC, metric_fit=metric_fit)]

    def _update_fit(self, item: DepthFrame, inverse: DepthMap) -> None:
        new = self.reference.fit(item, inverse)
        if new is None:
            return
        if self._fit is None:
            self._announce_fit(new)
            self._fit = new
        else:
            gain = 1 - math.exp(-abs(item.frame.time - self._fitted_at) / self.seconds)
            scale, shift = (a + gain * (b - a) for a, b in zip(self._fit[:2], new[:2], strict=True))
            self._fit = new._replace(scale=scale, shift=shift)
        self._fitted_at = item.frame.time

    def _announce_fit(self, fit: ScaleShiftFit) -> None:
        if not self._is_fit_announced:
            self._is_fit_announced = True
            points = f"{fit.points} point{'s' * (fit.points > 1)}"
            few = "; three points or more tell scale and shift apart, with fewer the shift is guessed"
            warn_once(
                f"meters from {self.reference.name}: median residual {fit.residual:.1%} at {points} "
                f"(1/m = {fit.scale:.4g} x + {fit.shift:.4g}){few * (fit.points < 3)}{self.reference.caveat}",
                self._notices,
            )

    def _announce_absence(self, item: DepthFrame) -> None:
        if not self._is_absence_announced:
            self._is_absence_announced = True
            warn_once(
                f"no meters from frame {item.frame.index} on until {self.reference.name} can be seen: depth is unknown",
                self._notices,
            )
