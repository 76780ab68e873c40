"""Detection of scene cuts as frames come."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.device_map import DeviceMap, StoredMap, for_depth_field
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.resize import shrink
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.stabilizers.optical_flow import (
    FlowPair,
    FrameMotion,
    Gray,
    MotionTracker,
    sampling_grid,
    shrink_map,
    warp,
)

Thumbnail = npt.NDArray[np.float32]
"""RGB, (24, 40, 3), 0 to 255."""

_SIMILAR, _CLEARLY_SIMILAR = 0.25, 0.4
"""Structural similarity above which two pictures may show one scene, and above which they certainly do.

Pictures of different scenes reach 0.1; those of one scene seldom fall below 0.45, even in a whip pan."""
_MIN_SIMILARITY_DROP = 0.25
"""A cut lowers the similarity this far below its recent mean: frames of foam or confetti are always dissimilar."""
_MIN_RGB_CHANGE = 12.0
"""Mean change of red, green and blue (0 to 255) at a cut: in the dark and at the end of a fade, structure is noise."""
_HSV_CHANGE, _MAX_CHROMA_CORRELATION = 22.0, -0.1
"""A larger change of hue, saturation and value, with a lower correlation of chroma, is no lighting change."""
_LARGE_HSV_CHANGE = 50.0
"""A larger change of hue, saturation and value than this is no lighting change, whatever the chroma correlation."""
_FLASH_SECONDS = 0.25
_OVEREXPOSED, _FLASH_SHARE = 250, 0.2
"""A flash raises this share of the picture to this brightness."""
_DEPTH_SIZE = (32, 24)
_UNKNOWN_DEPTH: DepthMap = np.full(_DEPTH_SIZE[::-1], np.nan, np.float32)


@dataclass(frozen=True, slots=True)
class _FrameFeatures:
    """The features of one frame by which cuts are found."""

    gray: Gray
    structure: DepthMap
    """Brightness less its local mean, over the local spread: fades, exposure and flashes hardly change it."""
    thumbnail: Thumbnail
    overexposed_share: float
    depth: StoredMap
    """The whole map, where it lies: it is made small only where it must decide."""


class CutDetector(Stabilizer):
    """Sets `cut` on the first frame of each new shot, except on the very first frame.

    The previous picture is warped along the motion and its structure correlated with the current one's: a cut is where
    hardly anything correlates and the colors changed too. In doubt, depth decides, and so do colors that change very
    much or in chroma, as they seldom do by lighting. After a flash that overexposes the picture, what comes next is
    compared with what was before it. A gap of more than half a second, or a new picture size, counts as a cut too.
    """

    def __init__(self, *, tracker: MotionTracker | None = None) -> None:
        self._tracker = tracker or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._previous: _FrameFeatures | None = None
        self._judged: DepthFrame | None = None
        """The newest frame as `begins_shot` has judged it."""
        self._forget_shot()

    def _forget_shot(self) -> None:
        self._mean_similarity = 1.0
        self._before_flash: tuple[_FrameFeatures, float] | None = None
        """The last frame before a flash that goes on, and how many seconds it has lasted."""

    def begins_shot(self, frame: Frame) -> bool:
        """Returns True if a new shot begins with `frame`; where only depth could decide, it does."""
        self._judged = self._judge(DepthFrame(frame, _UNKNOWN_DEPTH, DepthKind.RELATIVE))
        return self._judged.cut

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        if self._judged is not None and self._judged.frame is item.frame:
            return [_with_cut(item) if self._judged.cut else item]
        return [self._judge(item)]

    def _judge(self, item: DepthFrame) -> DepthFrame:
        motion = self._tracker.track(item.frame)
        previous, self._previous = self._previous, _extract_features(motion, item.stored_depth)
        if previous is None:
            return item
        if motion.to_previous is None:
            self._forget_shot()
            return _with_cut(item)
        is_cut = self._is_cut(previous, self._previous, motion.seconds, motion.to_previous)
        return _with_cut(item) if is_cut else item

    def _is_cut(self, previous: _FrameFeatures, now: _FrameFeatures, seconds: float, flows: FlowPair) -> bool:
        if self._before_flash is not None:
            return self._is_cut_after_flash(*self._before_flash, now, seconds)
        differs = self._differs(previous, now, flows)
        if differs and now.overexposed_share > previous.overexposed_share + _FLASH_SHARE:
            self._before_flash = previous, 0.0
            return False
        return differs

    def _is_cut_after_flash(
        self, before_flash: _FrameFeatures, lasted: float, now: _FrameFeatures, seconds: float
    ) -> bool:
        lasted += seconds
        flows = self._tracker.flow_between(now.gray, before_flash.gray)
        if _structural_similarity(before_flash, now, flows) > _SIMILAR:
            self._before_flash = None
            return False
        is_flash = now.overexposed_share > before_flash.overexposed_share + _FLASH_SHARE
        self._before_flash = (before_flash, lasted) if is_flash and lasted < _FLASH_SECONDS else None
        return self._before_flash is None

    def _differs(self, previous: _FrameFeatures, now: _FrameFeatures, flows: FlowPair) -> bool:
        similarity = _structural_similarity(previous, now, flows)
        drop = self._mean_similarity - similarity
        self._mean_similarity = 0.8 * self._mean_similarity + 0.2 * similarity
        rgb_change = float(np.abs(previous.thumbnail - now.thumbnail).mean())
        if drop < _MIN_SIMILARITY_DROP or rgb_change < _MIN_RGB_CHANGE:
            return False
        if similarity < _SIMILAR:
            return True
        hsv_change = _hsv_change(previous.thumbnail, now.thumbnail)
        chroma_correlation = _correlation(_chroma(previous.thumbnail), _chroma(now.thumbnail))
        if hsv_change > _HSV_CHANGE and chroma_correlation < _MAX_CHROMA_CORRELATION:
            return True
        if similarity >= _CLEARLY_SIMILAR:
            return False
        return hsv_change > _LARGE_HSV_CHANGE or not _depth_agrees(previous, now, flows)


def _with_cut(item: DepthFrame) -> DepthFrame:
    return replace(item, depth=for_depth_field(item.stored_depth), cut=True)


def _extract_features(motion: FrameMotion, depth: StoredMap) -> _FrameFeatures:
    gray = motion.gray.astype(np.float32)
    detail = gray - cv2.blur(gray, (9, 9))
    spread = np.sqrt(cv2.blur(detail * detail, (9, 9)) + np.float32(16))  # a spread of 4 is a sensor's noise
    thumbnail = shrink(motion.image, 40, 24)
    return _FrameFeatures(
        motion.gray,
        cast(DepthMap, detail / spread),
        thumbnail.astype(np.float32),
        np.count_nonzero(motion.gray >= _OVEREXPOSED) / motion.gray.size,
        depth,
    )


def _depth_thumbnail(depth: StoredMap) -> DepthMap:
    if not isinstance(depth, DeviceMap):
        return shrink_map(depth, _DEPTH_SIZE)
    from streamdepth.stabilizers import device_maps

    return DeviceMap(device_maps.shrink(depth.tensor, _DEPTH_SIZE)).array()


def _structural_similarity(previous: _FrameFeatures, now: _FrameFeatures, flows: FlowPair) -> float:
    """Returns the better of the correlations with and without motion, which may have been measured wrongly; -1 to 1."""
    warped = warp(previous.structure, flows.grid)
    return max(_correlation(warped, now.structure), _correlation(previous.structure, now.structure))


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    energy = float(np.vdot(a, a)) * float(np.vdot(b, b))
    return float(np.vdot(a, b)) / (math.sqrt(energy) + 0.02 * a.size)


def _depth_agrees(previous: _FrameFeatures, now: _FrameFeatures, flows: FlowPair) -> bool:
    depth = _depth_thumbnail(now.depth)
    warped = warp(_depth_thumbnail(previous.depth), sampling_grid(flows.flow, depth.shape))
    known = np.isfinite(warped) & np.isfinite(depth)
    a, b = warped[known], depth[known]
    if a.size < 2 or not (np.ptp(a) and np.ptp(b)):
        return False
    return float(np.corrcoef(a, b)[0, 1]) > 0.5


def _chroma(rgb: Thumbnail) -> npt.NDArray[np.float32]:
    """Returns red and blue less green: more or whiter light changes the length of this vector, not its direction."""
    return np.ascontiguousarray(rgb[..., ::2] - rgb[..., 1:2])


def _hsv_change(a: Thumbnail, b: Thumbnail) -> float:
    """Returns the mean change of hue, saturation and value, 0 to 255, as PySceneDetect's content detector does."""
    both = (cv2.cvtColor(rgb.astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32) for rgb in (a, b))
    difference = np.abs(np.subtract(*both))
    difference[..., 0] = np.minimum(difference[..., 0], 180 - difference[..., 0])  # OpenCV's hue is a circle of 180
    return float(difference.mean())
