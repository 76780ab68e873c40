"""The poses of a camera, found from its own pictures and their depth: RGB-D odometry with keyframes.

Corners of a keyframe get a place in the world by the keyframe's depth. They are tracked from picture to picture (Lucas
and Kanade, IJCAI 1981), and the pose follows from their places in the picture (perspective-n-point with RANSAC, by
OpenCV). If too few of them agree on one pose, tracking is lost: frames have no pose until one of the keyframes is
recognized by its ORB descriptors (Rublee et al., ICCV 2011).
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np

from streamdepth.core.arrays import DepthMap, GrayImage, Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.resize import resize_depth
from streamdepth.core.types import DepthFrame, DepthKind, Frame, StreamInfo
from streamdepth.geometry.arrays import Floats, Mask
from streamdepth.geometry.projection import require_pinhole
from streamdepth.geometry.trajectories import Pose, Poses
from streamdepth.geometry.transforms import inverse_transform

_MAX_SIDE_PX = 640
_CORNER_DISTANCE_PX = 7
_MAX_CORNERS, _MIN_CORNERS = 600, 60
"""Largest and smallest number of corners with known depth in a keyframe."""
_MIN_INLIERS, _MIN_SHARE = 30, 0.5
"""Smallest number of corners that agree on a pose, and their smallest share of the tracked ones, to accept it."""
_KEYFRAME_SHARE = 0.85
"""Share of its corners that must still agree; with fewer, the frame becomes the next keyframe."""
_TOLERANCE_PX = 2.0
_CONTRAST = 3.0
_ROUND_TRIP_PX = 0.7
"""Largest distance of a corner from its start after it is tracked forth and back."""
_MAX_KEYFRAMES = 40
"""Number of newest keyframes that are kept, to be recognized."""


class _Keyframe(NamedTuple):
    points: Floats
    """(N, 3) places of corners in the world, meters."""
    descriptors: np.ndarray
    """(N, 32) uint8, ORB's."""


class _TrackLostError(Exception):
    """No pose explains the places of the corners in a picture."""


class Odometry(Poses):
    """Finds the camera's pose in each frame of a metric depth stream; the first one with a pose is the world.

    Frames come in order, to `locate`. Errors add up along the way (drift), and a wrong scale of the depth is one of the
    way. A scene that moves as a whole, such as the inside of a train, is taken for what stands still.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.keyframes = 0
        """Number of keyframes so far."""
        self.lost_frames: list[int] = []
        """Indices of the frames in which the track was lost."""
        self._scale_changes: list[float] = []
        self._found: dict[int, Pose | None] = {}
        self._recent: deque[_Keyframe] = deque(maxlen=_MAX_KEYFRAMES)
        self._tracker: _Tracker | None = None

    def begin(self, info: StreamInfo) -> str | None:
        self._reset()
        return "the poses are estimated from the pictures and their depth; their errors add up along the way"

    def pose_of(self, frame: Frame) -> Pose | None:
        """Returns the pose of a frame that `locate` has seen; None where it found none."""
        return self._found.get(frame.index)

    def locate(self, item: DepthFrame) -> Pose | None:
        """Returns the pose of the next frame; None where the track is lost, or no depth is known yet.

        Raises ConfigError where the camera is unknown or distorts ("unknown-camera"), and for relative depth
        ("relative-depth").
        """
        if item.kind is not DepthKind.METRIC:
            raise ConfigError(
                "poses are estimated in meters, and this depth is relative; use a metric model, --sparse, --anchor, "
                "--camera-height or --depth",
                code="relative-depth",
            )
        if item.frame.index not in self._found:
            try:
                pose = self._pose(_View(item), is_cut=item.cut)
            except _TrackLostError:
                self._tracker = pose = None
                self.lost_frames.append(item.frame.index)
            self._found[item.frame.index] = pose
        return self._found[item.frame.index]

    def summary(self) -> str:
        """Returns a sentence on how well the camera was tracked."""
        changes = np.abs(self._scale_changes) if self._scale_changes else np.zeros(1)
        count = len(self.lost_frames)
        return (
            f"poses by odometry: {self.keyframes} keyframes, between which the scale of the depth changes by "
            f"{100 * float(np.median(changes)):.1f}% (median); track lost in {count} frame{'s' * (count != 1)}"
            + (f", first in frame {self.lost_frames[0]}" if self.lost_frames else "")
        )

    def _pose(self, view: _View, *, is_cut: bool) -> Pose | None:
        if self._tracker is not None and not is_cut:
            with contextlib.suppress(_TrackLostError):
                return self._follow(view)
        return self._recognize(view)

    def _follow(self, view: _View) -> Pose:
        assert self._tracker is not None
        pose = self._tracker.follow(view)
        if self._tracker.share < _KEYFRAME_SHARE:
            self._add_keyframe(view, pose, self._tracker)
        return pose

    def _recognize(self, view: _View) -> Pose | None:
        """Returns the pose of a frame by one of the newest keyframes; that of the first keyframe is the world's."""
        if not self._recent:
            return np.eye(4) if self._add_keyframe(view, np.eye(4), None) else None
        pixels, descriptors = view.describe(view.corners())
        for keyframe in reversed(self._recent):
            try:
                pose = _pose_by_descriptors(keyframe, pixels, descriptors, view.camera)
            except _TrackLostError:
                continue
            if self._add_keyframe(view, pose, None):
                return pose
        raise _TrackLostError

    def _add_keyframe(self, view: _View, pose: Pose, before: _Tracker | None) -> bool:
        """Takes the corners of a frame as places to follow, beside those that `before` still follows.

        Returns False, and follows those alone, where too few corners have a depth.
        """
        pixels, descriptors = view.describe(view.corners())
        points = view.points_at(pixels) @ pose[:3, :3].T + pose[:3, 3]
        if len(points) < _MIN_CORNERS:
            return False
        self._recent.append(_Keyframe(points, descriptors))
        self.keyframes += 1
        if before is not None:
            self._scale_changes.append(_scale_change(view, pose, before))
            is_new = _is_apart(pixels, before.pixels)
            pixels = np.concatenate([before.pixels, pixels[is_new]])
            points = np.concatenate([before.points, points[is_new]])
        self._tracker = _Tracker(points, pixels, view.gray, inverse_transform(pose))
        return True


