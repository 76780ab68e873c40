"""Alignment of the scale and shift of relative depth from frame to frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.arrays import DepthMap
from streamdepth.core.device_map import DeviceMap, StoredMap, for_depth_field
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.ranges import all_finite, finite_range
from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.geometry.affine import Affine, fit_affine
from streamdepth.stabilizers.optical_flow import FrameMotion, MotionTracker, sampling_grid, shrink_map, warp

_FIT_SIZE = (40, 30)
"""(width, height) of the thumbnails of depth that are fitted to each other."""
_MIN_CONFIDENCE = 0.3
_CHAIN_SECONDS = 2.0
"""Time constant by which the chain of fits returns to the network's own scale and shift."""
_IDENTITY = np.array((1.0, 0.0))


class Aligner(Stabilizer):
    """Removes the jitter of scale and shift from relative depth; `DepthFrame.alignment` says what was applied.

    Each frame is fitted to the aligned frame before, warped along the motion, on a 40x30 thumbnail where the motion can
    be trusted. A chain of such fits would also remove a network's slow changes of scale, which follow the content of
    the picture, and drift. Therefore the chain's own trend over `seconds` is subtracted, so that no change lasts. A fit
    that is flat, far off or agrees with few pixels is not used. Values never leave the range of the shot's inputs.
    Metric depth is left alone, unless `metric_scale` lets its scale be aligned.
    """

    def __init__(
        self, seconds: float = 0.3, *, metric_scale: bool = False, tracker: MotionTracker | None = None
    ) -> None:
        self.seconds, self.metric_scale = seconds, metric_scale
        self._tracker = tracker or MotionTracker()
        self.reset()

    def reset(self) -> None:
        self._tracker.reset()
        self._start_shot()

    def _start_shot(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._reference: DepthMap | None = None
        """The aligned thumbnail of the frame before."""
        self._chain = np.zeros(2)
        """(scale - 1, shift) that bring this frame to the reference."""
        self._means = np.zeros((2, 2))
        """The chain's moving average, and the moving average of that: Brown's double exponential smoothing."""
        self._alignment = Affine()
        self._shot_range = math.inf, -math.inf

    def push(self, item: DepthFrame) -> Iterable[DepthFrame]:
        if item.kind is DepthKind.METRIC and not self.metric_scale:
            return [item]
        motion = self._tracker.track(item.frame)
        depth = item.stored_depth
        if item.cut or motion.to_previous is None or self._shape != depth.shape:
            self._start_shot()
        self._shape = depth.shape
        thumbnail, value_range = _summarize(depth)
        self._update_alignment(item, thumbnail, motion)
        self._shot_range = min(self._shot_range[0], value_range[0]), max(self._shot_range[1], value_range[1])
        aligned = for_depth_field(self._align(depth))
        return [replace(item, depth=aligned, alignment=(self._alignment.scale, self._alignment.shift))]

    def _update_alignment(self, item: DepthFrame, thumbnail: DepthMap, motion: FrameMotion) -> None:
        flows = motion.to_previous
        if self._reference is not None and flows is not None:
            target = warp(self._reference, sampling_grid(flows.flow, thumbnail.shape))
            confidence = cast(DepthMap, cv2.resize(flows.confidence, _FIT_SIZE, interpolation=cv2.INTER_AREA))
            known = np.isfinite(thumbnail) & np.isfinite(target) & (confidence > _MIN_CONFIDENCE)
            scale_only = item.kind is DepthKind.METRIC
            fit = fit_affine(thumbnail[known], target[known], confidence[known], scale_only=scale_only)
            step = np.array(fit) - _IDENTITY if fit else self._chain
            self._chain = step * math.exp(-motion.seconds / _CHAIN_SECONDS)
            self._alignment = Affine(*(_IDENTITY + self._chain - self._update_trend(motion.seconds)).tolist())
        self._reference = (thumbnail * (1 + self._chain[0]) + self._chain[1]).astype(np.float32)

    def _update_trend(self, seconds: float) -> npt.NDArray[np.float64]:
        gain = 1 - math.exp(-seconds / self.seconds)
        self._means[0] += gain * (self._chain - self._means[0])
        self._means[1] += gain * (self._means[0] - self._means[1])
        return np.asarray(2 * self._means[0] - self._means[1])

    def _align(self, depth: StoredMap) -> StoredMap:
        """Applies the alignment on the CPU or GPU that holds the depth, limited to the range of the shot's inputs."""
        if self._alignment == Affine():
            return depth
        if isinstance(depth, DeviceMap):
            tensor = depth.tensor
            moved = (tensor * self._alignment.scale + self._alignment.shift).clamp(*self._shot_range)
            return DeviceMap(moved.where(tensor.isfinite(), tensor))
        aligned = depth * np.float32(self._alignment.scale)
        aligned += np.float32(self._alignment.shift)
        np.clip(aligned, np.float32(self._shot_range[0]), np.float32(self._shot_range[1]), out=aligned)
        return aligned if all_finite(depth) else np.where(np.isfinite(depth), aligned, depth)


def _summarize(depth: StoredMap) -> tuple[DepthMap, tuple[float, float]]:
    """Returns a blurred thumbnail and the finite range; for depth on a GPU only these are copied to the CPU.

    The blur comes first so that resampling along the motion does not reduce the spread of the values further.
    """
    if isinstance(depth, DeviceMap):
        small, value_range = _summarize_on_device(depth)
    else:
        value_range = finite_range(depth)
        finite = depth if all_finite(depth) else np.where(np.isfinite(depth), depth, np.float32(np.nan))
        small = shrink_map(finite, _FIT_SIZE)
    return cast(DepthMap, cv2.GaussianBlur(small, (0, 0), 1.5)), value_range


def _summarize_on_device(depth: DeviceMap) -> tuple[DepthMap, tuple[float, float]]:
    import torch

    from streamdepth.stabilizers import device_maps

    tensor = depth.tensor
    small = device_maps.shrink(tensor.where(tensor.isfinite(), math.nan), _FIT_SIZE)
    # In one copy, because each waits for the device.
    values: DepthMap = torch.cat([small.flatten(), device_maps.finite_range(tensor)]).cpu().numpy()
    return values[:-2].reshape(_FIT_SIZE[::-1]), (float(values[-2]), float(values[-1]))
