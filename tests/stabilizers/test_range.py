"""The range to display."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.depth_frames import depth_frame, flat, push_all, ramp

from streamdepth.core.types import DepthKind
from streamdepth.stabilizers import RangeByKind, RangeTracker, ShotRange, make_stabilizer


def ranges_of(depths: list[np.ndarray], fps: float = 30.0) -> list[tuple[float, float]]:
    tracker = RangeTracker()
    return [next(iter(tracker.push(depth_frame(i / fps, d)))).range for i, d in enumerate(depths)]


def test_it_ignores_snow() -> None:
    rng = np.random.default_rng(0)
    big = np.linspace(0, 1, 120 * 160).reshape(120, 160)
    depths = []
    for i in range(60):
        snowy = big.copy()
        if i % 3 == 0:
            snowy.flat[rng.choice(snowy.size, snowy.size // 100)] = 5.0
        depths.append(snowy)
    highs = [high for _, high in ranges_of(depths)]
    assert max(highs) - min(highs) < 1 / 64


def test_it_grows_within_a_few_frames_and_shrinks_after_a_hold() -> None:
    ranges = ranges_of([ramp(1.0)] * 10 + [ramp(2.0)] * 30 + [ramp(1.0)] * 300)
    assert ranges[9][1] == pytest.approx(0.98, abs=0.01)
    assert ranges[20][1] > 1.6
    assert ranges[40 + 15][1] > 1.7
    assert ranges[-1][1] < 1.3


def test_small_changes_do_not_move_it() -> None:
    assert len(set(ranges_of([ramp(1 + 0.01 * (-1) ** i) for i in range(60)]))) == 1


def test_per_shot_is_one_range_from_the_whole_shot() -> None:
    shots = [replace(depth_frame(i / 30, ramp(1 + i)), cut=i == 10) for i in range(20)]
    out = push_all(ShotRange(), shots)
    assert len({o.range for o in out[:10]}) == len({o.range for o in out[10:]}) == 1
    everything = np.concatenate([ramp(1 + i).ravel() for i in range(10)])
    assert out[0].range == pytest.approx(tuple(np.percentile(everything, (2, 98))), abs=0.1)
    for given_item, o in zip(shots, out, strict=True):
        np.testing.assert_array_equal(given_item.depth, o.depth)
        np.testing.assert_array_equal(given_item.frame.image, o.frame.image)


def test_a_shot_too_long_for_the_disk_gets_its_range_early() -> None:
    size = depth_frame(0.0, ramp()).frame.image.nbytes + ramp().nbytes
    stabilizer = ShotRange(max_bytes=5 * size)
    counts = [len(list(stabilizer.push(depth_frame(i / 30, ramp(1 + i / 10))))) for i in range(10)]
    assert counts == [0, 0, 0, 0, 0, 6, 1, 1, 1, 1]
    assert list(stabilizer.flush()) == []


def test_a_cut_starts_anew() -> None:
    tracker = RangeTracker()
    list(tracker.push(depth_frame(0.0, ramp(5.0))))
    (out,) = tracker.push(replace(depth_frame(1 / 30, ramp(1.0)), cut=True))
    assert out.range == pytest.approx((0.02, 0.98), abs=0.01)


def test_nothing_known_still_has_a_range() -> None:
    assert ranges_of([flat(np.nan)]) == [(0.0, 1.0)]


def test_lock() -> None:
    (out,) = make_stabilizer("off", "lock:0.5,6").push(depth_frame(0.0, ramp()))
    assert out.range == (0.5, 6.0)


def test_a_locked_range_in_per_cent_is_of_all_values_of_the_file() -> None:
    shots = [replace(depth_frame(i / 30, ramp(1 + i)), cut=i == 10) for i in range(20)]
    everything = np.concatenate([ramp(1 + i).ravel() for i in range(20)])
    for text, shares in (("lock:10%,90%", (10, 90)), ("lock:0%,100%", (0, 100))):
        out = push_all(make_stabilizer("off", text), shots)
        assert len({o.range for o in out}) == 1
        assert out[0].range == pytest.approx(tuple(np.percentile(everything, shares)), abs=0.1)


@pytest.mark.parametrize(("kind", "is_one"), [(DepthKind.RELATIVE, True), (DepthKind.METRIC, False)])
def test_the_scale_of_pictures_is_one_for_relative_depth(kind: DepthKind, is_one: bool) -> None:
    items = [replace(depth_frame(i / 3, ramp(1.0 + i)), kind=kind) for i in range(20)]
    stabilizer = RangeByKind(ShotRange((0, 1)), RangeTracker())
    out = push_all(stabilizer, items)
    assert (len({o.range for o in out}) == 1) == is_one
    if is_one:
        assert out[0].range == pytest.approx((0, 20), abs=0.3)