class _View:
    """One picture in gray, at most 640 px large, with its depth and its camera."""

    def __init__(self, item: DepthFrame) -> None:
        width, height = item.frame.size
        scale = min(1.0, _MAX_SIDE_PX / max(width, height))
        size = round(width * scale), round(height * scale)
        self.gray = _without_exposure(item.frame.image_at_size(*size))
        self.camera = require_pinhole(item).resized(*size)
        self.depth: DepthMap = resize_depth(item.depth, *size)

    def corners(self) -> Floats:
        """Returns (N, 2) px of corners whose depth is known and does not jump around them."""
        known = (np.isfinite(self.depth) & (self.depth > 0)).astype(np.uint8)
        window = np.ones((5, 5), np.uint8)
        filled = np.where(known > 0, self.depth, np.float32(0))
        is_smooth = (cv2.dilate(filled, window) < 1.1 * cv2.erode(filled, window)).astype(np.uint8)
        found = cv2.goodFeaturesToTrack(self.gray, _MAX_CORNERS, 0.005, _CORNER_DISTANCE_PX, mask=is_smooth)
        return np.zeros((0, 2)) if found is None else np.asarray(found[:, 0], np.float64)

    def describe(self, pixels: Floats) -> tuple[Floats, np.ndarray]:
        """Returns the (M, 2) px, of N, that are not on the rim, and their descriptors."""
        keypoints = [cv2.KeyPoint(float(x), float(y), 31) for x, y in pixels]
        kept, descriptors = cv2.ORB.create(edgeThreshold=2).compute(self.gray, keypoints)
        if descriptors is None:
            return np.zeros((0, 2)), np.zeros((0, 32), np.uint8)
        return np.array([point.pt for point in kept], np.float64), descriptors

    def points_at(self, pixels: Floats) -> Floats:
        """Returns (N, 3) meters in the camera's axes: the places that (N, 2) px show, NaN where depth is unknown."""
        height, width = self.depth.shape
        x, y = np.rint(pixels).astype(np.int64).T
        depth = self.depth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(np.float64)
        return np.asarray(np.hstack([self.camera.rays(pixels), np.ones((len(pixels), 1))]) * depth[:, None], np.float64)


def _without_exposure(image: Image) -> GrayImage:
    """Returns a gray picture of local contrast, a difference of Gaussians, which keeps its values at any exposure."""
    values = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(values, (0, 0), sigma) for sigma in (1.0, 8.0))
    return np.asarray(np.clip(128 + _CONTRAST * (fine - coarse), 0, 255), np.uint8)


