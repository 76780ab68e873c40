"""Depth for every frame from a slow model: its last result is warped along the optical flow to the frames after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdepth.core.arrays import DepthMap
from streamdepth.core.interfaces import DepthPropagator
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.stabilizers.cuts import CutDetector
from streamdepth.stabilizers.optical_flow import Flow, MotionTracker, sampling_grid, warp

_UNKNOWN_DEPTH: DepthMap = np.full((24, 32), np.nan, np.float32)


@dataclass(slots=True)
class _Keyframe:
    """A frame that the model sees or has seen."""

    time: float
    flow: Flow | None = None
    """Motion from each pixel of the newest small picture to its place in the keyframe's; None for the keyframe
    itself."""
    depth: DepthMap | None = None

    def extend_flow(self, step: Flow) -> None:
        """Adds `step`, the flow from the newest picture to the one before it."""
        before = self.flow
        self.flow = step if before is None else step + warp(before, sampling_grid(step, step.shape[:2]))


class FlowPropagator(DepthPropagator):
    """A propagator that accumulates optical flow since the keyframe and resamples the keyframe's depth once per frame.

    Cuts are found as `CutDetector` finds them, by the propagated depth. The tracker is shared with the stabilizers of
    the stream, so that motion is measured once. State: one depth map and two flows.
    """

    def __init__(self, *, tracker: MotionTracker | None = None) -> None:
        self._tracker = tracker or MotionTracker()
        self._cuts = CutDetector(tracker=self._tracker)
        self.reset()

    def reset(self) -> None:
        self._cuts.reset()  # and with it the tracker
        self._newest: Frame | None = None
        self._keyframe: _Keyframe | None = None
        self._pending_keyframe: _Keyframe | None = None

    def track(self, frame: Frame) -> bool:
        is_first, self._newest = self._newest is None, frame
        flows = self._tracker.track(frame).to_previous
        if flows is not None:
            for keyframe in (self._keyframe, self._pending_keyframe):
                if keyframe is not None:
                    keyframe.extend_flow(flows.flow)
        propagated = self.propagated_depth()
        depth = _UNKNOWN_DEPTH if propagated is None else propagated[0]
        (item,) = self._cuts.push(DepthFrame(frame, depth, DepthKind.RELATIVE))
        if is_first or item.cut or flows is None:
            self._keyframe = self._pending_keyframe = None
        return self._keyframe is not None

    def begin_keyframe(self) -> None:
        assert self._newest is not None
        self._pending_keyframe = _Keyframe(self._newest.time)

    def complete_keyframe(self, depth: DepthMap) -> None:
        if self._pending_keyframe is not None:
            self._pending_keyframe.depth = depth
            self._keyframe, self._pending_keyframe = self._pending_keyframe, None

    def propagated_depth(self) -> tuple[DepthMap, float] | None:
        keyframe = self._keyframe
        if keyframe is None or keyframe.depth is None or self._newest is None:
            return None
        age_seconds = self._newest.time - keyframe.time
        if keyframe.flow is None or not keyframe.flow.any():
            return keyframe.depth, age_seconds
        return warp(keyframe.depth, sampling_grid(keyframe.flow, keyframe.depth.shape)), age_seconds
