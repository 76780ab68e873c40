from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.errors import ConfigError
from streamdepth.stabilizers import PRESETS, Chain, make_stabilizer
from streamdepth.stabilizers.cuts import CutDetector
from streamdepth.stabilizers.range import LockedRange, RangeTracker
from streamdepth.stabilizers.temporal import TemporalFilter
from streamdepth.testing import SyntheticSource
from streamdepth.types import DepthFrame, DepthKind, Frame

IMPLEMENTATIONS = {
    "cuts": CutDetector,
    "temporal": TemporalFilter,
    "range": RangeTracker,
    "locked": lambda: LockedRange(0, 1),
    **{f"preset {name}": (lambda name=name: make_stabilizer(name)) for name in PRESETS},
}


def item(time: float, depth: np.ndarray, image: np.ndarray | None = None, kind=DepthKind.RELATIVE) -> DepthFrame:
    if image is None:
        image = np.full((36, 64, 3), 90, np.uint8)
    frame = Frame(image, 0, round(time * 1000), Fraction(1, 1000), 0.0, "s")
    return DepthFrame(frame, depth.astype(np.float32), kind)


def flat(value: float, shape=(12, 16)) -> np.ndarray:
    return np.full(shape, value, np.float32)


def ramp(scale: float = 1.0) -> np.ndarray:
    return np.linspace(0, scale, 192, dtype=np.float32).reshape(12, 16)


@pytest.fixture(params=IMPLEMENTATIONS)
def make(request: pytest.FixtureRequest):
    return IMPLEMENTATIONS[request.param]


class TestConformance:
    def test_every_item_comes_out_once_in_order(self, make) -> None:
        stabilizer = make()
        source = SyntheticSource(count=20, shot_frames=8)
        source.open()
        frames = list(iter(source.read, None))
        out = [o for f in frames for o in stabilizer.push(DepthFrame(f, source.depth_at(f.index), DepthKind.METRIC))]
        out += stabilizer.flush()
        assert [o.frame.index for o in out] == list(range(20))
        assert all(o.depth.dtype == np.float32 and o.kind is DepthKind.METRIC for o in out)

    def test_constant_in_constant_out(self, make) -> None:
        stabilizer = make()
        for i in range(10):
            (out,) = stabilizer.push(item(i / 30, flat(2.5)))
            assert (out.depth == 2.5).all()

    def test_reset_forgets(self, make) -> None:
        stabilizer = make()
        rng = np.random.default_rng(1)
        items = [item(i / 30, rng.random((12, 16)), rng.integers(0, 255, (36, 64, 3), np.uint8)) for i in range(6)]
        first = [o for i in items for o in stabilizer.push(i)]
        stabilizer.reset()
        second = [o for i in items for o in stabilizer.push(i)]
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.depth, b.depth)
            assert (a.cut, a.range) == (b.cut, b.range)

    def test_unknown_depth_never_spreads(self, make) -> None:
        stabilizer = make()
        holes = ramp()
        holes[3:5] = np.nan
        holes[7] = np.inf
        for i in range(6):
            (out,) = stabilizer.push(item(i / 30, ramp() if i % 2 else holes))
        assert np.isfinite(out.depth[0]).all()
        (out,) = stabilizer.push(item(6 / 30, flat(np.nan)))
        (out,) = stabilizer.push(item(7 / 30, ramp()))
        assert np.isfinite(out.depth).all()

    def test_the_input_is_left_alone(self, make) -> None:
        stabilizer = make()
        depths = [ramp() + i * 0.01 for i in range(5)]
        copies = [d.copy() for d in depths]
        for i, depth in enumerate(depths):
            list(stabilizer.push(item(i / 30, depth)))
        for depth, copy in zip(depths, copies, strict=True):
            np.testing.assert_array_equal(depth, copy)

    def test_a_new_size_is_taken_in_stride(self, make) -> None:
        stabilizer = make()
        list(stabilizer.push(item(0.0, flat(1.0))))
        (out,) = stabilizer.push(item(1 / 30, flat(2.0, (8, 8)), np.zeros((48, 32, 3), np.uint8)))
        assert (out.depth == 2.0).all()


