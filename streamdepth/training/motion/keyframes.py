"""The choice of frames for stereo from a moving camera: with enough motion between them, each the sharpest nearby.

Corners are tracked from the last chosen frame (Lucas and Kanade, IJCAI 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from streamdepth.core.arrays import GrayImage, Image
from streamdepth.core.types import Frame
from streamdepth.training.labels import downscaled

STEP = 0.04
"""Motion of the picture from one chosen frame to the next, as a share of its longer side."""
WINDOW = 0.3
"""Frames that have moved by STEP, and this share of it more or less, are candidates; the sharpest is chosen."""
_TRACKED_SIDE_PX = 320
_MAX_CORNERS, _MIN_CORNERS = 300, 20
_LEAST_FOLLOWED = 0.3
"""Smallest share of corners that can be tracked; with fewer there is a cut or too fast a motion."""


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A chosen frame."""

    index: int
    """Its index in the source."""
    image: Image
    """(H, W, 3) uint8 RGB, reduced as all labels are."""
    is_cut: bool
    """True if it has almost nothing in common with the one before; True for the first one."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    frame: Frame
    gray: GrayImage
    sharpness: float
    is_cut: bool = False


def choose_keyframes(frames: Iterable[Frame]) -> Iterator[Keyframe]:
    """Yields the frames of a video, in order, between which the picture has moved by about STEP.

    A static camera gives only the first frame, even if up to half of the picture moves.
    """
    anchor: _Candidate | None = None
    best: _Candidate | None = None
    for frame in frames:
        here = _candidate(frame)
        if anchor is None:
            anchor = here
            yield _keyframe(anchor, is_cut=True)
            continue
        motion = _motion(anchor.gray, here.gray)
        if motion > STEP * (1 + WINDOW) and best is not None:
            anchor, best = best, None
            yield _keyframe(anchor, is_cut=False)
            motion = _motion(anchor.gray, here.gray)
        if motion > STEP * (1 + WINDOW):
            anchor = here
            yield _keyframe(anchor, is_cut=not np.isfinite(motion))
        elif motion >= STEP * (1 - WINDOW) and (best is None or here.sharpness > best.sharpness):
            best = here
    if best is not None:
        yield _keyframe(best, is_cut=False)


def _candidate(frame: Frame) -> _Candidate:
    height, width = frame.image.shape[:2]
    factor = min(1.0, _TRACKED_SIDE_PX / max(height, width))
    gray = cv2.cvtColor(downscaled(frame.image), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    return _Candidate(frame, np.asarray(small, np.uint8), float(np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean()))


def _keyframe(chosen: _Candidate, *, is_cut: bool) -> Keyframe:
    return Keyframe(chosen.frame.index, downscaled(chosen.frame.image), is_cut)


def _motion(before: GrayImage, after: GrayImage) -> float:
    """Returns the median motion of corners as a share of the longer side; infinite if too few can be tracked."""
    corners = cv2.goodFeaturesToTrack(before, _MAX_CORNERS, 0.01, 5)
    if before.shape != after.shape or corners is None or len(corners) < _MIN_CORNERS:
        return np.inf
    follow: Any = cv2.calcOpticalFlowPyrLK
    there, is_there, _ = follow(before, after, corners, None)
    back, is_back, _ = follow(after, before, there, None)
    followed = (is_there[:, 0] > 0) & (is_back[:, 0] > 0) & (np.linalg.norm(back - corners, axis=-1)[:, 0] < 1)
    if followed.mean() < _LEAST_FOLLOWED:
        return np.inf
    ways = np.linalg.norm(there - corners, axis=-1)[followed, 0]
    return float(np.median(ways) / max(before.shape))
