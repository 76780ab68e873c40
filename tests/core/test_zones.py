from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from helpers.errors import raises_code
from hypothesis import given
from hypothesis import strategies as st

from streamdepth import config
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.core.zones import Zone, is_outside, measure_zone


def depth_frame(depth: np.ndarray, kind: DepthKind = DepthKind.METRIC, size: tuple[int, int] | None = None, **more):
    width, height = size or depth.shape[::-1]
    frame = Frame(np.zeros((height, width, 3), np.uint8), 0, 0, Fraction(1, 30), 0.0)
    return DepthFrame(frame, depth.astype(np.float32), kind, **more)


def ramp(width: int = 40, height: int = 20) -> np.ndarray:
    """Each pixel has the number of its column, plus 1."""
    return np.tile(np.arange(1.0, width + 1), (height, 1))


@pytest.mark.parametrize(
    "text",
    ["door=100,50,200,300", "door=100,50,200,300@1.5m", "a_1=0,0,10,0,10,10@60%", "z=0.5,1,2,3", "p=9,0,0,9,9,9,5,5"],
)
def test_a_zone_is_written_as_it_is_read(text: str) -> None:
    assert str(Zone.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "door", "door=", "=1,2,3,4", "door=1,2,3", "door=1,2,3,4,5", "door=1,2,0,4", "door=1,2,3,-4"),
        *("door=1,2,3,4@1.5", "door=1,2,3,4@", "door=1,2,3,4@1.5km", "a b=1,2,3,4", "1a=1,2,3,4", "a__b=1,2,3,4"),
        *("a/b=1,2,3,4", "door=1,2,nan,4", "door=1,2,3,4,5,6,7", f"{'a' * 41}=1,2,3,4"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=X,Y,WIDTH,HEIGHT"):
        Zone.parse(text)


@given(
    numbers=st.lists(st.integers(0, 5000), min_size=6, max_size=12).filter(lambda n: len(n) % 2 == 0),
    near=st.none() | st.floats(0, 100).map(lambda x: round(x, 2)),
)
def test_polygons_survive_their_text(numbers: list[int], near: float | None) -> None:
    corners = tuple(zip(map(float, numbers[::2]), map(float, numbers[1::2]), strict=True))
    zone = Zone("any", corners, near, None if near is None else "m")
    assert Zone.parse(str(zone)) == zone


def test_settings_refuse_bad_zones_and_equal_names() -> None:
    with raises_code(ConfigError, "bad-value", naming="zones.areas"):
        config.make(zone="door=1,2,3")
    with raises_code(ConfigError, "bad-value", naming="zones.areas"):
        config.make(zone=["door=1,2,3,4", "door=5,6,7,8"])


def test_a_box_covers_exactly_its_pixels() -> None:
    measured = measure_zone(Zone.parse("z=10,5,3,4"), depth_frame(ramp()))
    assert (measured.nearest, measured.median, measured.known) == (11, 12, 1)


def test_zones_lie_in_px_of_the_frame_whatever_the_size_of_the_depth() -> None:
    measured = measure_zone(Zone.parse("z=20,10,6,8"), depth_frame(ramp(), size=(80, 40)))
    assert (measured.nearest, measured.median) == (11, 12)


def test_a_polygon_covers_the_pixels_whose_centers_lie_in_it() -> None:
    triangle = measure_zone(Zone.parse("z=0,0,20,0,0,20"), depth_frame(ramp(20, 20)))
    columns = np.repeat(np.arange(1, 21), np.arange(19, -1, -1))  # a diagonal through centers belongs to the other side
    assert triangle.median == np.sort(columns)[(columns.size - 1) // 2]
    concave = Zone.parse("u=0,0,10,0,10,10,8,10,8,2,2,2,2,10,0,10")
    depth = np.full((10, 10), 5.0)
    depth[2:, 2:8] = 1.0  # the hollow of the U is not in the zone
    assert measure_zone(concave, depth_frame(depth)).nearest == 5


def test_a_zone_smaller_than_a_pixel_has_that_pixel() -> None:
    assert measure_zone(Zone.parse("z=100.2,50.2,1,1"), depth_frame(ramp(), size=(400, 200))).nearest == 11


def test_a_zone_is_cut_at_the_border_and_unknown_outside() -> None:
    item = depth_frame(ramp())
    assert measure_zone(Zone.parse("z=38,0,10,10"), item).median == 39
    outside = measure_zone(Zone.parse("z=40,0,10,10"), item)
    assert math.isnan(outside.nearest)
    assert outside.known == 0
    assert is_outside(Zone.parse("z=40,0,10,10"), 40, 20)
    assert not is_outside(Zone.parse("z=39,19,10,10"), 40, 20)


def test_a_few_nearer_pixels_are_not_the_nearest_depth() -> None:
    depth = np.full((10, 20), 3.0)
    depth.flat[:9] = 0.5  # 4.5 %
    assert measure_zone(Zone.parse("z=0,0,20,10"), depth_frame(depth)).nearest == 3
    depth.flat[9:12] = 0.5
    assert measure_zone(Zone.parse("z=0,0,20,10"), depth_frame(depth)).nearest == 0.5


def test_unknown_depth_does_not_count_and_sky_is_far() -> None:
    zone, depth = Zone.parse("z=0,0,20,10"), np.full((10, 20), np.inf)
    assert measure_zone(zone, depth_frame(depth)) == (math.inf, math.inf, 1)
    depth[:6] = 2.0
    assert measure_zone(zone, depth_frame(depth)) == (2, 2, 1)
    depth[6:] = np.nan
    assert measure_zone(zone, depth_frame(depth)) == (2, 2, 0.6)
    depth[1:] = np.nan
    depth[0, 1:] = 0  # no distance
    measured = measure_zone(zone, depth_frame(depth))
    assert math.isnan(measured.nearest)
    assert measured.known == 0.005


def test_relative_depth_is_percent_of_the_steady_range() -> None:
    depth = np.full((10, 20), 1.5)
    depth[:, :5] = 5.5
    item = depth_frame(depth, DepthKind.RELATIVE, range=(0.5, 5.5))
    measured = measure_zone(Zone.parse("z=0,0,20,10"), item)
    assert (measured.nearest, measured.median) == (100, 20)
    assert math.isnan(measure_zone(Zone.parse("z=0,0,20,10"), replace(item, range=None)).nearest)


def test_black_bars_are_unknown() -> None:
    item = depth_frame(ramp(), size=(80, 40))
    valid = np.zeros((40, 80), bool)
    valid[:, 30:] = True
    item = replace(item, frame=replace(item.frame, valid=valid))
    measured = measure_zone(Zone.parse("z=0,0,80,40"), item)
    assert measured.known == 25 / 40
    assert measured.nearest == pytest.approx(17, abs=1)
