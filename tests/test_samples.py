"""The sample is what its README says, and what the built-in model makes of it is depth."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.compare import read_contents
from helpers.paths import SAMPLES

from streamdepth import DepthKind, DepthVideo, stream
from streamdepth.evaluation.accuracy.metrics import align, score

CUT = 84


@pytest.fixture(scope="module")
def truth() -> DepthVideo:
    return DepthVideo(SAMPLES / "room_truth.mkv")


def test_video_and_truth_have_the_same_frames(truth: DepthVideo) -> None:
    video = read_contents(SAMPLES / "room.mp4")
    assert len(truth) == len(video.times) == 150
    assert video.size == (640, 360)
    assert [t.kind for t in video.tracks] == ["audio"]
    np.testing.assert_allclose(truth.times, [float(t) for t in video.times], atol=1e-9)
    assert truth.kind is DepthKind.METRIC
    assert truth.metadata["cuts"] == [CUT]
    assert (SAMPLES / "room.mp4").stat().st_size < 3_000_000


def test_truth_is_a_room_in_meters(truth: DepthVideo) -> None:
    first = next(iter(truth))
    assert first.shape == (360, 640)
    inside = first[np.isfinite(first)]
    assert 0.5 < inside.min() < inside.max() < 100
    assert np.isposinf(first).any()


@pytest.mark.slow
def test_the_built_in_model_sees_the_room_and_the_cut(truth: DepthVideo) -> None:
    """Relative depth is steady within a shot, so a fit per picture is enough to compare it with meters."""
    scores, cuts = [], []
    for item, depth_m in zip(stream(SAMPLES / "room.mp4"), truth, strict=True):
        if item.cut:
            cuts.append(item.frame.index)
        if item.frame.index % 30 == 15:
            known = np.where(depth_m < 10, depth_m, np.nan).astype(np.float32)
            scores.append(score(align(item.at_frame_size(), known), known).delta1)
    assert cuts == [CUT]
    assert np.mean(scores) > 0.6
