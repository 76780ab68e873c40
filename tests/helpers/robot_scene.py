"""A short stream for robots, with a camera that is known and depth that has unknown and far pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from helpers.sink_data import stream

from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthFrame, StreamInfo

CAMERA = Intrinsics(40.0, 41.0, 23.5, 15.5, 48, 32, distortion=(0.1, -0.05, 0, 0, 0))
EPOCH_NS = 1_700_000_000_123_456_789


def scene(count: int = 3, camera: Intrinsics | None = CAMERA) -> tuple[StreamInfo, list[DepthFrame]]:
    """Returns 48x32 px frames of `SyntheticSource` with depth; its first pixel is unknown, its second too far."""
    info, items = stream(count)
    made = []
    for item in items:
        depth = item.depth.copy()
        depth[0, :2] = np.nan, np.inf
        made.append(replace(item, depth=depth, intrinsics=camera))
    return replace(info, intrinsics=camera), made


def stamped(info: StreamInfo) -> StreamInfo:
    """Returns the info of a robot's recording: with the clock of the recorder and the camera's coordinate frame."""
    return replace(info, epoch_ns=EPOCH_NS, frame_id="head_optical_frame")
