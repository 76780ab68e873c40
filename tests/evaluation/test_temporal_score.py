"""Each measure moves as it should: exact depth is perfect, and every way to look steady without being right is seen."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.moving_scene import COUNT, FAR, HEIGHT, WIDTH, scene

from streamdepth import evaluation
from streamdepth.core.arrays import DepthMap, Image
from streamdepth.core.errors import SourceOpenError
from streamdepth.core.intrinsics import Intrinsics
from streamdepth.core.types import DepthKind
from streamdepth.evaluation.steadiness import frames as temporal_frames
from streamdepth.evaluation.steadiness.fidelity import MAX_LAG, cut_recovery, edge_retention, ghosting, lag
from streamdepth.evaluation.steadiness.flicker import (
    display_range_jitter,
    flow_warped_error,
    range_jitter,
    static_flicker,
)
from streamdepth.evaluation.steadiness.frames import ClipFrame, PercentileReservoir
from streamdepth.evaluation.steadiness.score import TruthOptions, score_clip
from streamdepth.evaluation.steadiness.truth import NEAREST_M, tae, tepe
from streamdepth.geometry.affine import Affine, LeastSquaresFit
from streamdepth.geometry.inverse_depth import clipped_meters, inverse_depth


def static(count: int = COUNT) -> list[tuple[Image, DepthMap]]:
    return scene(1) * count


def noisy(depths: list[DepthMap], sigma: float) -> list[DepthMap]:
    rng = np.random.default_rng(0)
    return [(d + rng.normal(0, sigma, d.shape)).astype(np.float32) for d in depths]


def moving_average(depths: list[DepthMap], keep: float) -> list[DepthMap]:
    result = [depths[0]]
    for depth in depths[1:]:
        result.append((keep * result[-1] + (1 - keep) * depth).astype(np.float32))
    return result


def with_raw(
    cheat: Callable[[list[DepthMap]], list[DepthMap]], frames: list[tuple[Image, DepthMap]]
) -> list[tuple[Image, DepthMap, DepthMap]]:
    depths = [depth for _, depth in frames]
    return [(image, c, d) for (image, d), c in zip(frames, cheat(depths), strict=True)]


@pytest.mark.parametrize("size", [(1, 1), (640, 3), (640, 20), (20, 640)])
def test_pictures_of_any_shape(size: tuple[int, int]) -> None:
    """OpenCV's flow ends the process on low, wide pictures, if they are given to it."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(3)]
    score = score_clip([ClipFrame(p, rng.random(p.shape[:2], np.float32)) for p in pictures])
    assert score.result["known"] == 1


def test_a_shot_of_which_nothing_is_known_does_not_hide_the_others() -> None:
    frames = with_raw(lambda d: noisy(d, 0.01), scene())
    known = [ClipFrame(image, depth, raw) for image, depth, raw in frames]
    unknown = [ClipFrame(image, np.full_like(raw, np.nan), np.full_like(raw, np.nan)) for image, _, raw in frames[:3]]
    alone = score_clip(known, same_unit=True).result
    after = score_clip([*known, unknown[0]._replace(cut=True), *unknown[1:]], same_unit=True).result
    for name in ("flow_warped_error", "ghosting", "lag_frames", "edge_retention"):
        assert after[name] == pytest.approx(alone[name]), name
    assert math.isnan(after["cut_recovery_frames"])


def test_exact_depth_is_perfect() -> None:
    frames = with_raw(lambda d: d, scene())
    assert flow_warped_error((i, d) for i, d, _ in frames) < 2e-3
    assert static_flicker((i, d) for i, d, _ in frames) == (0, 0)
    assert lag(frames) == 0
    assert ghosting(frames) == 0
    assert edge_retention(frames) == pytest.approx(1)
    assert cut_recovery(frames) == 0
    still = static()
    assert flow_warped_error(still) == 0
    assert range_jitter(still) == (0, 0)


CHEATS: dict[str, Callable[[list[DepthMap]], list[DepthMap]]] = {
    "nothing": lambda depths: [np.zeros_like(d) for d in depths],
    "frozen": lambda depths: [depths[0]] * len(depths),
    "average of 1 s": lambda depths: moving_average(depths, math.exp(-1 / 30)),
    "blur": lambda depths: [np.asarray(cv2.GaussianBlur(d, (0, 0), 4), np.float32) for d in depths],
    "flattened": lambda depths: [(0.9 * FAR + 0.1 * d).astype(np.float32) for d in depths],
    "average in time and place": lambda depths: moving_average([cv2.blur(d, (9, 9)) for d in depths], 0.9),  # type: ignore[misc]
}


