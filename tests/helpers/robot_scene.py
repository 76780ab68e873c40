"""A short stream for robots, with a camera that is known and depth that has unknown and far pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from helpers.sink_data import stream

from streamdepth.core.types import DepthFrame, Intrinsics, StreamInfo

CAMERA = Intrinsics(40.0, 41.0, 23.5, 15.5, 48, 32, distortion=(0.1, -0.05, 0, 0, 0))
EPOCH_NS = 1_700_000_000_123_456_789


def scene(count: int = 3, camera: Intrinsics | None = CAMERA) -> tuple[StreamInfo, list[DepthFrame]]:
    """The wall and the box of `SyntheticSource`, 48x32 px; the first pixel is unknown, the second too far."""
    info, items = stream(count)
    made = []
    for item in items:
        depth = item.depth.copy()
        depth[0, :2] = np.nan, np.inf
        made.append(replace(item, depth=depth, intrinsics=camera))
    return replace(info, intrinsics=camera), made


def stamped(info: StreamInfo) -> StreamInfo:
    """As a robot's recording is: its clock is known, and its camera has a frame."""
    return replace(info, epoch_ns=EPOCH_NS, frame_id="head_optical_frame")
