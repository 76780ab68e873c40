"""GIF and animated WebP: as many frames as the video, at its times, in its colors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.errors import raises_code
from helpers.media import moving, write_video
from PIL import Image, ImageSequence

import streamdepth
from streamdepth.core.errors import SinkOpenError
from streamdepth.sinks.animation import AnimationSink
from streamdepth.testing import ConstantEstimator

PLAIN = {"style": "side-by-side", "legend": False, "smooth": "off"}


def read_animation(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """Returns the frames as RGB, and how long each is shown in milliseconds."""
    with Image.open(path) as animation:
        assert animation.info.get("loop", 0) == 0
        frames = [(np.asarray(f.convert("RGB")), f.info["duration"]) for f in ImageSequence.Iterator(animation)]
    return [image for image, _ in frames], [duration for _, duration in frames]


@pytest.mark.parametrize(("name", "tolerance"), [("a.gif", 6), ("a.webp", 8)])
def test_an_animation_has_the_frames_and_times_of_the_video(tmp_path: Path, name: str, tolerance: float) -> None:
    times = [0, 40, 80, 200, 240, 320]
    source = write_video(tmp_path / "in.mp4", size=(96, 64), times=times)
    out = tmp_path / name
    streamdepth.convert(source, out, model=ConstantEstimator(), **PLAIN)
    frames, durations = read_animation(out)
    assert durations == [40, 40, 120, 40, 80, 80 if name == "a.gif" else 320 // 5]
    for index, frame in enumerate(frames):
        assert frame.shape == (64, 192, 3)
        assert np.abs(frame[:, :96].astype(int) - moving(96, 64, index)).mean() < tolerance


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_it_takes_a_size_a_rate_and_a_single_frame(tmp_path: Path, suffix: str) -> None:
    source = write_video(tmp_path / "in.mp4", size=(96, 64), count=25)
    streamdepth.convert(source, tmp_path / f"b{suffix}", model=ConstantEstimator(), height=32, fps=10, **PLAIN)
    frames, durations = read_animation(tmp_path / f"b{suffix}")
    assert durations == [100] * 10
    assert frames[0].shape == (32, 96, 3)
    streamdepth.convert(source, tmp_path / f"c{suffix}", model=ConstantEstimator(), max_frames=1, **PLAIN)
    with Image.open(tmp_path / f"c{suffix}") as still:
        assert (getattr(still, "n_frames", 1), still.size) == (1, (192, 64))


def test_another_extension_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with raises_code(SinkOpenError, "unknown-format"):
        AnimationSink(tmp_path / "a.png").check()
