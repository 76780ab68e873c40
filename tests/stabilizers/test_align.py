"""Alignment of scale and shift from frame to frame."""

from __future__ import annotations

import numpy as np
from helpers.depth_frames import depth_frame, push_all, ramp, texture

from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers import Aligner


def frames_of(scales: np.ndarray, shifts: np.ndarray, kind: DepthKind = DepthKind.RELATIVE) -> list[DepthFrame]:
    picture = texture(np.random.default_rng(0))
    return [
        depth_frame(i / 30, (1 + ramp()) * s + h, picture, kind)
        for i, (s, h) in enumerate(zip(scales, shifts, strict=True))
    ]


def test_jitter_of_scale_and_shift_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    items = frames_of(rng.normal(1, 0.04, 40), rng.normal(0, 0.05, 40))
    out = push_all(Aligner(), items)
    raw, aligned = (np.std([i.depth for i in of[10:]], axis=0).mean() for of in (items, out))
    assert aligned < 0.5 * raw


def test_what_was_applied_undoes_it() -> None:
    rng = np.random.default_rng(1)
    items = frames_of(rng.normal(1, 0.02, 20), np.zeros(20))
    for given_item, out in zip(items, push_all(Aligner(), items), strict=True):
        scale, shift = out.alignment or (1, 0)
        inside = (out.depth > out.depth.min()) & (out.depth < out.depth.max())  # the ends may be clipped
        np.testing.assert_allclose((out.depth - shift)[inside] / scale, given_item.depth[inside], rtol=1e-4)


def test_a_lasting_change_is_followed() -> None:
    scales = np.where(np.arange(90) < 30, 1.0, 1.3)
    out = push_all(Aligner(), frames_of(scales, 0 * scales))
    np.testing.assert_allclose(out[-1].depth, (1 + ramp()) * 1.3, rtol=0.02)


def test_a_drift_is_left_alone() -> None:
    scales = 1 + np.arange(90) * 0.004
    out = push_all(Aligner(), frames_of(scales, 0 * scales))
    assert np.abs(out[-1].depth / ((1 + ramp()) * scales[-1]) - 1).max() < 0.02


def test_metric_depth_is_left_alone_unless_asked() -> None:
    rng = np.random.default_rng(2)
    items = frames_of(rng.normal(1, 0.04, 30), np.zeros(30), DepthKind.METRIC)
    for given_item, out in zip(items, push_all(Aligner(), items), strict=True):
        np.testing.assert_array_equal(given_item.depth, out.depth)
        assert out.alignment is None
    scaled = push_all(Aligner(metric_scale=True), items)
    assert all(o.alignment and o.alignment[1] == 0 for o in scaled)
    raw, aligned = (np.std([i.depth.mean() for i in of[5:]]) for of in (items, scaled))
    assert aligned < 0.5 * raw
