"""A camera's intrinsics from pictures of a board (Zhang, TPAMI 2000, as OpenCV does it)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, cast

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import Frame, Image, Intrinsics
from streamdepth.geometry.boards import Board, Corners

Floats = npt.NDArray[np.float64]
FEWEST_VIEWS = 5
_MOST_VIEWS = 50
_MOVED = 0.03
"""Of the picture's width: how far the board must have moved to count as another view."""


class Views(NamedTuple):
    """A board at different places in one camera's picture."""

    corners: list[Corners]
    picture: Image | None
    """The last one that was kept; None: the board was not seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A camera, and how far the corners it predicts lie from those that were found."""

    camera: Intrinsics
    rms_px: float
    errors_px: list[Floats]
    """Of each view, (N,) per corner."""
    views: Views

    @property
    def covered(self) -> float:
        """Share of the picture, in 8x6 cells, in which corners were seen."""
        size = self.camera.width, self.camera.height
        places = np.concatenate([corners.in_picture_px for corners in self.views.corners])
        cells = np.clip(places / size * (8, 6), 0, (7, 5)).astype(int)
        return len(np.unique(cells, axis=0)) / 48


def find_views(frames: Iterable[Frame], board: Board) -> Views:
    """Those that show the board at another place than the ones kept before, at most 50, evenly thinned as they come."""
    kept, picture = list[Corners](), None
    every, seen = 1, 0
    for frame in frames:
        corners = board.find(frame.image)
        if corners is None or not all(_has_moved(corners, before, frame.image.shape[1]) for before in kept):
            continue
        if seen % every == 0:
            kept, picture = [*kept, corners], frame.image
        seen += 1
        if len(kept) > _MOST_VIEWS:
            kept, every = kept[::2], 2 * every
    return Views(kept, picture)


def _has_moved(corners: Corners, before: Corners, width: int) -> bool:
    """By the corners that both show; of a ChArUco board a part may be hidden."""
    here, there = np.nonzero((corners.on_board_m[:, None] == before.on_board_m).all(axis=-1))
    apart = np.abs(corners.in_picture_px[here] - before.in_picture_px[there])
    return not apart.size or bool(apart.mean() > _MOVED * width)


def calibrate(views: Views, *, fisheye: bool = False) -> Calibration:
    """Focal lengths, principal point and distortion (plumb_bob, or equidistant for `fisheye`).

    Raises ConfigError for fewer than FEWEST_VIEWS views, or views that do not determine a camera.
    """
    if len(views.corners) < FEWEST_VIEWS or views.picture is None:
        raise ConfigError(
            f"the board was seen in {len(views.corners)} different places, {FEWEST_VIEWS} are needed, 15 are good: "
            "move and tilt it slowly through the whole picture; check that --board is its number of inner corners and "
            "its size"
        )
    height, width = views.picture.shape[:2]
    on_board = [np.asarray(corners.on_board_m, np.float32).reshape(-1, 1, 3) for corners in views.corners]
    seen = [np.asarray(corners.in_picture_px, np.float32).reshape(-1, 1, 2) for corners in views.corners]
    try:
        if fisheye:
            flags = cv2.CALIB_RECOMPUTE_EXTRINSIC | cv2.CALIB_FIX_SKEW
            points, pixels = ([part.astype(float).swapaxes(0, 1) for part in parts] for parts in (on_board, seen))
            found = cv2.fisheye.calibrate(points, pixels, (width, height), np.eye(3), np.zeros(4), flags=flags)
        else:
            found = cv2.calibrateCamera(on_board, seen, (width, height), np.eye(3), np.zeros(5))
    except cv2.error as error:
        raise ConfigError(f"these views do not determine a camera: tilt the board more ({error.err})") from error
    rms, matrix, distortion, turns, shifts = found
    fx, fy, cx, cy = (float(matrix[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
    model = "equidistant" if fisheye else "plumb_bob"
    camera = Intrinsics(fx, fy, cx, cy, width, height, tuple(float(d) for d in np.ravel(distortion)), model)
    project = cv2.fisheye.projectPoints if fisheye else cv2.projectPoints
    errors = [
        np.linalg.norm(project(points, turn, shift, matrix, distortion)[0].reshape(-1, 2) - px.reshape(-1, 2), axis=1)
        for points, px, turn, shift in zip(on_board, seen, turns, shifts, strict=True)
    ]
    return Calibration(camera, float(rms), errors, views)


def picture_of(result: Calibration) -> Image:
    """The last view, undistorted beside as it was, with the corners of all views: green is exact, red 1 px off."""
    from streamdepth.geometry.camera import Undistorter

    image = result.views.picture
    assert image is not None
    marked = (image // 2).copy()
    radius = max(2, image.shape[1] // 320)
    for corners, errors in zip(result.views.corners, result.errors_px, strict=True):
        for (x, y), error in zip(corners.in_picture_px, errors, strict=True):
            red = round(255 * min(1.0, float(error)))
            cv2.circle(marked, (round(x), round(y)), radius, (red, 255 - red, 60), -1, cv2.LINE_AA)
    return cast(Image, np.hstack([marked, Undistorter(result.camera)(image)]))
