"""A camera is measured from rendered frames of a board, and comes out as it was."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from PIL import Image

from streamdepth.core.errors import ConfigError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import Frame
from streamdepth.geometry.boards import Board, BoardCorners
from streamdepth.geometry.calibration import Calibration, calibrate, draw_calibration, find_board_views
from streamdepth.geometry.camera_files import read_camera_file
from streamdepth.geometry.projection import rays

CAMERA = Intrinsics(420.0, 425.0, 242.0, 176.0, 480, 360, (-0.22, 0.07, 0.001, -0.0015, 0.0))
FISHEYE = replace(CAMERA, distortion=(0.04, -0.02, 0.01, -0.003), distortion_model="equidistant")
BOARDS = ("chessboard:8x5@30mm", "charuco:9x6@30mm/22mm/4x4_50")
_PX_PER_M = 40 / 0.03


def drawn(board: Board) -> tuple[np.ndarray, np.ndarray]:
    """The printed board with a white margin, and where in it the board's origin lies."""
    margin = 40
    if board.marker_m is None:
        cells = (np.add.outer(np.arange(board.rows + 1), np.arange(board.columns + 1)) % 2 * 255).astype(np.uint8)
        flat = cv2.resize(cells, None, fx=40, fy=40, interpolation=cv2.INTER_NEAREST)
        origin = margin + 40
    else:
        flat, origin = board.charuco_board().generateImage((board.columns * 40, board.rows * 40)), margin
    return np.pad(flat, margin, constant_values=255), np.array([origin - 0.5] * 2)


def seen(board: Board, camera: Intrinsics, turn: tuple[float, ...], middle_m: tuple[float, ...]) -> np.ndarray:
    """(H, W, 3): what the camera sees of the board, each pixel's ray followed through the lens onto it."""
    flat, origin = drawn(board)
    rotation = cv2.Rodrigues(np.array(turn))[0]
    half = (np.array(flat.shape[::-1]) / 2 - origin) / _PX_PER_M
    shift = np.array(middle_m) - rotation @ np.append(half, 0)
    ray = np.concatenate(
        [rays(camera, camera.width, camera.height), np.ones((camera.height, camera.width, 1))], axis=-1
    )
    normal = rotation[:, 2]
    points = ray * ((normal @ shift) / (ray @ normal))[..., None]
    at = ((points - shift) @ rotation)[..., :2] * _PX_PER_M + origin
    soft = cv2.GaussianBlur(flat, (0, 0), 1.2)
    picture = cv2.remap(
        soft, at.astype(np.float32)[..., 0], at.astype(np.float32)[..., 1], cv2.INTER_LINEAR, borderValue=130
    )
    return np.repeat(picture[..., None], 3, axis=2)


def views(board: Board, camera: Intrinsics) -> Iterator[Frame]:
    tilts = [(0.0, 0.0), (0.5, 0.0), (-0.5, 0.1), (0.1, 0.5), (0.0, -0.5), (0.35, 0.35), (-0.35, -0.35), (0.3, -0.4)]
    places = [(0, 0, 0.38), (-0.06, 0.03, 0.42), (0.06, -0.03, 0.42), (-0.07, -0.04, 0.45)]
    places += [(0.07, 0.04, 0.45), (0.0, 0.05, 0.4), (0.05, 0.0, 0.5), (-0.05, 0.0, 0.5)]
    for index, (tilt, place) in enumerate(zip(tilts, places, strict=True)):
        image = seen(board, camera, (*tilt, 0.05 * index), place)
        yield Frame(np.ascontiguousarray(image), index, index, Fraction(1, 10), 0.0)


def measured(text: str, camera: Intrinsics, *, fisheye: bool = False) -> Calibration:
    board = Board.parse(text)
    return calibrate(find_board_views(views(board, camera), board), fisheye=fisheye)


