"""The sample clip of a room: pictures, exact depth, and the camera's exact poses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from helpers.paths import SAMPLES

import streamdepth as sd
from streamdepth.core.types import DepthFrame, DepthKind, Frame

CAMERA = sd.Intrinsics.from_fov(66, 640, 360)
CUT = 84
"""Index of the first frame of the second shot."""


def true_pose(index: int) -> np.ndarray:
    """Returns the (4, 4) pose of a frame, camera to world, meters."""
    sys.path.insert(0, str(SAMPLES))
    try:
        from make_room_motion import SHOTS, shot_of
    finally:
        sys.path.remove(str(SAMPLES))
    shot, seconds = shot_of(index)
    eye, target = map(np.array, SHOTS[shot - 1].camera(seconds))
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(ahead, right), ahead], axis=1), eye
    return pose


def room_frames(indices: range) -> Iterator[DepthFrame]:
    """Yields frames of the clip with their exact depth in meters and their camera."""
    truth = sd.DepthVideo(SAMPLES / "room_truth.mkv")
    with av.open(str(SAMPLES / "room.mp4")) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index >= indices.stop:
                return
            if index in indices:
                frame = Frame(picture.to_ndarray(format="rgb24"), index, index, Fraction(1, 24), 0.0)
                yield DepthFrame(frame, truth[index], DepthKind.METRIC, intrinsics=CAMERA)
