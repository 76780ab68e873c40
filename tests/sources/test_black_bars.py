"""Black bars: found where they are, to the pixel, through noise and compression, and nowhere else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.depth_frames import texture
from helpers.media import write_video
from PIL import Image

import streamdepth
from streamdepth.api.depth_model import DepthModel
from streamdepth.config import Settings
from streamdepth.core.masks import rectangle_of
from streamdepth.core.types import Frame
from streamdepth.factory.pictures import read_photo
from streamdepth.sources.arrays import ArraySource
from streamdepth.sources.black_bars import Bars, BarTracker, BlackBarsSource, valid_pixels
from streamdepth.sources.file import FileSource
from streamdepth.testing import ConstantEstimator

SIZE = 320, 180


def scene(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Draws a colorful picture, (H, W, 3) uint8."""
    return texture(np.random.default_rng(seed), size[::-1]) // 2 + np.uint8(64)


def with_bars(bars: Bars, seed: int = 0, level: int = 0, noise: float = 0.0) -> np.ndarray:
    """Draws a picture with bars of a gray level and Gaussian noise of a standard deviation."""
    width, height = SIZE
    image = scene(seed)
    outside = ~bars.mask(width, height)
    rng = np.random.default_rng(seed)
    image[outside] = np.clip(level + rng.normal(0, noise, (outside.sum(), 3)), 0, 255)
    return image


def found(image: np.ndarray) -> Bars:
    """Returns the bars of a picture, from the mask that it gets."""
    mask = valid_pixels(image)
    if mask is None:
        return Bars()
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Bars(int(rows[0]), int(SIZE[1] - 1 - rows[-1]), int(columns[0]), int(SIZE[0] - 1 - columns[-1]))


LETTERBOX, PILLARBOX = Bars(top=23, bottom=23), Bars(left=40, right=40)


@pytest.mark.parametrize("bars", [LETTERBOX, PILLARBOX, Bars(23, 23, 31, 31), Bars(bottom=30), Bars(right=9), Bars()])
@pytest.mark.parametrize(("level", "noise"), [(0, 0.0), (0, 5.0), (16, 3.0)])
def test_bars_are_found_to_the_pixel(bars: Bars, level: int, noise: float) -> None:
    assert found(with_bars(bars, level=level, noise=noise)) == bars


@pytest.mark.parametrize(
    ("size", "content"), [((640, 360), (202, 360)), ((360, 640), (360, 202)), ((360, 640), (360, 151))]
)
def test_films_on_upright_phones_and_the_reverse(size: tuple[int, int], content: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - content[0]) // 2, (size[1] - content[1]) // 2
    image[top : top + content[1], left : left + content[0]] = scene(size=content)
    mask = valid_pixels(image)
    assert mask is not None
    assert rectangle_of(mask) == (top, top + content[1], left, left + content[0])


@pytest.mark.parametrize("bars", [LETTERBOX, PILLARBOX])
def test_compression_moves_no_edge_far(tmp_path: Path, bars: Bars) -> None:
    Image.fromarray(with_bars(bars, noise=2.0)).save(tmp_path / "a.jpg", quality=60)
    off = np.subtract(found(np.asarray(Image.open(tmp_path / "a.jpg"))), bars)
    assert np.abs(off).max() <= 2, off


def vignette() -> np.ndarray:
    y, x = np.mgrid[-1:1:180j, -1:1:320j]
    return (scene() * np.clip(1.6 - np.hypot(x, y) * 1.6, 0, 1)[..., None]).astype(np.uint8)


def night_sky() -> np.ndarray:
    """Draws a black sky above a jagged ridge."""
    image, columns = scene(), np.arange(320)
    ridge = 60 + 25 * np.sin(columns / 17) + 9 * np.sin(columns / 3.1)
    image[np.arange(180)[:, None] < ridge] = 2
    return image


def moon() -> np.ndarray:
    return np.asarray(cv2.circle(np.zeros((180, 320, 3), np.uint8), (160, 90), 60, (220, 220, 200), -1), np.uint8)


def small_box() -> np.ndarray:
    image = np.zeros((180, 320, 3), np.uint8)
    image[70:110, 130:190] = 200
    return image


@pytest.mark.parametrize("draw", [vignette, night_sky, moon, small_box, lambda: np.zeros((180, 320, 3), np.uint8)])
def test_what_is_merely_dark_is_no_bar(draw) -> None:
    assert valid_pixels(draw()) is None


