"""The depth of an object in a detector's box: the background, specks, holes and sky in it do not count."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamdepth.core.types import DepthFrame, DepthKind, Frame

SIZE = 320, 240
BOX = (80, 40, 240, 220)


def scene(object_share: float = 0.4, *, floor: bool = False, noise: float = 0.03, seed: int = 0) -> np.ndarray:
    """Meters: an object at 2 m that fills a share of the width of BOX, before a wall at 5 m or on a floor."""
    depth = np.full((120, 160), 5.0)
    if floor:
        depth = np.repeat(np.linspace(9, 1.6, 120)[:, None], 160, axis=1)
    depth[22:108, 80 - round(40 * object_share) : 80 + round(40 * object_share)] = 2.0
    return depth * np.exp(np.random.default_rng(seed).normal(0, noise, depth.shape))


def item_of(depth: np.ndarray, kind: DepthKind = DepthKind.METRIC) -> DepthFrame:
    frame = Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 0, 0, Fraction(1, 30), 0.0)
    return DepthFrame(frame, depth.astype(np.float32), kind)


@pytest.mark.parametrize("floor", [False, True])
@pytest.mark.parametrize("share", [0.25, 0.4, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_background_does_not_count(share: float, floor: bool, seed: int) -> None:
    depth = scene(share, floor=floor, seed=seed)
    assert item_of(depth).depth_in(BOX) == pytest.approx(2.0, rel=0.04)
    relative = item_of(3 / depth + 0.2, DepthKind.RELATIVE)
    assert relative.depth_in(BOX) == pytest.approx(3 / 2 + 0.2, rel=0.04)


def test_the_median_of_the_box_would_be_the_wall() -> None:
    depth = scene(0.25)
    assert np.median(depth[20:110, 40:120]) > 4.5


def test_specks_before_the_object_do_not_count() -> None:
    depth = scene()
    depth[30:40, 70:90] = 0.6  # 3 % of the box
    assert item_of(depth).depth_in(BOX) == pytest.approx(2.0, rel=0.02)


def test_unknown_depth_and_sky_do_not_count() -> None:
    depth = scene()
    depth[:60] = np.inf
    depth[90:] = np.nan
    depth[60:64] = -1.0
    assert item_of(depth).depth_in(BOX) == pytest.approx(2.0, rel=0.02)
    assert item_of(depth).depth_in((0, 0, 50, 50)) == math.inf
    assert math.isnan(item_of(depth).depth_in((0, 200, 50, 240)))
    relative = np.where(np.isfinite(depth) & (depth > 0), 1 / depth, np.nan)
    relative[0] = np.inf  # nothing is that near
    assert item_of(relative, DepthKind.RELATIVE).depth_in(BOX) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("kind", DepthKind)
def test_a_flat_box_has_its_depth(kind: DepthKind) -> None:
    assert item_of(np.full((24, 32), 3.0), kind).depth_in((10, 10, 200, 200)) == 3.0


def test_small_boxes_and_boxes_over_the_border() -> None:
    depth = np.tile(np.arange(1.0, 33.0), (24, 1))  # each value covers 10x10 px
    item = item_of(depth)
    assert item.depth_in((52, 52, 53, 53)) == 6.0
    assert item.depth_in((310, 230, 900, 900)) == 32.0
    assert item.depth_in((-50, -50, 9, 9)) == 1.0
    assert math.isnan(item.depth_in((-9, -9, 0, 0)))
    assert math.isnan(item.depth_in((320, 0, 400, 50)))


def test_black_bars_are_unknown() -> None:
    item = item_of(np.full((24, 32), 3.0))
    valid = np.zeros((240, 320), bool)
    valid[100:] = True
    item = replace(item, frame=replace(item.frame, valid=valid))
    assert math.isnan(item.depth_in((0, 0, 50, 50)))
    assert item.depth_in((0, 0, 50, 150)) == 3.0


@pytest.mark.parametrize(
    "box", [(10, 10, 10, 20), (10, 20, 20, 10), (0, 0, math.nan, 5), (0, 0, math.inf, 5), (1, 2, 3)]
)
def test_a_box_has_a_size(box) -> None:
    with pytest.raises(ValueError, match="left, top, right, bottom"):
        item_of(np.full((24, 32), 3.0)).depth_in(box)