@pytest.mark.parametrize("text", BOARDS)
def test_a_known_camera_comes_out(text: str) -> None:
    result = measured(text, CAMERA)
    found = result.camera
    assert result.rms_px < 0.3
    assert (found.fx, found.fy) == pytest.approx((CAMERA.fx, CAMERA.fy), rel=0.01)
    assert (found.cx, found.cy) == pytest.approx((CAMERA.cx, CAMERA.cy), abs=3)
    assert found.distortion[0] == pytest.approx(CAMERA.distortion[0], abs=0.04)
    assert 0.3 < result.coverage <= 1


def test_a_fisheye_comes_out() -> None:
    result = measured(BOARDS[0], FISHEYE, fisheye=True)
    assert result.camera.distortion_model == "equidistant"
    assert result.rms_px < 0.3
    assert result.camera.fx == pytest.approx(FISHEYE.fx, rel=0.015)


def test_the_same_view_counts_once() -> None:
    board = Board.parse(BOARDS[0])
    first = next(views(board, CAMERA))
    assert len(find_board_views([first] * 4, board).corners) == 1


def test_a_view_of_another_part_of_the_board_at_one_place_counts_once() -> None:
    board = Board.parse(BOARDS[1])
    whole = next(views(board, CAMERA))
    image = whole.image.copy()
    left = int(board.find(image).image_points_px[:, 0].min())
    image[:, : left + 20] = 255
    part = replace(whole, pixels=image)
    assert 6 < len(board.find(image).object_points_m) < len(board.find(whole.image).object_points_m)
    assert len(find_board_views([whole, part], board).corners) == 1


class _Moved(Board):
    """A board that lies elsewhere in each picture."""

    def find(self, image: np.ndarray) -> BoardCorners:
        return BoardCorners(
            self.chessboard_points_m(),
            self.chessboard_points_m()[:, :2] * 100 + [int(image[0, 0, 0]) * 20, int(image[0, 0, 1]) * 20],
        )


def test_of_many_views_few_are_kept_and_one_picture() -> None:
    made = list[weakref.ref[np.ndarray]]()
    most = 0

    def frames() -> Iterator[Frame]:
        nonlocal most
        for index in range(240):
            image = np.full((36, 64, 3), (index % 20, index // 20, 0), np.uint8)
            made.append(weakref.ref(image))
            yield Frame(image, index, index, Fraction(1), 0.0)
            del image
            most = max(most, sum(image() is not None for image in made))

    found = find_board_views(frames(), _Moved(9, 6, 0.025))
    assert 25 <= len(found.corners) <= 50
    assert most <= 3
    rows = [corners.image_points_px[0, 1] // 20 for corners in found.corners]
    assert rows == sorted(rows)
    assert len(set(rows)) == 12  # from beginning to end


def test_too_few_views_say_what_to_do() -> None:
    board = Board.parse(BOARDS[0])
    with raises_code(ConfigError, "too-few-views"):
        calibrate(find_board_views([next(views(board, CAMERA))], board))


def test_the_picture_shows_the_corners_and_the_lens_undone() -> None:
    result = measured(BOARDS[0], CAMERA)
    shown = draw_calibration(result)
    assert shown.shape == (360, 960, 3)
    x, y = result.views.corners[0].image_points_px[0].round().astype(int)
    assert shown[y, x, 1] > 150


def test_the_command_writes_a_camera_that_the_other_verbs_take(cli, tmp_path: Path) -> None:
    for frame in views(Board.parse(BOARDS[0]), CAMERA):
        Image.fromarray(frame.image).save(tmp_path / f"{frame.index}.png")
    yaml, png = tmp_path / "camera.yaml", tmp_path / "seen.png"
    done = cli("calibrate", tmp_path / "%d.png", "--board", "8x5@30mm", "-o", yaml, "--picture", png, "--every", 1)
    assert done.code == 0, done.err
    assert "reprojection error 0." in done.err
    assert read_camera_file(yaml).fx == pytest.approx(CAMERA.fx, rel=0.01)
    with Image.open(png) as shown:
        assert shown.size == (960, 360)
    assert "plumb_bob" in cli("probe", tmp_path / "0.png", "--camera-info", yaml).out
    assert cli("calibrate", tmp_path / "0.png", "--board", "8x5@30mm", "-o", yaml).code == 5
