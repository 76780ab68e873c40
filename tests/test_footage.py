"""Real clips, where STREAMDEPTH_TEST_DATA names a folder that has them in clips/."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import rtsp_server
from helpers.compare import compare_streams
from helpers.errors import raises_code

from streamdepth import config, factory
from streamdepth.core.errors import SourceLostError, SourceOpenError
from streamdepth.core.types import DepthFrame, DepthKind, Frame
from streamdepth.sources.file import FileSource
from streamdepth.sources.network import NetworkSource
from streamdepth.stabilizers import CutDetector
from streamdepth.testing import ConstantEstimator

pytestmark = pytest.mark.slow

CLIPS = sorted(
    p for p in Path(os.environ.get("STREAMDEPTH_TEST_DATA", "/nonexistent"), "clips").glob("*") if p.is_file()
)
BROKEN = {
    "empty.mp4": (SourceOpenError, "empty", None),
    "car_truncated_noindex.mp4": (SourceLostError, "cut-off", "377"),
    "flower_truncated.webm": (SourceLostError, "cut-off", "about 151"),
}
"""Damaged clip -> the class and the code of its error, and what the message has to name."""
LONG = ("bottle-detection.mp4", "vtest.avi", "testvideo.mp4", "walking.mp4", "car-detection.mp4", "test1.mp4")
"""Clips of hundreds of frames, which are written small to save time."""


def left_out(kind: str, index: int, codec: str, container: str) -> str:
    tip = "" if container == "matroska" else "; an output ending in .mkv can hold most"
    return f"{kind} track {index} ({codec}) is left out: {container} cannot hold it{tip}"


SHIFTED = ".mkv has no times below 0, where the sound begins: all tracks are shifted by 0.128 s; .mp4 keeps them"
SECOND_PICTURE = "left out, because only sound and subtitles are copied: video track 0 (h264)"
ELSEWHERE = [
    ("nasa_13013.mp4", ".mov", ["aac", "mov_text", "aac", "mov_text"], [SECOND_PICTURE]),
    ("nasa_13013.mp4", ".mkv", ["aac", "aac"],
     [left_out("subtitle", 2, "mov_text", "matroska"), left_out("subtitle", 5, "mov_text", "matroska"),
      SECOND_PICTURE, SHIFTED]),
    ("nasa_13013.mp4", ".webm", [],
     [left_out("audio", 1, "aac", "webm"), left_out("subtitle", 2, "mov_text", "webm"),
      left_out("audio", 4, "aac", "webm"), left_out("subtitle", 5, "mov_text", "webm"), SECOND_PICTURE]),
    ("flower.mp4", ".mkv", ["aac"], []),
    ("flipping_a_pancake.mkv", ".webm", ["opus"], []),
    ("flipping_a_pancake.mkv", ".mov", [], [left_out("audio", 1, "opus", "mov")]),
    ("stream-of-water.webm", ".mp4", ["vorbis"], []),
    ("stream-of-water.webm", ".mkv", ["vorbis"], []),
    ("stream-of-water.webm", ".mov", [], [left_out("audio", 1, "vorbis", "mov")]),
]  # fmt: skip
"""Clip, another container, the tracks it keeps besides the video, and the notices."""


@pytest.mark.parametrize("clip", CLIPS or [None], ids=lambda p: p.name if p else "none")
def test_every_clip_converts_or_says_why(clip: Path | None, tmp_path: Path, monkeypatch) -> None:
    """Frame counts, times since the first picture or sound, and the packets of sound and subtitles are the input's."""
    if clip is None:
        pytest.skip("STREAMDEPTH_TEST_DATA names no folder with clips")
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
    target = tmp_path / f"out{'.webm' if clip.suffix == '.webm' else '.mp4'}"
    height = 120 if clip.name in LONG else None
    settings = config.make(source=clip, output=target, height=height, video_preset="ultrafast")
    with factory.open_pipeline(settings) as pipeline:
        if clip.name in BROKEN:
            kind, code, fact = BROKEN[clip.name]
            with raises_code(kind, code, naming=fact):
                pipeline.run()
        else:
            pipeline.run()
        report = pipeline.report()
    assert report.read == report.written + sum(report.dropped.values())
    if clip.name == "empty.mp4":
        assert not list(tmp_path.iterdir())
        return
    result = compare_streams(clip, target)
    assert result.frame_counts[1] == report.written
    assert not [n for n in report.notices if "track" in n and n != SECOND_PICTURE]
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
    """Tracks that the container holds stay in sync with the first frames; the others are announced."""
    monkeypatch.setattr(factory, "make_estimator", lambda _: ConstantEstimator())
    clip, target = footage / "clips" / name, tmp_path / f"out{ending}"
    settings = config.make(source=clip, output=target, max_frames=20, video_preset="ultrafast")
    with factory.open_pipeline(settings) as pipeline:
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