@pytest.mark.parametrize(
    ("name", "is_seen_by"),
    [
        ("nothing", {"lag", "ghosting", "edges"}),
        ("frozen", {"lag", "ghosting", "edges"}),
        ("average of 1 s", {"lag", "ghosting", "edges"}),
        ("blur", {"ghosting", "edges"}),
        ("flattened", {"ghosting", "edges"}),
        ("average in time and place", {"lag", "ghosting", "edges"}),
    ],
)
def test_what_only_looks_steady_is_seen(name: str, is_seen_by: set[str]) -> None:
    frames = with_raw(CHEATS[name], scene())
    seen = {
        "lag": lag(frames) > 3,
        "ghosting": ghosting(frames) > 0.05,
        "edges": edge_retention(frames) < 0.9,
    }
    assert {key for key, is_bad in seen.items() if is_bad} == is_seen_by


def test_a_constant_is_steady_and_never_follows() -> None:
    frames = with_raw(CHEATS["nothing"], scene())
    assert flow_warped_error((i, d) for i, d, _ in frames) == 0
    assert lag(frames) == MAX_LAG
    assert edge_retention(frames) == 0
    assert cut_recovery(frames) == COUNT


def test_flattening_gains_nothing() -> None:
    depths = noisy([d for _, d in static()], 0.02)
    flat = [(0.1 * d).astype(np.float32) for d in depths]
    image = static(1)[0][0]
    plain, cheated = (flow_warped_error((image, d) for d in maps) for maps in (depths, flat))
    assert cheated == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("late", [0, 1, 4])
def test_lag_of_a_delayed_result(late: int) -> None:
    frames = with_raw(lambda depths: [depths[max(0, i - late)] for i in range(len(depths))], scene())
    assert lag(frames) == pytest.approx(late, abs=0.1)


def test_lag_of_a_moving_average_is_its_half_life() -> None:
    frames = with_raw(lambda depths: moving_average(depths, 0.8), scene(60))
    assert lag(frames) == pytest.approx(math.log(0.5) / math.log(0.8), abs=1)


def test_noise_is_flicker_of_known_size() -> None:
    image, depth = static(1)[0]
    frames = [(image, d) for d in noisy([depth] * 45, 0.01)]
    width = np.ptp(np.percentile(np.stack([d for _, d in frames]), (2, 98)))
    assert static_flicker(frames).p50 == pytest.approx(0.01 / width, rel=0.1)
    assert flow_warped_error(frames) == pytest.approx(2 / math.sqrt(math.pi) * 0.01 / width, rel=0.05)
    assert math.isnan(static_flicker(frames[:10]).p50)


def test_smoothing_noise_pays_where_nothing_moves() -> None:
    image, depth = static(1)[0]
    raw = noisy([depth] * COUNT, 0.02)
    smooth = moving_average(raw, 0.9)
    before, after = (flow_warped_error((image, d) for d in depths) for depths in (raw, smooth))
    assert after < 0.2 * before
    assert math.isnan(lag((image, s, r) for s, r in zip(smooth, raw, strict=True)))
    assert math.isnan(ghosting((image, s, r) for s, r in zip(smooth, raw, strict=True)))


def test_a_pumping_scale_is_range_jitter() -> None:
    image, depth = static(1)[0]
    factors = np.random.default_rng(0).normal(1, 0.05, COUNT)
    jitter = range_jitter((image, (f * depth).astype(np.float32)) for f in factors)
    assert jitter.width == pytest.approx(np.diff(np.log(factors)).std(), rel=0.05)
    assert jitter.center > 0.01


def test_snow_makes_a_range_per_frame_pump() -> None:
    """0.1 % of outliers move every pixel where each frame is shown from its minimum to its maximum."""
    image, depth = static(1)[0]
    rng = np.random.default_rng(0)
    snowy = [np.where(rng.random(depth.shape) < 1e-3, rng.uniform(1, 3), depth).astype(np.float32) for _ in range(30)]
    shown = [((d - d.min()) / (d.max() - d.min())).astype(np.float32) for d in snowy]
    assert static_flicker((image, d) for d in snowy).p50 < 1e-3
    assert static_flicker((image, d) for d in shown).p50 > 0.01
    assert flow_warped_error((image, d) for d in shown) > 5 * flow_warped_error((image, d) for d in snowy)
    per_frame = display_range_jitter((float(d.min()), float(d.max())) for d in snowy)
    assert per_frame.width > 0.1
    assert display_range_jitter([(0.2, 1.0)] * 30) == (0, 0)