class _Tracker:
    """Tracks places in the world from picture to picture."""

    def __init__(self, points: Floats, pixels: Floats, gray: GrayImage, motion: Floats) -> None:
        self.points, self.pixels = points, pixels
        """(N, 3) meters in the world, and (N, 2) px where they were seen last; both of what is still followed."""
        self.share = 1.0
        """Share of the first points that are still followed."""
        self._count, self._gray, self._motion = len(points), gray, motion

    def follow(self, view: _View) -> Pose:
        """Returns the pose of the next picture. Raises _TrackLostError."""
        arrived = _follow_pixels(self._gray, view.gray, self.pixels)
        followed = np.isfinite(arrived[:, 0])
        pixels, points = arrived[followed], self.points[followed]
        self._motion, inliers = _solve(points, pixels, view.camera, self._motion)
        self.pixels, self.points, self._gray = pixels[inliers], points[inliers], view.gray
        self.share = len(inliers) / self._count
        return inverse_transform(self._motion)


def _scale_change(view: _View, pose: Pose, tracker: _Tracker) -> float:
    """Returns the median logarithm of a frame's depth over the depth of the tracked places."""
    expected = ((tracker.points - pose[:3, 3]) @ pose[:3, :3])[:, 2]
    change = np.log(view.points_at(tracker.pixels)[:, 2] / expected)
    return float(np.median(change[np.isfinite(change)])) if np.isfinite(change).any() else 0.0


def _is_apart(pixels: Floats, others: Floats) -> Mask:
    """Returns (N,): True for px that are further than a corner's distance from all others."""
    distances = np.linalg.norm(pixels[:, None] - others[None], axis=-1)
    return np.asarray(distances.min(axis=1, initial=np.inf) > _CORNER_DISTANCE_PX, np.bool_)


def _follow_pixels(before: GrayImage, after: GrayImage, pixels: Floats) -> Floats:
    """Returns the places, (N, 2) px, of pixels in the next picture; NaN if tracking back ends elsewhere."""
    if not len(pixels):
        return pixels
    start = pixels.astype(np.float32)[:, None]
    follow: Any = partial(cv2.calcOpticalFlowPyrLK, winSize=(15, 15), maxLevel=3)
    there, is_there, _ = follow(before, after, start, None)
    back, is_back, _ = follow(after, before, there, None)
    is_good = (is_there > 0) & (is_back > 0) & (np.linalg.norm(back - start, axis=-1) < _ROUND_TRIP_PX)
    return np.where(is_good, there[:, 0].astype(np.float64), np.nan)


def _solve(points: Floats, pixels: Floats, camera: Intrinsics, guess: Floats | None) -> tuple[Floats, np.ndarray]:
    """Returns the transform that projects (N, 3) points to (N, 2) px, and the indices of the inliers.

    Raises _TrackLostError where too few agree.
    """
    if len(points) < _MIN_INLIERS:
        raise _TrackLostError
    turn: Any
    shift: Any
    turn, shift = (None, None) if guess is None else (cv2.Rodrigues(guess[:3, :3])[0], guess[:3, 3:].copy())
    options: Any = {"iterationsCount": 100, "reprojectionError": _TOLERANCE_PX, "confidence": 0.999}
    method = cv2.SOLVEPNP_EPNP if guess is None else cv2.SOLVEPNP_ITERATIVE
    is_found, turn, shift, inliers = cv2.solvePnPRansac(
        points, pixels, camera.matrix, None, turn, shift, guess is not None, flags=method, **options
    )
    if not is_found or inliers is None or len(inliers) < max(_MIN_INLIERS, _MIN_SHARE * len(points)):
        raise _TrackLostError
    chosen = inliers[:, 0]
    turn, shift = cv2.solvePnPRefineLM(points[chosen], pixels[chosen], camera.matrix, None, turn, shift)
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
    if not math.isfinite(float(transform.sum())):
        raise _TrackLostError
    return transform, chosen


def _pose_by_descriptors(keyframe: _Keyframe, pixels: Floats, descriptors: np.ndarray, camera: Intrinsics) -> Pose:
    """Returns the pose of a picture that shows what a keyframe shows. Raises _TrackLostError where it does not."""
    if not len(descriptors):
        raise _TrackLostError
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(keyframe.descriptors, descriptors)
    good = [(match.queryIdx, match.trainIdx) for match in matches if match.distance < 50]
    if len(good) < _MIN_INLIERS:
        raise _TrackLostError
    known, seen = np.array(good).T
    return inverse_transform(_solve(keyframe.points[known], pixels[seen], camera, None)[0])
