"""Real clips, where STREAMDEPTH_TEST_DATA names a folder that has them in clips/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from compare import compare_streams

from streamdepth import build, config
from streamdepth.errors import SourceError, SourceLostError, SourceOpenError
from streamdepth.testing import ConstantEstimator

CLIPS = sorted(
    p for p in Path(os.environ.get("STREAMDEPTH_TEST_DATA", "/nonexistent"), "clips").glob("*") if p.is_file()
)
BROKEN = {
    "empty.mp4": (SourceOpenError, "is empty"),
    "car_truncated_noindex.mp4": (SourceLostError, "of 377 frames"),
    "flower_truncated.webm": (SourceLostError, "of about"),
}
TOLERANCE = {}
"""Seconds by which times may differ, by the ending of the clip."""
TRACK_NOTICES = {}
"""What is said of the clip's other tracks; nothing, when all are copied."""


@pytest.mark.parametrize("clip", CLIPS or [None], ids=lambda p: p.name if p else "none")
def test_every_clip_converts_or_says_why(clip: Path | None, tmp_path: Path, monkeypatch) -> None:
    """Frame counts, timestamps and the packets of all other tracks are those of the input."""
    if clip is None:
        pytest.skip("STREAMDEPTH_TEST_DATA names no folder with clips")
    monkeypatch.setattr(build, "make_estimator", lambda _: ConstantEstimator())
    target = tmp_path / f"out{'.webm' if clip.suffix == '.webm' else '.mp4'}"
    settings = config.make({"source": clip, "output": target, "video": {"preset": "ultrafast"}})
    with build.pipeline(settings) as pipeline:
        if clip.name in BROKEN:
            kind, says = BROKEN[clip.name]
            with pytest.raises(SourceError, match=says) as caught:
                pipeline.run()
            assert isinstance(caught.value, kind)
        else:
            pipeline.run()
        report = pipeline.report()
    assert report.read == report.written + sum(report.dropped.values())
    if clip.name == "empty.mp4":
        assert not list(tmp_path.iterdir())
        return
    result = compare_streams(clip, target)
    assert result.frame_counts[1] == report.written
    is_broken = clip.name in BROKEN
    shifts = [abs(a - b) for a, b in zip(result.source.times, result.output.times, strict=not is_broken)]
    assert max(shifts) <= TOLERANCE.get(clip.suffix, 0)
    assert [n for n in report.notices if "track" in n] == TRACK_NOTICES.get(clip.name, [])
    if not is_broken:
        assert result.tracks_equal
        assert result.largest_track_shift <= TOLERANCE.get(clip.suffix, 0)