def test_recovery_of_a_moving_average_after_a_cut() -> None:
    """The difference between the shots decays as 0.9^n; below 2 % of the range."""
    image, depth = static(1)[0]
    before, after = np.zeros_like(depth), (depth + 0.5).astype(np.float32)
    smooth = moving_average([before] + [after] * 60, 0.9)[1:]
    width = np.ptp(np.percentile(after, (2, 98)))
    expected = math.log(0.02 * width / after.mean()) / math.log(0.9) - 1
    assert cut_recovery((image, s, after) for s in smooth) == pytest.approx(expected, abs=1)


def test_true_motion_is_no_temporal_error_against_truth() -> None:
    truth = [(image, (1 / d).astype(np.float32)) for image, d in scene()]
    assert tepe((i, t, t) for i, t in truth).absolute_m == 0
    assert tepe((i, (t + 0.3).astype(np.float32), t) for i, t in truth).absolute_m == pytest.approx(0, abs=1e-5)


def test_temporal_error_in_closed_form() -> None:
    image, depth = static(1)[0]
    truth = (1 / depth).astype(np.float32)
    jumping = ((image, truth + np.float32(0.02 * (-1) ** n), truth) for n in range(8))
    error = tepe(jumping)
    assert error.absolute_m == pytest.approx(0.04, rel=1e-3)
    assert error.relative == pytest.approx(40, rel=1e-3)


@pytest.mark.parametrize("scale", [1.0, 1.1])
def test_alignment_error_of_a_camera_moving_towards_a_wall(scale: float) -> None:
    camera, meters_per_frame = Intrinsics.from_fov(60, 64, 48), 0.1
    frames = []
    for k in range(5):
        pose = np.eye(4)
        pose[2, 3] = k * meters_per_frame
        frames.append((np.full((48, 64), scale * (4 - k * meters_per_frame), np.float32), pose))
    walls = [4 - k * meters_per_frame for k in range(5)]
    lost = (scale - 1) * meters_per_frame / scale
    pairs = [100 * lost * (1 / a + 1 / b) / 2 for a, b in pairwise(walls)]
    assert tae(frames, camera) == pytest.approx(np.mean(pairs), abs=1e-4)


def test_turning_camera_before_a_wall() -> None:
    """The wall's depth along the axis changes with the angle; knowing the pose, that is no error."""
    camera, frames = Intrinsics.from_fov(60, 160, 120), []
    rays = np.stack(np.meshgrid((np.arange(160) - camera.cx) / camera.fx, (np.arange(120) - camera.cy) / camera.fy))
    for angle in np.radians([0, 3, 6]):
        pose = np.eye(4)
        pose[0, 0] = pose[2, 2] = np.cos(angle)
        pose[0, 2], pose[2, 0] = np.sin(angle), -np.sin(angle)
        frames.append((np.asarray(4 / (np.cos(angle) - np.sin(angle) * rays[0]), np.float32), pose))
    assert tae(frames, camera) < 0.2
    assert tae([(depth, np.eye(4)) for depth, _ in frames], camera) > 1


def test_what_is_hidden_after_the_camera_has_moved_is_no_error() -> None:
    """A pole at 1 m before a wall at 4 m, exact, seen by a camera that moves by whole pixels."""
    camera, frames = Intrinsics(80.0, 80.0, 79.5, 59.5, 160, 120), []
    for k in range(3):
        pose, depth = np.eye(4), np.full((120, 160), 4, np.float32)
        pose[0, 3] = 4 * k / 80
        depth[:, 90 - 4 * k : 120 - 4 * k] = 1
        frames.append((depth, pose))
    assert tae(frames, camera) == pytest.approx(0, abs=1e-4)
    lost = [*frames, (frames[0][0], np.full((4, 4), -np.inf)), (frames[0][0], frames[0][1])]
    assert tae(lost, camera) == tae(frames, camera)


