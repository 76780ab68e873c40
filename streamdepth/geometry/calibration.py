"""Calibration of a camera from pictures of a board (Zhang, TPAMI 2000, by OpenCV)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, cast

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.boards import Board, BoardCorners
from streamdepth.geometry.camera import Undistorter

MIN_VIEWS = 5
_MAX_VIEWS = 50
_MIN_MOVE = 0.03
"""Share of the picture's width by which the board must have moved to count as another view."""


class BoardViews(NamedTuple):
    """A board seen by one camera from different places."""

    corners: list[BoardCorners]
    """The corners of each view."""
    last_image: Image | None
    """The picture of the last view; None: the board was not seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A calibrated camera with its reprojection errors."""

    camera: Intrinsics
    rms_px: float
    """Root mean square of all errors."""
    errors_px: list[Floats]
    """(N,) px for each view: distances between found and predicted corners."""
    views: BoardViews

    @property
    def coverage(self) -> float:
        """Share of the picture's 8x6 cells in which corners were seen, 0 to 1."""
        size = self.camera.width, self.camera.height
        places = np.concatenate([corners.image_points_px for corners in self.views.corners])
        cells = np.clip(places / size * (8, 6), 0, (7, 5)).astype(int)
        return len(np.unique(cells, axis=0)) / 48


def find_board_views(frames: Iterable[Frame], board: Board) -> BoardViews:
    """Returns up to 50 views with the board in different places, and the last picture.

    If more are found, they are thinned evenly.
    """
    kept, picture = list[BoardCorners](), None
    every, seen = 1, 0
    for frame in frames:
        corners = board.find(frame.image)
        if corners is None or not all(_has_moved(corners, before, frame.image.shape[1]) for before in kept):
            continue
        if seen % every == 0:
            kept, picture = [*kept, corners], frame.image
        seen += 1
        if len(kept) > _MAX_VIEWS:
            kept, every = kept[::2], 2 * every
    return BoardViews(kept, picture)


def _has_moved(corners: BoardCorners, before: BoardCorners, width: int) -> bool:
    """True if the corners that both views show have moved; a part of a ChArUco board may be hidden."""
    here, there = np.nonzero((corners.object_points_m[:, None] == before.object_points_m).all(axis=-1))
    distance = np.abs(corners.image_points_px[here] - before.image_points_px[there])
    return not distance.size or bool(distance.mean() > _MIN_MOVE * width)


def calibrate(views: BoardViews, *, fisheye: bool = False) -> Calibration:
    """Returns focal lengths, principal point and distortion (plumb_bob, or equidistant for `fisheye`).

    Raises ConfigError: "too-few-views" for fewer than MIN_VIEWS, "degenerate" for views that do not determine a camera.
    """
    if len(views.corners) < MIN_VIEWS or views.last_image is None:
        raise ConfigError(
            f"the board was seen in {len(views.corners)} different places, {MIN_VIEWS} are needed, 15 are good: "
            "move and tilt it slowly through the whole picture; check that --board is its number of inner corners and "
            "its size",
            code="too-few-views",
        )
    height, width = views.last_image.shape[:2]
    on_board = [np.asarray(corners.object_points_m, np.float32).reshape(-1, 1, 3) for corners in views.corners]
    seen = [np.asarray(corners.image_points_px, np.float32).reshape(-1, 1, 2) for corners in views.corners]
    try:
        if fisheye:
            flags = cv2.CALIB_RECOMPUTE_EXTRINSIC | cv2.CALIB_FIX_SKEW
            points, pixels = ([part.astype(float).swapaxes(0, 1) for part in parts] for parts in (on_board, seen))
            found = cv2.fisheye.calibrate(points, pixels, (width, height), np.eye(3), np.zeros(4), flags=flags)
        else:
            found = cv2.calibrateCamera(on_board, seen, (width, height), np.eye(3), np.zeros(5))
    except cv2.error as error:
        raise ConfigError(
            f"these views do not determine a camera: tilt the board more ({error.err})", code="degenerate"
        ) from error
    rms, matrix, distortion, rotations, translations = found
    fx, fy, cx, cy = (float(matrix[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
    model = "equidistant" if fisheye else "plumb_bob"
    camera = Intrinsics(fx, fy, cx, cy, width, height, tuple(float(d) for d in np.ravel(distortion)), model)
    project = cv2.fisheye.projectPoints if fisheye else cv2.projectPoints
    errors = [
        np.linalg.norm(
            project(points, rotation, translation, matrix, distortion)[0].reshape(-1, 2) - px.reshape(-1, 2), axis=1
        )
        for points, px, rotation, translation in zip(on_board, seen, rotations, translations, strict=True)
    ]
    return Calibration(camera, float(rms), errors, views)


def draw_calibration(result: Calibration) -> Image:
    """Returns the last view with all corners found (green: exact, red: 1 px off), beside the undistorted view."""
    image = result.views.last_image
    assert image is not None
    marked = (image // 2).copy()
    radius = max(2, image.shape[1] // 320)
    for corners, errors in zip(result.views.corners, result.errors_px, strict=True):
        for (x, y), error in zip(corners.image_points_px, errors, strict=True):
            red = round(255 * min(1.0, float(error)))
            cv2.circle(marked, (round(x), round(y)), radius, (red, 255 - red, 60), -1, cv2.LINE_AA)
    return cast(Image, np.hstack([marked, Undistorter(result.camera)(image)]))