SHOTS = (
    "book.mkv", "flower.mp4", "friday.mp4", "walking.mp4", "vtest.avi", "car-detection.mp4", "bottle-detection.mp4",
    "stream-of-water.webm", "flipping_a_pancake.mkv", "sample_15fps_720p_1s.mp4",
)  # fmt: skip
"""Clips without a cut in their first frames."""
SHOT_FRAMES, ROUNDS = 12, 4


def small_frames(clip: Path, count: int | None = None) -> list[np.ndarray]:
    source = FileSource(str(clip))
    source.open()
    with closing(source):
        return [
            cv2.resize(f.image, (320, 180), interpolation=cv2.INTER_AREA)
            for f in islice(iter(source.read, None), count)
        ]


def found_cuts(pictures: Iterable[np.ndarray]) -> set[int]:
    """Returns the indices of cuts; brightness stands in for depth, which makes it a weak second cue."""
    detector, cuts = CutDetector(), set()
    for i, picture in enumerate(pictures):
        frame = Frame(np.ascontiguousarray(picture), i, i, Fraction(1, 30), 0.0, "s")
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        cuts |= {i for out in detector.push(DepthFrame(frame, gray, DepthKind.RELATIVE)) if out.cut}
    return cuts


@pytest.mark.skipif(not CLIPS, reason="STREAMDEPTH_TEST_DATA names no folder with clips")
class TestCutsOfRealFootage:
    def test_joined_shots_with_flashes(self) -> None:
        """Shots of ten clips in turn; in every second one, one frame is burned out by a flash."""
        clips = [small_frames(CLIPS[0].parent / name, SHOT_FRAMES * ROUNDS) for name in SHOTS]
        pictures, true = [], set()
        for turn in range(ROUNDS):
            for number, clip in enumerate(clips):
                shot = clip[turn * SHOT_FRAMES : (turn + 1) * SHOT_FRAMES]
                if len(shot) < SHOT_FRAMES:
                    continue
                if number % 2:
                    shot = [*shot[:5], np.clip(shot[5].astype(np.int16) + 200, 0, 255).astype(np.uint8), *shot[6:]]
                true |= {len(pictures)} if pictures else set()
                pictures += shot
        found = found_cuts(pictures)
        assert len(true) > 30
        assert len(found & true) >= 0.98 * len(true), sorted(true - found)
        assert len(found & true) >= 0.9 * len(found), sorted(found - true)

    @pytest.mark.parametrize(
        ("name", "cuts"),
        [("testvideo.mp4", {30, 180}), ("fades.mp4", set()), ("walking.mp4", set()), ("car-detection.mp4", set())],
    )
    def test_whole_clips(self, name: str, cuts: set[int]) -> None:
        assert found_cuts(small_frames(CLIPS[0].parent / name)) == cuts


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the beginning of a street scene, as the server sends it."""
    folder = tmp_path_factory.mktemp("street")
    for i, picture in enumerate(small_frames(CLIPS[0].parent / "walking.mp4", 45)):
        cv2.imwrite(str(folder / f"{i:03}.jpg"), picture[..., ::-1])
    return folder


@pytest.mark.skipif(not CLIPS, reason="STREAMDEPTH_TEST_DATA names no folder with clips")
class TestCamerasThatShowRealFootage:
    @pytest.mark.parametrize("transport", ["tcp", "udp"])
    @pytest.mark.parametrize("codec", ["h264", "h265"])
    def test_frames_are_those_of_the_clip_before_and_after_a_restart(
        self, pictures: Path, codec: str, transport: str
    ) -> None:
        if reason := rtsp_server.unavailable_reason():
            pytest.skip(reason)
        clip = [cv2.imread(str(p))[..., ::-1].astype(np.float32) for p in sorted(pictures.iterdir())]

        def off(frame: Frame) -> float:
            """Mean difference from the nearest frame of the clip, of 255."""
            return min(float(np.abs(frame.image - picture).mean()) for picture in clip)

        with rtsp_server.running(closed="digest", size=(320, 180), clip=pictures) as server:
            address = server.address.replace("://", f"://{rtsp_server.USER}:{rtsp_server.PASSWORD}@")
            source = NetworkSource(f"{address}/{codec}", transport=transport, timeout_seconds=2, reconnect_seconds=60)
            with closing(source):
                source.open()
                before = [source.read() for _ in range(20)]
                server.stop()
                server.start()
                while not source.reconnects:
                    assert source.read()
                after = [source.read() for _ in range(20)]
        assert np.median([off(frame) for frame in before if frame]) < 6
        assert np.median([off(frame) for frame in after if frame]) < 6
        assert source.states.abandoned_readers == 0
