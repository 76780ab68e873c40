"""Presets, and the chain of stabilizers that they build."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.depth_frames import depth_frame, ramp
from helpers.errors import raises_code

from streamdepth.core.errors import ConfigError
from streamdepth.core.interfaces import Stabilizer
from streamdepth.stabilizers import LockedRange, StabilizerChain, make_stabilizer


def test_off_leaves_the_networks_depth() -> None:
    rng = np.random.default_rng(0)
    stabilizer = make_stabilizer("off")
    for i in range(5):
        depth = rng.random((12, 16)).astype(np.float32)
        (out,) = stabilizer.push(depth_frame(i / 30, depth))
        np.testing.assert_array_equal(out.depth, depth)


@pytest.mark.parametrize(
    ("smooth", "range", "code", "facts"),
    [
        ("much", "auto", "unknown-smoothing", "off, light, default, strong, offline"),
        ("off", "wide", "unknown-range", "auto, per-shot, lock:"),
        ("off", "lock:3,1", "unknown-range", "auto, per-shot, lock:"),
        ("off", "lock:a,b", "unknown-range", "auto, per-shot, lock:"),
        ("off", "lock:5%,3", "unknown-range", "percent"),
        ("off", "lock:-5%,90%", "unknown-range", "percent"),
        ("off", "lock:5%,101%", "unknown-range", "percent"),
        ("off", "lock:0,inf", "unknown-range", "finite numbers"),
        ("off", "lock:-inf,1", "unknown-range", "finite numbers"),
        ("off", "lock:0,nan", "unknown-range", "finite numbers"),
        ("off", "lock:0,1e999", "unknown-range", "finite numbers"),
    ],
)
def test_wrong_words_say_the_right_ones(smooth: str, range: str, code: str, facts: str) -> None:
    with raises_code(ConfigError, code, naming=facts):
        make_stabilizer(smooth, range)


def test_a_chain_passes_late_items_through_the_rest() -> None:
    class Late(Stabilizer):
        def push(self, item):
            self.pending = item
            return []

        def flush(self):
            return [self.pending]

    chain = StabilizerChain([Late(), LockedRange(1, 2)])
    assert list(chain.push(depth_frame(0.0, ramp()))) == []
    assert [o.range for o in chain.flush()] == [(1, 2)]
