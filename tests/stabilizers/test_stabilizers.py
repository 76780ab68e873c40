from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from helpers.moving_scene import FAR, NEAR, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.errors import ConfigError, SinkWriteError
from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.geometry.affine import fit_affine
from streamdepth.stabilizers import (
    PRESETS,
    Aligner,
    CutDetector,
    LockedRange,
    MetricConverter,
    MotionTracker,
    RangeTracker,
    ShotRange,
    StabilizerChain,
    TemporalFilter,
    TwoSidedFilter,
    make_hot_swap_stabilizer,
    make_stabilizer,
)
from streamdepth.stabilizers.disk_queue import DiskQueue
from streamdepth.stabilizers.metric import AnchorReference
from streamdepth.stabilizers.optical_flow import FlowPair, sampling_grid
from streamdepth.stabilizers.temporal import _Buffers, _warp_sharply
from streamdepth.testing import SyntheticSource

IMPLEMENTATIONS = {
    "cuts": CutDetector,
    "align": Aligner,
    "align metric": lambda: Aligner(metric_scale=True),
    "temporal": TemporalFilter,
    "two-sided": lambda: TwoSidedFilter(lookahead_frames=4),
    "range": RangeTracker,
    "locked": lambda: LockedRange(0, 1),
    "per-shot": ShotRange,
    "metric": lambda: MetricConverter(AnchorReference(np.array([[3.0, 3.0, 1.0], [9.0, 9.0, 2.0]]))),
    "hot swap": lambda: make_hot_swap_stabilizer(lambda: "default", lambda: "auto", None, MotionTracker()),
    **{f"preset {name}": (lambda name=name: make_stabilizer(name)) for name in PRESETS},
}


def item(time: float, depth: np.ndarray, image: np.ndarray | None = None, kind=DepthKind.RELATIVE) -> DepthFrame:
    if image is None:
        image = np.full((36, 64, 3), 90, np.uint8)
    frame = Frame(image, 0, round(time * 1000), Fraction(1, 1000), 0.0, "s")
    return DepthFrame(frame, depth.astype(np.float32), kind)


def outputs(stabilizer: Stabilizer, items: Iterable[DepthFrame]) -> list[DepthFrame]:
    """All that comes out, late items too."""
    return [out for item in items for out in stabilizer.push(item)] + list(stabilizer.flush())


