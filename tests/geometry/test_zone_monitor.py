"""Times of events and trends, from depth that is known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from helpers.sink_data import stream

from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.core.zones import Zone
from streamdepth.geometry.zone_monitor import ZoneMonitor, ZoneState

PICTURE = np.zeros((8, 8, 3), np.uint8)
FPS = 30


def frames_of(depths: Sequence[float], kind: DepthKind = DepthKind.METRIC) -> list[DepthFrame]:
    """Flat depth, 30 frames per second; percent of the range where it is relative."""
    return [
        DepthFrame(
            Frame(PICTURE, i, i, Fraction(1, FPS), 0.0), np.full((4, 4), depth, np.float32), kind, range=(0.0, 100.0)
        )
        for i, depth in enumerate(depths)
    ]


def watch(text: str, items: Sequence[DepthFrame], **options: float) -> list[ZoneState]:
    monitor = ZoneMonitor(Zone.parse(text), **options)
    return [monitor.update(item) for item in items]


def events(states: Sequence[ZoneState]) -> list[tuple[str, float, int]]:
    """Kind and time of each event in frames, and the frame with which it became certain."""
    return [(s.event.kind, round(s.event.time * FPS, 6), s.index) for s in states if s.event]


def test_a_box_that_moves_through_a_zone() -> None:
    """The box is 10x10 px at 1.5 m, and moves by 1 px a frame: it is in from 11 px (5 % of the zone) to 30."""
    _, items = stream(38, 48, 32)
    states = watch("door=20,8,10,14@2m", items)
    assert events(states) == [("entered", 11, 20)]
    states = watch("door=20,8,10,14@2m", items, hold_seconds=0.1)
    assert events(states) == [("entered", 11, 14), ("left", 30, 33)]
    assert [s.index for s in states if s.is_occupied] == list(range(14, 33))
    assert states[20].depth.nearest == 1.5
    assert states[20].unit == "m"


def test_crop_moves_the_zone() -> None:
    _, items = stream(38, 48, 32)
    cropped = [replace(i, frame=replace(i.frame, pixels=i.frame.image[:, 10:]), depth=i.depth[:, 10:]) for i in items]
    expected = events(watch("door=20,8,10,14@2m", items, hold_seconds=0.1))
    assert events(watch("door=10,8,10,14@2m", cropped, hold_seconds=0.1)) == expected


@pytest.mark.parametrize(("near", "inside", "outside"), [("2m", 1.9, 2.1), ("60%", 61.0, 55.0)])
def test_flicker_at_the_border_makes_one_event(near: str, inside: float, outside: float) -> None:
    kind = DepthKind.METRIC if near.endswith("m") else DepthKind.RELATIVE
    far = 4.0 if kind is DepthKind.METRIC else 20.0
    flicker = [inside, outside] * 30  # within the margin of 10 %
    depths = [far] * 10 + flicker + [far] * 30
    assert events(watch(f"z=0,0,8,8@{near}", frames_of(depths, kind))) == [("entered", 10, 19), ("left", 70, 79)]


def test_short_visits_and_gaps_are_no_events() -> None:
    inside, outside = [1.0], [4.0]
    depths = outside * 10 + inside * 8 + outside * 10 + inside * 20 + outside * 8 + inside * 10 + outside * 20
    assert events(watch("z=0,0,8,8@2m", frames_of(depths))) == [("entered", 28, 37), ("left", 66, 75)]


def test_unknown_depth_changes_nothing() -> None:
    depths = [4.0] * 5 + [1.0] * 5 + [math.nan] * 20 + [1.0] * 5 + [math.nan] * 30 + [4.0] * 20
    assert events(watch("z=0,0,8,8@2m", frames_of(depths))) == [("entered", 5, 30), ("left", 65, 74)]


def test_without_hold_each_crossing_counts() -> None:
    depths = [4.0, 1.0, 4.0, 1.0]
    assert events(watch("z=0,0,8,8@2m", frames_of(depths), hold_seconds=0)) == [
        ("entered", 1, 1),
        ("left", 2, 2),
        ("entered", 3, 3),
    ]


@pytest.mark.parametrize(
    ("kind", "background", "near", "too_far"),
    [
        (DepthKind.METRIC, 3.0, 2.4, 2.6),
        (DepthKind.RELATIVE, 20.0, 45.0, 35.0),
        (DepthKind.METRIC, math.inf, 50.0, 999),
    ],
)
def test_a_zone_without_a_depth_takes_what_was_there_at_first(
    kind: DepthKind, background: float, near: float, too_far: float
) -> None:
    depths = [background] * 60 + [near] * 30 + [background] * 30
    assert events(watch("z=0,0,8,8", frames_of(depths, kind))) == [("entered", 60, 69), ("left", 90, 99)]
    assert events(watch("z=0,0,8,8", frames_of([background] * 60 + [too_far] * 60, kind))) == []


def test_a_background_that_gives_way_is_measured_again() -> None:
    depths = [1.0] * 60 + [4.0] * 90 + [3.0] * 30  # something stood there at first
    assert events(watch("z=0,0,8,8", frames_of(depths))) == [("entered", 150, 159)]


def test_a_cut_begins_a_new_background() -> None:
    items = frames_of([4.0] * 60 + [1.0] * 60 + [0.5] * 30)
    items[60] = replace(items[60], cut=True)
    assert events(watch("z=0,0,8,8", items)) == [("entered", 120, 129)]


def test_the_trend_is_the_speed() -> None:
    depths = [5 - i / FPS * 0.6 for i in range(60)]
    depths[50] = 0.1  # an outlier
    states = watch("z=0,0,8,8@1m", frames_of(depths))
    assert all(math.isnan(s.trend) for s in states[:15])
    assert states[20].trend == pytest.approx(-0.6, abs=1e-3)
    assert states[59].trend == pytest.approx(-0.6, abs=1e-3)


def test_the_trend_forgets_at_cuts_and_with_unknown_depth() -> None:
    items = frames_of([5.0] * 60)
    items[40] = replace(items[40], cut=True)
    states = watch("z=0,0,8,8@1m", items)
    assert states[39].trend == 0
    assert math.isnan(states[41].trend)
    assert states[55].trend == 0
    assert math.isnan(watch("z=0,0,8,8@1m", frames_of([math.nan] * 60))[-1].trend)