def test_the_command_and_the_functions_measure_the_same() -> None:
    depths = [depth for _, depth in scene()]
    poses = [np.eye(4)] * COUNT
    truth = TruthOptions(farthest_m=100, camera=Intrinsics.from_fov(60, WIDTH, HEIGHT), poses=poses, is_metric=True)
    clip = [
        ClipFrame(image, smooth, depth, 1 / depth, display_range=(n, 2 * n + 1.0))
        for n, ((image, depth), smooth) in enumerate(
            zip(scene(), moving_average(noisy(depths, 0.02), 0.8), strict=True)
        )
    ]
    found = score_clip(clip, truth, same_unit=True).result
    alone, beside = [(s.image, s.depth) for s in clip], [(s.image, s.depth, s.raw) for s in clip]
    in_meters = [(s.image, clipped_meters(s.depth, Affine(), NEAREST_M, 100), s.truth_m) for s in clip]
    flicker, jitter, shown = (
        evaluation.static_flicker(alone),
        evaluation.range_jitter(alone),
        evaluation.display_range_jitter(s.display_range for s in clip),
    )
    change = evaluation.tepe(in_meters)
    by_function = {
        "flow_warped_error": evaluation.flow_warped_error(alone),
        "static_flicker_p50": flicker.p50,
        "static_flicker_p95": flicker.p95,
        "range_jitter": jitter.width,
        "center_jitter": jitter.center,
        "display_range_jitter": shown.width,
        "display_center_jitter": shown.center,
        "lag_frames": evaluation.lag(beside),
        "ghosting": evaluation.ghosting(beside),
        "edge_retention": evaluation.edge_retention(beside),
        "tepe_m": change.absolute_m,
        "tepe_relative": change.relative,
        "tae_percent": evaluation.tae([(depth, np.eye(4)) for _, depth, _ in in_meters], truth.camera),
    }
    assert by_function == pytest.approx({name: found[name] for name in by_function}, rel=1e-5)
    assert found.keys() - by_function.keys() == {"known", "abs_rel", "delta1", "cut_recovery_frames"}
    documented = evaluation.__doc__ or ""
    assert all(name in documented for name in found.keys() - {"known"})


def test_one_fit_for_the_sequence() -> None:
    rng = np.random.default_rng(0)
    fit, maps = LeastSquaresFit(), rng.uniform(0, 1, (5, 8, 9)).astype(np.float32)
    maps[0, 0] = np.nan
    for m in maps:
        fit.add((3 * m - 1).astype(np.float32), m)
    assert fit.affine == pytest.approx((1 / 3, 1 / 3), rel=1e-4)
    assert LeastSquaresFit().affine == (1, 0)
    np.testing.assert_allclose(
        clipped_meters(np.array([[0.5, -1.0, np.nan]], np.float32), Affine(), NEAREST_M, 10), [[2, 10, np.nan]]
    )


def test_inverse_depth() -> None:
    depth = np.array([[2.0, np.inf, 0.0, np.nan]], np.float32)
    np.testing.assert_array_equal(inverse_depth(depth, DepthKind.METRIC), [[0.5, 0, np.nan, np.nan]])
    assert inverse_depth(depth, DepthKind.RELATIVE) is depth


