"""Boards of known size in a picture: chessboards and ChArUco boards, found by OpenCV."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamdepth.core.errors import ConfigError
from streamdepth.core.types import Image, Intrinsics
from streamdepth.geometry.camera import camera_matrix, is_fisheye
from streamdepth.geometry.metric_fit import length_m

Floats = npt.NDArray[np.float64]
_FEWEST = 6
_SYNTAX = re.compile(r"(?:chessboard:)?(\d+)x(\d+)@([^/]+)|charuco:(\d+)x(\d+)@([^/]+)/([^/]+?)(?:/(\w+))?")
_HELP = (
    "write chessboard:9x6@25mm (inner corners, and the side of a square) or "
    "charuco:7x5@40mm/30mm/4x4_50 (squares, sides of a square and of a marker, and their dictionary)"
)


class Corners(NamedTuple):
    """Found corners of one board."""

    on_board_m: Floats
    """(N, 3) metres, z = 0."""
    in_picture_px: Floats
    """(N, 2)."""


@dataclass(frozen=True, slots=True)
class Board:
    columns: int
    """Inner corners of a chessboard, squares of a ChArUco board."""
    rows: int
    square_m: float
    marker_m: float | None = None
    """Side of a ChArUco board's markers; None: a chessboard."""
    dictionary: str = "4x4_50"

    @classmethod
    def parse(cls, text: str) -> Board:
        """`chessboard:9x6@25mm`, the same without its first word, or `charuco:7x5@40mm/30mm/4x4_50`.

        Raises ConfigError.
        """
        match = _SYNTAX.fullmatch(text.strip())
        if match is None:
            raise ConfigError(f"'{text}' is no board; {_HELP}")
        if match[1]:
            board = cls(int(match[1]), int(match[2]), length_m(match[3]))
        else:
            dictionary = match[8] or "4x4_50"
            board = cls(int(match[4]), int(match[5]), length_m(match[6]), length_m(match[7]), dictionary)
            if not hasattr(cv2.aruco, f"DICT_{dictionary.upper()}"):
                raise ConfigError(f"unknown dictionary '{dictionary}' of markers; such as 4x4_50, 5x5_100, 6x6_250")
        if min(board.columns, board.rows) < 3 or (board.marker_m or 0) >= board.square_m:
            raise ConfigError(f"'{text}' cannot be a board: 3x3 at least, markers smaller than squares; {_HELP}")
        return board

    def find(self, image: Image) -> Corners | None:
        """Its corners in a picture, (H, W, 3) RGB, to a fraction of a px; None where it is not seen well."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if self.marker_m is None:
            found, corners = cv2.findChessboardCornersSB(gray, (self.columns, self.rows), flags=cv2.CALIB_CB_ACCURACY)
            return Corners(self.grid_m(), np.asarray(corners, np.float64).reshape(-1, 2)) if found else None
        corners, ids, _, _ = cv2.aruco.CharucoDetector(self.charuco()).detectBoard(gray)
        if ids is None or len(ids) < _FEWEST:
            return None
        on_board = np.asarray(self.charuco().getChessboardCorners(), np.float64)[ids.ravel()]
        return Corners(on_board, np.asarray(corners, np.float64).reshape(-1, 2))

    def grid_m(self) -> Floats:
        """(columns * rows, 3) a chessboard's inner corners, row by row."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        return np.asarray(np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1) * self.square_m, np.float64)

    def charuco(self) -> Any:
        """OpenCV's own object."""
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{self.dictionary.upper()}"))
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m or 0.0, dictionary)


def depth_of_corners(corners: Corners, camera: Intrinsics) -> Floats | None:
    """(N,) metres along z of each corner, from the board's pose (solvePnP); None where there is none."""
    solve = cv2.fisheye.solvePnP if is_fisheye(camera) and camera.distortion else cv2.solvePnP
    distortion = np.array(camera.distortion or (0.0,) * 4)
    found, turn, shift = solve(
        corners.on_board_m, corners.in_picture_px.reshape(-1, 1, 2), camera_matrix(camera), distortion
    )
    if not found:
        return None
    z = corners.on_board_m @ cv2.Rodrigues(turn)[0][2] + float(np.ravel(shift)[2])
    return np.asarray(z, np.float64) if (z > 0).all() else None