class TestTemporal:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.floats(0.125, 10, width=32), min_size=2, max_size=20), st.floats(0.01, 2))
    def test_the_result_stays_within_the_inputs(self, values: list[float], seconds: float) -> None:
        stabilizer = TemporalFilter(seconds)
        seen: list[float] = []
        for i, value in enumerate(values):
            seen.append(np.float32(value))
            (out,) = stabilizer.push(item(i / 30, flat(value), kind=DepthKind.METRIC))
            assert min(seen) <= out.depth.min() <= out.depth.max() <= max(seen)

    def test_a_small_step_takes_the_same_time_at_any_frame_rate(self) -> None:
        def after(fps: int) -> float:
            stabilizer = TemporalFilter(seconds=0.3, tolerance=10.0)
            for i in range(fps):
                (out,) = stabilizer.push(item(i / fps, flat(1.0 if i == 0 else 1.1), kind=DepthKind.METRIC))
                if i / fps >= 0.3:
                    return float(out.depth[0, 0])
            raise AssertionError

        assert after(20) == pytest.approx(after(60), abs=0.01)
        assert after(60) == pytest.approx(1.1 - 0.1 / np.e, abs=0.005)

    def test_noise_is_lessened(self) -> None:
        rng = np.random.default_rng(0)
        stabilizer = TemporalFilter()
        outs = [
            next(iter(stabilizer.push(item(i / 30, ramp() + rng.normal(0, 0.01, (12, 16)))))).depth for i in range(60)
        ]
        assert np.std(outs[30:], axis=0).mean() < 0.5 * 0.01

    def test_a_large_change_is_taken_at_once(self) -> None:
        stabilizer = TemporalFilter()
        list(stabilizer.push(item(0.0, flat(1.0), kind=DepthKind.METRIC)))
        (out,) = stabilizer.push(item(1 / 30, flat(3.0), kind=DepthKind.METRIC))
        np.testing.assert_allclose(out.depth, 3.0, rtol=1e-5)

    def test_a_changed_picture_is_trusted(self) -> None:
        stabilizer = TemporalFilter()
        list(stabilizer.push(item(0.0, flat(1.0), kind=DepthKind.METRIC)))
        (out,) = stabilizer.push(item(1 / 30, flat(1.02), np.full((36, 64, 3), 140, np.uint8), DepthKind.METRIC))
        np.testing.assert_allclose(out.depth, 1.02, rtol=1e-6)

    @pytest.mark.parametrize("gap", [0.6, -0.1])
    def test_nothing_is_carried_across_a_gap(self, gap: float) -> None:
        stabilizer = TemporalFilter(seconds=10)
        list(stabilizer.push(item(1.0, flat(1.0), kind=DepthKind.METRIC)))
        (out,) = stabilizer.push(item(1.0 + gap, flat(1.01), kind=DepthKind.METRIC))
        assert (out.depth == np.float32(1.01)).all()

    def test_a_duplicate_moves_nothing(self) -> None:
        stabilizer = TemporalFilter()
        list(stabilizer.push(item(1.0, flat(1.0), kind=DepthKind.METRIC)))
        (out,) = stabilizer.push(item(1.0, flat(1.0), kind=DepthKind.METRIC))
        assert (out.depth == 1.0).all()

    def test_nothing_is_carried_across_a_cut(self) -> None:
        stabilizer = TemporalFilter(seconds=10)
        list(stabilizer.push(item(0.0, flat(1.0), kind=DepthKind.METRIC)))
        (out,) = stabilizer.push(replace(item(1 / 30, flat(1.01), kind=DepthKind.METRIC), cut=True))
        assert (out.depth == np.float32(1.01)).all()


class TestCuts:
    def test_a_cut_is_found_at_its_frame_and_motion_is_none(self) -> None:
        source = SyntheticSource(count=90, width=128, height=72, shot_frames=30)
        source.open()
        detector = CutDetector()
        cuts = [
            o.frame.index
            for f in iter(source.read, None)
            for o in detector.push(DepthFrame(f, source.depth_at(f.index), DepthKind.METRIC))
            if o.cut
        ]
        assert cuts == [30, 60]

    def test_a_gap_is_a_cut(self) -> None:
        detector = CutDetector()
        assert not next(iter(detector.push(item(0.0, flat(1))))).cut
        assert next(iter(detector.push(item(2.0, flat(1))))).cut


class TestRange:
    def run(self, depths: list[np.ndarray], fps: float = 30.0) -> list[tuple[float, float]]:
        tracker = RangeTracker()
        return [next(iter(tracker.push(item(i / fps, d)))).range for i, d in enumerate(depths)]

    def test_it_ignores_snow(self) -> None:
        rng = np.random.default_rng(0)
        big = np.linspace(0, 1, 120 * 160).reshape(120, 160)
        depths = []
        for i in range(60):
            snowy = big.copy()
            if i % 3 == 0:
                snowy.flat[rng.choice(snowy.size, snowy.size // 100)] = 5.0
            depths.append(snowy)
        highs = [high for _, high in self.run(depths)]
        assert max(highs) - min(highs) < 1 / 64

    def test_it_grows_within_a_few_frames_and_shrinks_after_a_hold(self) -> None:
        ranges = self.run([ramp(1.0)] * 10 + [ramp(2.0)] * 30 + [ramp(1.0)] * 300)
        assert ranges[9][1] == pytest.approx(0.98, abs=0.01)
        assert ranges[20][1] > 1.9
        assert ranges[40 + 15][1] > 1.9
        assert ranges[-1][1] < 1.3

    def test_a_cut_starts_anew(self) -> None:
        tracker = RangeTracker()
        list(tracker.push(item(0.0, ramp(5.0))))
        (out,) = tracker.push(replace(item(1 / 30, ramp(1.0)), cut=True))
        assert out.range == pytest.approx((0.02, 0.98), abs=0.01)

    def test_nothing_known_still_has_a_range(self) -> None:
        assert self.run([flat(np.nan)]) == [(0.0, 1.0)]

    def test_lock(self) -> None:
        (out,) = make_stabilizer("off", "lock:0.5,6").push(item(0.0, ramp()))
        assert out.range == (0.5, 6.0)


def test_off_leaves_the_networks_depth() -> None:
    rng = np.random.default_rng(0)
    stabilizer = make_stabilizer("off")
    for i in range(5):
        depth = rng.random((12, 16)).astype(np.float32)
        (out,) = stabilizer.push(item(i / 30, depth))
        np.testing.assert_array_equal(out.depth, depth)


@pytest.mark.parametrize(
    ("smooth", "range", "says"),
    [
        ("much", "auto", "choose one of: off, light, default, strong"),
        ("off", "wide", "use auto, or lock:"),
        ("off", "lock:3,1", "use auto, or lock:"),
        ("off", "lock:a,b", "use auto, or lock:"),
    ],
)
def test_wrong_words_say_the_right_ones(smooth: str, range: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make_stabilizer(smooth, range)


def test_a_chain_passes_late_items_through_the_rest() -> None:
    class Late(CutDetector):
        def push(self, item):
            self.held = item
            return []

        def flush(self):
            return [self.held]

    chain = Chain([Late(), LockedRange(1, 2)])
    assert list(chain.push(item(0.0, ramp()))) == []
    assert [o.range for o in chain.flush()] == [(1, 2)]
