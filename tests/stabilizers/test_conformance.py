"""The promises of every Stabilizer. A new one is tested by one more line in IMPLEMENTATIONS."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.depth_frames import depth_frame, flat, push_all, ramp, texture
from helpers.on_device import OnDevice
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers import (
    PRESETS,
    Aligner,
    CutDetector,
    LockedRange,
    MetricConverter,
    MotionTracker,
    RangeByKind,
    RangeTracker,
    ShotRange,
    SkyMarker,
    TemporalFilter,
    TwoSidedFilter,
    make_hot_swap_stabilizer,
    make_stabilizer,
)
from streamdepth.stabilizers.anchor_reference import AnchorReference
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
    "range by kind": lambda: RangeByKind(ShotRange((0, 1)), RangeTracker()),
    "sky": SkyMarker,
    "metric": lambda: MetricConverter(
        AnchorReference(np.array([[3.0, 3.0, 1.0], [9.0, 9.0, 2.0]])), max_scale_error=math.inf
    ),
    "hot swap": lambda: make_hot_swap_stabilizer(lambda: "default", lambda: "auto", None, MotionTracker()),
    **{f"preset {name}": (lambda name=name: make_stabilizer(name)) for name in PRESETS},
}
IMPLEMENTATIONS |= {
    f"{name} on a device": (lambda name=name: OnDevice(IMPLEMENTATIONS[name]()))
    for name in ("cuts", "align", "align metric", "temporal", "range", "locked", "sky", "preset default")
}
"""The last ones get depth as tensors, as from a GPU."""


@pytest.fixture(params=[name for name in IMPLEMENTATIONS if name != "metric"])
def make_of_same_unit(request: pytest.FixtureRequest):
    """All but what gives depth another unit."""
    return IMPLEMENTATIONS[request.param]


@pytest.fixture(params=IMPLEMENTATIONS)
def make(request: pytest.FixtureRequest):
    return IMPLEMENTATIONS[request.param]


def test_every_item_comes_out_once_in_order(make) -> None:
    source = SyntheticSource(count=20, shot_frames=8)
    source.open()
    frames = list(iter(source.read, None))
    out = push_all(make(), [DepthFrame(f, source.depth_at(f.index), DepthKind.METRIC) for f in frames])
    assert [o.frame.index for o in out] == list(range(20))
    assert all(o.depth.dtype == np.float32 and o.kind is DepthKind.METRIC for o in out)
    for frame, o in zip(frames, out, strict=True):
        np.testing.assert_array_equal(frame.image, o.frame.image)


@pytest.mark.parametrize("size", [(1, 1), (640, 20), (960, 150), (150, 960)])
def test_pictures_of_any_shape(make_of_same_unit, size: tuple[int, int]) -> None:
    """OpenCV's flow ends the process on low, wide pictures, if they are given to it."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(4)]
    out = push_all(make_of_same_unit(), [depth_frame(i / 30, ramp(), p) for i, p in enumerate(pictures)])
    assert all(np.isfinite(o.depth).all() for o in out)
    assert len(out) == len(pictures)


@pytest.mark.parametrize("kind", DepthKind)
def test_constant_in_constant_out(make_of_same_unit, kind: DepthKind) -> None:
    rng = np.random.default_rng(0)
    pictures = [texture(rng) if i % 3 else None for i in range(12)]
    for out in push_all(make_of_same_unit(), [depth_frame(i / 30, flat(2.5), p, kind) for i, p in enumerate(pictures)]):
        assert (out.depth == 2.5).all()


def test_reset_forgets(make) -> None:
    stabilizer = make()
    rng = np.random.default_rng(1)
    items = [depth_frame(i / 30, rng.random((12, 16)), texture(rng)) for i in range(6)]
    list(stabilizer.push(depth_frame(0.0, ramp(9.0))))
    stabilizer.reset()
    for a, b in zip(push_all(make(), items), push_all(stabilizer, items), strict=True):
        np.testing.assert_array_equal(a.depth, b.depth)
        assert (a.cut, a.range, a.alignment) == (b.cut, b.range, b.alignment)


@pytest.mark.parametrize("kind", DepthKind)
def test_unknown_depth_never_spreads(make, kind: DepthKind) -> None:
    holes = 1 + ramp()
    holes[3:5] = np.nan
    holes[7] = np.inf
    depths = [1 + ramp() if i % 2 else holes for i in range(6)] + [flat(np.nan), 1 + ramp()]
    out = push_all(make(), [depth_frame(i / 30, d, kind=kind) for i, d in enumerate(depths)])
    for given_depth, o in zip(depths, out, strict=True):
        np.testing.assert_array_equal(np.isfinite(given_depth), np.isfinite(o.depth))


def test_the_input_is_left_alone(make) -> None:
    depths = [ramp() + i * 0.01 for i in range(5)]
    copies = [d.copy() for d in depths]
    push_all(make(), [depth_frame(i / 30, depth) for i, depth in enumerate(depths)])
    for depth, copy in zip(depths, copies, strict=True):
        np.testing.assert_array_equal(depth, copy)


def test_a_new_size_is_taken_in_stride(make_of_same_unit) -> None:
    out = push_all(
        make_of_same_unit(),
        [
            depth_frame(0.0, flat(1.0)),
            depth_frame(1 / 30, flat(2.0, (8, 8)), np.zeros((48, 32, 3), np.uint8)),
        ],
    )
    assert (out[1].depth == 2.0).all()


def test_depth_of_a_new_size_in_the_same_picture_is_taken_in_stride(make_of_same_unit) -> None:
    out = push_all(make_of_same_unit(), [depth_frame(0.0, flat(1.0)), depth_frame(1 / 30, flat(2.0, (8, 8)))])
    assert (out[1].depth == 2.0).all()


@pytest.mark.slow
@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(DepthKind)), st.integers(0, 3))
def test_the_result_stays_within_the_inputs(seed: int, kind: DepthKind, speed: int) -> None:
    rng = np.random.default_rng(seed)
    wide = texture(rng, (36, 100))
    depths = [rng.uniform(0.5, 2, (12, 16)) * rng.uniform(0.8, 1.2) for _ in range(8)]
    items = [
        depth_frame(i / 30, d, np.ascontiguousarray(wide[:, i * speed : i * speed + 64]), kind)
        for i, d in enumerate(depths)
    ]
    low, high = np.float32(np.min(depths)), np.float32(np.max(depths))
    for make in (make for name, make in IMPLEMENTATIONS.items() if name != "metric"):
        for out in push_all(make(), items):
            assert low <= out.depth.min() <= out.depth.max() <= high


@pytest.mark.parametrize("gap", [0.6, -0.1])
def test_nothing_is_carried_across_a_gap(make_of_same_unit, gap: float) -> None:
    out = push_all(make_of_same_unit(), [depth_frame(1.0, ramp()), depth_frame(1.0 + gap, ramp(1.1))])
    np.testing.assert_array_equal(out[1].depth, ramp(1.1))


def test_nothing_is_carried_across_a_cut(make_of_same_unit) -> None:
    out = push_all(
        make_of_same_unit(),
        [depth_frame(0.0, ramp()), replace(depth_frame(1 / 30, ramp(1.1)), cut=True)],
    )
    np.testing.assert_array_equal(out[1].depth, ramp(1.1))
