"""The parts that sources share: clocks, rotation, tone mapping."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdepth.sources import hdr
from streamdepth.sources.picture import upright
from streamdepth.sources.timeline import Timeline

MS = Fraction(1, 1000)


def placed(stamps: list[int | None]) -> list[int]:
    timeline = Timeline(MS, Fraction(25))
    return [timeline.place(stamp, MS) for stamp in stamps]


@given(st.lists(st.one_of(st.none(), st.integers(-(10**12), 10**12)), min_size=2))
def test_time_always_increases(stamps: list[int | None]) -> None:
    result = placed(stamps)
    assert all(a < b for a, b in pairwise(result))


@given(st.lists(st.integers(-(10**12), 10**12), unique=True))
def test_healthy_times_are_left_alone(stamps: list[int]) -> None:
    assert placed(sorted(stamps)) == sorted(stamps)


def test_repairs() -> None:
    assert placed([None, None, None]) == [0, 40, 80]
    assert placed([100, None, 200]) == [100, 140, 200]
    assert placed([100, 90, 120]) == [100, 101, 120]
    assert placed([50000, 0, 40, 80]) == [50000, 50040, 50080, 50120]


def test_a_new_clock_goes_on_after_the_time_that_passed() -> None:
    timeline = Timeline(MS, Fraction(25))
    timeline.place(5000, MS)
    timeline.resume(2.0)
    assert [timeline.place(stamp, Fraction(1, 90000)) for stamp in (900_000, 903_600)] == [7000, 7040]
    assert not timeline.repaired


ONE = 65536
IMAGE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[ONE, 0], [0, ONE]], IMAGE),
        ([[0, ONE], [-ONE, 0]], np.rot90(IMAGE, -1)),
        ([[-ONE, 0], [0, -ONE]], np.rot90(IMAGE, 2)),
        ([[0, -ONE], [ONE, 0]], np.rot90(IMAGE)),
        ([[-ONE, 0], [0, ONE]], IMAGE[:, ::-1]),
        ([[ONE, 0], [0, -ONE]], IMAGE[::-1]),
        ([[0, ONE], [ONE, 0]], IMAGE.transpose(1, 0, 2)),
        ([[0, -ONE], [-ONE, 0]], np.rot90(IMAGE, 2).transpose(1, 0, 2)),
        ([[ONE, 300], [-300, ONE]], IMAGE),
    ],
)
def test_every_display_matrix(matrix: list[list[int]], expected: np.ndarray) -> None:
    """QuickTime's x' = ax + cy, y' = bx + dy, with y downwards: [[0, 1], [-1, 0]] turns clockwise."""
    assert np.array_equal(upright(IMAGE, np.array(matrix, np.int32)), expected)


def test_pq_has_the_values_of_the_standard() -> None:
    """SMPTE ST 2084: 0.5081 is 100 cd/m2, 0.5806 is 203, 0.7518 is 1000, 1 is 10000."""
    assert hdr.pq_to_nits(np.array([0, 0.5081, 0.5806, 0.7518, 1])) == pytest.approx(
        [0, 100, 203, 1000, 10000], rel=5e-3
    )
    code = np.linspace(0, 1, 50)
    assert hdr.nits_to_pq(hdr.pq_to_nits(code)) == pytest.approx(code, abs=1e-6)


def test_hlg_white_is_the_peak_of_the_display() -> None:
    assert hdr.hlg_to_nits(np.ones(3)) == pytest.approx(np.full(3, 1000), rel=1e-3)
    # ITU-R BT.2408: diffuse white is at 75 % of HLG and at 203 cd/m2.
    assert hdr.hlg_to_nits(np.full(3, 0.75)) == pytest.approx(np.full(3, 203), rel=0.02)


@pytest.mark.parametrize("curve", ["PQ", "HLG"])
def test_greys_stay_grey_and_brighter_stays_brighter(curve: str) -> None:
    mapped = hdr.tone_map(np.repeat(np.linspace(0, 1, 200)[:, None], 3, 1), curve)
    assert np.ptp(mapped, axis=1).max() < 2e-3
    assert (np.diff(mapped[:, 1]) >= -1e-9).all()
    assert mapped[0].max() == 0
    assert mapped[-1] == pytest.approx(np.ones(3), abs=2e-3)


def test_shadows_and_midtones_keep_their_brightness() -> None:
    """Below the knee a PQ grey of n cd/m2 becomes n/203 of SDR white: 36.5 is 18 % grey, sRGB code 0.461."""
    code = hdr.nits_to_pq(np.full(3, 0.18 * 203))
    assert hdr.tone_map(code, "PQ") == pytest.approx(np.full(3, 0.461), abs=2e-3)


def test_the_lookup_table_agrees_with_the_formula() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 65536, (32, 32, 3)).astype(np.uint16)
    import av

    mapper = hdr.ToneMapper("PQ", 32, 32)
    frame = av.VideoFrame.from_ndarray(codes, "rgb48le").reformat(format=hdr.FORMAT)
    got = mapper.map(frame).to_ndarray() / 255
    assert np.abs(got - hdr.tone_map(codes / 65535, "PQ")).mean() < 0.01
