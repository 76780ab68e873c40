"""Scale and shift of relative depth, held steady from frame to frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind, DepthMap
from streamdepth.stabilizers.optical_flow import Motion, MotionTracker, carry, thinned, where

_GRID = (40, 30)
_ROUNDS = 5
_TRUSTED = 0.3
_FEWEST = 0.3
"""Share of the trusted pixels that must agree with a fit."""
_CHAIN_SECONDS = 2.0
_NONE = np.array((1.0, 0.0))

Values = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


class Affine(NamedTuple):
    """y = scale * x + shift."""

    scale: float = 1.0
    shift: float = 0.0


class Aligner(Stabilizer):
    """Takes the jitter of scale and shift out of relative depth, and notes in `applied` what it did.

    Each frame is fitted to the aligned frame before, carried along the motion, on a 40x30 grid of pixels whose motion
    is trusted. A chain of such fits takes a network's slow changes of scale, which come with what is in view, for
    jitter and drifts off; so what is applied is the chain less its own trend over `seconds`, which leaves nothing that
    lasts. A fit that is flat, far off or agrees with few pixels is not used. Values never leave the range of the
    shot's inputs. Metric depth is left alone, unless `metric_scale` lets its scale be aligned.
    """

    def __init__(
        self, seconds: float = 0.3, *, metric_scale: bool = False, motion: MotionTracker | None = None
    ) -> None:
        self.seconds, self.metric_scale = seconds, metric_scale
        self._motion = motion or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._motion.reset()
        self._start()

    def _start(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._reference: DepthMap | None = None
        self._chained = np.zeros(2)
        """Scale - 1 and shift that bring this frame to the reference."""
        self._means = np.zeros((2, 2))
        """Its moving average, and the moving average of that: together its trend (Brown's double smoothing)."""
        self._applied = Affine()
        self._limits = math.inf, -math.inf

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        if item.kind is DepthKind.METRIC and not self.metric_scale:
            return [item]
        motion = self._motion.of(item.frame)
        if item.cut or motion.path is None or self._shape != item.depth.shape:
            self._start()
        self._shape = item.depth.shape
        self._align(item, motion)
        return [replace(item, depth=self._within(item.depth), alignment=(self._applied.scale, self._applied.shift))]

    def _align(self, item: DepthFrame, motion: Motion) -> None:
        thin = _thin(item.depth)
        if self._reference is not None and motion.path is not None:
            target = carry(self._reference, where(motion.path.flow, thin.shape))
            trust = cast(DepthMap, cv2.resize(motion.path.trust, _GRID, interpolation=cv2.INTER_AREA))
            known = np.isfinite(thin) & np.isfinite(target) & (trust > _TRUSTED)
            fit = fit_affine(thin[known], target[known], trust[known], scale_only=item.kind is DepthKind.METRIC)
            self._applied = self._less_trend(np.array(fit) - _NONE if fit else self._chained, motion.seconds)
        self._reference = (thin * (1 + self._chained[0]) + self._chained[1]).astype(np.float32)

    def _less_trend(self, chained: Floats, seconds: float) -> Affine:
        self._chained = chained * math.exp(-seconds / _CHAIN_SECONDS)
        gain = 1 - math.exp(-seconds / self.seconds)
        self._means[0] += gain * (self._chained - self._means[0])
        self._means[1] += gain * (self._means[0] - self._means[1])
        trend = 2 * self._means[0] - self._means[1]
        return Affine(*(_NONE + self._chained - trend).tolist())

    def _within(self, depth: DepthMap) -> DepthMap:
        """Aligned, within the range of the shot's inputs."""
        low, high = limits(depth)
        self._limits = min(self._limits[0], low), max(self._limits[1], high)
        if self._applied == Affine():
            return depth
        aligned = depth * np.float32(self._applied.scale) + np.float32(self._applied.shift)
        aligned = np.clip(aligned, np.float32(self._limits[0]), np.float32(self._limits[1]))
        return cast(DepthMap, aligned if math.isfinite(aligned.sum()) else np.where(np.isfinite(depth), aligned, depth))


def fit_affine(x: Values, target: Values, weight: Values, *, scale_only: bool = False) -> Affine | None:
    """The robust scale and shift with target = scale * x + shift, reweighted by Tukey's biweight.

    The scale is the ratio of the spreads (reduced major axis): least squares would shrink it by the noise in `x`, a
    little in every frame. None where there is nothing to go by: too few or flat values, a scale out of 0.5 to 2, or
    few that agree.
    """
    if x.size < 64:
        return None
    p, t, trust = x.astype(np.float64), target.astype(np.float64), weight.astype(np.float64)
    span, solve = _quantile(t, 0.98) - _quantile(t, 0.02), _ratio if scale_only else _major_axis
    fit = solve(p, t, trust)
    for _ in range(_ROUNDS):
        if fit is None:
            return None
        off = np.abs(fit.scale * p + fit.shift - t)
        reach = 4 * _quantile(off, 0.5) + 1e-6 * span + 1e-30
        fit = solve(p, t, trust * np.maximum(0, 1 - (off / reach) ** 2) ** 2)
    if fit is None:
        return None
    agrees = float(trust[off < 0.1 * span].sum() / trust.sum())
    return fit if 0.5 < fit.scale < 2 and agrees > _FEWEST else None


def _quantile(values: Floats, share: float) -> float:
    """One of the values; np.quantile, which interpolates, takes five times as long."""
    place = round(share * (values.size - 1))
    return float(np.partition(values, place)[place])


def _major_axis(p: Floats, t: Floats, w: Floats) -> Affine | None:
    total = w.sum()
    if total <= 0:
        return None
    mean_p, mean_t = float(w @ p / total), float(w @ t / total)
    dp, dt = p - mean_p, t - mean_t
    pp, tt, pt = w @ (dp * dp), w @ (dt * dt), w @ (dp * dt)
    if pt <= 0 or min(pp, tt) <= 1e-6 * total * max(mean_p * mean_p, 1e-30):
        return None
    scale = math.sqrt(tt / pp)
    return Affine(scale, mean_t - scale * mean_p)


def _ratio(p: Floats, t: Floats, w: Floats) -> Affine | None:
    pp, tt = w @ (p * p), w @ (t * t)
    return Affine(math.sqrt(tt / pp)) if min(pp, tt) > 0 else None


def limits(depth: DepthMap) -> tuple[float, float]:
    """The least and the greatest finite value; (inf, -inf) without any."""
    low, high = float(depth.min()), float(depth.max())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    finite = depth[np.isfinite(depth)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.inf, -math.inf)


def _thin(depth: DepthMap) -> DepthMap:
    """Small, and blurred so that resampling it along the motion takes nothing from its spread."""
    finite = depth if math.isfinite(depth.sum()) else np.where(np.isfinite(depth), depth, np.float32(np.nan))
    return cast(DepthMap, cv2.GaussianBlur(thinned(finite, _GRID), (0, 0), 1.5))
