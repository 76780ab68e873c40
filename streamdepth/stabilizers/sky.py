"""Marks the sky of metric depth as infinitely far, after everything else that changes depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.arrays import Mask
from streamdepth.geometry.inverse_depth import inverse_depth
from streamdepth.geometry.sky import refine_sky, sky_probability, sky_region
from streamdepth.stabilizers.optical_flow import FrameMotion, MotionTracker, sampling_grid, warp

NEAREST_SKY_M = 12.0
"""A region whose median depth is nearer than this is taken for a wall or a ceiling, even if it looks like sky."""
_MIN_FAR_SHARE = 0.002
"""Share of pixels beyond NEAREST_SKY_M above which sky is searched for, the most expensive step here."""
_NEAREST_SHARE = 0.5
"""Pixels in the sky nearer than this share of its median depth are objects in front of it, such as lamps and wires."""
_MEMORY = 0.7
"""Weight of the previous frame's probability, warped along the optical flow."""


class SkyMarker(Stabilizer):
    """Sets the metric depth of sky to +inf (too far to measure, by REP 117); relative depth is unchanged.

    Sky is a region that reaches the picture's upper border, looks like sky, and is far away. Its confidence becomes the
    probability that it is sky. Unknown depth stays unknown, and +inf of the model stays +inf. State: a coarse grid.

    Args:
        tracker: shared with the stages before, if they let no frame wait.
        detector: called with the small picture and inverse depth, it returns a coarse map of the probability of sky; a
            model with an output for sky can take the place of the default.
    """

    def __init__(
        self,
        tracker: MotionTracker | None = None,
        detector: Callable[[Image, DepthMap], DepthMap] = sky_probability,
    ) -> None:
        self._tracker, self._detector = tracker or MotionTracker(), detector
        self.reset()

    def reset(self) -> None:
        self._probability: DepthMap | None = None
        self._tracker.reset()

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        if item.kind is not DepthKind.METRIC:
            return [item]
        motion = self._tracker.track(item.frame)
        far_share = _far_share(item)
        if item.cut or far_share < _MIN_FAR_SHARE:
            self._probability = None
        if far_share < _MIN_FAR_SHARE:
            return [item]
        newest = self._detector(motion.image, inverse_depth(item.depth, item.kind))
        self._probability = probability = self._steadied(newest, motion)
        region = sky_region(probability)
        return [_with_sky(item, probability, region) if region.any() else item]

    def _steadied(self, newest: DepthMap, motion: FrameMotion) -> DepthMap:
        before, pair = self._probability, motion.to_previous
        if before is None or pair is None or before.shape != newest.shape:
            return newest
        return newest + np.float32(_MEMORY) * (warp(before, sampling_grid(pair.flow, newest.shape)) - newest)


def _far_share(item: DepthFrame) -> float:
    """Returns the share of pixels far enough to be sky; depth on a GPU is counted there."""
    if item.device_depth is None:
        return float((item.depth > NEAREST_SKY_M).mean())
    return float((item.device_depth.tensor > NEAREST_SKY_M).float().mean())


def _with_sky(item: DepthFrame, probability: DepthMap, region: Mask) -> DepthFrame:
    height, width = item.depth.shape
    inside = cv2.resize(region.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    depth = item.depth[inside & ~np.isnan(item.depth)]
    median_m = float(np.median(depth)) if depth.size else 0.0
    if median_m < NEAREST_SKY_M:
        return item
    share = refine_sky(probability, region, item.frame.image_at_size(width, height))
    with np.errstate(invalid="ignore"):
        is_sky = (share > 0.5) & (item.depth > _NEAREST_SHARE * min(median_m, 1e6))
    confidence = item.confidence
    if confidence is not None:
        confidence = np.where(is_sky, share, confidence)
    return replace(item, depth=np.where(is_sky, np.float32(np.inf), item.depth), confidence=confidence)
