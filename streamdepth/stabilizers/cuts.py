"""Scene cuts, found as they happen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthMap
from streamdepth.stabilizers.optical_flow import Gray, Motion, MotionTracker, Path, carry, thinned, where

_SAME, _DOUBTFUL = 0.25, 0.4
"""Likeness of structure, along the motion, above which two pictures show one scene, and above which it is certain.

Pictures of different scenes reach 0.1, those of one scene seldom fall below 0.45, even when the camera is whipped."""
_DROP = 0.25
"""Of the likeness below its recent mean: foam and confetti never look alike, and are no cuts."""
_LEAST_CHANGE = 12.0
"""Of red, green and blue (0 to 255, mean) at a cut: in the dark and at the end of a fade, structure is noise."""
_OTHER_COLOUR, _OTHER_TINT = 22.0, -0.1
"""Such a change of hue, saturation and value with such a correlation of tints is no change of light."""
_MUCH_COLOUR = 50.0
"""The same, whatever the tints."""
_FLASH_SECONDS = 0.25
_BRIGHT, _FLASH_SHARE = 250, 0.2
"""A flash makes this share of the picture this bright."""
_DEPTH_GRID = (32, 24)


@dataclass(frozen=True, slots=True)
class _Look:
    gray: Gray
    structure: DepthMap
    rgb: npt.NDArray[np.float32]
    """(24, 40, 3)."""
    bright: float
    depth: DepthMap


class CutDetector(Stabilizer):
    """Sets `cut` on the first frame of a new shot, the very first frame aside.

    The picture before is carried along the motion, and its structure (brightness less its local mean, over the local
    spread, so that fades, exposure and flashes do not count) correlated with that of the picture now: a cut is where
    hardly anything correlates, and the colours changed too. In doubt depth is the second witness, and
    so are colours that change very much, or to other tints, as light seldom does. A flash that burns the picture out is
    waited for: what comes after it is compared with what was before. A gap of more than half a second, or a new picture
    size, counts as a cut too.
    """

    def __init__(self, *, motion: MotionTracker | None = None) -> None:
        self._motion = motion or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._motion.reset()
        self._before: _Look | None = None
        self._forget()

    def _forget(self) -> None:
        self._usual = 1.0
        self._unlit: tuple[_Look, float] | None = None

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        motion = self._motion.of(item.frame)
        before, self._before = self._before, _look(motion, item.depth)
        if before is None:
            return [item]
        if motion.path is None:
            self._forget()
            return [replace(item, cut=True)]
        is_cut = self._is_cut(before, self._before, motion)
        return [replace(item, cut=True)] if is_cut else [item]

    def _is_cut(self, before: _Look, now: _Look, motion: Motion) -> bool:
        if self._unlit is not None:
            return self._is_cut_after_flash(now, motion.seconds)
        assert motion.path is not None
        differs = self._differs(before, now, motion.path)
        if differs and now.bright > before.bright + _FLASH_SHARE:
            self._unlit = before, 0.0
            return False
        return differs

    def _is_cut_after_flash(self, now: _Look, seconds: float) -> bool:
        """A flash has burnt out the picture before this one."""
        assert self._unlit is not None
        unlit, waited = self._unlit[0], self._unlit[1] + seconds
        if _likeness(unlit, now, self._motion.between(now.gray, unlit.gray)) > _SAME:
            self._unlit = None
            return False
        is_lit = now.bright > unlit.bright + _FLASH_SHARE
        self._unlit = (unlit, waited) if is_lit and waited < _FLASH_SECONDS else None
        return self._unlit is None

    def _differs(self, before: _Look, now: _Look, path: Path) -> bool:
        likeness = _likeness(before, now, path)
        drop, self._usual = self._usual - likeness, 0.8 * self._usual + 0.2 * likeness
        if drop < _DROP or float(np.abs(before.rgb - now.rgb).mean()) < _LEAST_CHANGE:
            return False
        if likeness < _SAME:
            return True
        change = _hsv_distance(before.rgb, now.rgb)
        if change > _OTHER_COLOUR and _correlation(_tint(before.rgb), _tint(now.rgb)) < _OTHER_TINT:
            return True
        return likeness < _DOUBTFUL and (change > _MUCH_COLOUR or not _depth_agrees(before, now, path))


def _look(motion: Motion, depth: DepthMap) -> _Look:
    gray = motion.gray.astype(np.float32)
    detail = gray - cv2.blur(gray, (9, 9))
    small = cv2.resize(motion.image, (40, 24), interpolation=cv2.INTER_AREA)
    spread = np.sqrt(cv2.blur(detail * detail, (9, 9)) + np.float32(16))  # a spread of 4 is a sensor's noise
    return _Look(
        motion.gray,
        cast(DepthMap, detail / spread),
        small.astype(np.float32),
        np.count_nonzero(motion.gray >= _BRIGHT) / motion.gray.size,
        thinned(depth, _DEPTH_GRID),
    )


def _likeness(before: _Look, now: _Look, path: Path) -> float:
    """The better of the correlations with and without motion, which may have been measured wrongly; -1 to 1."""
    moved = carry(before.structure, where(path.flow, now.gray.shape))
    return max(_correlation(moved, now.structure), _correlation(before.structure, now.structure))


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    energy = float(np.vdot(a, a)) * float(np.vdot(b, b))
    return float(np.vdot(a, b)) / (math.sqrt(energy) + 0.02 * a.size)


def _depth_agrees(before: _Look, now: _Look, path: Path) -> bool:
    moved = carry(before.depth, where(path.flow, now.depth.shape))
    known = np.isfinite(moved) & np.isfinite(now.depth)
    a, b = moved[known], now.depth[known]
    if a.size < 2 or not (np.ptp(a) and np.ptp(b)):
        return False
    return float(np.corrcoef(a, b)[0, 1]) > 0.5


def _tint(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Red and blue less green: more or whiter light changes its length, not its direction."""
    return np.ascontiguousarray(rgb[..., ::2] - rgb[..., 1:2])


def _hsv_distance(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Mean change of hue, saturation and value, 0 to 255, as in PySceneDetect's content detector."""
    both = (cv2.cvtColor(rgb.astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32) for rgb in (a, b))
    difference = np.abs(np.subtract(*both))
    difference[..., 0] = np.minimum(difference[..., 0], 180 - difference[..., 0])  # OpenCV's hue is a circle of 180
    return float(difference.mean())
