"""How steady and right depth is where the truth is known.

Relative depth is brought to metres by one scale and one shift for the whole sequence: a fit per frame hides flicker.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.types import Intrinsics
from streamdepth.evaluation.accuracy.metrics import score
from streamdepth.evaluation.steadiness.flow import Motion, warp
from streamdepth.evaluation.steadiness.frames import Mean, steps

NEAREST_M = 1e-3
Pose = npt.NDArray[np.float64]
"""(4, 4) camera to world, metres; the camera looks along +Z, with X to the right and Y down."""


class ChangeError(NamedTuple):
    """Of `tepe`."""

    absolute_m: float
    """Mean |change - true change|, metres."""
    relative: float
    """The same divided by (|true change| + 0.001 m)."""


class Fit:
    """Scale and shift by least squares, of pixels that come frame by frame; four sums stay."""

    def __init__(self) -> None:
        self._sums = np.zeros(4)
        self.count = 0

    def add(self, values: DepthMap, target: DepthMap) -> None:
        """Two maps of one shape; where either is not finite a pixel does not count."""
        known = np.isfinite(values) & np.isfinite(target)
        x, y = values[known].astype(np.float64), target[known].astype(np.float64)
        self.count += x.size
        self._sums += [x.sum(), y.sum(), (x * x).sum(), (x * y).sum()]

    @property
    def scale_and_shift(self) -> tuple[float, float]:
        """target = scale * value + shift; scale 0 for flat values, (1, 0) without any."""
        if not self.count:
            return 1.0, 0.0
        x, y, xx, xy = self._sums / self.count
        variance = xx - x * x
        scale = (xy - x * y) / variance if variance > 1e-12 * xx else 0.0
        return float(scale), float(y - scale * x)


def metres(inverse_depth: DepthMap, scale: float, shift: float, farthest_m: float) -> DepthMap:
    """1 / (scale * inverse depth + shift), clipped to [1 mm, farthest_m]; unknown stays unknown."""
    metric_fit = np.float32(scale) * inverse_depth + np.float32(shift)
    return cast(DepthMap, (1 / np.clip(metric_fit, 1 / farthest_m, 1 / NEAREST_M)).astype(np.float32))


def tepe(frames: Iterable[tuple[Image, DepthMap, DepthMap]]) -> ChangeError:
    """Temporal end-point error of one shot: (picture, metres, true metres), after alignment.

    Mean |(D(t) - D(t-1) carried along the flow) - (the same of the truth)|, so that true motion is no error (CODD, Li
    et al., WACV 2023). The flow is measured on the pictures, and counts where it can be trusted.
    """
    measure = Tepe()
    for step in steps(frames):
        if step.motion is not None and step.before is not None:
            assert step.raw is not None
            assert step.raw_before is not None
            measure.add(step.motion, (step.before, step.depth), (step.raw_before, step.raw))
    return measure.value


def tae(frames: Iterable[tuple[DepthMap, Pose]], camera: Intrinsics) -> float:
    """Temporal alignment error of one shot, percent: (metres, pose of the camera).

    Each depth map is moved into the next frame's camera and back, and compared there: the mean of
    |D(k+1) - moved D(k)| / D(k+1) over both directions (Video Depth Anything, Chen et al., CVPR 2025). A pose that is
    not finite is unknown, and its frame left out.
    """
    measure, last = Tae(camera), None
    for depth, pose in frames:
        if last is not None:
            measure.add(last, (depth, pose))
        last = depth, pose
    return measure.value


@dataclass(slots=True)
class Tepe:
    """See `tepe`."""

    absolute: Mean = field(default_factory=Mean)
    relative: Mean = field(default_factory=Mean)

    def add(self, motion: Motion, depth_m: tuple[DepthMap, DepthMap], truth_m: tuple[DepthMap, DepthMap]) -> float:
        """(before, now) of both; returns the frame's mean error in metres."""
        change, true_change = (warp(before, motion.flow) - now for before, now in (depth_m, truth_m))
        error = np.abs(change - true_change)
        counts = motion.trusted & np.isfinite(error)
        self.absolute.add(float(error[counts].sum(dtype=np.float64)), int(counts.sum()))
        relative = error[counts] / (np.abs(true_change[counts]) + np.float32(1e-3))
        self.relative.add(float(relative.sum(dtype=np.float64)), int(counts.sum()))
        return float(error[counts].mean()) if counts.any() else float("nan")

    @property
    def value(self) -> ChangeError:
        return ChangeError(self.absolute.value, self.relative.value)


@dataclass(slots=True)
class Tae:
    """See `tae`."""

    camera: Intrinsics
    _mean: Mean = field(default_factory=Mean)

    def add(self, before: tuple[DepthMap, Pose], now: tuple[DepthMap, Pose]) -> None:
        if not np.isfinite([before[1], now[1]]).all():
            return  # so data sets write that a camera's place is not known
        for start, end in ((before, now), (now, before)):
            error = self._moved_error(start, end)
            if np.isfinite(error):
                self._mean.add(100 * error, 1)

    def _moved_error(self, start: tuple[DepthMap, Pose], end: tuple[DepthMap, Pose]) -> float:
        depth, target = start[0], end[0]
        height, width = depth.shape
        camera = self.camera.resized(width, height)
        v, u = np.nonzero(np.isfinite(depth))
        z = depth[v, u].astype(np.float64)
        points = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z, np.ones_like(z)])
        x, y, z = (np.linalg.inv(end[1]) @ start[1] @ points)[:3]
        front = z > NEAREST_M
        x, y, z = x[front], y[front], z[front]
        column = np.rint(x / z * camera.fx + camera.cx).astype(np.int64)
        row = np.rint(y / z * camera.fy + camera.cy).astype(np.int64)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        row, column, z = row[inside], column[inside], z[inside]
        nearest_last = np.argsort(-z)  # where several come to lie in one place, it hides the others
        moved = np.full(depth.shape, np.nan)
        moved[row[nearest_last], column[nearest_last]] = z[nearest_last]
        error = np.abs(target - moved) / target
        return float(np.nanmean(error)) if np.isfinite(error).any() else float("nan")

    @property
    def value(self) -> float:
        return self._mean.value


@dataclass(slots=True)
class SequenceAccuracy:
    """AbsRel and delta1 (see `metrics`), each the mean over the frames that have truth."""

    abs_rel: Mean = field(default_factory=Mean)
    delta1: Mean = field(default_factory=Mean)

    def add(self, depth_m: DepthMap, truth_m: DepthMap) -> float:
        """Returns the frame's AbsRel, NaN where nothing is known."""
        if not (np.isfinite(depth_m) & np.isfinite(truth_m)).any():
            return float("nan")
        scores = score(depth_m, truth_m)
        self.abs_rel.add(scores.abs_rel, 1)
        self.delta1.add(scores.delta1, 1)
        return scores.abs_rel
