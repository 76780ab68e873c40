"""Picture and depth in one file: players take the picture, `DepthVideo` reads exactly the depth, at the same times."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from helpers.errors import raises_code
from helpers.media import moving, write_video

import streamdepth
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthKind, Estimate
from streamdepth.testing import ConstantEstimator

TIMES = [0, 40, 80, 130, 170, 300, 310, 350, 400, 480]
"""Milliseconds of a variable frame rate."""
LINES = [(0.0, 0.2, "one"), (0.25, 0.4, "two")]


class Waves(ConstantEstimator):
    """Depth between 1 and 9 m that differs in each pixel and frame; some is unknown."""

    def __init__(self, kind: DepthKind = DepthKind.METRIC) -> None:
        super().__init__(kind=kind)

    def estimate(self, frames):
        return [Estimate(waves(frame.index)) for frame in frames]


def waves(index: int) -> np.ndarray:
    y, x = np.mgrid[:24, :32].astype(np.float32)
    depth = 5 + 4 * np.sin(x * 0.7 + y * 1.3 + index)
    depth[:2] = np.nan
    return depth.astype(np.float32)


def write_source(path: Path) -> Path:
    return write_video(path, times=TIMES, audio_offset_seconds=0.0, subtitles=LINES, metadata={"title": "my clip"})


@pytest.mark.parametrize("kind", list(DepthKind))
def test_depth_is_exact_and_each_frame_has_the_time_of_its_picture(tmp_path: Path, kind: DepthKind) -> None:
    source, out = write_source(tmp_path / "in.mkv"), tmp_path / "both.mkv"
    streamdepth.convert(source, depth_out=out, model=Waves(kind), smooth="off", with_rgb=True, video_crf=4)
    alone = tmp_path / "alone.mkv"
    streamdepth.convert(source, depth_out=alone, model=Waves(kind), smooth="off")
    both, reference = streamdepth.DepthVideo(out), streamdepth.DepthVideo(alone)
    assert both.kind is kind
    assert both.times == pytest.approx([t / 1000 for t in TIMES], abs=1e-9)
    assert both.metadata["pts"] == reference.metadata["pts"]
    for index, (depth, expected) in enumerate(zip(both, reference, strict=True)):
        np.testing.assert_array_equal(depth, expected)
        np.testing.assert_allclose(depth, waves(index), rtol=1e-4, atol=2e-4)
    np.testing.assert_array_equal(both[7], reference[7])
    with av.open(str(out)) as container:
        picture_times = [f.time for f in container.decode(video=0)]
    with av.open(str(out)) as container:
        depth_times = [f.time for f in container.decode(video=1)]
    assert picture_times == depth_times == pytest.approx([t / 1000 for t in TIMES], abs=0.0011)


def test_players_show_the_picture_and_have_sound_subtitles_and_tags(tmp_path: Path) -> None:
    source, out = write_source(tmp_path / "in.mkv"), tmp_path / "both.mkv"
    streamdepth.convert(source, depth_out=out, model=Waves(), with_rgb=True, video_crf=4)
    with av.open(str(out)) as container, av.open(str(source)) as original:
        assert [s.type for s in container.streams] == ["video", "audio", "subtitle", "video"]
        assert [bool(s.disposition & Disposition.default) for s in container.streams.video] == [True, False]
        assert container.streams.best("video").index == 0
        assert container.metadata["title"] == "my clip"
        for kind in ("audio", "subtitles"):
            ours, theirs = ([bytes(p) for p in c.demux(**{kind: 0})] for c in (container, original))
            assert ours == theirs
    with av.open(str(out)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            off = frame.to_ndarray(format="rgb24").astype(float) - moving(64, 48, index)
            assert 10 * np.log10(255**2 / (off**2).mean()) > 25  # dB; no color of depth is in the picture


def test_the_file_is_an_input_whose_picture_is_read(tmp_path: Path) -> None:
    source, out = write_source(tmp_path / "in.mkv"), tmp_path / "both.mkv"
    streamdepth.convert(source, depth_out=out, model=Waves(), with_rgb=True)
    with streamdepth.stream(out, model=ConstantEstimator()) as frames:
        assert [round(item.frame.time * 1000) for item in frames] == TIMES
    again = tmp_path / "again.mkv"
    streamdepth.convert(out, again, model=ConstantEstimator())
    with av.open(str(again)) as container:
        assert "STREAMDEPTH" not in container.metadata
        assert len(container.streams.video) == 1


@pytest.mark.parametrize(
    "settings", [{}, {"depth_out": "d.mp4"}, {"depth_out": "d.mkv", "depth_map": "near-white"}], ids=str
)
def test_where_no_lossless_depth_is_written_the_picture_is_refused(tmp_path: Path, settings: dict) -> None:
    source = write_video(tmp_path / "in.mp4", count=2)
    with raises_code(ConfigError, "conflict"):
        streamdepth.convert(source, tmp_path / "out.mp4", model=ConstantEstimator(), with_rgb=True, **settings)


def test_nothing_is_left_of_a_run_without_frames(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", count=2)
    with pytest.raises(RuntimeError):
        streamdepth.convert(source, depth_out=tmp_path / "d.mkv", model=Broken(), with_rgb=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


class Broken(ConstantEstimator):
    def estimate(self, frames):
        raise RuntimeError("broken")