def texture(rng: np.random.Generator, shape: tuple[int, int] = (36, 64)) -> np.ndarray:
    """A picture that optical flow can follow."""
    coarse = rng.integers(0, 256, (shape[0] // 6, shape[1] // 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def flat(value: float, shape=(12, 16)) -> np.ndarray:
    return np.full(shape, value, np.float32)


def ramp(scale: float = 1.0) -> np.ndarray:
    return np.linspace(0, scale, 192, dtype=np.float32).reshape(12, 16)


@pytest.fixture(params=[name for name in IMPLEMENTATIONS if name != "metric"])
def make_of_same_unit(request: pytest.FixtureRequest):
    """All but what gives depth another unit."""
    return IMPLEMENTATIONS[request.param]


@pytest.fixture(params=IMPLEMENTATIONS)
def make(request: pytest.FixtureRequest):
    return IMPLEMENTATIONS[request.param]


class TestConformance:
    def test_every_item_comes_out_once_in_order(self, make) -> None:
        source = SyntheticSource(count=20, shot_frames=8)
        source.open()
        frames = list(iter(source.read, None))
        out = outputs(make(), [DepthFrame(f, source.depth_at(f.index), DepthKind.METRIC) for f in frames])
        assert [o.frame.index for o in out] == list(range(20))
        assert all(o.depth.dtype == np.float32 and o.kind is DepthKind.METRIC for o in out)
        for frame, o in zip(frames, out, strict=True):
            np.testing.assert_array_equal(frame.image, o.frame.image)

    @pytest.mark.parametrize("size", [(1, 1), (640, 20), (960, 150), (150, 960)])
    def test_pictures_of_any_shape(self, make_of_same_unit, size: tuple[int, int]) -> None:
        """OpenCV's flow ends the process on low, wide pictures, if they are given to it."""
        rng = np.random.default_rng(0)
        pictures = [rng.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(4)]
        out = outputs(make_of_same_unit(), [item(i / 30, ramp(), p) for i, p in enumerate(pictures)])
        assert all(np.isfinite(o.depth).all() for o in out)
        assert len(out) == len(pictures)

    @pytest.mark.parametrize("kind", DepthKind)
    def test_constant_in_constant_out(self, make_of_same_unit, kind: DepthKind) -> None:
        rng = np.random.default_rng(0)
        pictures = [texture(rng) if i % 3 else None for i in range(12)]
        for out in outputs(make_of_same_unit(), [item(i / 30, flat(2.5), p, kind) for i, p in enumerate(pictures)]):
            assert (out.depth == 2.5).all()

    def test_reset_forgets(self, make) -> None:
        stabilizer = make()
        rng = np.random.default_rng(1)
        items = [item(i / 30, rng.random((12, 16)), texture(rng)) for i in range(6)]
        list(stabilizer.push(item(0.0, ramp(9.0))))
        stabilizer.reset()
        for a, b in zip(outputs(make(), items), outputs(stabilizer, items), strict=True):
            np.testing.assert_array_equal(a.depth, b.depth)
            assert (a.cut, a.range, a.alignment) == (b.cut, b.range, b.alignment)

    @pytest.mark.parametrize("kind", DepthKind)
    def test_unknown_depth_never_spreads(self, make, kind: DepthKind) -> None:
        holes = 1 + ramp()
        holes[3:5] = np.nan
        holes[7] = np.inf
        depths = [1 + ramp() if i % 2 else holes for i in range(6)] + [flat(np.nan), 1 + ramp()]
        out = outputs(make(), [item(i / 30, d, kind=kind) for i, d in enumerate(depths)])
        for given_depth, o in zip(depths, out, strict=True):
            np.testing.assert_array_equal(np.isfinite(given_depth), np.isfinite(o.depth))

    def test_the_input_is_left_alone(self, make) -> None:
        depths = [ramp() + i * 0.01 for i in range(5)]
        copies = [d.copy() for d in depths]
        outputs(make(), [item(i / 30, depth) for i, depth in enumerate(depths)])
        for depth, copy in zip(depths, copies, strict=True):
            np.testing.assert_array_equal(depth, copy)

    def test_a_new_size_is_taken_in_stride(self, make_of_same_unit) -> None:
        out = outputs(
            make_of_same_unit(),
            [item(0.0, flat(1.0)), item(1 / 30, flat(2.0, (8, 8)), np.zeros((48, 32, 3), np.uint8))],
        )
        assert (out[1].depth == 2.0).all()

    def test_depth_of_a_new_size_in_the_same_picture_is_taken_in_stride(self, make_of_same_unit) -> None:
        out = outputs(make_of_same_unit(), [item(0.0, flat(1.0)), item(1 / 30, flat(2.0, (8, 8)))])
        assert (out[1].depth == 2.0).all()

    @pytest.mark.slow
    @settings(max_examples=15)
    @given(st.integers(0, 2**32 - 1), st.sampled_from(list(DepthKind)), st.integers(0, 3))
    def test_the_result_stays_within_the_inputs(self, seed: int, kind: DepthKind, speed: int) -> None:
        rng = np.random.default_rng(seed)
        wide = texture(rng, (36, 100))
        depths = [rng.uniform(0.5, 2, (12, 16)) * rng.uniform(0.8, 1.2) for _ in range(8)]
        items = [
            item(i / 30, d, np.ascontiguousarray(wide[:, i * speed : i * speed + 64]), kind)
            for i, d in enumerate(depths)
        ]
        low, high = np.float32(np.min(depths)), np.float32(np.max(depths))
        for make in (make for name, make in IMPLEMENTATIONS.items() if name != "metric"):
            for out in outputs(make(), items):
                assert low <= out.depth.min() <= out.depth.max() <= high

    @pytest.mark.parametrize("gap", [0.6, -0.1])
    def test_nothing_is_carried_across_a_gap(self, make_of_same_unit, gap: float) -> None:
        out = outputs(make_of_same_unit(), [item(1.0, ramp()), item(1.0 + gap, ramp(1.1))])
        np.testing.assert_array_equal(out[1].depth, ramp(1.1))

    def test_nothing_is_carried_across_a_cut(self, make_of_same_unit) -> None:
        out = outputs(make_of_same_unit(), [item(0.0, ramp()), replace(item(1 / 30, ramp(1.1)), cut=True)])
        np.testing.assert_array_equal(out[1].depth, ramp(1.1))


SMOOTHERS = {name: IMPLEMENTATIONS[name] for name in ("temporal", "two-sided", "preset default", "preset offline")}


@pytest.fixture(params=SMOOTHERS)
def smoother(request: pytest.FixtureRequest) -> Stabilizer:
    return SMOOTHERS[request.param]()


class TestTemporal:
    @pytest.mark.parametrize("kind", DepthKind)
    def test_a_small_step_takes_the_same_time_at_any_frame_rate(self, kind: DepthKind) -> None:
        def after(fps: int) -> float:
            stabilizer = TemporalFilter(memory_seconds=0.3, tolerance=1e6)
            steps = [ramp() + (1.1 if i > 2 * fps else 1.0) for i in range(3 * fps)]
            out = outputs(stabilizer, [item(i / fps, d, kind=kind) for i, d in enumerate(steps)])
            return float(out[2 * fps + round(0.3 * fps)].depth[0, 0])

        assert after(20) == pytest.approx(after(120), abs=0.006)
        assert after(60) == pytest.approx(1.1 - 0.1 / np.e, abs=0.005)

    def test_noise_is_lessened(self, smoother: Stabilizer) -> None:
        rng = np.random.default_rng(0)
        out = outputs(smoother, [item(i / 30, ramp() + rng.normal(0, 0.01, (12, 16))) for i in range(60)])
        assert np.std([o.depth for o in out[30:]], axis=0).mean() < 0.5 * 0.01

    def test_a_large_change_is_taken_at_once(self, smoother: Stabilizer) -> None:
        changed = ramp() + 1
        changed[4:8, 4:8] += 3
        out = outputs(smoother, [item(i / 30, ramp() + 1 if i < 10 else changed) for i in range(20)])
        for before in out[8:10]:
            assert before.depth[5:7, 5:7].max() < 2
        np.testing.assert_allclose(out[10].depth[5:7, 5:7], changed[5:7, 5:7], atol=0.05)

    def test_a_changed_picture_is_trusted(self) -> None:
        stabilizer = TemporalFilter()
        list(stabilizer.push(item(0.0, flat(1.0), kind=DepthKind.METRIC)))
        (out,) = stabilizer.push(item(1 / 30, flat(1.02), np.full((36, 64, 3), 190, np.uint8), DepthKind.METRIC))
        np.testing.assert_allclose(out.depth, 1.02, rtol=1e-4)

    @pytest.mark.parametrize("name", ["off", "light", "default", "strong"])
    def test_duplicates_change_nothing(self, name: str) -> None:
        """30 pictures a second, shown once and shown twice each."""
        rng = np.random.default_rng(3)
        depths = [1 + ramp() + rng.normal(0, 0.01, (12, 16)) for _ in range(30)]
        once = outputs(make_stabilizer(name), [item((i + 0.5) / 30, d) for i, d in enumerate(depths)])
        twice = [item(i / 60, d) for i, d in enumerate(d for d in depths for _ in range(2))]
        for first, second in zip(once[5:], outputs(make_stabilizer(name), twice)[11::2], strict=True):
            assert np.abs(first.depth - second.depth).mean() < 2e-3

    def test_dropped_frames_count_as_the_time_they_took(self) -> None:
        rng = np.random.default_rng(4)
        depths = [1 + ramp() + (0.02 if i >= 30 else 0) + rng.normal(0, 1e-4, (12, 16)) for i in range(60)]
        items = [item(i / 30, d) for i, d in enumerate(depths)]
        whole = outputs(TemporalFilter(tolerance=1e6), items)
        holed = outputs(TemporalFilter(tolerance=1e6), [i for n, i in enumerate(items) if n % 3 == 0])
        assert holed[-1].depth.mean() == pytest.approx(whole[57].depth.mean(), abs=2e-3)

    def test_it_follows_what_moves(self) -> None:
        frames = scene(count=20)
        out = outputs(make_stabilizer(), [item(i / 30, d, p) for i, (p, d) in enumerate(frames)])
        for (_, exact), o in zip(frames[8:], out[8:], strict=True):
            assert np.abs(o.depth - exact).mean() < 0.01 * (NEAR - FAR)
            assert (np.abs(o.depth - exact) > 0.5 * (NEAR - FAR)).mean() < 0.002

    def test_what_drifts_is_followed_however_long_the_memory(self) -> None:
        drifting = [ramp() + 0.02 * i for i in range(60)]
        most = 9 / 3 * 0.03 * 0.96  # a third of the tolerance, times the most noise, times the range
        for given_depth, o in zip(
            drifting, outputs(TemporalFilter(60, 9), [item(i / 30, d) for i, d in enumerate(drifting)]), strict=True
        ):
            assert np.abs(o.depth - given_depth).max() <= most * 1.02

    def test_two_sides_have_no_lag(self) -> None:
        slow = [1 + ramp() + 0.02 * np.sin(i / 6) for i in range(80)]
        items = [item(i / 30, d) for i, d in enumerate(slow)]

        def lag(stabilizer: Stabilizer) -> int:
            means = np.array([o.depth.mean() for o in outputs(stabilizer, items)])
            raw = np.array([d.mean() for d in slow])
            return int(np.argmin([np.abs(means[30:70] - raw[30 - k : 70 - k]).sum() for k in range(15)]))

        assert lag(TemporalFilter(tolerance=1e6)) > 3
        assert lag(TwoSidedFilter(tolerance=1e6)) == 0

    def test_what_waits_is_bounded(self) -> None:
        stabilizer, inside = TwoSidedFilter(lookahead_frames=5), 0
        for i in range(60):
            inside += 1 - len(list(stabilizer.push(item(i / 30, ramp() + i * 1e-3))))
            assert inside <= 10
        assert len(list(stabilizer.flush())) == inside

    def test_a_full_disk_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("tempfile.TemporaryFile", full)
        with pytest.raises(SinkWriteError, match="set TMPDIR to a larger disk"):
            list(TwoSidedFilter().push(item(0.0, ramp())))


class TestAlign:
    def items(self, scales: np.ndarray, shifts: np.ndarray, kind: DepthKind = DepthKind.RELATIVE) -> list[DepthFrame]:
        picture = texture(np.random.default_rng(0))
        return [
            item(i / 30, (1 + ramp()) * s + h, picture, kind)
            for i, (s, h) in enumerate(zip(scales, shifts, strict=True))
        ]

    def test_jitter_of_scale_and_shift_is_taken_out(self) -> None:
        rng = np.random.default_rng(0)
        items = self.items(rng.normal(1, 0.04, 40), rng.normal(0, 0.05, 40))
        out = outputs(Aligner(), items)
        raw, aligned = (np.std([i.depth for i in of[10:]], axis=0).mean() for of in (items, out))
        assert aligned < 0.5 * raw

    def test_what_was_applied_undoes_it(self) -> None:
        rng = np.random.default_rng(1)
        items = self.items(rng.normal(1, 0.02, 20), np.zeros(20))
        for given_item, out in zip(items, outputs(Aligner(), items), strict=True):
            scale, shift = out.alignment or (1, 0)
            inside = (out.depth > out.depth.min()) & (out.depth < out.depth.max())  # the ends may be clipped
            np.testing.assert_allclose((out.depth - shift)[inside] / scale, given_item.depth[inside], rtol=1e-4)

    def test_a_lasting_change_is_followed(self) -> None:
        scales = np.where(np.arange(90) < 30, 1.0, 1.3)
        out = outputs(Aligner(), self.items(scales, 0 * scales))
        np.testing.assert_allclose(out[-1].depth, (1 + ramp()) * 1.3, rtol=0.02)

    def test_a_drift_is_left_alone(self) -> None:
        scales = 1 + np.arange(90) * 0.004
        out = outputs(Aligner(), self.items(scales, 0 * scales))
        assert np.abs(out[-1].depth / ((1 + ramp()) * scales[-1]) - 1).max() < 0.02

    def test_metric_depth_is_left_alone_unless_asked(self) -> None:
        rng = np.random.default_rng(2)
        items = self.items(rng.normal(1, 0.04, 30), np.zeros(30), DepthKind.METRIC)
        for given_item, out in zip(items, outputs(Aligner(), items), strict=True):
            np.testing.assert_array_equal(given_item.depth, out.depth)
            assert out.alignment is None
        scaled = outputs(Aligner(metric_scale=True), items)
        assert all(o.alignment and o.alignment[1] == 0 for o in scaled)
        raw, aligned = (np.std([i.depth.mean() for i in of[5:]]) for of in (items, scaled))
        assert aligned < 0.5 * raw

    @settings(max_examples=30)
    @given(st.floats(0.6, 1.8), st.floats(-1, 1), st.integers(0, 2**32 - 1))
    def test_the_fit_withstands_a_third_of_outliers(self, scale: float, shift: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x = rng.uniform(0, 2, 600).astype(np.float32)
        target = (scale * x + shift + rng.normal(0, 0.003, 600)).astype(np.float32)
        target[:180] = rng.uniform(-2, 4, 180)
        fit = fit_affine(x, target, np.ones(600, np.float32))
        assert fit is not None
        assert fit.scale == pytest.approx(scale, abs=0.03)
        assert fit.shift == pytest.approx(shift, abs=0.03)

    def test_nothing_to_go_by_is_no_fit(self) -> None:
        ones = np.ones(600, np.float32)
        rng = np.random.default_rng(0)
        assert fit_affine(ones, ones, ones) is None
        assert fit_affine(ones[:10], ones[:10], ones[:10]) is None
        assert fit_affine(rng.random(600, np.float32), rng.random(600, np.float32), ones) is None
        assert fit_affine(rng.random(600, np.float32), 5 * rng.random(600, np.float32), ones) is None


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

    def detect(self, pictures: Iterable[np.ndarray], fps: float = 30.0) -> list[int]:
        detector = CutDetector()
        outs = [next(iter(detector.push(item(i / fps, ramp(), p)))) for i, p in enumerate(pictures)]
        return [i for i, out in enumerate(outs) if out.cut]

    def shot(self, seed: int, count: int = 12) -> list[np.ndarray]:
        """A camera that pans over one scene."""
        wide = texture(np.random.default_rng(seed), (72, 128 + 2 * count))
        return [np.ascontiguousarray(wide[:, 2 * i : 2 * i + 128]) for i in range(count)]

    def test_cuts_between_scenes_are_found(self) -> None:
        pictures = [p for seed in range(30) for p in self.shot(seed)]
        assert self.detect(pictures) == list(range(12, 360, 12))

    def test_cuts_between_still_shots_are_found(self) -> None:
        pictures = [p for seed in range(30) for p in self.shot(seed)[:1] * 12]
        assert self.detect(pictures) == list(range(12, 360, 12))

    @pytest.mark.parametrize(("gain", "offset"), [(1.6, 0), (1, 60), (2.5, 20), (0.4, 0), (1, 255), (0, 255)])
    @pytest.mark.parametrize("length", [1, 2, 4])
    def test_a_flash_is_no_cut(self, gain: float, offset: float, length: int) -> None:
        for seed in range(4):
            pictures = self.shot(seed, 20)
            for i in range(8, 8 + length):
                pictures[i] = np.clip(pictures[i] * float(gain) + offset, 0, 255).astype(np.uint8)
            assert self.detect(pictures) == []

    def test_a_cut_within_a_flash_is_found_when_it_is_over(self) -> None:
        white = [np.full((72, 128, 3), 255, np.uint8)] * 2
        assert self.detect([*self.shot(1), *white, *self.shot(2)]) == [14]

    def test_a_cut_to_white_is_found_late_rather_than_never(self) -> None:
        (cut,) = self.detect([*self.shot(1), *[np.full((72, 128, 3), 255, np.uint8)] * 30])
        assert 12 < cut <= 12 + 9

    def test_fades_and_dissolves_are_no_cuts(self) -> None:
        before, after = self.shot(1, 30), self.shot(2, 30)
        mix = [
            np.clip(a * (1 - i / 29) + b * (i / 29), 0, 255).astype(np.uint8)
            for i, (a, b) in enumerate(zip(before, after, strict=True))
        ]
        dark = [(p * abs(i / 15 - 1)).astype(np.uint8) for i, p in enumerate(before)]
        assert self.detect([*before[:1], *mix, *after[-1:]]) == []
        assert self.detect(dark) == []

    def test_what_never_looks_alike_is_not_cut_for_ever(self) -> None:
        rng = np.random.default_rng(0)
        assert len(self.detect([texture(rng, (72, 128)) for _ in range(60)])) < 10

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
        assert ranges[20][1] > 1.6
        assert ranges[40 + 15][1] > 1.7
        assert ranges[-1][1] < 1.3

    def test_small_changes_do_not_move_it(self) -> None:
        assert len(set(self.run([ramp(1 + 0.01 * (-1) ** i) for i in range(60)]))) == 1

    def test_per_shot_is_one_range_from_the_whole_shot(self) -> None:
        shots = [replace(item(i / 30, ramp(1 + i)), cut=i == 10) for i in range(20)]
        out = outputs(ShotRange(), shots)
        assert len({o.range for o in out[:10]}) == len({o.range for o in out[10:]}) == 1
        everything = np.concatenate([ramp(1 + i).ravel() for i in range(10)])
        assert out[0].range == pytest.approx(tuple(np.percentile(everything, (2, 98))), abs=0.1)
        for given_item, o in zip(shots, out, strict=True):
            np.testing.assert_array_equal(given_item.depth, o.depth)
            np.testing.assert_array_equal(given_item.frame.image, o.frame.image)

    def test_a_shot_too_long_for_the_disk_is_settled_early(self) -> None:
        size = item(0.0, ramp()).frame.image.nbytes + ramp().nbytes
        stabilizer = ShotRange(max_bytes=5 * size)
        counts = [len(list(stabilizer.push(item(i / 30, ramp(1 + i / 10))))) for i in range(10)]
        assert counts == [0, 0, 0, 0, 0, 6, 1, 1, 1, 1]
        assert list(stabilizer.flush()) == []

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
        ("much", "auto", "choose one of: off, light, default, strong, offline"),
        ("off", "wide", "use auto, per-shot, or lock:"),
        ("off", "lock:3,1", "use auto, per-shot, or lock:"),
        ("off", "lock:a,b", "use auto, per-shot, or lock:"),
        ("off", "lock:0,inf", "with finite numbers"),
        ("off", "lock:-inf,1", "with finite numbers"),
        ("off", "lock:0,nan", "with finite numbers"),
        ("off", "lock:0,1e999", "with finite numbers"),
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

    chain = StabilizerChain([Late(), LockedRange(1, 2)])
    assert list(chain.push(item(0.0, ramp()))) == []
    assert [o.range for o in chain.flush()] == [(1, 2)]


@pytest.mark.parametrize("speed_px", [0.06, 0.1, 0.25, 0.5, 0.9])
def test_what_moves_slowly_grows_no_stripes(speed_px: float) -> None:
    """Resampled again and again by a part of a pixel, the finest detail may fade, and never grows."""
    rows, columns = np.mgrid[0:96, 0:96]
    detail = np.where((rows + columns) % 2, 0.01, -0.01).astype(np.float32)
    values = detail + np.linspace(0, 1, 96, dtype=np.float32)
    gray = np.zeros((96, 96), np.uint8)
    for flow in (np.full((96, 96, 2), (speed_px, 0), np.float32), np.full((96, 96, 2), speed_px, np.float32)):
        flows, warped, buffers = FlowPair.from_flows(gray, gray, flow, -flow), values, _Buffers.allocate(values.shape)
        sampling_grid(flow, values.shape, out=buffers.grid)
        for _ in range(30):
            warped = _warp_sharply(warped, flows, buffers)
        inner = warped[:64, :64]  # what has come in over the edge is another matter
        assert np.abs(np.diff(inner, 2, axis=0)).max() <= 1.1 * np.abs(np.diff(detail, 2, axis=0)).max()
        assert np.abs(np.diff(inner, 2, axis=1)).max() <= 1.1 * np.abs(np.diff(detail, 2, axis=1)).max()


def test_a_disk_queue_that_is_opened_again_and_again_leaves_nothing_behind() -> None:
    def watched() -> int:
        return sum(type(thing) is weakref.finalize and thing.alive for thing in gc.get_objects())

    queue, before = DiskQueue(), watched()
    source = SyntheticSource(count=20)
    source.open()
    for frame in iter(source.read, None):
        item = queue.put(DepthFrame(frame, np.ones((2, 2), np.float32), DepthKind.RELATIVE))
        np.testing.assert_array_equal(queue.take(item).frame.image, source.image_at(frame.index))
    assert watched() == before
