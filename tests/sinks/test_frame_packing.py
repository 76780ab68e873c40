"""Players find out how the pictures of two eyes lie in a video: the tags are read back by FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.sink_data import exact_depth_frame, fill, stream

from streamdepth.core.render_options import RenderOptions, Style
from streamdepth.render.overlay import render
from streamdepth.sinks.frame_packing import frame_packing_options
from streamdepth.sinks.video import VideoSink

SIDE_BY_SIDE, TOP_BOTTOM = 1, 2
"""AVStereo3DType of FFmpeg."""


def written(path: Path, style: Style, codec: str) -> list[str]:
    info, items = stream(3, 64, 48)
    sink = VideoSink(path, RenderOptions(style), codec=codec, crf=10)
    fill(sink, info, items)
    return sink.notices


def layout(path: Path) -> int | None:
    """Returns the layout that FFmpeg's decoder gives to players with the first frame."""
    with av.open(str(path)) as container:
        data = [d for d in next(container.decode(video=0)).side_data if d.type.name == "STEREO3D"]
    return int(np.frombuffer(bytes(data[0])[:4], np.int32)[0]) if data else None


@pytest.mark.parametrize(
    ("style", "name", "codec", "expected"),
    [
        ("sbs", "x.mp4", "h264", SIDE_BY_SIDE),
        ("half-sbs", "x.mov", "h264", SIDE_BY_SIDE),
        ("top-bottom", "x.mkv", "h264", TOP_BOTTOM),
        ("sbs", "x.mkv", "hevc", SIDE_BY_SIDE),
        ("top-bottom", "x.webm", "vp9", TOP_BOTTOM),
        ("side-by-side", "x.mkv", "h264", None),
        ("anaglyph", "x.mp4", "h264", None),
    ],
)
def test_players_are_told_the_layout(tmp_path: Path, style: Style, name: str, codec: str, expected) -> None:
    assert written(tmp_path / name, style, codec) == []
    assert layout(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("style", "name", "mode"),
    [
        ("sbs", "x.mkv", "left_right"),
        ("top-bottom", "x.webm", "top_bottom"),
        ("anaglyph", "x.mkv", "anaglyph_cyan_red"),
        ("anaglyph", "x.webm", None),
        ("overlay", "x.mkv", None),
    ],
)
def test_matroska_has_a_stereo_mode(tmp_path: Path, style: Style, name: str, mode: str | None) -> None:
    written(tmp_path / name, style, "vp9" if name.endswith("webm") else "h264")
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].metadata.get("stereo_mode") == mode


def test_each_eye_of_half_width_is_shown_at_full_width(tmp_path: Path) -> None:
    written(tmp_path / "x.mkv", "half-sbs", "h264")
    with av.open(str(tmp_path / "x.mkv")) as container:
        assert container.streams.video[0].codec_context.sample_aspect_ratio == Fraction(2)


def test_a_tag_that_cannot_be_written_is_announced(tmp_path: Path) -> None:
    (notice,) = written(tmp_path / "x.mp4", "sbs", "hevc")
    assert "libx265" in notice
    assert layout(tmp_path / "x.mp4") is None


def test_the_right_eye_is_on_the_right(tmp_path: Path) -> None:
    written(tmp_path / "x.mp4", "sbs", "h264")
    exact = render(exact_depth_frame(width=64, height=48), RenderOptions("sbs"))
    with av.open(str(tmp_path / "x.mp4")) as container:
        found = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert found.shape == exact.shape == (48, 128, 3)
    assert np.abs(found.astype(int) - exact).mean() < 4


@pytest.mark.parametrize(
    ("encoder", "style", "expected"),
    [
        ("libx264", "half-sbs", {"x264-params": "frame-packing=3"}),
        ("libx264", "overlay", {}),
        ("libx265", "sbs", {}),
    ],
)
def test_only_an_encoder_that_has_the_message_is_asked_for_it(encoder: str, style: Style, expected) -> None:
    assert frame_packing_options(encoder, style) == expected
