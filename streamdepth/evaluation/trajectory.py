"""How far an estimated trajectory is from the true one: absolute and relative errors of poses.

The figures are those of Sturm et al. (IROS 2012) after an alignment with scale (Umeyama, TPAMI 1991).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.trajectories import Pose
from streamdepth.geometry.transforms import inverse_transform


@dataclass(frozen=True, slots=True)
class TrajectoryScore:
    """Errors of an estimated trajectory."""

    ate_m: float
    """Absolute trajectory error: root mean square distance of the places after the alignment, meters."""
    rpe_m: float
    """Relative pose error: root mean square of the translation's error after `way_m` along the true way, meters."""
    rpe_degrees: float
    """The same of the rotation's error."""
    scale: float
    """Factor that makes the estimate as large as the truth."""
    length_m: float
    """Length of the true way."""


def score_trajectory(poses: Sequence[Pose], truth: Sequence[Pose], *, way_m: float = 1.0) -> TrajectoryScore:
    """Compares poses, camera to world, with the true ones of the same frames.

    Args:
        poses: (4, 4) each.
        truth: (4, 4) each.
        way_m: length of the true way after which the relative error is taken; it is NaN where the whole way is shorter.

    >>> still, moved = np.eye(4), np.eye(4)
    >>> moved[0, 3] = 2.0
    >>> score = score_trajectory([still, moved], [still, moved])
    >>> score.ate_m, score.scale, score.length_m
    (0.0, 1.0, 2.0)
    """
    found, true = np.array(poses), np.array(truth)
    places, scale = align_places(found[:, :3, 3], true[:, :3, 3])
    steps = np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    ends = np.searchsorted(way, way + way_m)
    errors = [_relative_error(found[[i, j]], true[[i, j]], scale) for i, j in enumerate(ends) if j < len(true)]
    rpe = np.sqrt(np.mean(np.square(errors), axis=0)) if errors else (np.nan, np.nan)
    ate = np.sqrt(((places - true[:, :3, 3]) ** 2).sum(axis=1).mean())
    return TrajectoryScore(float(ate), float(rpe[0]), float(rpe[1]), scale, float(way[-1]))


def align_places(places: Floats, truth: Floats) -> tuple[Floats, float]:
    """Returns (N, 3) places turned, moved and scaled to be nearest to (N, 3) true ones, and the scale."""
    centered, true = places - places.mean(axis=0), truth - truth.mean(axis=0)
    left, values, right = np.linalg.svd(true.T @ centered)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    spread = float((centered**2).sum())
    scale = float((values * signs).sum()) / spread if spread > 0 else 1.0
    return scale * centered @ (left * signs @ right).T + truth.mean(axis=0), scale


def _relative_error(found: Floats, true: Floats, scale: float) -> tuple[float, float]:
    """Returns the errors in meters and degrees of the motion between two poses, (2, 4, 4)."""
    motions = [inverse_transform(pair[0]) @ pair[1] for pair in (found, true)]
    motions[0][:3, 3] *= scale
    error = inverse_transform(motions[1]) @ motions[0]
    cosine = np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1)
    return float(np.linalg.norm(error[:3, 3])), float(np.degrees(np.arccos(cosine)))
