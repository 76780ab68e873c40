"""Calibration boards of known size: chessboards and ChArUco boards, found in pictures by OpenCV."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from streamdepth.core.arrays import Image
from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.geometry.arrays import Floats
from streamdepth.geometry.lengths import parse_length_m

_MIN_CHARUCO_CORNERS = 6
_SYNTAX = re.compile(r"(?:chessboard:)?(\d+)x(\d+)@([^/]+)|charuco:(\d+)x(\d+)@([^/]+)/([^/]+?)(?:/(\w+))?")
_HELP = (
    "write chessboard:9x6@25mm (inner corners, and the side of a square) or "
    "charuco:7x5@40mm/30mm/4x4_50 (squares, sides of a square and of a marker, and their dictionary)"
)


class BoardCorners(NamedTuple):
    """The corners of a board that were found in one picture."""

    object_points_m: Floats
    """(N, 3) places on the board in meters, z = 0."""
    image_points_px: Floats
    """(N, 2) places in the picture."""


@dataclass(frozen=True, slots=True)
class Board:
    """A flat calibration board whose size is known."""

    columns: int
    """Number of inner corners of a chessboard, or of squares of a ChArUco board."""
    rows: int
    """Number of inner corners or squares downwards."""
    square_m: float
    """Side of a square, meters."""
    marker_m: float | None = None
    """Side of a ChArUco board's markers, meters; None: a chessboard."""
    dictionary: str = "4x4_50"
    """OpenCV's name of the markers' dictionary, without `DICT_`."""

    @classmethod
    def parse(cls, text: str) -> Board:
        """Returns the board of `chessboard:9x6@25mm`, `9x6@25mm` or `charuco:7x5@40mm/30mm/4x4_50`.

        Raises ConfigError, code "bad-board", for anything else.

        >>> Board.parse("9x6@25mm")
        Board(columns=9, rows=6, square_m=0.025, marker_m=None, dictionary='4x4_50')
        """
        match = _SYNTAX.fullmatch(text.strip())
        if match is None:
            raise ConfigError(f"'{text}' is no board; {_HELP}", code="bad-board")
        if match[1]:
            board = cls(int(match[1]), int(match[2]), parse_length_m(match[3]))
        else:
            dictionary = match[8] or "4x4_50"
            board = cls(int(match[4]), int(match[5]), parse_length_m(match[6]), parse_length_m(match[7]), dictionary)
            if not hasattr(cv2.aruco, f"DICT_{dictionary.upper()}"):
                raise ConfigError(
                    f"unknown dictionary of markers '{dictionary}'; try 4x4_50, 5x5_100 or 6x6_250",
                    code="bad-board",
                )
        if min(board.columns, board.rows) < 3 or (board.marker_m or 0) >= board.square_m:
            raise ConfigError(
                f"'{text}' cannot be a board: 3x3 at least, markers smaller than squares; {_HELP}", code="bad-board"
            )
        return board

    def find(self, image: Image) -> BoardCorners | None:
        """Returns its corners in a picture, (H, W, 3) RGB, to a fraction of a px; None where it is not seen well."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if self.marker_m is None:
            found, corners = cv2.findChessboardCornersSB(gray, (self.columns, self.rows), flags=cv2.CALIB_CB_ACCURACY)
            return (
                BoardCorners(self.chessboard_points_m(), np.asarray(corners, np.float64).reshape(-1, 2))
                if found
                else None
            )
        corners, ids, _, _ = cv2.aruco.CharucoDetector(self.charuco_board()).detectBoard(gray)
        if ids is None or len(ids) < _MIN_CHARUCO_CORNERS:
            return None
        on_board = np.asarray(self.charuco_board().getChessboardCorners(), np.float64)[ids.ravel()]
        return BoardCorners(on_board, np.asarray(corners, np.float64).reshape(-1, 2))

    def chessboard_points_m(self) -> Floats:
        """Returns (columns * rows, 3) inner corners of a chessboard in meters, row by row."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        return np.asarray(np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1) * self.square_m, np.float64)

    def charuco_board(self) -> Any:
        """Returns OpenCV's own ChArUco board."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{self.dictionary.upper()}"))
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m or 0.0, dictionary)


def depth_of_corners(corners: BoardCorners, camera: Intrinsics) -> Floats | None:
    """Returns (N,) meters along z of each corner, from the board's pose (solvePnP); None where no pose is found."""
    rays = camera.rays(np.asarray(corners.image_points_px, np.float64))
    if not np.isfinite(rays).all():
        return None
    found, rotation, translation = cv2.solvePnP(corners.object_points_m, rays.reshape(-1, 1, 2), np.eye(3), np.zeros(4))
    if not found:
        return None
    z = corners.object_points_m @ cv2.Rodrigues(rotation)[0][2] + float(np.ravel(translation)[2])
    return np.asarray(z, np.float64) if (z > 0).all() else None
