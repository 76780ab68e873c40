"""Depth at the camera's rate from a slow model: its last result, carried along optical flow to the frames after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamdepth.core.interfaces import DepthPropagator
from streamdepth.core.types import DepthFrame, DepthKind, DepthMap, Frame
from streamdepth.stabilizers.cuts import CutDetector
from streamdepth.stabilizers.optical_flow import Flow, MotionTracker, carry, where

_UNKNOWN: DepthMap = np.full((24, 32), np.nan, np.float32)


@dataclass(slots=True)
class _Anchor:
    """A frame that the model sees or has seen."""

    time: float
    flow: Flow | None = None
    """From each pixel of the newest small picture to where it was in the anchor's; None: it is the newest itself."""
    depth: DepthMap | None = None

    def follow(self, step: Flow) -> None:
        """`step`: from the newest picture to the one before it."""
        before = self.flow
        self.flow = step if before is None else step + carry(before, where(step, step.shape[:2]))


class FlowPropagator(DepthPropagator):
    """Adds up the flow from frame to frame since the frame that was inferred, and resamples its depth once.

    Cuts are found as `CutDetector` finds them, with the carried depth as its witness. motion: shared with the
    stabilizers of the stream, so that it is measured once. State: one depth map and two flows.
    """

    def __init__(self, *, motion: MotionTracker | None = None) -> None:
        self._motion = motion or MotionTracker()
        self._cuts = CutDetector(motion=self._motion)
        self.reset()

    def reset(self) -> None:
        self._cuts.reset()  # and with it the motion
        self._newest: Frame | None = None
        self._known: _Anchor | None = None
        self._marked: _Anchor | None = None

    def advance(self, frame: Frame) -> bool:
        is_first, self._newest = self._newest is None, frame
        path = self._motion.of(frame).path
        if path is not None:
            for anchor in (self._known, self._marked):
                if anchor is not None:
                    anchor.follow(path.flow)
        carried = self.carried()
        (item,) = self._cuts.push(DepthFrame(frame, _UNKNOWN if carried is None else carried[0], DepthKind.RELATIVE))
        if is_first or item.cut or path is None:
            self._known = self._marked = None
        return self._known is not None

    def mark(self) -> None:
        assert self._newest is not None
        self._marked = _Anchor(self._newest.time)

    def settle(self, depth: DepthMap) -> None:
        if self._marked is not None:
            self._marked.depth = depth
            self._known, self._marked = self._marked, None

    def carried(self) -> tuple[DepthMap, float] | None:
        known = self._known
        if known is None or known.depth is None or self._newest is None:
            return None
        if known.flow is None or not known.flow.any():
            return known.depth, self._newest.time - known.time
        return carry(known.depth, where(known.flow, known.depth.shape)), self._newest.time - known.time
