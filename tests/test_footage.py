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
    if clip.name not in BROKEN:
        assert result.frame_counts[0] == result.frame_counts[1]
    # Matroska's and WebM's clock has milliseconds.
    tolerance = 0.0005 if target.suffix == ".webm" else 2e-5 if clip.suffix == ".webm" else 0
    for before, after in zip(result.source.times, result.output.times, strict=False):
        assert abs(before - after) <= tolerance
    announced = " ".join(report.notices)
    assert result.tracks_equal or "track" in announced or clip.name in BROKEN