def track(images: list[np.ndarray], fps: int = 25) -> list[Bars]:
    """Returns the bars that count at each frame."""
    tracker, bars = BarTracker(), []
    for index, image in enumerate(images):
        tracker.update(Frame(image, index, index, Fraction(1, fps), 0.0))
        bars.append(tracker.bars)
    return bars


def test_bars_begin_and_end_with_the_frames_that_have_them() -> None:
    images = [scene(i) for i in range(5)] + [with_bars(LETTERBOX, i, noise=3) for i in range(5)] + [scene(9)] * 3
    assert track(images) == [Bars()] * 5 + [LETTERBOX] * 5 + [Bars()] * 3


def test_dark_frames_and_subtitles_change_nothing() -> None:
    fade = [(with_bars(LETTERBOX) * share).astype(np.uint8) for share in (1, 0.5, 0.1, 0, 0, 0.2)]
    subtitle = with_bars(LETTERBOX, 3)
    subtitle[164:172, 100:220:3] = 235
    assert track([*fade, subtitle, with_bars(LETTERBOX, 4)]) == [LETTERBOX] * 8


def test_wider_bars_count_once_they_stay() -> None:
    wide = Bars(top=40, bottom=40)
    images = [with_bars(LETTERBOX, i) for i in range(3)] + [with_bars(wide, i) for i in range(40)]
    bars = track(images)
    assert bars[3:10] == [LETTERBOX] * 7
    assert bars[-1] == wide


def test_a_video_says_it_once_and_its_frames_carry_the_mask(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", images=[with_bars(LETTERBOX, i, noise=2) for i in range(6)])
    with BlackBarsSource(FileSource(path)) as source:
        source.open()
        frames = list(iter(source.read, None))
    assert [np.abs(np.subtract(valid_rows(frame), (23, 157))).max() <= 1 for frame in frames] == [True] * 6
    assert len([text for text in source.notices if "black bars" in text]) == 1


def valid_rows(frame: Frame) -> tuple[int, int]:
    """Returns the first valid row and the one behind the last."""
    assert frame.valid is not None
    rows = np.flatnonzero(frame.valid.all(axis=1))
    return int(rows[0]), int(rows[-1]) + 1


class RowEstimator(ConstantEstimator):
    """Gives each pixel its row as depth, so that the bars would have the least and the greatest."""

    def estimate(self, frames):
        rows = np.arange(180, dtype=np.float32)[:, None].repeat(320, axis=1)
        return [streamdepth.Estimate(rows) for _ in frames]


@pytest.mark.parametrize("smooth", ["off", "default", "offline"])
@pytest.mark.parametrize("range_", ["auto", "per-shot"])
def test_bars_have_no_depth_and_no_part_in_the_range(smooth: str, range_: str) -> None:
    images = [with_bars(LETTERBOX, noise=2.0) for _ in range(8)]
    items = list(streamdepth.stream(ArraySource(images, fps=25), model=RowEstimator(), smooth=smooth, range=range_))
    assert len(items) == 8
    for item in items:
        np.testing.assert_array_equal(np.isfinite(item.depth), LETTERBOX.mask(*SIZE))
        low, high = item.range
        assert 23 <= low <= 28
        assert 152 <= high <= 157


def test_they_can_be_left_alone() -> None:
    image = with_bars(LETTERBOX)
    (item,) = streamdepth.stream(ArraySource([image], fps=25), model=RowEstimator(), find_bars=False)
    assert item.frame.valid is None
    assert np.isfinite(item.depth).all()


def test_a_single_picture_has_no_depth_in_its_bars() -> None:
    depth = DepthModel(RowEstimator(), Settings())(with_bars(LETTERBOX)).predicted_depth
    np.testing.assert_array_equal(np.isfinite(depth), LETTERBOX.mask(*SIZE))


def test_a_single_picture_tells_of_its_bars_and_not_of_transparency(tmp_path: Path) -> None:
    Image.fromarray(with_bars(LETTERBOX)).save(tmp_path / "a.png")
    (notice,) = read_photo(tmp_path / "a.png", Settings()).notices("a.png")
    height = SIZE[1] - LETTERBOX.top - LETTERBOX.bottom
    assert notice.startswith(f"a.png has black bars around {SIZE[0]}x{height} px; their depth is unknown")
    Image.fromarray(with_bars(Bars())).save(tmp_path / "b.png")
    assert read_photo(tmp_path / "b.png", Settings()).notices("b.png") == []
