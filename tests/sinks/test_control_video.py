"""Control videos: rate, number of frames, size and gray are those that the generator takes, on one scale for a clip."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.media import write_video

import streamdepth
from streamdepth.core.errors import ConfigError
from streamdepth.core.types import DepthKind, Estimate, ModelInfo
from streamdepth.sinks.control_video import TARGETS, ControlVideoSink
from streamdepth.testing import ConstantEstimator

WIDTH, HEIGHT = 100, 72


class DriftingRamp(ConstantEstimator):
    """Relative depth that rises from left to right by 10, and by 1 with each frame."""

    def __init__(self) -> None:
        super().__init__(kind=DepthKind.RELATIVE)

    def estimate(self, frames):
        return [Estimate(ramp(frame.index, *frame.size)) for frame in frames]


def ramp(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.linspace(index, index + 10, width, dtype=np.float32)[None].repeat(height, axis=0)


def read(path: Path) -> tuple[list[Fraction], np.ndarray]:
    """Returns the times of the frames in seconds, and their brightness (N, H, W), 0 to 1."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    luma = [np.asarray(memoryview(f.planes[0])).reshape(f.height, -1)[:, : f.width] for f in frames]
    return [f.pts * f.time_base for f in frames], (np.array(luma, float) - 16) / 219


def two_shots(path: Path, count: int, rate: int) -> Path:
    images = [np.full((HEIGHT, WIDTH, 3), 30 if i < count // 2 else 220, np.uint8) for i in range(count)]
    return write_video(path, images=images, rate=rate)


@pytest.mark.parametrize(("target", "frames", "size", "fps"), [("wan", 29, (96, 64), 16), ("h3", 48, (96, 64), 24)])
def test_frames_are_chosen_by_time_cropped_and_on_one_scale(tmp_path: Path, target, frames, size, fps) -> None:
    source, out = two_shots(tmp_path / "in.mp4", 50, 25), tmp_path / "control.mp4"
    options = {"smooth": "off", "video_crf": 2, "target": target, "find_bars": False}
    report = streamdepth.convert(source, depth_out=out, model=DriftingRamp(), **options)
    times, gray = read(out)
    assert times == [Fraction(k, fps) for k in range(frames)]
    assert gray.shape == (frames, size[1], size[0])
    ((first, near, far),) = json.loads((tmp_path / "control.mp4.json").read_text())["ranges"]
    read_count = 2 * fps
    values = np.sort(np.concatenate([ramp(k)[0] for k in range(read_count)]))
    assert (first, far, near) == (0, *(pytest.approx(np.quantile(values, q), abs=0.15) for q in (0.005, 0.995)))
    left = (WIDTH - size[0]) // 2
    for k in (0, 7, frames - 1):
        expected = np.clip((ramp(k)[0, left : left + size[0]] - far) / (near - far), 0, 1)
        assert np.abs(gray[k] - expected).max() < 0.02
    assert any("left out" in notice for notice in report.notices) == (target == "wan")


def test_a_long_clip_ends_where_the_target_ends(tmp_path: Path) -> None:
    source, out = write_video(tmp_path / "in.mp4", count=16, rate=1, size=(32, 32)), tmp_path / "control.mp4"
    report = streamdepth.convert(source, depth_out=out, model=DriftingRamp(), smooth="off", target="h3")
    times, _ = read(out)
    assert len(times) == 15 * 24
    assert times[-1] == Fraction(359, 24)
    assert any("15 s" in notice for notice in report.notices)


def test_a_short_clip_is_written_and_told(tmp_path: Path) -> None:
    source, out = write_video(tmp_path / "in.mp4", count=3, rate=8), tmp_path / "control.mp4"
    options = {"smooth": "off", "target": "seedance", "height": 560}
    report = streamdepth.convert(source, depth_out=out, model=ConstantEstimator(), **options)
    _, gray = read(out)
    assert gray.shape == (9, 560, 736)  # 747 px wide, cropped
    assert any("2 to 15 s" in notice for notice in report.notices)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"target": "seedance"}, "too-small"),
        ({"target": "wan", "scale": 0.1}, "too-small"),
        ({"target": "wan", "fps": 25}, "conflict"),
        ({"target": "wan", "depth_out": "depth.exr"}, "conflict"),
    ],
)
def test_what_a_generator_would_refuse_is_told(tmp_path: Path, settings: dict, code: str) -> None:
    source = write_video(tmp_path / "in.mp4", count=3)
    with raises_code(ConfigError, code):
        streamdepth.convert(source, **{"depth_out": tmp_path / "c.mp4", "model": ConstantEstimator()} | settings)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(("options", "code"), [({}, "not-a-file"), ({"near": 1.0, "far": 2.0}, None)])
def test_the_range_of_a_live_stream_must_be_given(tmp_path: Path, options: dict, code: str | None) -> None:
    sink = ControlVideoSink(tmp_path / "c.mp4", TARGETS["wan"], **options)
    info = streamdepth.StreamInfo("camera", 64, 48, fps=Fraction(16), is_live=True)
    if code is None:
        sink.open(info, ModelInfo("m", DepthKind.METRIC))
        sink.discard()
        return
    with raises_code(ConfigError, code):
        sink.open(info, ModelInfo("m", DepthKind.METRIC))
