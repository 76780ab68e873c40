"""Real clips, where STREAMDEPTH_TEST_DATA names a folder that has them in clips/."""

from __future__ import annotations

import os
from fractions import Fraction
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


def left_out(kind: str, index: int, codec: str, container: str) -> str:
    tip = "" if container == "matroska" else "; an output ending in .mkv can hold most"
    return f"{kind} track {index} ({codec}) is left out: {container} cannot hold it{tip}"


SHIFTED = ".mkv has no times below 0, where the sound begins: all tracks are shifted by 0.128 s; .mp4 keeps them"
ELSEWHERE = [
    ("nasa_13013.mp4", ".mov", ["aac", "mov_text", "aac", "mov_text"], []),
    ("nasa_13013.mp4", ".mkv", ["aac", "aac"],
     [left_out("subtitle", 2, "mov_text", "matroska"), left_out("subtitle", 5, "mov_text", "matroska"), SHIFTED]),
    ("nasa_13013.mp4", ".webm", [],
     [left_out("audio", 1, "aac", "webm"), left_out("subtitle", 2, "mov_text", "webm"),
      left_out("audio", 4, "aac", "webm"), left_out("subtitle", 5, "mov_text", "webm")]),
    ("flower.mp4", ".mkv", ["aac"], []),
    ("flipping_a_pancake.mkv", ".webm", ["opus"], []),
    ("flipping_a_pancake.mkv", ".mov", [], [left_out("audio", 1, "opus", "mov")]),
    ("stream-of-water.webm", ".mp4", ["vorbis"], []),
    ("stream-of-water.webm", ".mkv", ["vorbis"], []),
    ("stream-of-water.webm", ".mov", [], [left_out("audio", 1, "vorbis", "mov")]),
]  # fmt: skip
"""Clip, another container, the tracks it keeps beside the video, and what is said."""


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
    assert not [n for n in report.notices if "track" in n]
    if clip.name in BROKEN:
        assert result.output.times == result.source.times[: report.written]
        return
    assert result.pts_equal
    assert result.tracks_equal
    assert result.largest_track_shift == 0


@pytest.mark.parametrize(("name", "ending", "codecs", "notices"), ELSEWHERE, ids=lambda v: v if type(v) is str else "")
def test_another_container_keeps_what_it_can_hold(
    name: str, ending: str, codecs: list[str], notices: list[str], tmp_path: Path, monkeypatch, footage: Path
) -> None:
    """Of the first frames: what is kept is in step, and what is not is announced."""
    monkeypatch.setattr(build, "make_estimator", lambda _: ConstantEstimator())
    clip, target = footage / "clips" / name, tmp_path / f"out{ending}"
    settings = config.make({"source": clip, "output": target, "max_frames": 20, "video": {"preset": "ultrafast"}})
    with build.pipeline(settings) as pipeline:
        report = pipeline.run()
    assert list(report.notices) == notices
    result = compare_streams(clip, target)
    assert [t.codec for t in result.output.tracks] == codecs
    shift = Fraction(128, 1000) if SHIFTED in notices else 0
    # Matroska's and WebM's clock has milliseconds; MP4 counts sound in samples.
    tolerance = Fraction(1, 2000) if ending in (".mkv", ".webm") else Fraction(1, 48000)
    times = result.source.times[:20]
    assert all(abs(b - a - shift) <= tolerance for a, b in zip(times, result.output.times, strict=True))
    kept = [t for t in result.source.tracks if t.codec in codecs]
    for before, after in zip(kept, result.output.tracks, strict=True):
        count = len(after.times)
        assert after.payloads == before.payloads[:count]
        assert count > 1
        pairs = zip(before.times[:count], after.times, strict=True)
        assert all(abs(b - a - shift) <= tolerance for a, b in pairs)
