"""Metrics of steadiness and accuracy where the true depth is known.

Relative depth is brought to meters by one scale and one shift for the whole sequence: a fit per frame hides flicker.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.evaluation.accuracy.metrics import score
from streamdepth.evaluation.steadiness.flow import MaskedFlow, warp
from streamdepth.evaluation.steadiness.frames import WeightedMean, frame_pairs

NEAREST_M = 1e-3
Pose = npt.NDArray[np.float64]
"""(4, 4) matrix from camera to world, meters; in the camera x points right, y down, z forward."""


class TepeValue(NamedTuple):
    """The temporal end-point error, absolute and relative."""

    absolute_m: float
    """Mean |change - true change|, meters."""
    relative: float
    """The same divided by (|true change| + 0.001 m)."""


def tepe(frames: Iterable[tuple[Image, DepthMap, DepthMap]]) -> TepeValue:
    """Returns the temporal end-point error of one shot: (picture, meters, true meters), after alignment.

    It is the mean |(D(t) - D(t-1) warped along the flow) - (the same of the ground truth)|, so that true motion is no
    error (CODD, Li et al., WACV 2023). The flow is that of the pictures, and counts where it is consistent.
    """
    metric = Tepe()
    for pair in frame_pairs(frames):
        if pair.motion is not None and pair.previous_depth is not None:
            assert pair.raw is not None
            assert pair.previous_raw is not None
            metric.add(pair.motion, (pair.previous_depth, pair.depth), (pair.previous_raw, pair.raw))
    return metric.value


def tae(frames: Iterable[tuple[DepthMap, Pose]], camera: Intrinsics) -> float:
    """Returns the temporal alignment error of one shot in percent: (meters, pose of the camera).

    Each depth map is projected into the next frame's camera and the other way round, and compared there: the mean of
    |D(k+1) - projected D(k)| / D(k+1) over both directions (Video Depth Anything, Chen et al., CVPR 2025). A pose that
    is not finite is unknown, and its frame is left out.
    """
    metric, previous = Tae(camera), None
    for depth, pose in frames:
        if previous is not None:
            metric.add(previous, (depth, pose))
        previous = depth, pose
    return metric.value


@dataclass(slots=True)
class Tepe:
    """Computes `tepe` frame by frame over all shots of a clip."""

    absolute: WeightedMean = field(default_factory=WeightedMean)
    relative: WeightedMean = field(default_factory=WeightedMean)

    def add(self, motion: MaskedFlow, depth_m: tuple[DepthMap, DepthMap], truth_m: tuple[DepthMap, DepthMap]) -> float:
        """Adds (previous, current) maps of depth and ground truth; returns the frame's mean error in meters."""
        change, true_change = (warp(previous, motion.flow) - current for previous, current in (depth_m, truth_m))
        error = np.abs(change - true_change)
        counts = motion.is_consistent & np.isfinite(error)
        self.absolute.add(float(error[counts].sum(dtype=np.float64)), int(counts.sum()))
        relative = error[counts] / (np.abs(true_change[counts]) + np.float32(1e-3))
        self.relative.add(float(relative.sum(dtype=np.float64)), int(counts.sum()))
        return float(error[counts].mean()) if counts.any() else float("nan")

    @property
    def value(self) -> TepeValue:
        return TepeValue(self.absolute.value, self.relative.value)


@dataclass(slots=True)
class Tae:
    """Computes `tae` frame by frame over all shots of a clip."""

    camera: Intrinsics
    _mean: WeightedMean = field(default_factory=WeightedMean)

    def add(self, previous: tuple[DepthMap, Pose], current: tuple[DepthMap, Pose]) -> None:
        """Adds two (depth map, pose) of consecutive frames."""
        if not np.isfinite([previous[1], current[1]]).all():
            return  # datasets write unknown poses as numbers that are not finite
        for start, end in ((previous, current), (current, previous)):
            error = self._projected_error(start, end)
            if np.isfinite(error):
                self._mean.add(100 * error, 1)

    def _projected_error(self, start: tuple[DepthMap, Pose], end: tuple[DepthMap, Pose]) -> float:
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
        nearest_last = np.argsort(-z)  # of several points in one pixel the nearest hides the others
        projected = np.full(depth.shape, np.nan)
        projected[row[nearest_last], column[nearest_last]] = z[nearest_last]
        error = np.abs(target - projected) / target
        return float(np.nanmean(error)) if np.isfinite(error).any() else float("nan")

    @property
    def value(self) -> float:
        return self._mean.value


@dataclass(slots=True)
class SequenceAccuracy:
    """AbsRel and delta1 (see `accuracy.metrics`), each the mean over the frames that have ground truth."""

    abs_rel: WeightedMean = field(default_factory=WeightedMean)
    delta1: WeightedMean = field(default_factory=WeightedMean)

    def add(self, depth_m: DepthMap, truth_m: DepthMap) -> float:
        """Adds a frame; returns its AbsRel, NaN where nothing is known."""
        if not (np.isfinite(depth_m) & np.isfinite(truth_m)).any():
            return float("nan")
        scores = score(depth_m, truth_m)
        self.abs_rel.add(scores.abs_rel, 1)
        self.delta1.add(scores.delta1, 1)
        return scores.abs_rel
