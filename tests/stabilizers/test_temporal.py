"""Smoothing over time along the motion."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.depth_frames import depth_frame, flat, push_all, ramp
from helpers.moving_scene import FAR, NEAR, scene

from streamdepth.core.interfaces import Stabilizer
from streamdepth.core.types import DepthKind
from streamdepth.stabilizers import TemporalFilter, TwoSidedFilter, make_stabilizer
from streamdepth.stabilizers.optical_flow import FlowPair, sampling_grid
from streamdepth.stabilizers.recursive_filter import _Buffers, _warp_sharply

SMOOTHERS = {
    "temporal": TemporalFilter,
    "two-sided": lambda: TwoSidedFilter(lookahead_frames=4),
    "preset default": make_stabilizer,
    "preset offline": lambda: make_stabilizer("offline"),
}


@pytest.fixture(params=SMOOTHERS)
def smoother(request: pytest.FixtureRequest) -> Stabilizer:
    return SMOOTHERS[request.param]()


@pytest.mark.parametrize("kind", DepthKind)
def test_a_small_step_takes_the_same_time_at_any_frame_rate(kind: DepthKind) -> None:
    def after(fps: int) -> float:
        stabilizer = TemporalFilter(memory_seconds=0.3, tolerance=1e6)
        steps = [ramp() + (1.1 if i > 2 * fps else 1.0) for i in range(3 * fps)]
        out = push_all(stabilizer, [depth_frame(i / fps, d, kind=kind) for i, d in enumerate(steps)])
        return float(out[2 * fps + round(0.3 * fps)].depth[0, 0])

    assert after(20) == pytest.approx(after(120), abs=0.006)
    assert after(60) == pytest.approx(1.1 - 0.1 / np.e, abs=0.005)


def test_noise_is_lessened(smoother: Stabilizer) -> None:
    rng = np.random.default_rng(0)
    out = push_all(smoother, [depth_frame(i / 30, ramp() + rng.normal(0, 0.01, (12, 16))) for i in range(60)])
    assert np.std([o.depth for o in out[30:]], axis=0).mean() < 0.5 * 0.01


def test_a_large_change_is_taken_at_once(smoother: Stabilizer) -> None:
    changed = ramp() + 1
    changed[4:8, 4:8] += 3
    out = push_all(smoother, [depth_frame(i / 30, ramp() + 1 if i < 10 else changed) for i in range(20)])
    for before in out[8:10]:
        assert before.depth[5:7, 5:7].max() < 2
    np.testing.assert_allclose(out[10].depth[5:7, 5:7], changed[5:7, 5:7], atol=0.05)


def test_a_changed_picture_is_trusted() -> None:
    stabilizer = TemporalFilter()
    list(stabilizer.push(depth_frame(0.0, flat(1.0), kind=DepthKind.METRIC)))
    (out,) = stabilizer.push(depth_frame(1 / 30, flat(1.02), np.full((36, 64, 3), 190, np.uint8), DepthKind.METRIC))
    np.testing.assert_allclose(out.depth, 1.02, rtol=1e-4)


@pytest.mark.parametrize("name", ["off", "light", "default", "strong"])
def test_duplicates_change_nothing(name: str) -> None:
    """30 pictures a second, shown once and shown twice each."""
    rng = np.random.default_rng(3)
    depths = [1 + ramp() + rng.normal(0, 0.01, (12, 16)) for _ in range(30)]
    once = push_all(make_stabilizer(name), [depth_frame((i + 0.5) / 30, d) for i, d in enumerate(depths)])
    twice = [depth_frame(i / 60, d) for i, d in enumerate(d for d in depths for _ in range(2))]
    for first, second in zip(once[5:], push_all(make_stabilizer(name), twice)[11::2], strict=True):
        assert np.abs(first.depth - second.depth).mean() < 2e-3


def test_dropped_frames_count_as_the_time_they_took() -> None:
    rng = np.random.default_rng(4)
    depths = [1 + ramp() + (0.02 if i >= 30 else 0) + rng.normal(0, 1e-4, (12, 16)) for i in range(60)]
    items = [depth_frame(i / 30, d) for i, d in enumerate(depths)]
    whole = push_all(TemporalFilter(tolerance=1e6), items)
    holed = push_all(TemporalFilter(tolerance=1e6), [i for n, i in enumerate(items) if n % 3 == 0])
    assert holed[-1].depth.mean() == pytest.approx(whole[57].depth.mean(), abs=2e-3)


def test_it_follows_what_moves() -> None:
    frames = scene(count=20)
    out = push_all(make_stabilizer(), [depth_frame(i / 30, d, p) for i, (p, d) in enumerate(frames)])
    for (_, exact), o in zip(frames[8:], out[8:], strict=True):
        assert np.abs(o.depth - exact).mean() < 0.01 * (NEAR - FAR)
        assert (np.abs(o.depth - exact) > 0.5 * (NEAR - FAR)).mean() < 0.002


def test_what_drifts_is_followed_however_long_the_memory() -> None:
    drifting = [ramp() + 0.02 * i for i in range(60)]
    most = 9 / 3 * 0.03 * 0.96  # a third of the tolerance, times the most noise, times the range
    for given_depth, o in zip(
        drifting,
        push_all(TemporalFilter(60, 9), [depth_frame(i / 30, d) for i, d in enumerate(drifting)]),
        strict=True,
    ):
        assert np.abs(o.depth - given_depth).max() <= most * 1.02


def test_two_sides_have_no_lag() -> None:
    slow = [1 + ramp() + 0.02 * np.sin(i / 6) for i in range(80)]
    items = [depth_frame(i / 30, d) for i, d in enumerate(slow)]

    def lag(stabilizer: Stabilizer) -> int:
        means = np.array([o.depth.mean() for o in push_all(stabilizer, items)])
        raw = np.array([d.mean() for d in slow])
        return int(np.argmin([np.abs(means[30:70] - raw[30 - k : 70 - k]).sum() for k in range(15)]))

    assert lag(TemporalFilter(tolerance=1e6)) > 3
    assert lag(TwoSidedFilter(tolerance=1e6)) == 0


def test_what_waits_is_bounded() -> None:
    stabilizer, inside = TwoSidedFilter(lookahead_frames=5), 0
    for i in range(60):
        inside += 1 - len(list(stabilizer.push(depth_frame(i / 30, ramp() + i * 1e-3))))
        assert inside <= 10
    assert len(list(stabilizer.flush())) == inside


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
