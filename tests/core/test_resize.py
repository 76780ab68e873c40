from __future__ import annotations

import numpy as np

from streamdepth.core.resize import resize_depth

RAMP = np.repeat(np.linspace(1, 5, 64, dtype=np.float32)[None], 48, axis=0)


def test_resize_is_linear_and_keeps_the_edges() -> None:
    big = resize_depth(RAMP, 640, 480)
    assert big.shape == (480, 640)
    assert big.dtype == np.float32
    np.testing.assert_allclose(np.diff(big[0, 10:-10]), 4 / 63 / 10, rtol=1e-3)
    assert (big.min(), big.max()) == (1, 5)


def test_unknown_and_infinite_values_do_not_spread() -> None:
    depth = np.full((8, 8), 2, np.float32)
    depth[2:4, 2:4], depth[6, 6], depth[0, 7] = np.nan, np.inf, -np.inf
    big = resize_depth(depth, 32, 32)
    assert np.isnan(big).sum() == 4 * 16
    assert np.isnan(big[8:16, 8:16]).all()
    assert np.isposinf(big).sum() == np.isneginf(big).sum() == 16
    np.testing.assert_allclose(big[np.isfinite(big)], 2, rtol=1e-6)


def test_everything_unknown_stays_unknown() -> None:
    assert np.isnan(resize_depth(np.full((3, 5), np.nan, np.float32), 40, 30)).all()


def test_same_size_is_the_same_map() -> None:
    assert resize_depth(RAMP, 64, 48) is RAMP