def samples(cheat: Callable[[list[DepthMap]], list[DepthMap]], count: int = 40) -> list[ClipFrame]:
    """Two shots: the scene, then the scene upside down."""
    frames = scene(count // 2)
    frames += [(np.ascontiguousarray(i[::-1, ::-1]), np.ascontiguousarray(d[::-1, ::-1])) for i, d in frames]
    rows = with_raw(cheat, frames)
    return [ClipFrame(i, s, d, (1 / d).astype(np.float32), n == count // 2) for n, (i, s, d) in enumerate(rows)]


def test_a_whole_clip_with_truth() -> None:
    score = score_clip(samples(lambda d: noisy(d, 0.01)), TruthOptions())
    assert (score.frames, score.cuts) == (40, [20])
    assert score.raw["abs_rel"] == pytest.approx(0, abs=1e-4)
    assert score.raw["delta1"] == 1
    assert score.result["abs_rel"] > 0.005
    assert score.result["tepe_m"] > 0.01 > score.raw["tepe_m"]
    assert score.result["flow_warped_error"] > 5 * score.raw["flow_warped_error"]
    assert score.result["cut_recovery_frames"] == 0
    assert math.isnan(score.result["tae_percent"])
    assert len(score.per_frame["flow_warped_error"]) == len(score.per_frame["abs_rel_raw"]) == 40
    assert math.isnan(score.per_frame["flow_warped_error"][20])
    assert score.as_json()["result"]["tae_percent"] is None


def test_the_unit_of_the_result_does_not_matter_unless_it_is_known() -> None:
    other = samples(lambda depths: [(100 - 40 * d).astype(np.float32) for d in depths])
    metric_fit, taken_as_is = score_clip(other), score_clip(other, same_unit=True)
    assert metric_fit.result["ghosting"] == pytest.approx(0, abs=1e-4)
    assert metric_fit.result["edge_retention"] == pytest.approx(1, rel=1e-3)
    assert taken_as_is.result["ghosting"] > 1
    assert metric_fit.result["flow_warped_error"] == pytest.approx(metric_fit.raw["flow_warped_error"], rel=0.01)


def test_a_filter_that_ignores_cuts_is_seen_at_them() -> None:
    kept_on = score_clip(samples(lambda d: moving_average(d, 0.9)), same_unit=True)
    fresh = score_clip(samples(lambda d: moving_average(d[:20], 0.9) + moving_average(d[20:], 0.9)), same_unit=True)
    assert kept_on.result["cut_recovery_frames"] > 3
    assert fresh.result["cut_recovery_frames"] == 0


def test_metric_depth_is_judged_without_a_fit() -> None:
    wrong = [s._replace(depth=(s.depth / 2).astype(np.float32), raw=None) for s in samples(lambda d: d, 10)]
    assert score_clip(wrong, TruthOptions(is_metric=True)).result["abs_rel"] == pytest.approx(1, rel=1e-3)
    assert score_clip(wrong, TruthOptions()).result["abs_rel"] == pytest.approx(0, abs=1e-4)


def test_unknown_pixels_do_not_count() -> None:
    with_holes = []
    for frame in samples(lambda d: noisy(d, 0.01)):
        depth = frame.depth.copy()
        depth[:30] = np.nan
        with_holes.append(frame._replace(depth=depth))
    score = score_clip(with_holes, TruthOptions())
    assert 0 < score.result["flow_warped_error"] < 0.1
    assert 0 < score.result["tepe_m"] < 1
    assert math.isfinite(score.result["ghosting"])
    assert score.result["known"] == pytest.approx(0.75)
    assert score.raw["known"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rows: rows[:1], "too-short"),
        (lambda rows: rows[:0], "too-short"),
        (lambda rows: [s._replace(depth=s.depth[:40]) for s in rows], "wrong-shape"),
        (lambda rows: [s._replace(truth_m=s.depth[:, :40]) for s in rows], "wrong-shape"),
        (lambda rows: [s._replace(depth=s.depth * np.float32(np.nan)) for s in rows], "no-depth"),
        (lambda rows: [s._replace(truth_m=s.depth + 90) for s in rows], "no-depth"),
    ],
)
def test_clips_that_cannot_be_scored(change: Callable[[list[ClipFrame]], list[ClipFrame]], code: str) -> None:
    with raises_code(SourceOpenError, code):
        score_clip(change(samples(lambda d: d, 6)), TruthOptions())


class Endless:
    """Frames made anew each time, so that only the score itself can fill memory."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[ClipFrame]:
        image, depth = static(1)[0]
        rng = np.random.default_rng(0)
        for _ in range(self.count):
            noise = rng.normal(0, 0.01, depth.shape).astype(np.float32)
            yield ClipFrame(image.copy(), depth + noise, depth.copy())


def test_memory_does_not_grow_with_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal_frames, "_MAX_VALUES", 40000)
    peaks = []
    for count in (20, 50):
        tracemalloc.start()
        try:
            score_clip(Endless(count))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 10 * WIDTH * HEIGHT


def test_a_reservoir_of_values_stays_small_and_right() -> None:
    reservoir, rng = PercentileReservoir(), np.random.default_rng(0)
    for _ in range(1000):
        reservoir.add(rng.uniform(0, 1, (60, 80)).astype(np.float32))
    assert reservoir.count <= 2**20
    assert reservoir.percentiles(2, 50, 98) == pytest.approx([0.02, 0.5, 0.98], abs=0.01)
    assert all(math.isnan(v) for v in PercentileReservoir().percentiles(2, 98))
