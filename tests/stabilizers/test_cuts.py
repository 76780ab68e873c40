"""Detection of scene cuts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from helpers.depth_frames import depth_frame, flat, ramp, texture

from streamdepth.core.types import DepthFrame, DepthKind
from streamdepth.stabilizers import CutDetector
from streamdepth.testing import SyntheticSource


def test_a_cut_is_found_at_its_frame_and_motion_is_no_cut() -> None:
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


def cuts_in(pictures: Iterable[np.ndarray], fps: float = 30.0) -> list[int]:
    detector = CutDetector()
    outs = [next(iter(detector.push(depth_frame(i / fps, ramp(), p)))) for i, p in enumerate(pictures)]
    return [i for i, out in enumerate(outs) if out.cut]


def shot(seed: int, count: int = 12) -> list[np.ndarray]:
    """Draws the pictures of a camera that pans over one scene."""
    wide = texture(np.random.default_rng(seed), (72, 128 + 2 * count))
    return [np.ascontiguousarray(wide[:, 2 * i : 2 * i + 128]) for i in range(count)]


def test_cuts_between_scenes_are_found() -> None:
    pictures = [p for seed in range(30) for p in shot(seed)]
    assert cuts_in(pictures) == list(range(12, 360, 12))


def test_cuts_between_still_shots_are_found() -> None:
    pictures = [p for seed in range(30) for p in shot(seed)[:1] * 12]
    assert cuts_in(pictures) == list(range(12, 360, 12))


@pytest.mark.parametrize(("gain", "offset"), [(1.6, 0), (1, 60), (2.5, 20), (0.4, 0), (1, 255), (0, 255)])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_flash_is_no_cut(gain: float, offset: float, length: int) -> None:
    for seed in range(4):
        pictures = shot(seed, 20)
        for i in range(8, 8 + length):
            pictures[i] = np.clip(pictures[i] * float(gain) + offset, 0, 255).astype(np.uint8)
        assert cuts_in(pictures) == []


def test_a_cut_within_a_flash_is_found_when_it_is_over() -> None:
    white = [np.full((72, 128, 3), 255, np.uint8)] * 2
    assert cuts_in([*shot(1), *white, *shot(2)]) == [14]


def test_a_cut_to_white_is_found_late_rather_than_never() -> None:
    (cut,) = cuts_in([*shot(1), *[np.full((72, 128, 3), 255, np.uint8)] * 30])
    assert 12 < cut <= 12 + 9


def test_fades_and_dissolves_are_no_cuts() -> None:
    before, after = shot(1, 30), shot(2, 30)
    mix = [
        np.clip(a * (1 - i / 29) + b * (i / 29), 0, 255).astype(np.uint8)
        for i, (a, b) in enumerate(zip(before, after, strict=True))
    ]
    dark = [(p * abs(i / 15 - 1)).astype(np.uint8) for i, p in enumerate(before)]
    assert cuts_in([*before[:1], *mix, *after[-1:]]) == []
    assert cuts_in(dark) == []


def test_what_never_looks_alike_is_not_cut_for_ever() -> None:
    rng = np.random.default_rng(0)
    assert len(cuts_in([texture(rng, (72, 128)) for _ in range(60)])) < 10


def test_a_gap_is_a_cut() -> None:
    detector = CutDetector()
    assert not next(iter(detector.push(depth_frame(0.0, flat(1))))).cut
    assert next(iter(detector.push(depth_frame(2.0, flat(1))))).cut
